/* A folder with one disk in it, and requests to it that are waited for. Included behind cmocka, by
 * tests with block_rig_make and _remove about them all, block_rig_begin and _end about each. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/host/block.h"

enum { SECTOR = 512 };

static char folder[] = "/var/tmp/dbt-test-block.XXXXXX";
static char path[64];

static inline int block_rig_begin(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/disk", folder);
    return 0;
}

static inline int block_rig_end(void **state)
{
    (void)state;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

static inline int block_rig_make(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int block_rig_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A disk whose every byte is its sector's number, modulo 256. */
static inline void make_disk(size_t len)
{
    FILE *f = fopen(path, "w");

    for (size_t i = 0; i < len; i++)
        fputc((int)(i / SECTOR & 255), f);
    assert_int_equal(fclose(f), 0);
}

static inline struct block *open_disk(struct block_config c)
{
    struct err e;
    struct block *b;

    c.path = path;
    b = block_open(&c, &e);
    if (!b)
        fail_msg("%s", e.text);
    return b;
}

static inline void assert_refused(struct block_config c, const char *words)
{
    struct err e;

    if (!c.path)
        c.path = path;
    assert_null(block_open(&c, &e));
    if (!strstr(e.text, words))
        fail_msg("'%s', not '%s'", e.text, words);
}

/* Does one request, returns its error. */
static inline int request(struct block *b, enum block_op op, uint64_t offset, void *bytes,
                          uint64_t len)
{
    struct iovec iov = {bytes, len};
    struct block_request r = {
        .op = op, .offset = offset, .len = len, .iov = &iov, .n_iov = bytes ? 1 : 0};

    block_submit(b, &r);
    block_wait(b);
    assert_ptr_equal(block_done(b), &r);
    assert_null(block_done(b));
    return r.error;
}

static inline uint8_t byte_of_file(uint64_t offset)
{
    int fd = open(path, O_RDONLY);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
    return byte;
}

static inline void assert_all(const uint8_t *bytes, size_t len, uint8_t want)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], want);
}
