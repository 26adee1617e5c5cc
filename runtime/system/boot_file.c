#define _GNU_SOURCE
#include "runtime/system/boot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_STEP = 1 << 20 };

static bool map_file(struct boot_file *f, int fd, size_t len, struct err *e)
{
    void *map;

    if (len == 0)
        return err_set(e, "%s is empty", f->path);
    map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return err_set(e, "cannot read %s: %s", f->path, strerror(errno));
    f->data = map;
    f->len = f->map_len = len;
    return true;
}

bool boot_file_grow(struct boot_file *f, size_t first)
{
    size_t want = f->map_len ? f->map_len * 2 : first;
    void *map;

    if (!f->data)
        map = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    else
        map = mremap((void *)f->data, f->map_len, want, MREMAP_MAYMOVE);
    if (map == MAP_FAILED)
        return false;
    f->data = map;
    f->map_len = want;
    return true;
}

static bool read_pipe(struct boot_file *f, int fd, uint64_t limit, struct err *e)
{
    for (;;) {
        bool room = f->len + PIPE_STEP <= f->map_len || boot_file_grow(f, 4 * PIPE_STEP);
        ssize_t n = room ? read(fd, (uint8_t *)f->data + f->len, PIPE_STEP) : -1;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set(e, "cannot read %s: %s", f->path, strerror(errno));
            break;
        }
        f->len += (size_t)n;
        if (n == 0 && f->len > 0)
            return true;
        if (n == 0) {
            err_set(e, "%s is empty", f->path);
            break;
        }
        if (f->len > limit) {
            err_set(e, "%s is larger than the guest's RAM; give it more with -m", f->path);
            break;
        }
    }
    boot_file_close(f);
    return false;
}

bool boot_file_open(struct boot_file *f, const char *path, uint64_t limit, struct err *e)
{
    struct stat st;
    bool ok;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    *f = (struct boot_file){.path = path};
    if (fd < 0)
        return err_set(e, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0)
        ok = err_set(e, "cannot open %s: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        ok = err_set(e, "%s is a directory", path);
    else if (S_ISREG(st.st_mode))
        ok = map_file(f, fd, (size_t)st.st_size, e);
    else if (S_ISFIFO(st.st_mode))
        ok = read_pipe(f, fd, limit, e);
    else
        ok = err_set(e, "%s is neither a file nor a pipe", path);
    close(fd);
    return ok;
}

void boot_file_close(struct boot_file *f)
{
    if (f->data)
        munmap((void *)f->data, f->map_len);
    f->data = NULL;
    f->len = f->map_len = 0;
}
