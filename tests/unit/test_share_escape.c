/* Attempts to leave a shared folder: by names, links, numbers, and while another process of the
 * host's moves things about. Beside the folder lies `outside`, which must stay as it is, and whose
 * secret must not be read. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fuse_client.h"

static struct fuse_client c;
static char base[64];
static unsigned n_refused;

static void start(const char *dir, bool read_only)
{
    const struct share_config config = {
        .dir = dir, .read_only = read_only, .synchronous = true, .max_open = 64};
    struct err e;
    struct share *s = share_open(&config, &e);

    if (!s)
        fail_msg("%s", e.text);
    fc_start(&c, s);
    assert_int_equal(fc_init(&c), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* base/in is shared; base/outside is not. */
static int begin(void **state)
{
    (void)state;
    strcpy(base, "/tmp/dbt-escape.XXXXXX");
    assert_non_null(mkdtemp(base));
    assert_int_equal(chdir(base), 0);
    assert_int_equal(mkdir("in", 0777) | mkdir("outside", 0777) | mkdir("outside/dir", 0777), 0);
    assert_int_equal(mkdir("in/sub", 0777) | mkdir("in/sub/deep", 0777), 0);
    write_file("outside/secret", "secret");
    write_file("in/file", "file");
    write_file("in/sub/secret", "harmless");
    write_file("in/sub/deep/file", "deep");
    assert_int_equal(symlink("../outside", "in/to-dir"), 0);
    assert_int_equal(symlink("../outside/secret", "in/to-file"), 0);
    assert_int_equal(symlink("../outside/new", "in/to-new"), 0);
    assert_int_equal(symlink("/proc/self/root", "in/to-root"), 0);
    assert_int_equal(symlink(base, "in/to-base"), 0);
    start("in", false);
    return 0;
}

/* Nothing came, went or changed outside. */
static int end(void **state)
{
    char text[16] = "", command[128];
    FILE *f = fopen("outside/secret", "r");
    struct stat st;

    (void)state;
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "secret");
    assert_int_equal(stat("outside/secret", &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_mode & 07777, 0644 & st.st_mode);
    assert_int_equal(stat("outside/dir", &st), 0);
    assert_int_equal(access("outside/new", F_OK), -1);
    share_close(c.share);
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", base);
    assert_int_equal(system(command), 0); /* NOLINT: the path is ours */
    return 0;
}

static void refused(int error, const char *what)
{
    if (error <= 0)
        fail_msg("%s: not refused", what);
    n_refused++;
}

static uint64_t node(uint64_t parent, const char *name)
{
    struct fuse_entry_out e;

    assert_int_equal(fc_lookup(&c, parent, name, &e), 0);
    assert_int_not_equal(e.nodeid, 0);
    return e.nodeid;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int by_lookup(const char *name, uint64_t file)
{
    struct fuse_entry_out e;

    (void)file;
    return fc_lookup(&c, FUSE_ROOT_ID, name, &e);
}

static int by_create(const char *name, uint64_t file)
{
    struct fuse_entry_out e;
    uint64_t fh;

    (void)file;
    return fc_create(&c, FUSE_ROOT_ID, name, O_RDWR, 0600, &e, &fh);
}

static int by_mkdir(const char *name, uint64_t file)
{
    (void)file;
    return fc_mkdir(&c, FUSE_ROOT_ID, name, 0700);
}

static int by_mknod(const char *name, uint64_t file)
{
    (void)file;
    return fc_mknod(&c, FUSE_ROOT_ID, name, S_IFIFO | 0600);
}

static int by_symlink(const char *name, uint64_t file)
{
    (void)file;
    return fc_symlink(&c, FUSE_ROOT_ID, name, "x");
}

static int by_link(const char *name, uint64_t file)
{
    return fc_link(&c, file, FUSE_ROOT_ID, name);
}

static int by_unlink(const char *name, uint64_t file)
{
    (void)file;
    return fc_unlink(&c, FUSE_ROOT_ID, name);
}

static int by_rmdir(const char *name, uint64_t file)
{
    (void)file;
    return fc_rmdir(&c, FUSE_ROOT_ID, name);
}

static int by_rename_from(const char *name, uint64_t file)
{
    (void)file;
    return fc_rename(&c, FUSE_ROOT_ID, name, FUSE_ROOT_ID, "new", 0);
}

static int by_rename_to(const char *name, uint64_t file)
{
    (void)file;
    return fc_rename(&c, FUSE_ROOT_ID, "file", FUSE_ROOT_ID, name, 0);
}

static int by_exchange(const char *name, uint64_t file)
{
    (void)file;
    return fc_rename(&c, FUSE_ROOT_ID, "file", FUSE_ROOT_ID, name, 2);
}

static void names(void **state)
{
    static int (*const ways[])(const char *name, uint64_t file) = {
        by_lookup, by_create, by_mkdir,       by_mknod,     by_symlink, by_link,
        by_unlink, by_rmdir,  by_rename_from, by_rename_to, by_exchange};
    char long_name[257], longer[4097], up[96];
    const char *const bad[] = {"",
                               ".",
                               "..",
                               "/",
                               "/etc/passwd",
                               "../outside/secret",
                               "../outside/new",
                               "sub/..",
                               "sub/../../outside/new",
                               "sub/new",
                               "./file",
                               "to-dir/new",
                               "to-dir/secret",
                               "to-base/outside/secret",
                               "..//outside",
                               "file/",
                               up,
                               long_name,
                               longer};
    uint64_t file = node(FUSE_ROOT_ID, "file");

    (void)state;
    snprintf(up, sizeof up, "%s/outside/secret", base);
    memset(long_name, 'n', sizeof long_name);
    long_name[256] = '\0';
    memset(longer, 'n', sizeof longer);
    longer[4096] = '\0';
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++)
        for (unsigned n = 0; n < sizeof bad / sizeof bad[0]; n++)
            refused(ways[i](bad[n], file), bad[n]);
    assert_int_equal(access("in/file", F_OK), 0);
}

/* What stands behind a NUL, or has none. */
static void names_and_nul(void **state)
{
    const struct fuse_rename_in to_root = {.newdir = FUSE_ROOT_ID};

    (void)state;
    refused(fc_send(&c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "file", 4), "no end");
    refused(fc_send(&c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "file\0", 6), "two names");
    refused(fc_send(&c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "a\0../b", 7), "more behind it");
    refused(fc_send(&c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, NULL, 0), "nothing");
    refused(fc_send(&c, FUSE_UNLINK, FUSE_ROOT_ID, NULL, 0, "file\0..", 8), "more behind it");
    refused(fc_send(&c, FUSE_RENAME, FUSE_ROOT_ID, &to_root, sizeof to_root, "file", 5),
            "one name");
    refused(fc_send(&c, FUSE_RENAME, FUSE_ROOT_ID, &to_root, sizeof to_root, "file\0new", 8),
            "no second end");
    refused(fc_send(&c, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "link", 5), "no target");
    refused(fc_send(&c, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "link\0", 6), "an empty target");
    assert_int_equal(access("in/file", F_OK), 0);
}

/* ---- Symbolic links ----------------------------------------------------------------------------
 */

/* What the guest gets is the link, which is no folder and no file. */
static void links(void **state)
{
    static const char *const all[] = {"to-dir", "to-file", "to-new", "to-root", "to-base"};
    struct fuse_setattr_in cut = {.valid = FATTR_SIZE};
    struct fuse_setattr_in mode = {.valid = FATTR_MODE, .mode = 0777};
    struct fuse_entry_out e;
    uint64_t fh;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        uint64_t link = node(FUSE_ROOT_ID, all[i]);
        struct fuse_attr attr;

        assert_int_equal(fc_getattr(&c, link, &attr), 0);
        assert_true(S_ISLNK(attr.mode));
        refused(fc_open(&c, link, O_RDONLY, &fh), "open");
        refused(fc_open(&c, link, O_RDWR | O_TRUNC, &fh), "open to write");
        refused(fc_opendir(&c, link, &fh), "opendir");
        refused(fc_setattr(&c, link, &cut), "truncate");
        (void)fc_setattr(&c, link, &mode); /* Of the link, if the host's kernel has that. */
        refused(fc_lookup(&c, link, "secret", &e), "look up");
        refused(fc_lookup(&c, link, "outside", &e), "look up");
        refused(fc_create(&c, link, "new", O_RDWR, 0600, &e, &fh), "create in it");
        refused(fc_mkdir(&c, link, "new", 0700), "mkdir in it");
        refused(fc_unlink(&c, link, "secret"), "unlink in it");
        refused(fc_rename(&c, link, "secret", FUSE_ROOT_ID, "got", 0), "rename from it");
        refused(fc_rename(&c, FUSE_ROOT_ID, "file", link, "new", 0), "rename to it");
        refused(fc_create(&c, FUSE_ROOT_ID, all[i], O_RDWR | O_TRUNC, 0600, &e, &fh), "create it");
        refused(fc_create(&c, FUSE_ROOT_ID, all[i], O_RDWR | O_EXCL, 0600, &e, &fh), "create it");
        refused(fc_rmdir(&c, FUSE_ROOT_ID, all[i]), "rmdir");
    }
}

/* A hard link to a symbolic link is one to it; removing and renaming it, too. */
static void links_are_themselves(void **state)
{
    uint64_t link = node(FUSE_ROOT_ID, "to-file");
    struct stat st;

    (void)state;
    assert_int_equal(fc_link(&c, link, FUSE_ROOT_ID, "again"), 0);
    assert_int_equal(lstat("in/again", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(fc_rename(&c, FUSE_ROOT_ID, "file", FUSE_ROOT_ID, "to-file", 0), 0);
    assert_int_equal(fc_unlink(&c, FUSE_ROOT_ID, "again"), 0);
    assert_int_equal(fc_symlink(&c, FUSE_ROOT_ID, "new", "/etc/passwd"), 0);
    assert_int_equal(fc_unlink(&c, FUSE_ROOT_ID, "new"), 0);
}

/* ---- While another process of the host's changes the folder -------------------------------------
 */

/* All that could be done in the folder `sub`, which the guest believes to have. */
static void try_in(uint64_t sub, uint64_t file, const char *what)
{
    struct fuse_setattr_in cut = {.valid = FATTR_SIZE};
    struct fuse_setattr_in mode = {.valid = FATTR_MODE, .mode = 0600};
    struct fuse_entry_out e;
    struct fuse_attr attr;
    uint64_t fh;

    refused(fc_lookup(&c, sub, "secret", &e), what);
    refused(fc_create(&c, sub, "new", O_RDWR, 0600, &e, &fh), what);
    refused(fc_mkdir(&c, sub, "new", 0700), what);
    refused(fc_mknod(&c, sub, "new", S_IFIFO | 0600), what);
    refused(fc_symlink(&c, sub, "new", "x"), what);
    refused(fc_unlink(&c, sub, "secret"), what);
    refused(fc_rmdir(&c, sub, "dir"), what);
    refused(fc_rename(&c, sub, "secret", FUSE_ROOT_ID, "got", 0), what);
    refused(fc_rename(&c, FUSE_ROOT_ID, "file", sub, "new", 0), what);
    refused(fc_rename(&c, FUSE_ROOT_ID, "file", sub, "secret", 2), what);
    refused(fc_link(&c, file, sub, "new"), what);
    refused(fc_link(&c, file, FUSE_ROOT_ID, "got"), what);
    refused(fc_open(&c, file, O_RDONLY, &fh), what);
    refused(fc_open(&c, file, O_WRONLY | O_TRUNC, &fh), what);
    refused(fc_opendir(&c, sub, &fh), what);
    refused(fc_getattr(&c, file, &attr), what);
    refused(fc_getattr(&c, sub, &attr), what);
    refused(fc_setattr(&c, file, &cut), what);
    refused(fc_setattr(&c, file, &mode), what);
    assert_int_equal(access("in/got", F_OK), -1);
}

static void a_folder_becomes_a_link(void **state)
{
    uint64_t sub = node(FUSE_ROOT_ID, "sub"), file = node(sub, "secret");

    (void)state;
    assert_int_equal(rename("in/sub", "was-sub"), 0);
    assert_int_equal(symlink("../outside", "in/sub"), 0);
    try_in(sub, file, "a link instead of a folder");
}

static void a_folder_above_becomes_a_link(void **state)
{
    uint64_t sub = node(FUSE_ROOT_ID, "sub"), deep = node(sub, "deep"), file = node(deep, "file");

    (void)state;
    assert_int_equal(rename("in/sub", "was-sub"), 0);
    assert_int_equal(mkdir("outside/deep", 0777), 0);
    write_file("outside/deep/file", "secret");
    assert_int_equal(symlink("../outside", "in/sub"), 0);
    try_in(deep, file, "a link above");
}

static void a_folder_is_replaced(void **state)
{
    uint64_t sub = node(FUSE_ROOT_ID, "sub"), file = node(sub, "secret");

    (void)state;
    assert_int_equal(rename("in/sub", "was-sub"), 0);
    assert_int_equal(mkdir("in/sub", 0777), 0);
    try_in(sub, file, "another folder instead");
}

/* The folder is moved out while the guest has it open, with all that it knew in it. */
static void a_folder_is_moved_out(void **state)
{
    uint64_t sub = node(FUSE_ROOT_ID, "sub"), deep = node(sub, "deep"), file = node(deep, "file");
    uint64_t dir, sub_dir;
    struct fuse_dirent first;

    (void)state;
    assert_int_equal(fc_opendir(&c, sub, &sub_dir), 0);
    assert_int_equal(fc_opendir(&c, deep, &dir), 0);
    /* One entry: the others wait. */
    assert_int_equal(fc_readdir(&c, FUSE_READDIR, sub, sub_dir, 0, 40), 0);
    assert_int_equal(c.answer_len, 32);
    memcpy(&first, c.answer, sizeof first);
    assert_int_equal(rename("in/sub", "outside/sub"), 0);
    write_file("outside/sub/new-secret", "secret");
    try_in(deep, file, "moved out with the folder above it");
    try_in(sub, node(FUSE_ROOT_ID, "file") + (UINT64_C(1) << 32), "moved out");
    refused(fc_readdir(&c, FUSE_READDIR, sub, sub_dir, 0, 4096), "read what was moved out");
    refused(fc_readdir(&c, FUSE_READDIRPLUS, sub, sub_dir, first.off, 4096), "read on");
    refused(fc_readdir(&c, FUSE_READDIRPLUS, sub, sub_dir, 0, 4096), "read what was moved out");
    refused(fc_readdir(&c, FUSE_READDIRPLUS, deep, dir, 0, 4096), "read what was moved out");
    /* With a link in its place that leads to where it is now. */
    assert_int_equal(symlink("../outside/sub", "in/sub"), 0);
    try_in(deep, file, "moved out, with a link to it");
    assert_int_equal(unlink("in/sub"), 0);
    assert_int_equal(access("outside/sub/new", F_OK), -1);
    assert_int_equal(access("outside/sub/deep/new", F_OK), -1);
    /* It comes back, and is what it was. */
    assert_int_equal(rename("outside/sub", "in/sub"), 0);
    assert_int_equal(fc_readdir(&c, FUSE_READDIR, sub, sub_dir, 0, 4096), 0);
    assert_int_equal(node(sub, "deep"), deep);
}

/* What is open stays open, as everywhere; nothing more is opened by it. */
static void an_open_file_is_moved_out(void **state)
{
    struct fuse_setattr_in cut = {.valid = FATTR_SIZE};
    uint64_t file = node(FUSE_ROOT_ID, "file"), fh, other;

    (void)state;
    assert_int_equal(fc_open(&c, file, O_RDONLY, &fh), 0);
    assert_int_equal(rename("in/file", "outside/dir/file"), 0);
    assert_int_equal(fc_read(&c, file, fh, 0, 100), 0);
    assert_int_equal(c.answer_len, 4);
    refused(fc_open(&c, file, O_RDWR, &other), "open again");
    refused(fc_setattr(&c, file, &cut), "truncate");
    cut.valid |= FATTR_FH;
    cut.fh = fh;
    refused(fc_setattr(&c, file, &cut), "truncate what is open to read");
    refused(fc_link(&c, file, FUSE_ROOT_ID, "got"), "link");
}

static atomic_bool stop;

/* in/sub is a folder, then a link that leads out, then nothing, for as long as it takes. */
static void *swap(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        (void)rename("in/sub", "was-sub");
        (void)symlink("../outside", "in/sub");
        sched_yield();
        (void)unlink("in/sub");
        (void)rename("was-sub", "in/sub");
        sched_yield();
    }
    return NULL;
}

static void try_to_read(uint64_t parent)
{
    struct fuse_entry_out e;
    uint64_t fh;

    if (fc_lookup(&c, parent, "secret", &e) != 0 || e.nodeid == 0)
        return;
    if (fc_open(&c, e.nodeid, O_RDWR, &fh) == 0) {
        assert_int_equal(fc_read(&c, e.nodeid, fh, 0, 100), 0);
        assert_int_equal(c.answer_len, 8);
        assert_memory_equal(c.answer, "harmless", 8);
        assert_int_equal(fc_release(&c, e.nodeid, fh), 0);
    }
    fc_forget(&c, e.nodeid, 1);
}

static void races(void **state)
{
    pthread_t thread;
    unsigned n_there = 0;

    (void)state;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
    for (unsigned i = 0; i < 4000; i++) {
        struct fuse_entry_out e;
        uint64_t fh;

        if (fc_lookup(&c, FUSE_ROOT_ID, "sub", &e) != 0 || e.nodeid == 0)
            continue;
        n_there++;
        try_to_read(e.nodeid);
        if (fc_create(&c, e.nodeid, "new", O_RDWR, 0600, &e, &fh) == 0)
            fc_release(&c, e.nodeid, fh);
        fc_unlink(&c, FUSE_ROOT_ID, "got");
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(n_there > 0);
}

/* ---- Mounts and magic links
 * ----------------------------------------------------------------------
 */

static void other_file_systems(void **state)
{
    static const char *const mounts[] = {"proc", "sys", "dev"};
    struct fuse_entry_out e;
    struct stat root, st;
    char path[16];

    (void)state;
    share_close(c.share);
    start("/", true);
    assert_int_equal(stat("/", &root), 0);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/%s", mounts[i]);
        if (stat(path, &st) == 0 && st.st_dev != root.st_dev)
            refused(fc_lookup(&c, FUSE_ROOT_ID, mounts[i], &e), path);
    }
}

static void folders_that_are_none(void **state)
{
    static const char *const bad[] = {"/proc", "/proc/self", "/proc/self/fd",
                                      "/sys",  "in/file",    "nowhere"};

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct share_config config = {.dir = bad[i], .max_open = 8};
        struct err e;
        struct share *s = share_open(&config, &e);

        if (s)
            fail_msg("%s is shared", bad[i]);
        assert_non_null(strstr(e.text, bad[i]));
        n_refused++;
    }
}

/* ---- Numbers
 * ---------------------------------------------------------------------------------------
 */

static void numbers(void **state)
{
    uint64_t file = node(FUSE_ROOT_ID, "file"), sub = node(FUSE_ROOT_ID, "sub"), fh, dir;
    uint64_t forgotten;
    const uint64_t bad[] = {
        0,          UINT64_MAX,        file + 1000,      file | UINT64_C(1) << 32,
        UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63};
    struct fuse_attr attr;
    uint64_t got;

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(fc_getattr(&c, bad[i], &attr), "a wrong number");
        refused(fc_open(&c, bad[i], O_RDONLY, &got), "a wrong number");
        refused(fc_link(&c, bad[i], FUSE_ROOT_ID, "got"), "a wrong number");
        refused(fc_rename(&c, FUSE_ROOT_ID, "file", bad[i], "got", 0), "a wrong number");
        fc_forget(&c, bad[i], UINT64_MAX);
    }
    assert_int_equal(fc_open(&c, file, O_RDWR, &fh), 0);
    assert_int_equal(fc_opendir(&c, sub, &dir), 0);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(fc_read(&c, file, bad[i], 0, 10), "a wrong handle");
        refused(fc_write(&c, file, bad[i], 0, "x", 1, 0), "a wrong handle");
        refused(fc_release(&c, file, bad[i]), "a wrong handle");
    }
    refused(fc_read(&c, sub, fh, 0, 10), "another file's handle");
    refused(fc_read(&c, sub, dir, 0, 10), "a folder read as a file");
    refused(fc_readdir(&c, FUSE_READDIR, file, fh, 0, 4096), "a file read as a folder");
    refused(fc_readdir(&c, FUSE_READDIR, FUSE_ROOT_ID, dir, 0, 4096), "another folder's handle");
    assert_int_equal(fc_release(&c, file, fh), 0);
    refused(fc_read(&c, file, fh, 0, 10), "a handle that was given back");
    refused(fc_release(&c, file, fh), "a handle that was given back");
    /* The slot is used again, under another number. */
    forgotten = file;
    fc_forget(&c, file, 1);
    refused(fc_getattr(&c, forgotten, &attr), "a node that was forgotten");
    assert_int_not_equal(node(FUSE_ROOT_ID, "file"), forgotten);
    refused(fc_getattr(&c, forgotten, &attr), "a node that was forgotten");
    /* The folder itself cannot be forgotten. */
    fc_forget(&c, FUSE_ROOT_ID, UINT64_MAX);
    assert_int_equal(fc_getattr(&c, FUSE_ROOT_ID, &attr), 0);
}

/* Privileges and devices do not come of a guest. */
static void privileges(void **state)
{
    struct fuse_setattr_in mode = {.valid = FATTR_MODE};
    uint64_t file = node(FUSE_ROOT_ID, "file");
    struct fuse_entry_out e;
    uint64_t fh;

    (void)state;
    refused(fc_mknod(&c, FUSE_ROOT_ID, "new", S_IFCHR | 0600), "a device");
    refused(fc_mknod(&c, FUSE_ROOT_ID, "new", S_IFBLK | 0600), "a device");
    refused(fc_mknod(&c, FUSE_ROOT_ID, "new", S_IFDIR | 0600), "a folder by mknod");
    refused(fc_mknod(&c, FUSE_ROOT_ID, "new", S_IFREG | 04755), "a setuid file");
    refused(fc_create(&c, FUSE_ROOT_ID, "new", O_RDWR, 04755, &e, &fh), "a setuid file");
    refused(fc_create(&c, FUSE_ROOT_ID, "new", O_RDWR, 02755, &e, &fh), "a setgid file");
    mode.mode = 04755;
    refused(fc_setattr(&c, file, &mode), "setuid");
    mode.mode = 02755;
    refused(fc_setattr(&c, file, &mode), "setgid");
    refused(fc_rename(&c, FUSE_ROOT_ID, "file", FUSE_ROOT_ID, "new", 4), "a whiteout");
    assert_int_equal(access("in/new", F_OK), -1);
    /* A folder's set-group bit is none. */
    assert_int_equal(fc_setattr(&c, node(FUSE_ROOT_ID, "sub"), &mode), 0);
}

static void at_least_forty(void **state)
{
    (void)state;
    print_message("%u attempts refused\n", n_refused);
    assert_true(n_refused >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, begin, end),
        cmocka_unit_test_setup_teardown(names_and_nul, begin, end),
        cmocka_unit_test_setup_teardown(links, begin, end),
        cmocka_unit_test_setup_teardown(links_are_themselves, begin, end),
        cmocka_unit_test_setup_teardown(a_folder_becomes_a_link, begin, end),
        cmocka_unit_test_setup_teardown(a_folder_above_becomes_a_link, begin, end),
        cmocka_unit_test_setup_teardown(a_folder_is_replaced, begin, end),
        cmocka_unit_test_setup_teardown(a_folder_is_moved_out, begin, end),
        cmocka_unit_test_setup_teardown(an_open_file_is_moved_out, begin, end),
        cmocka_unit_test_setup_teardown(races, begin, end),
        cmocka_unit_test_setup_teardown(other_file_systems, begin, end),
        cmocka_unit_test_setup_teardown(folders_that_are_none, begin, end),
        cmocka_unit_test_setup_teardown(numbers, begin, end),
        cmocka_unit_test_setup_teardown(privileges, begin, end),
        cmocka_unit_test(at_least_forty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
