/* Requests to a shared folder, on what is open; and all of them, of a folder that is read-only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/folder.h"

/* ---- Open files
 * ------------------------------------------------------------------------------------ */

static void reading_and_writing(void **state)
{
    uint64_t fh, n = folder_create_file("f", &fh), reader;
    const struct fuse_fsync_in sync = {.fh = fh};
    char large[5000];

    (void)state;
    assert_int_equal(fc_write(&folder.c, n, fh, 0, "0123456789", 10, 0), 0);
    assert_int_equal(fc_write(&folder.c, n, fh, 3, "xy", 2, 0), 0);
    folder_reads(n, fh, 0, "012xy56789");
    folder_reads(n, fh, 8, "89");
    folder_reads(n, fh, 10, "");
    folder_reads(n, fh, UINT64_C(1) << 40, "");
    assert_int_equal(fc_read(&folder.c, n, fh, UINT64_MAX, 10), EINVAL);
    assert_int_equal(fc_write(&folder.c, n, fh, UINT64_MAX, "x", 1, 0), EINVAL);
    assert_int_equal(fc_write(&folder.c, n, fh, INT64_MAX, "x", 1, 0), EINVAL);
    /* Not more than there is room for, and a write of no more than came. */
    folder.c.room = 4;
    folder_reads(n, fh, 0, "012x");
    folder.c.room = FC_ANSWER_ROOM;
    const struct fuse_write_in lie = {.fh = fh, .size = 100};

    assert_int_equal(fc_send(&folder.c, FUSE_WRITE, n, &lie, sizeof lie, "abc", 3), EINVAL);
    /* The guest believes the end to be elsewhere. */
    assert_int_equal(fc_write(&folder.c, n, fh, 2, "+", 1, O_APPEND), 0);
    folder_reads(n, fh, 0, "012xy56789+");
    assert_int_equal(fc_open(&folder.c, n, O_RDONLY, &reader), 0);
    assert_int_equal(fc_write(&folder.c, n, reader, 0, "x", 1, 0), EBADF);
    assert_int_equal(fc_open(&folder.c, n, O_WRONLY | O_TRUNC, &reader), 0);
    assert_int_equal(fc_read(&folder.c, n, reader, 0, 1), EBADF);
    assert_int_equal(fc_open(&folder.c, n, 3, &reader), EINVAL);
    assert_int_equal(folder_stat_of("in/f").st_size, 0);
    for (unsigned i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 7);
    assert_int_equal(fc_write(&folder.c, n, fh, 1, large, sizeof large, 0), 0);
    assert_int_equal(fc_read(&folder.c, n, fh, 1, 10000), 0);
    assert_int_equal(folder.c.answer_len, sizeof large);
    assert_memory_equal(folder.c.answer, large, sizeof large);
    assert_int_equal(fc_send(&folder.c, FUSE_FSYNC, n, &sync, sizeof sync, NULL, 0), 0);
    assert_int_equal(fc_send(&folder.c, FUSE_FSYNC, FOLDER_ROOT, &sync, sizeof sync, NULL, 0),
                     EBADF);
}

/* A request of n repeated pieces, in and out; the errno of its answer. */
static int repeated(uint32_t opcode, uint64_t node, const void *args, size_t args_len, unsigned n)
{
    enum { PIECE = 1 << 16, MAX = 64 };
    static uint8_t piece[PIECE];
    struct fuse_in_header h = {.opcode = opcode, .nodeid = node};
    struct fuse_out_header answer;
    struct iovec out[2 + MAX] = {{&h, sizeof h}, {(void *)args, args_len}};
    struct iovec in[1 + MAX] = {{&answer, sizeof answer}};
    struct share_request r = {.out = out, .in = in, .n_out = 2, .n_in = 1};

    assert_true(n <= MAX);
    for (unsigned i = 0; i < n; i++) {
        in[r.n_in++] = (struct iovec){piece, PIECE};
        if (opcode == FUSE_WRITE)
            out[r.n_out++] = (struct iovec){piece, PIECE};
    }
    r.in_bytes = sizeof answer + (uint64_t)n * PIECE;
    r.out_bytes = sizeof h + args_len + (opcode == FUSE_WRITE ? (uint64_t)n * PIECE : 0);
    h.len = (uint32_t)r.out_bytes;
    share_submit(folder.c.share, &r);
    share_wait(folder.c.share);
    assert_ptr_equal(share_done(folder.c.share), &r);
    assert_int_equal(r.written, answer.len);
    return -answer.error;
}

/* Whoever resets the device, or ends the machine, waits for what is in progress: one buffer again
 * and again in one request is not to be gigabytes of it. */
static void more_than_a_session_allows(void **state)
{
    uint64_t fh, n = folder_create_file("f", &fh);
    struct fuse_read_in read = {.fh = fh, .size = 1 << 20};
    struct fuse_write_in write = {.fh = fh, .size = 1 << 20};

    (void)state;
    assert_int_equal(truncate("in/f", 4 << 20), 0);
    assert_int_equal(repeated(FUSE_READ, n, &read, sizeof read, 64), 0);
    assert_int_equal(repeated(FUSE_WRITE, n, &write, sizeof write, 64), 0);
    read.size++;
    write.offset = 4 << 20;
    write.size++;
    assert_int_equal(repeated(FUSE_READ, n, &read, sizeof read, 64), EINVAL);
    assert_int_equal(repeated(FUSE_WRITE, n, &write, sizeof write, 64), EINVAL);
    read.size = write.size = UINT32_MAX;
    assert_int_equal(repeated(FUSE_READ, n, &read, sizeof read, 64), EINVAL);
    assert_int_equal(repeated(FUSE_WRITE, n, &write, sizeof write, 64), EINVAL);
    assert_int_equal(folder_stat_of("in/f").st_size, 4 << 20);
}

/* An error for the guest, not a signal for us. */
static void too_large(void **state)
{
    uint64_t fh, n = folder_create_file("f", &fh);
    struct rlimit old, small;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(fc_write(&folder.c, n, fh, 100000, "x", 1, 0), EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(folder_stat_of("in/f").st_size, 0);
}

static void holes(void **state)
{
    uint64_t fh, n = folder_create_file("f", &fh), other, m = folder_create_file("g", &other);
    struct fuse_fallocate_in all = {.fh = fh, .length = 1 << 20};
    struct fuse_lseek_in seek = {.fh = fh, .whence = SEEK_HOLE};
    struct fuse_copy_file_range_in copy = {
        .fh_in = fh, .off_in = 1, .nodeid_out = m, .fh_out = other, .off_out = 2, .len = 3};
    struct fuse_lseek_out at;

    (void)state;
    assert_int_equal(fc_write(&folder.c, n, fh, 0, "abcdef", 6, 0), 0);
    assert_int_equal(fc_send(&folder.c, FUSE_FALLOCATE, n, &all, sizeof all, NULL, 0), 0);
    assert_int_equal(folder_stat_of("in/f").st_size, 1 << 20);
    all.mode = 8; /* FALLOC_FL_COLLAPSE_RANGE */
    assert_int_equal(fc_send(&folder.c, FUSE_FALLOCATE, n, &all, sizeof all, NULL, 0), EOPNOTSUPP);
    all.mode = 0;
    all.offset = UINT64_MAX;
    assert_int_equal(fc_send(&folder.c, FUSE_FALLOCATE, n, &all, sizeof all, NULL, 0), EINVAL);
    assert_int_equal(fc_send(&folder.c, FUSE_LSEEK, n, &seek, sizeof seek, NULL, 0), 0);
    memcpy(&at, folder.c.answer, sizeof at);
    assert_true(at.offset > 0 && at.offset <= 1 << 20);
    seek.offset = 2 << 20;
    assert_int_equal(fc_send(&folder.c, FUSE_LSEEK, n, &seek, sizeof seek, NULL, 0), ENXIO);
    seek.whence = SEEK_SET;
    assert_int_equal(fc_send(&folder.c, FUSE_LSEEK, n, &seek, sizeof seek, NULL, 0), EINVAL);
    assert_int_equal(fc_send(&folder.c, FUSE_COPY_FILE_RANGE, n, &copy, sizeof copy, NULL, 0), 0);
    assert_int_equal(fc_read(&folder.c, m, other, 0, 10), 0);
    assert_memory_equal(folder.c.answer, "\0\0bcd", 5);
    copy.fh_out = fh;
    assert_int_equal(fc_send(&folder.c, FUSE_COPY_FILE_RANGE, n, &copy, sizeof copy, NULL, 0),
                     EBADF);
    copy.fh_out = other;
    copy.flags = 1;
    assert_int_equal(fc_send(&folder.c, FUSE_COPY_FILE_RANGE, n, &copy, sizeof copy, NULL, 0),
                     EINVAL);
}

static void as_many_as_allowed(void **state)
{
    uint64_t fh[FOLDER_MAX_OPEN + 1], n = folder_create_file("f", &fh[0]);
    struct fuse_entry_out e;

    (void)state;
    for (unsigned i = 1; i < FOLDER_MAX_OPEN; i++)
        assert_int_equal(fc_open(&folder.c, n, O_RDONLY, &fh[i]), 0);
    assert_int_equal(fc_open(&folder.c, n, O_RDONLY, &fh[FOLDER_MAX_OPEN]), ENFILE);
    assert_int_equal(fc_opendir(&folder.c, FOLDER_ROOT, &fh[FOLDER_MAX_OPEN]), ENFILE);
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "g", O_RDWR, 0600, &e, &fh[FOLDER_MAX_OPEN]),
                     ENFILE);
    assert_int_equal(fc_release(&folder.c, n, fh[3]), 0);
    assert_int_equal(fc_opendir(&folder.c, FOLDER_ROOT, &fh[3]), 0);
}

/* May the guest keep what it has of a file's contents? */
static uint32_t open_flags(uint64_t n)
{
    const struct fuse_open_in in = {0};
    struct fuse_open_out out;

    assert_int_equal(fc_send(&folder.c, FUSE_OPEN, n, &in, sizeof in, NULL, 0), 0);
    memcpy(&out, folder.c.answer, sizeof out);
    return out.open_flags;
}

static void keeping(void **state)
{
    uint64_t n;

    (void)state;
    folder_write_file("in/f", "1");
    n = folder_node(FOLDER_ROOT, "f");
    assert_int_equal(open_flags(n), 0);
    assert_int_equal(open_flags(n), 0); /* It was changed just now: nothing is sure. */
    usleep(80000);
    assert_int_equal(open_flags(n), 0);
    assert_int_equal(open_flags(n), FOPEN_KEEP_CACHE);
    folder_write_file("in/f", "2");
    assert_int_equal(open_flags(n), 0);
}

/* ---- Folders
 * ------------------------------------------------------------------------------------------ */

enum { N_FILES = 500 };

/* All entries of a folder, `size` bytes at a time; returns how many, and marks those called by a
 * number. */
static unsigned list(uint32_t opcode, uint64_t dir, uint64_t fh, uint32_t size, uint8_t *seen)
{
    size_t skip = opcode == FUSE_READDIRPLUS ? sizeof(struct fuse_entry_out) : 0;
    unsigned n = 0;
    uint64_t offset = 0;

    for (;;) {
        assert_int_equal(fc_readdir(&folder.c, opcode, dir, fh, offset, size), 0);
        assert_true(folder.c.answer_len <= size);
        if (folder.c.answer_len == 0)
            return n;
        for (size_t at = 0; at < folder.c.answer_len;) {
            char name[256] = "";
            struct fuse_dirent d;
            unsigned long i;

            memcpy(&d, folder.c.answer + at + skip, FUSE_NAME_OFFSET);
            memcpy(name, folder.c.answer + at + skip + FUSE_NAME_OFFSET, d.namelen);
            at += skip + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
            assert_true(at <= folder.c.answer_len);
            offset = d.off;
            n++;
            i = strtoul(name, NULL, 10);
            if (name[0] != '.' && i < N_FILES)
                seen[i]++;
        }
    }
}

static void reading_folders(void **state)
{
    static const uint32_t sizes[] = {4096, 500, 60000, 192};
    uint8_t seen[N_FILES];
    uint64_t fh;

    (void)state;
    for (unsigned i = 0; i < N_FILES; i++) {
        char name[32];

        snprintf(name, sizeof name, "in/%u", i);
        folder_write_file(name, "");
    }
    assert_int_equal(fc_opendir(&folder.c, FOLDER_ROOT, &fh), 0);
    for (unsigned i = 0; i < 8; i++) {
        memset(seen, 0, sizeof seen);
        assert_int_equal(
            list(i & 1 ? FUSE_READDIRPLUS : FUSE_READDIR, FOLDER_ROOT, fh, sizes[i / 2], seen),
            N_FILES + 2);
        for (unsigned n = 0; n < N_FILES; n++)
            assert_int_equal(seen[n], 1);
    }
    assert_int_equal(fc_readdir(&folder.c, FUSE_READDIR, FOLDER_ROOT, fh, 0, 20), EINVAL);
    (void)fc_readdir(&folder.c, FUSE_READDIR, FOLDER_ROOT, fh, UINT64_MAX, 4096);
    (void)fc_readdir(&folder.c, FUSE_READDIR, FOLDER_ROOT, fh, 12345, 4096);
    memset(seen, 0, sizeof seen);
    assert_int_equal(list(FUSE_READDIR, FOLDER_ROOT, fh, 4096, seen), N_FILES + 2);
    const struct fuse_fsync_in sync = {.fh = fh};

    assert_int_equal(fc_send(&folder.c, FUSE_FSYNCDIR, FOLDER_ROOT, &sync, sizeof sync, NULL, 0),
                     0);
    const struct fuse_release_in release = {.fh = fh};

    assert_int_equal(
        fc_send(&folder.c, FUSE_RELEASEDIR, FOLDER_ROOT, &release, sizeof release, NULL, 0), 0);
    assert_int_equal(
        fc_send(&folder.c, FUSE_RELEASEDIR, FOLDER_ROOT, &release, sizeof release, NULL, 0), EBADF);
}

/* Each entry is as good as looked up; `.` and `..` are not, and `..` of the folder tells nothing.
 */
static void entries_are_nodes(void **state)
{
    uint64_t fh, n = 0;
    struct fuse_attr attr;

    (void)state;
    folder_write_file("in/file", "12345");
    assert_int_equal(fc_opendir(&folder.c, FOLDER_ROOT, &fh), 0);
    assert_int_equal(fc_readdir(&folder.c, FUSE_READDIRPLUS, FOLDER_ROOT, fh, 0, 4096), 0);
    for (size_t at = 0; at < folder.c.answer_len;) {
        struct fuse_entry_out e;
        struct fuse_dirent d;

        memcpy(&e, folder.c.answer + at, sizeof e);
        memcpy(&d, folder.c.answer + at + sizeof e, FUSE_NAME_OFFSET);
        at += sizeof e + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
        if (d.namelen == 4) {
            n = e.nodeid;
            assert_int_equal(e.attr.size, 5);
            assert_int_equal(d.type, S_IFREG >> 12);
        } else {
            assert_int_equal(e.nodeid, 0);
            assert_int_equal(d.ino, folder_stat_of("in").st_ino);
        }
    }
    assert_int_not_equal(n, 0);
    assert_int_equal(fc_getattr(&folder.c, n, &attr), 0);
    fc_forget(&folder.c, n, 1);
    assert_int_equal(fc_getattr(&folder.c, n, &attr), ESTALE);
}

/* ---- Read-only
 * --------------------------------------------------------------------------------------- */

static void read_only(void **state)
{
    struct fuse_setattr_in all = {.valid = FATTR_MODE, .mode = 0777};
    const struct fuse_fallocate_in allocate = {.length = 100};
    const struct fuse_copy_file_range_in copy = {.len = 1};
    struct fuse_entry_out e;
    struct stat before, after;
    uint64_t n, fh, dir;

    (void)state;
    folder_write_file("in/f", "f");
    assert_int_equal(mkdir("in/d", 0777), 0);
    share_close(folder.c.share);
    fc_start(&folder.c, folder_open(true));
    assert_int_equal(fc_init(&folder.c), 0);
    before = folder_stat_of("in/f");
    n = folder_node(FOLDER_ROOT, "f");
    assert_int_equal(fc_open(&folder.c, n, O_RDONLY, &fh), 0);
    folder_reads(n, fh, 0, "f");
    assert_int_equal(fc_opendir(&folder.c, FOLDER_ROOT, &dir), 0);
    assert_int_equal(fc_open(&folder.c, n, O_RDWR, &dir), EROFS);
    assert_int_equal(fc_open(&folder.c, n, O_WRONLY, &dir), EROFS);
    assert_int_equal(fc_open(&folder.c, n, O_RDONLY | O_TRUNC, &dir), EROFS);
    assert_int_equal(fc_write(&folder.c, n, fh, 0, "x", 1, 0), EROFS);
    assert_int_equal(fc_setattr(&folder.c, n, &all), EROFS);
    all = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .fh = fh};
    assert_int_equal(fc_setattr(&folder.c, n, &all), EROFS);
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "new", O_RDONLY, 0600, &e, &fh), EROFS);
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "f", O_RDONLY, 0600, &e, &fh), EROFS);
    assert_int_equal(fc_mkdir(&folder.c, FOLDER_ROOT, "new", 0700), EROFS);
    assert_int_equal(fc_mknod(&folder.c, FOLDER_ROOT, "new", S_IFIFO | 0600), EROFS);
    assert_int_equal(fc_symlink(&folder.c, FOLDER_ROOT, "new", "x"), EROFS);
    assert_int_equal(fc_link(&folder.c, n, FOLDER_ROOT, "new"), EROFS);
    assert_int_equal(fc_unlink(&folder.c, FOLDER_ROOT, "f"), EROFS);
    assert_int_equal(fc_rmdir(&folder.c, FOLDER_ROOT, "d"), EROFS);
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "f", FOLDER_ROOT, "new", 0), EROFS);
    assert_int_equal(fc_send(&folder.c, FUSE_RENAME, FOLDER_ROOT, &n, 8, "f\0new", 6), EROFS);
    assert_int_equal(fc_send(&folder.c, FUSE_FALLOCATE, n, &allocate, sizeof allocate, NULL, 0),
                     EROFS);
    assert_int_equal(fc_send(&folder.c, FUSE_COPY_FILE_RANGE, n, &copy, sizeof copy, NULL, 0),
                     EROFS);
    after = folder_stat_of("in/f");
    assert_int_equal(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
    folder_file_is("in/f", "f");
    assert_int_equal(access("in/new", F_OK), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        TEST(reading_and_writing),
        TEST(more_than_a_session_allows),
        TEST(holes),
        TEST(reading_and_writing),
        TEST(too_large),
        TEST(holes),
        TEST(as_many_as_allowed),
        TEST(keeping),
        TEST(reading_folders),
        TEST(entries_are_nodes),
        TEST(read_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
