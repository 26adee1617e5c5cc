/* The host's side of a disk: files, locks, overlays, threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/block_rig.h"

static _Atomic unsigned n_done;

static int begin(void **state)
{
    n_done = 0;
    return block_rig_begin(state);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static void what_is_no_disk(void **state)
{
    (void)state;
    assert_refused((struct block_config){0}, "No such file");
    assert_refused((struct block_config){.path = "/tmp"}, "Is a directory");
    assert_refused((struct block_config){.path = "/tmp", .read_only = true}, "is a directory");
    assert_refused((struct block_config){.path = "/dev/null"}, "neither a file nor a block device");
    make_disk(0);
    assert_refused((struct block_config){0}, "is empty; truncate -s 1G");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for the other end */
    assert_refused((struct block_config){.read_only = true}, "neither a file nor a block device");
}

static void a_file_that_cannot_be_written(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip(); /* root can */
    make_disk(SECTOR);
    chmod(path, 0400);
    assert_refused((struct block_config){0}, "readonly=on or snapshot=on");
    block_close(open_disk((struct block_config){.read_only = true}));
    block_close(open_disk((struct block_config){.snapshot = true}));
}

/* One writer and nobody else, or any number of readers. */
static void locks(void **state)
{
    const struct block_config writer = {0}, reader = {.read_only = true},
                              snapshot = {.snapshot = true};
    struct block *a, *b;

    (void)state;
    make_disk(SECTOR);
    a = open_disk(writer);
    assert_refused(writer, "is in use by another machine; end that first");
    assert_refused(reader, "is being written to by another machine");
    assert_refused(snapshot, "is being written to by another machine");
    block_close(a);
    a = open_disk(reader);
    b = open_disk(snapshot);
    assert_refused(writer, "is in use by another machine");
    block_close(a);
    assert_refused(writer, "is in use by another machine");
    block_close(b);
    block_close(open_disk(writer));
}

/* The bytes that QEMU locks: it holds "write", or will not have it. */
static void qemus_locks(void **state)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd;

    (void)state;
    make_disk(SECTOR);
    fd = open(path, O_RDWR);
    lock.l_start = 101;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_refused((struct block_config){0}, "in use");
    assert_refused((struct block_config){.read_only = true}, "being written to");
    close(fd);
    fd = open(path, O_RDWR);
    lock.l_start = 201;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_refused((struct block_config){0}, "in use");
    block_close(open_disk((struct block_config){.read_only = true}));
    close(fd);
}

static void no_temporary_file(void **state)
{
    (void)state;
    make_disk(SECTOR);
    setenv("TMPDIR", "/nowhere", 1);
    assert_refused((struct block_config){.snapshot = true}, "TMPDIR names another folder");
    unsetenv("TMPDIR");
}

/* ---- Reading and writing -----------------------------------------------------------------------
 */

static void reads_and_writes(void **state)
{
    uint8_t bytes[4 * SECTOR];

    (void)state;
    for (int synchronous = 0; synchronous < 2; synchronous++) {
        make_disk(8 * SECTOR);
        struct block *b = open_disk((struct block_config){.synchronous = synchronous});

        assert_int_equal(block_size(b), 8 * SECTOR);
        assert_int_equal(request(b, BLOCK_READ, 3 * SECTOR, bytes, 2 * SECTOR), 0);
        assert_all(bytes, SECTOR, 3);
        assert_all(bytes + SECTOR, SECTOR, 4);
        memset(bytes, 'x', sizeof bytes);
        assert_int_equal(request(b, BLOCK_WRITE, SECTOR, bytes, SECTOR), 0);
        assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
        assert_int_equal(byte_of_file(SECTOR), 'x');
        assert_int_equal(byte_of_file(2 * SECTOR - 1), 'x');
        assert_int_equal(byte_of_file(2 * SECTOR), 2);
        block_close(b);
    }
}

/* A file may end in the midst of a sector; the rest of it is zeros. */
static void an_odd_length(void **state)
{
    uint8_t bytes[2 * SECTOR + 1];
    struct block *b;

    (void)state;
    make_disk(SECTOR + 100);
    b = open_disk((struct block_config){0});
    assert_int_equal(block_size(b), 2 * SECTOR);
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(request(b, BLOCK_READ, 0, bytes, 2 * SECTOR), 0);
    assert_all(bytes, SECTOR, 0);
    assert_all(bytes + SECTOR, 100, 1);
    assert_all(bytes + SECTOR + 100, SECTOR - 100, 0);
    assert_int_equal(bytes[2 * SECTOR], 'x');
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(request(b, BLOCK_WRITE, SECTOR, bytes, SECTOR), 0);
    assert_int_equal(byte_of_file(2 * SECTOR - 1), 'x');
    block_close(b);
}

static void zeros_and_holes(void **state)
{
    uint8_t bytes[SECTOR];
    struct stat before, after;
    struct block *b;

    (void)state;
    make_disk(1 << 20);
    stat(path, &before);
    b = open_disk((struct block_config){0});
    assert_int_equal(request(b, BLOCK_DISCARD, 1 << 18, NULL, 1 << 19), 0);
    stat(path, &after);
    assert_true(after.st_blocks <= before.st_blocks - (1 << 19) / 512 + 16);
    assert_int_equal(after.st_size, 1 << 20);
    assert_int_equal(request(b, BLOCK_ZERO, SECTOR, NULL, SECTOR), 0);
    assert_int_equal(request(b, BLOCK_READ, SECTOR, bytes, SECTOR), 0);
    assert_all(bytes, SECTOR, 0);
    assert_int_equal(byte_of_file(2 * SECTOR), 2);
    block_close(b);
}

static void read_only(void **state)
{
    uint8_t bytes[SECTOR] = {0};
    struct block *b;

    (void)state;
    make_disk(4 * SECTOR);
    b = open_disk((struct block_config){.read_only = true});
    assert_true(block_is_read_only(b));
    assert_int_equal(request(b, BLOCK_WRITE, SECTOR, bytes, SECTOR), EROFS);
    assert_int_equal(request(b, BLOCK_ZERO, SECTOR, NULL, SECTOR), EROFS);
    assert_int_equal(request(b, BLOCK_DISCARD, SECTOR, NULL, SECTOR), EROFS);
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
    assert_int_equal(request(b, BLOCK_READ, SECTOR, bytes, SECTOR), 0);
    assert_all(bytes, SECTOR, 1);
    block_close(b);
}

/* ---- Errors
 * ------------------------------------------------------------------------------------------ */

static void a_file_that_became_shorter(void **state)
{
    uint8_t bytes[2 * SECTOR];
    struct block *b;

    (void)state;
    make_disk(8 * SECTOR);
    b = open_disk((struct block_config){0});
    assert_int_equal(truncate(path, 3 * SECTOR), 0);
    assert_int_equal(request(b, BLOCK_READ, 2 * SECTOR, bytes, 2 * SECTOR), EIO);
    assert_int_equal(request(b, BLOCK_READ, 6 * SECTOR, bytes, SECTOR), EIO);
    block_close(b);
}

/* What goes to standard error while it acts, in `text`. */
static void said(void (*act)(struct block *b), struct block *b, char *text, size_t len)
{
    int pipe_fd[2], old = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe2(pipe_fd, O_NONBLOCK), 0);
    dup2(pipe_fd[1], STDERR_FILENO);
    act(b);
    dup2(old, STDERR_FILENO);
    n = read(pipe_fd[0], text, len - 1);
    text[n > 0 ? n : 0] = '\0';
    close(old);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

static void fail_twice(struct block *b)
{
    uint8_t bytes[SECTOR];

    for (int i = 0; i < 2; i++)
        assert_int_equal(request(b, BLOCK_READ, 6 * SECTOR, bytes, SECTOR), EIO);
}

static void write_to_read_only(struct block *b)
{
    uint8_t bytes[SECTOR] = {0};

    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, SECTOR), EROFS);
}

/* The person hears of the host's error, once; of the guest's own faults nothing. */
static void errors_are_said_once(void **state)
{
    char text[512], want[256];
    struct block *b;

    (void)state;
    make_disk(8 * SECTOR);
    snprintf(want, sizeof want, "\r\ndbt-run: %s: %s; the guest gets I/O errors\r\n", path,
             strerror(EIO));
    b = open_disk((struct block_config){.read_only = true});
    assert_int_equal(truncate(path, 3 * SECTOR), 0);
    said(write_to_read_only, b, text, sizeof text);
    assert_string_equal(text, "");
    said(fail_twice, b, text, sizeof text);
    assert_string_equal(text, want);
    block_close(b);
}

/* The disk of the host is full, as far as we can tell: no signal ends us. */
static void no_room(void **state)
{
    struct rlimit old, limit;
    uint8_t bytes[SECTOR] = {0};
    struct block *b;

    (void)state;
    make_disk(4 * SECTOR);
    assert_int_equal(truncate(path, 1 << 20), 0);
    b = open_disk((struct block_config){0});
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 1 << 16;
    setrlimit(RLIMIT_FSIZE, &limit);
    int inside = request(b, BLOCK_WRITE, 1 << 15, bytes, SECTOR);
    int outside = request(b, BLOCK_WRITE, 1 << 17, bytes, SECTOR);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(inside, 0);
    assert_int_equal(outside, EFBIG);
    block_close(b);
}

/* ---- Overlays
 * ------------------------------------------------------------------------------------------ */

static void a_snapshot_is_the_disk_with_changes(void **state)
{
    enum { N = 64 };
    static uint8_t model[N * SECTOR], bytes[N * SECTOR], before[N * SECTOR];
    struct block *b;
    FILE *f;

    (void)state;
    make_disk(N * SECTOR);
    f = fopen(path, "r");
    assert_int_equal(fread(before, 1, sizeof before, f), sizeof before);
    fclose(f);
    memcpy(model, before, sizeof model);
    b = open_disk((struct block_config){.snapshot = true});
    srand(1);
    for (unsigned step = 0; step < 3000; step++) {
        uint64_t from = (uint64_t)rand() % N, n = 1 + (uint64_t)rand() % (N - from);
        uint8_t *at = model + from * SECTOR;
        size_t len = n * SECTOR;

        switch (rand() % 4) {
        case 0:
            n = n > 4 ? 4 : n;
            len = n * SECTOR;
            memset(bytes, rand() % 256, len);
            memcpy(at, bytes, len);
            assert_int_equal(request(b, BLOCK_WRITE, from * SECTOR, bytes, len), 0);
            break;
        case 1:
            len = SECTOR;
            memset(at, 0, len);
            assert_int_equal(
                request(b, rand() % 2 ? BLOCK_ZERO : BLOCK_DISCARD, from * SECTOR, NULL, len), 0);
            break;
        case 2: assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0); break;
        default: {
            /* In three pieces of odd lengths. */
            struct iovec iov[3] = {{bytes, 100}, {bytes + 100, 301}, {bytes + 401, len - 401}};
            struct block_request r = {
                .op = BLOCK_READ, .offset = from * SECTOR, .len = len, .iov = iov, .n_iov = 3};

            block_submit(b, &r);
            block_wait(b);
            assert_ptr_equal(block_done(b), &r);
            assert_int_equal(r.error, 0);
            assert_memory_equal(bytes, at, len);
            assert_int_equal(iov[1].iov_len, 301);
            break;
        }
        }
    }
    block_close(b);
    f = fopen(path, "r");
    assert_int_equal(fread(bytes, 1, sizeof bytes, f), sizeof bytes);
    fclose(f);
    assert_memory_equal(bytes, before, sizeof before);
}

/* ---- Threads
 * ---------------------------------------------------------------------------------------------- */

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&n_done, 1);
}

static void many_at_once(void **state)
{
    enum { N = 512 };
    static uint8_t bytes[N][SECTOR];
    static struct iovec iov[N];
    static struct block_request r[N];
    struct block *b;
    unsigned n = 0;

    (void)state;
    make_disk((size_t)N * SECTOR);
    b = open_disk((struct block_config){0});
    block_on_done(b, count, NULL);
    for (unsigned i = 0; i < N; i++) {
        iov[i] = (struct iovec){bytes[i], SECTOR};
        r[i] = (struct block_request){.op = BLOCK_READ,
                                      .offset = (uint64_t)i * SECTOR,
                                      .len = SECTOR,
                                      .iov = &iov[i],
                                      .n_iov = 1};
        block_submit(b, &r[i]);
    }
    block_wait(b);
    assert_int_equal(n_done, N);
    for (const struct block_request *done = block_done(b); done; done = block_next(done), n++)
        assert_int_equal(done->error, 0);
    assert_int_equal(n, N);
    for (unsigned i = 0; i < N; i++)
        assert_all(bytes[i], SECTOR, (uint8_t)i);
    block_close(b);
}

/* Closing waits, and what was not taken is nobody's. */
static void closed_while_it_works(void **state)
{
    static uint8_t bytes[1 << 16];
    struct iovec iov = {bytes, sizeof bytes};
    struct block_request r = {
        .op = BLOCK_WRITE, .durable = true, .len = sizeof bytes, .iov = &iov, .n_iov = 1};
    struct block *b;

    (void)state;
    make_disk(sizeof bytes);
    b = open_disk((struct block_config){0});
    memset(bytes, 'y', sizeof bytes);
    block_submit(b, &r);
    block_close(b);
    assert_int_equal(r.error, 0);
    assert_int_equal(byte_of_file(sizeof bytes - 1), 'y');
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, block_rig_end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_disk),
        TEST(a_file_that_cannot_be_written),
        TEST(locks),
        TEST(qemus_locks),
        TEST(no_temporary_file),
        TEST(reads_and_writes),
        TEST(an_odd_length),
        TEST(zeros_and_holes),
        TEST(read_only),
        TEST(a_file_that_became_shorter),
        TEST(errors_are_said_once),
        TEST(no_room),
        TEST(a_snapshot_is_the_disk_with_changes),
        TEST(many_at_once),
        TEST(closed_while_it_works),
    };

    return cmocka_run_group_tests(tests, block_rig_make, block_rig_remove);
}
