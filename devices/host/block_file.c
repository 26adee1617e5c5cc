#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "devices/host/block_private.h"

enum { SECTOR = 512, ZEROS = 64 << 10 };

/* ---- Locks: those of QEMU's block/file-posix.c, so that it and we see each other ------------ */

/* Byte BASE_HELD + n of the file is locked, shared, by who does n; byte BASE_REFUSED + n by who
 * cannot have that others do n. */
enum { DOES_READ = 0, DOES_WRITE = 1, DOES_RESIZE = 3 };
enum { BASE_HELD = 100, BASE_REFUSED = 200 };

static bool lock_byte(int fd, off_t at)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* True when nobody else holds the byte, or when that cannot be known. */
static bool is_free(int fd, off_t at)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK;
}

/* Locked before asked: of two who come at once at most one goes on. */
static bool lock_file(int fd, bool writable)
{
    static const off_t does[] = {DOES_READ, DOES_WRITE, DOES_RESIZE};

    for (unsigned i = 0; i < 3; i++)
        if (((writable || does[i] == DOES_READ) && !lock_byte(fd, BASE_HELD + does[i])) ||
            (does[i] != DOES_READ && !lock_byte(fd, BASE_REFUSED + does[i])))
            return errno != EAGAIN && errno != EACCES; /* a file system without locks */
    for (unsigned i = 0; i < 3; i++)
        if (((writable || does[i] == DOES_READ) && !is_free(fd, BASE_REFUSED + does[i])) ||
            (does[i] != DOES_READ && !is_free(fd, BASE_HELD + does[i])))
            return false;
    return true;
}

/* ---- Opening -------------------------------------------------------------------------------- */

static bool measure(struct block_file *f, const char *path, struct err *e)
{
    struct stat st;
    uint64_t len = 0;

    if (fstat(f->fd, &st) != 0)
        return err_set(e, "cannot open %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return err_set(e, "%s is a directory; a disk is a file or a block device", path);
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(f->fd, BLKGETSIZE64, &len) != 0)
            return err_set(e, "%s: its size cannot be had: %s", path, strerror(errno));
    } else if (S_ISREG(st.st_mode)) {
        len = (uint64_t)st.st_size;
    } else {
        return err_set(e, "%s is neither a file nor a block device", path);
    }
    if (len == 0)
        return err_set(e, "%s is empty; truncate -s 1G %s would make a disk of it", path, path);
    f->len = len;
    f->base.size = align_up(len, SECTOR);
    return true;
}

/* ---- Reading and writing ------------------------------------------------------------------------
 */

static const struct block_file *file_of(const struct block_base *b)
{
    return (const struct block_file *)(const void *)b;
}

void block_advance(struct iovec **iov, unsigned *n, size_t done)
{
    while (*n > 0 && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (*n > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

/* Behind the end of a file that ends in the midst of a sector there are zeros; one that has
 * become shorter under us has lost what was there. */
static int read_behind_end(const struct block_file *f, struct iovec *iov, unsigned n,
                           uint64_t offset)
{
    if (offset < f->len)
        return EIO;
    for (unsigned i = 0; i < n; i++)
        memset(iov[i].iov_base, 0, iov[i].iov_len);
    return 0;
}

static int file_read(struct block_base *b, struct iovec *iov, unsigned n, uint64_t offset)
{
    const struct block_file *f = file_of(b);

    while (n > 0) {
        ssize_t done = preadv(f->fd, iov, (int)n, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        if (done == 0)
            return read_behind_end(f, iov, n, offset);
        block_advance(&iov, &n, (size_t)done);
        offset += (uint64_t)done;
    }
    return 0;
}

static int file_write(struct block_base *b, struct iovec *iov, unsigned n, uint64_t offset)
{
    const struct block_file *f = file_of(b);

    while (n > 0) {
        ssize_t done = pwritev(f->fd, iov, (int)n, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        if (done == 0)
            return ENOSPC;
        block_advance(&iov, &n, (size_t)done);
        offset += (uint64_t)done;
    }
    return 0;
}

static int file_flush(struct block_base *b)
{
    while (fdatasync(file_of(b)->fd) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

/* ---- Holes
 * --------------------------------------------------------------------------------------- */

static int allocate(const struct block_file *f, int mode, uint64_t offset, uint64_t len_bytes)
{
    while (fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len_bytes) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

/* What a file system says that has not the call. */
static bool cannot(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL || error == ENODEV;
}

static int file_discard(struct block_base *b, uint64_t offset, uint64_t len_bytes)
{
    int error = allocate(file_of(b), FALLOC_FL_PUNCH_HOLE, offset, len_bytes);

    return cannot(error) ? 0 : error;
}

static int write_zeros(struct block_base *b, uint64_t offset, uint64_t len_bytes)
{
    static const uint8_t zeros[ZEROS];

    while (len_bytes > 0) {
        struct iovec iov = {(void *)zeros, len_bytes < ZEROS ? len_bytes : ZEROS};
        size_t n = iov.iov_len;
        int error = file_write(b, &iov, 1, offset);

        if (error)
            return error;
        offset += n;
        len_bytes -= n;
    }
    return 0;
}

static int file_zero(struct block_base *b, uint64_t offset, uint64_t len_bytes, bool unmap)
{
    const struct block_file *f = file_of(b);
    int error = EOPNOTSUPP;

    if (unmap)
        error = allocate(f, FALLOC_FL_PUNCH_HOLE, offset, len_bytes);
    if (cannot(error))
        error = allocate(f, FALLOC_FL_ZERO_RANGE, offset, len_bytes);
    return cannot(error) ? write_zeros(b, offset, len_bytes) : error;
}

/* ---- Life --------------------------------------------------------------------------------- */

static void file_close(struct block_base *b)
{
    struct block_file *f = (struct block_file *)(void *)b;

    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

static const struct block_base_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .flush = file_flush,
    .discard = file_discard,
    .zero = file_zero,
    .close = file_close,
};

bool block_file_open(struct block_file *f, const char *path, bool writable, struct err *e)
{
    /* Not blocking: the other end of a pipe might never be opened. It means nothing to a disk. */
    int how = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    *f = (struct block_file){.base.ops = &file_ops, .fd = open(path, how)};
    if (f->fd < 0 && writable && errno != ENOENT && errno != EISDIR)
        return err_set(e,
                       "cannot open %s for writing: %s; readonly=on or snapshot=on leave it "
                       "as it is",
                       path, strerror(errno));
    if (f->fd < 0)
        return err_set(e, "cannot open %s: %s", path, strerror(errno));
    if (!measure(f, path, e)) {
        file_close(&f->base);
        return false;
    }
    if (lock_file(f->fd, writable))
        return true;
    file_close(&f->base);
    return err_set(e,
                   writable ? "%s is in use by another machine; end that first, or give both "
                              "readonly=on or snapshot=on"
                            : "%s is being written to by another machine; end that first",
                   path);
}

bool block_file_temporary(struct block_file *f, uint64_t size, struct err *e)
{
    /* /tmp may be in memory: a disk's changes belong to a disk, where QEMU has them too. */
    const char *folder = getenv("TMPDIR");

    if (!folder || *folder == '\0')
        folder = "/var/tmp";
    *f = (struct block_file){.base = {&file_ops, size}, .len = size};
    f->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (f->fd >= 0 && ftruncate(f->fd, (off_t)size) == 0)
        return true;
    err_set(e, "no temporary file in %s for snapshot=on: %s; TMPDIR names another folder", folder,
            strerror(errno));
    file_close(&f->base);
    return false;
}
