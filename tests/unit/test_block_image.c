/* Disks of other formats than raw, through qemu-nbd: what qemu-img made we read, what we wrote
 * qemu-img reads. */
#define _GNU_SOURCE
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/lib/block_rig.h"

enum { N_SECTORS = 4096, DISK_BYTES = N_SECTORS * SECTOR };

static uint8_t model[DISK_BYTES];

/* A command whose %s are the folder. */
static void __attribute__((format(printf, 1, 2))) sh(const char *format, ...)
{
    char line[1024];
    va_list args;
    int status;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    status = system(line); /* NOLINT(cert-env33-c): qemu-img */
    if (status != 0)
        fail_msg("%s: status %d", line, status);
}

static int empty_folder(void **state)
{
    (void)state;
    sh("rm -f %s/*", folder);
    return 0;
}

/* The image at `path`, of what is in the model: sectors that hold their numbers, and others that
 * hold zeros. */
static void make_image(const char *format, const char *options)
{
    char raw[80];
    FILE *f;

    for (unsigned s = 0; s < N_SECTORS; s++)
        memset(model + (size_t)s * SECTOR, s / 256 % 3 ? 0 : (int)(s % 255 + 1), SECTOR);
    snprintf(raw, sizeof raw, "%s/raw", folder);
    f = fopen(raw, "w");
    assert_int_equal(fwrite(model, 1, DISK_BYTES, f), DISK_BYTES);
    assert_int_equal(fclose(f), 0);
    sh("qemu-img convert -q -f raw -O %s %s %s %s", format, options, raw, path);
}

static void assert_image_is_model(const char *format)
{
    static uint8_t bytes[DISK_BYTES];
    char raw[80];
    FILE *f;

    snprintf(raw, sizeof raw, "%s/out", folder);
    sh("qemu-img convert -q -f %s -O raw %s %s", format, path, raw);
    f = fopen(raw, "r");
    assert_int_equal(fread(bytes, 1, DISK_BYTES, f), DISK_BYTES);
    fclose(f);
    assert_memory_equal(bytes, model, DISK_BYTES);
}

/* Reads all of it in pieces of odd lengths. */
static void assert_disk_is_model(struct block *b)
{
    static uint8_t bytes[DISK_BYTES];
    struct iovec iov[5] = {{bytes, 100},
                           {bytes + 100, 4096},
                           {bytes + 4196, 70001},
                           {bytes + 74197, 1100000},
                           {bytes + 1174197, DISK_BYTES - 1174197}};
    struct block_request r = {.op = BLOCK_READ, .len = DISK_BYTES, .iov = iov, .n_iov = 5};

    memset(bytes, 'x', sizeof bytes);
    block_submit(b, &r);
    block_wait(b);
    assert_ptr_equal(block_done(b), &r);
    assert_int_equal(r.error, 0);
    assert_memory_equal(bytes, model, DISK_BYTES);
}

/* A write of n sectors, in three pieces of odd lengths. */
static void write_some(struct block *b, unsigned sector, unsigned n, uint8_t byte)
{
    uint8_t *at = model + (size_t)sector * SECTOR;
    size_t len = (size_t)n * SECTOR;
    struct iovec iov[3] = {{at, 99}, {at + 99, 301}, {at + 400, len - 400}};
    struct block_request r = {
        .op = BLOCK_WRITE, .offset = (uint64_t)sector * SECTOR, .len = len, .iov = iov, .n_iov = 3};

    memset(at, byte, len);
    block_submit(b, &r);
    block_wait(b);
    assert_ptr_equal(block_done(b), &r);
    assert_int_equal(r.error, 0);
}

static void use(struct block *b)
{
    assert_int_equal(block_size(b), DISK_BYTES);
    assert_disk_is_model(b);
    write_some(b, 0, 1, 'a');
    write_some(b, 1000, 2500, 'b');
    write_some(b, N_SECTORS - 1, 1, 'c');
    assert_int_equal(request(b, BLOCK_ZERO, 2000 * SECTOR, NULL, 100 * SECTOR), 0);
    memset(model + 2000 * SECTOR, 0, 100 * SECTOR);
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
    assert_disk_is_model(b);
}

/* The server's process: a child of ours. 0: there is none. */
static pid_t find_server(void)
{
    char name[300], text[300];
    DIR *d = opendir("/proc");
    pid_t found = 0;

    assert_non_null(d);
    for (struct dirent *entry; !found && (entry = readdir(d));) {
        pid_t parent = 0;
        FILE *f;

        snprintf(name, sizeof name, "/proc/%s/stat", entry->d_name);
        f = strspn(entry->d_name, "0123456789") ? fopen(name, "r") : NULL;
        if (!f)
            continue;
        if (fgets(text, sizeof text, f) && strstr(text, "(qemu-nbd) ") &&
            sscanf(strstr(text, "(qemu-nbd) ") + 11, "%*c %d", &parent) == 1 && parent == getpid())
            found = (pid_t)strtol(entry->d_name, NULL, 10);
        fclose(f);
    }
    closedir(d);
    return found;
}

/* ---- Formats ------------------------------------------------------------------------------- */

static void each_format(void **state)
{
    static const char *const formats[][2] = {
        {"qcow2", ""},     {"qcow2", "-c"}, {"qcow2", "-o compat=0.10"},
        {"qcow", ""},      {"qed", ""},     {"vmdk", "-o subformat=monolithicSparse"},
        {"vdi", ""},       {"vhdx", ""},    {"vpc", "-o force_size=on"},
        {"parallels", ""},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        make_image(formats[i][0], formats[i][1]);
        struct block *b = open_disk((struct block_config){0}); /* what it is, it shows itself */

        use(b);
        block_close(b);
        assert_int_equal(find_server(), 0);
        assert_image_is_model(formats[i][0]);
        sh("rm -f %s/*", folder);
    }
}

static void one_thread(void **state)
{
    struct block *b;

    (void)state;
    make_image("qcow2", "");
    b = open_disk((struct block_config){.synchronous = true});
    use(b);
    block_close(b);
    assert_image_is_model("qcow2");
}

/* What is written goes to the image; what is behind it stays. */
static void a_backing_file(void **state)
{
    char before[80];
    struct block *b;

    (void)state;
    make_image("qcow2", "-c");
    sh("mv %s %s/base && cp %s/base %s/copy", path, folder, folder, folder);
    sh("cd %s && qemu-img create -q -f qcow2 -F qcow2 -b base %s", folder, path);
    b = open_disk((struct block_config){0});
    use(b);
    block_close(b);
    assert_image_is_model("qcow2");
    snprintf(before, sizeof before, "%s/base", folder);
    sh("cmp %s %s/copy", before, folder);
}

/* ---- format= ----------------------------------------------------------------------------------
 */

/* The bytes of an image are a raw disk, if that is said; and a raw disk is one whatever is said,
 * but for qemu-nbd, which says so. */
static void the_format_that_is_said(void **state)
{
    struct stat st;
    struct block *b;

    (void)state;
    make_image("qcow2", "");
    assert_int_equal(stat(path, &st), 0);
    b = open_disk((struct block_config){.format = block_format_find("raw")});
    assert_int_equal(find_server(), 0);
    assert_int_equal(block_size(b), (st.st_size + SECTOR - 1) / SECTOR * SECTOR);
    block_close(b);
    assert_refused((struct block_config){.format = block_format_find("vmdk")},
                   "qemu-nbd cannot open it");
    make_disk(DISK_BYTES);
    assert_refused((struct block_config){.format = block_format_find("qcow2")},
                   "Image is not in qcow2 format");
    assert_null(block_format_find("qcow3"));
    assert_null(block_format_find(""));
}

/* A guest that writes another format's header to its raw disk would name files of the host's. */
static void a_raw_disk_stays_one(void **state)
{
    static const uint8_t qcow2[8] = "QFI\373\0\0\0\3";
    uint8_t bytes[4 * SECTOR];
    struct iovec iov[2] = {{bytes, 5}, {bytes + 5, sizeof bytes - 5}};
    struct block_request r = {.op = BLOCK_WRITE, .len = sizeof bytes, .iov = iov, .n_iov = 2};
    struct block *b;

    (void)state;
    make_disk(DISK_BYTES);
    b = open_disk((struct block_config){0});
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, SECTOR), 0);
    assert_int_equal(byte_of_file(SECTOR - 1), 'x');
    assert_int_equal(byte_of_file(SECTOR), 1);
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, sizeof bytes), 0);
    assert_int_equal(byte_of_file(sizeof bytes - 1), 'x');
    memcpy(bytes, qcow2, sizeof qcow2);
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, SECTOR), EPERM);
    block_submit(b, &r);
    block_wait(b);
    assert_ptr_equal(block_done(b), &r);
    assert_int_equal(r.error, EPERM);
    assert_int_equal(byte_of_file(0), 'x');
    assert_int_equal(request(b, BLOCK_WRITE, SECTOR, bytes, SECTOR), 0);
    block_close(b);
    b = open_disk((struct block_config){.snapshot = true});
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, SECTOR), 0);
    block_close(b);
    b = open_disk((struct block_config){.format = block_format_find("raw")});
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, SECTOR), 0);
    block_close(b);
    assert_int_equal(byte_of_file(0), 'Q');
}

/* ---- Opening ------------------------------------------------------------------------------- */

static void what_does_not_open(void **state)
{
    char *old = strdup(getenv("PATH"));

    (void)state;
    assert_refused((struct block_config){.format = block_format_find("qcow2")}, "No such file");
    make_image("qcow2", "");
    setenv("PATH", "/nowhere", 1);
    assert_refused((struct block_config){0}, "install the package qemu-utils");
    setenv("PATH", old, 1);
    free(old);
    setenv("TMPDIR", "/nowhere", 1);
    assert_refused((struct block_config){0}, "TMPDIR names another folder");
    unsetenv("TMPDIR");
    sh("cd %s && mv disk base && qemu-img create -q -f qcow2 -F qcow2 -b base disk && rm base",
       folder);
    assert_refused((struct block_config){0}, "qemu-nbd cannot open it: Could not open");
    sh("cd %s && rm -f disk && qemu-img create -q -f qcow2 disk 0", folder);
    assert_refused((struct block_config){0}, "is an empty disk");
    assert_int_equal(find_server(), 0);
    if (geteuid() == 0)
        return; /* root may */
    make_image("qcow2", "");
    chmod(path, 0400);
    assert_refused((struct block_config){0}, "readonly=on or snapshot=on leave it");
}

/* Names that qemu-nbd would take for something else. */
static void odd_names(void **state)
{
    static const char *const names[] = {"fat:x", "a,b=c", "-r", "json:{}", "q 'x"};
    char old[4096], name[80];

    (void)state;
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct block_config c = {.path = names[i]};
        struct err e;
        struct block *b;

        make_image("qcow2", "");
        assert_int_equal(rename(path, names[i]), 0);
        b = block_open(&c, &e);
        if (!b)
            fail_msg("%s", e.text);
        assert_disk_is_model(b);
        block_close(b);
        snprintf(name, sizeof name, "./%s", names[i]);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(chdir(old), 0);
}

static void locks(void **state)
{
    const struct block_config writer = {0}, reader = {.read_only = true};
    struct block *a, *b;

    (void)state;
    make_image("qcow2", "");
    a = open_disk(writer);
    assert_refused(writer, "is in use by another machine; end that first");
    assert_refused(reader, "is being written to by another machine");
    block_close(a);
    a = open_disk(reader);
    b = open_disk((struct block_config){.snapshot = true});
    assert_refused(writer, "is in use by another machine");
    block_close(a);
    block_close(b);
    block_close(open_disk(writer));
}

static void read_only(void **state)
{
    uint8_t bytes[SECTOR] = {0};
    struct block *b;

    (void)state;
    make_image("vdi", "");
    b = open_disk((struct block_config){.read_only = true});
    assert_true(block_is_read_only(b));
    assert_disk_is_model(b);
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, SECTOR), EROFS);
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
    block_close(b);
    assert_image_is_model("vdi");
}

static void a_snapshot(void **state)
{
    struct block *b;

    (void)state;
    make_image("qcow2", "-c");
    sh("cp %s %s/before", path, folder);
    b = open_disk((struct block_config){.snapshot = true});
    use(b);
    block_close(b);
    sh("cmp %s %s/before", path, folder);
}

/* ---- Space ----------------------------------------------------------------------------------- */

static void discarded_space_is_given_back(void **state)
{
    struct stat before, after;
    struct block *b;

    (void)state;
    make_image("qcow2", "");
    b = open_disk((struct block_config){0});
    for (unsigned s = 0; s < N_SECTORS; s += 256)
        write_some(b, s, 256, 'f');
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
    stat(path, &before);
    assert_int_equal(request(b, BLOCK_DISCARD, 0, NULL, DISK_BYTES), 0);
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
    stat(path, &after);
    assert_true(after.st_blocks < before.st_blocks - DISK_BYTES / 512 / 2);
    block_close(b);
}

/* ---- The server -------------------------------------------------------------------------------
 */

/* It is killed: the guest's requests fail, and nothing else happens. */
static void a_server_that_is_killed(void **state)
{
    uint8_t bytes[4 * SECTOR];
    struct block *b;
    pid_t pid;

    (void)state;
    make_image("qcow2", "");
    b = open_disk((struct block_config){0});
    assert_int_equal(request(b, BLOCK_READ, 0, bytes, sizeof bytes), 0);
    pid = find_server();
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(request(b, BLOCK_READ, 0, bytes, sizeof bytes), EIO);
    assert_int_equal(request(b, BLOCK_WRITE, 0, bytes, sizeof bytes), EIO);
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), EIO);
    assert_int_equal(request(b, BLOCK_DISCARD, 0, NULL, SECTOR), EIO);
    assert_int_equal(request(b, BLOCK_ZERO, 0, NULL, SECTOR), EIO);
    block_close(b);
    assert_int_equal(find_server(), 0);
}

/* Descriptors of ours that it has no business with, and the name of its socket. */
static void it_gets_nothing_else(void **state)
{
    char name[64], to[256];
    struct block *b;
    unsigned n = 0;
    DIR *d;

    (void)state;
    make_image("qcow2", "");
    setenv("TMPDIR", folder, 1);
    b = open_disk((struct block_config){0});
    unsetenv("TMPDIR");
    snprintf(name, sizeof name, "/proc/%d/fd", find_server());
    d = opendir(name);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        ssize_t len = readlinkat(dirfd(d), entry->d_name, to, sizeof to - 1);

        to[len > 0 ? len : 0] = '\0';
        n += strstr(to, "/disk") != NULL;
        assert_true(strcmp(entry->d_name, "0") != 0 || strcmp(to, "/dev/null") == 0);
    }
    closedir(d);
    assert_true(n > 0); /* the image; ours we never had open */
    sh("test -z \"$(find %s -mindepth 1 -type s -o -mindepth 1 -name 'dbt-*')\"", folder);
    block_close(b);
}

/* We are killed, and it ends: also when nobody asks it for anything. */
static void it_ends_with_us(void **state)
{
    int pipe_to_us[2];
    pid_t server = 0, child;

    (void)state;
    make_image("qcow2", "");
    assert_int_equal(pipe(pipe_to_us), 0);
    child = fork();
    if (child == 0) {
        struct block_config c = {.path = path};
        struct err e;

        if (block_open(&c, &e))
            server = find_server();
        if (write(pipe_to_us[1], &server, sizeof server) == sizeof server)
            pause();
        _exit(1);
    }
    assert_int_equal(read(pipe_to_us[0], &server, sizeof server), sizeof server);
    assert_true(server > 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (unsigned i = 0; i < 1000; i++) {
        struct block_config c = {.path = path};
        struct err e;
        struct block *b = block_open(&c, &e);

        if (b) { /* its lock is gone */
            block_close(b);
            close(pipe_to_us[0]);
            close(pipe_to_us[1]);
            return;
        }
        usleep(10000);
    }
    fail_msg("qemu-nbd %d is still there", server);
}

/* What was flushed is in the image when the server is killed a moment later. */
static void flushed_is_safe(void **state)
{
    struct block *b;

    (void)state;
    make_image("qcow2", "");
    b = open_disk((struct block_config){0});
    write_some(b, 300, 1000, 's');
    assert_int_equal(request(b, BLOCK_FLUSH, 0, NULL, 0), 0);
    assert_int_equal(kill(find_server(), SIGKILL), 0);
    block_close(b);
    assert_image_is_model("qcow2");
}

static void many_at_once(void **state)
{
    enum { N = 512 };
    static uint8_t bytes[N][8 * SECTOR];
    static struct iovec iov[N];
    static struct block_request r[N];
    struct block *b;

    (void)state;
    make_image("qcow2", "-c");
    b = open_disk((struct block_config){0});
    for (unsigned i = 0; i < N; i++) {
        iov[i] = (struct iovec){bytes[i], 8 * SECTOR};
        r[i] = (struct block_request){.op = BLOCK_READ,
                                      .offset = (uint64_t)i * 8 * SECTOR,
                                      .len = 8 * SECTOR,
                                      .iov = &iov[i],
                                      .n_iov = 1};
        block_submit(b, &r[i]);
    }
    block_wait(b);
    assert_memory_equal(bytes, model, DISK_BYTES);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(r[i].error, 0);
    block_close(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, block_rig_begin, empty_folder)
    const struct CMUnitTest tests[] = {
        TEST(each_format),
        TEST(one_thread),
        TEST(a_backing_file),
        TEST(the_format_that_is_said),
        TEST(a_raw_disk_stays_one),
        TEST(what_does_not_open),
        TEST(odd_names),
        TEST(locks),
        TEST(read_only),
        TEST(a_snapshot),
        TEST(discarded_space_is_given_back),
        TEST(a_server_that_is_killed),
        TEST(it_gets_nothing_else),
        TEST(it_ends_with_us),
        TEST(flushed_is_safe),
        TEST(many_at_once),
    };

    return cmocka_run_group_tests(tests, block_rig_make, block_rig_remove);
}
