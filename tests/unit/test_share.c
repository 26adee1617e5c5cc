/* Requests to a shared folder, on names and attributes: what the guest gets, and what the host
 * then has. */
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/folder.h"

/* ---- Messages -------------------------------------------------------------------------------- */

static int init(uint32_t major, uint32_t minor, size_t len)
{
    const struct fuse_init_in in = {
        .major = major, .minor = minor, .max_readahead = 4711, .flags = UINT32_MAX};

    return fc_send(&folder.c, FUSE_INIT, 0, &in, len, NULL, 0);
}

static void sessions(void **state)
{
    struct fuse_init_out out;
    struct fuse_attr attr;
    uint64_t fh, n;

    (void)state;
    share_close(folder.c.share);
    fc_start(&folder.c, folder_open(false));
    assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EIO); /* before INIT */
    assert_int_equal(init(6, 41, sizeof(struct fuse_init_in)), EPROTO);
    assert_int_equal(init(7, 30, sizeof(struct fuse_init_in)), EPROTO);
    assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EIO);
    assert_int_equal(init(8, 0, 16), 0);
    memcpy(&out, folder.c.answer, sizeof out);
    assert_int_equal(out.major, 7);
    assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EIO); /* it is to ask again */
    assert_int_equal(init(7, 31, 16), 0);
    assert_int_equal(folder.c.answer_len, sizeof out);
    memcpy(&out, folder.c.answer, sizeof out);
    assert_int_equal(out.major, 7);
    assert_int_equal(out.max_write, 1 << 20);
    assert_int_equal(out.max_pages, 256);
    assert_int_equal(out.max_readahead, 4711);
    assert_true(out.flags & FUSE_DO_READDIRPLUS);
    assert_true(out.flags & FUSE_MAX_PAGES);
    assert_false(out.flags & (FUSE_WRITEBACK_CACHE | FUSE_POSIX_LOCKS | FUSE_DONT_MASK));
    n = folder_create_file("f", &fh);
    assert_int_equal(fc_send(&folder.c, FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
    assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EIO);
    assert_int_equal(fc_init(&folder.c), 0);
    assert_int_equal(fc_getattr(&folder.c, n, &attr), ESTALE);
    assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), 0);
}

static void lengths(void **state)
{
    const struct fuse_getattr_in in = {0};
    struct fuse_entry_out e;
    struct fuse_attr attr;

    (void)state;
    for (size_t len = 0; len < sizeof in; len++)
        assert_int_equal(fc_send(&folder.c, FUSE_GETATTR, FOLDER_ROOT, &in, len, NULL, 0), EINVAL);
    assert_int_equal(fc_send(&folder.c, FUSE_GETATTR, FOLDER_ROOT, &in, sizeof in, "x", 1), EINVAL);
    for (uint32_t adds = 1; adds; adds *= 2) {
        folder.c.header_adds = adds;
        assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EINVAL);
        folder.c.header_adds = (uint32_t)-adds; /* ends before what it says, or behind */
        assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EINVAL);
    }
    folder.c.header_adds = 0;
    /* Room for the answer's header, but not for the answer: nothing is done. */
    folder.c.room = sizeof(struct fuse_attr_out) - 1;
    assert_int_equal(fc_getattr(&folder.c, FOLDER_ROOT, &attr), EINVAL);
    assert_int_equal(fc_mkdir(&folder.c, FOLDER_ROOT, "d", 0777), EINVAL);
    folder.c.room = 0;
    assert_int_equal(fc_lookup(&folder.c, FOLDER_ROOT, "d", &e), EINVAL);
    folder.c.room = FC_ANSWER_ROOM;
    assert_false(folder_exists(FOLDER_ROOT, "d"));
}

/* Neither a whole header nor room for one: given back without an answer. */
static void fragments(void **state)
{
    struct fuse_in_header h = {.len = sizeof h, .opcode = FUSE_STATFS, .nodeid = 1};
    uint8_t room[512];
    struct iovec out = {&h, sizeof h}, in = {room, sizeof room};

    (void)state;
    for (size_t len = 0; len <= sizeof h; len++) {
        struct share_request r = {
            .out = &out, .n_out = 1, .out_bytes = len, .in = &in, .n_in = 1, .in_bytes = 15};

        out.iov_len = len;
        in.iov_len = 15;
        memset(room, 0x77, sizeof room);
        share_submit(folder.c.share, &r);
        assert_ptr_equal(share_done(folder.c.share), &r);
        assert_int_equal(r.written, 0);
        assert_int_equal(room[0], 0x77);
    }
}

/* What Linux then does without. */
static void what_is_not_there(void **state)
{
    static const uint32_t ops[] = {FUSE_SETXATTR,
                                   FUSE_GETXATTR,
                                   FUSE_LISTXATTR,
                                   FUSE_REMOVEXATTR,
                                   FUSE_GETLK,
                                   FUSE_SETLK,
                                   FUSE_SETLKW,
                                   FUSE_FLUSH,
                                   FUSE_ACCESS,
                                   FUSE_BMAP,
                                   FUSE_IOCTL,
                                   FUSE_POLL,
                                   0,
                                   7,
                                   19,
                                   41,
                                   48,
                                   49,
                                   1000,
                                   UINT32_MAX};
    uint8_t args[64] = {0};

    (void)state;
    for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++)
        assert_int_equal(fc_send(&folder.c, ops[i], FOLDER_ROOT, args, sizeof args, NULL, 0),
                         ENOSYS);
    assert_int_equal(fc_send(&folder.c, FUSE_INTERRUPT, 0, args, 8, NULL, 0), -1);
}

static void forgetting(void **state)
{
    struct {
        struct fuse_batch_forget_in head;
        struct fuse_forget_one one[3];
    } batch = {.head.count = 1000}; /* more than there are */
    struct fuse_attr attr;
    uint64_t a, b;

    (void)state;
    folder_write_file("in/a", "");
    folder_write_file("in/b", "");
    a = folder_node(FOLDER_ROOT, "a");
    assert_int_equal(folder_node(FOLDER_ROOT, "a"), a);
    fc_forget(&folder.c, a, 1);
    assert_int_equal(fc_getattr(&folder.c, a, &attr), 0);
    fc_forget(&folder.c, a, 1);
    assert_int_equal(fc_getattr(&folder.c, a, &attr), ESTALE);
    a = folder_node(FOLDER_ROOT, "a");
    b = folder_node(FOLDER_ROOT, "b");
    batch.one[0] = (struct fuse_forget_one){.nodeid = a, .nlookup = 1};
    batch.one[1] = (struct fuse_forget_one){.nodeid = 12345, .nlookup = 1};
    batch.one[2] = (struct fuse_forget_one){.nodeid = b, .nlookup = UINT64_MAX};
    assert_int_equal(fc_send(&folder.c, FUSE_BATCH_FORGET, 0, &batch, sizeof batch, NULL, 0), -1);
    assert_int_equal(fc_getattr(&folder.c, a, &attr), ESTALE);
    assert_int_equal(fc_getattr(&folder.c, b, &attr), ESTALE);
}

/* ---- Names -------------------------------------------------------------------------------------
 */

static void looking_up(void **state)
{
    struct fuse_entry_out e;
    struct stat st;

    (void)state;
    folder_write_file("in/f", "12345");
    assert_int_equal(chmod("in/f", 0640), 0);
    e = folder_entry(FOLDER_ROOT, "f");
    st = folder_stat_of("in/f");
    assert_int_equal(e.attr.ino, st.st_ino);
    assert_int_equal(e.attr.size, 5);
    assert_int_equal(e.attr.mode, S_IFREG | 0640);
    assert_int_equal(e.attr.uid, getuid());
    assert_int_equal(e.attr.gid, st.st_gid);
    assert_int_equal(e.attr.nlink, 1);
    assert_int_equal(e.attr.mtime, st.st_mtim.tv_sec);
    assert_int_equal(e.attr.mtimensec, st.st_mtim.tv_nsec);
    assert_int_equal(e.attr.ctimensec, st.st_ctim.tv_nsec);
    assert_int_equal(e.attr.blocks, st.st_blocks);
    assert_int_equal(e.entry_valid, 1);
    assert_int_equal(e.attr_valid, 1);
    assert_false(folder_exists(FOLDER_ROOT, "none"));
    assert_int_equal(fc_lookup(&folder.c, e.nodeid, "x", &e), ENOTDIR);
}

static void making(void **state)
{
    struct fuse_entry_out e;
    uint64_t fh;

    (void)state;
    umask(0777); /* is not for what the guest makes */
    assert_int_equal(fc_mkdir(&folder.c, FOLDER_ROOT, "dir", 01775), 0);
    assert_int_equal(folder_stat_of("in/dir").st_mode, S_IFDIR | 01775);
    assert_int_equal(fc_mkdir(&folder.c, FOLDER_ROOT, "dir", 0777), EEXIST);
    assert_int_equal(fc_mknod(&folder.c, FOLDER_ROOT, "fifo", S_IFIFO | 0622), 0);
    assert_int_equal(folder_stat_of("in/fifo").st_mode, S_IFIFO | 0622);
    assert_int_equal(fc_mknod(&folder.c, FOLDER_ROOT, "socket", S_IFSOCK | 0666), 0);
    assert_int_equal(folder_stat_of("in/socket").st_mode, S_IFSOCK | 0666);
    assert_int_equal(fc_mknod(&folder.c, FOLDER_ROOT, "plain", S_IFREG | 0606), 0);
    assert_int_equal(folder_stat_of("in/plain").st_mode, S_IFREG | 0606);
    assert_int_equal(fc_mknod(&folder.c, FOLDER_ROOT, "plain2", 0606), 0);
    assert_int_equal(folder_stat_of("in/plain2").st_mode, S_IFREG | 0606);
    assert_int_equal(
        fc_create(&folder.c, folder_node(FOLDER_ROOT, "dir"), "f", O_RDWR, 0666, &e, &fh), 0);
    assert_int_equal(folder_stat_of("in/dir/f").st_mode, S_IFREG | 0666);
    assert_int_equal(e.attr.mode, S_IFREG | 0666);
    umask(022);
    assert_int_equal(fc_open(&folder.c, folder_node(FOLDER_ROOT, "fifo"), O_RDONLY, &fh), ENXIO);
    assert_int_equal(fc_open(&folder.c, folder_node(FOLDER_ROOT, "socket"), O_RDONLY, &fh), ENXIO);
    assert_int_equal(fc_open(&folder.c, folder_node(FOLDER_ROOT, "dir"), O_RDONLY, &fh), EISDIR);
    assert_int_equal(fc_opendir(&folder.c, folder_node(FOLDER_ROOT, "plain"), &fh), ENOTDIR);
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "fifo", O_RDONLY, 0600, &e, &fh), EEXIST);
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "dir", O_RDONLY, 0600, &e, &fh), EEXIST);
}

/* The guest believed that there was no such file. */
static void creating_what_is_there(void **state)
{
    struct fuse_entry_out e;
    uint64_t fh;

    (void)state;
    folder_write_file("in/f", "there");
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "f", O_RDWR | O_EXCL, 0600, &e, &fh),
                     EEXIST);
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "f", O_RDWR, 0600, &e, &fh), 0);
    folder_reads(e.nodeid, fh, 0, "there");
    assert_int_equal(fc_create(&folder.c, FOLDER_ROOT, "f", O_RDWR | O_TRUNC, 0600, &e, &fh), 0);
    assert_int_equal(folder_stat_of("in/f").st_size, 0);
}

static void links(void **state)
{
    char target[4096];
    uint64_t n, link;

    (void)state;
    assert_int_equal(fc_symlink(&folder.c, FOLDER_ROOT, "l", "/some/where"), 0);
    link = folder_node(FOLDER_ROOT, "l");
    assert_int_equal(fc_send(&folder.c, FUSE_READLINK, link, NULL, 0, NULL, 0), 0);
    assert_int_equal(folder.c.answer_len, 11);
    assert_memory_equal(folder.c.answer, "/some/where", 11);
    folder.c.room = 10;
    assert_int_equal(fc_send(&folder.c, FUSE_READLINK, link, NULL, 0, NULL, 0), EINVAL);
    folder.c.room = FC_ANSWER_ROOM;
    memset(target, 't', sizeof target);
    target[4095] = '\0';
    assert_int_equal(fc_symlink(&folder.c, FOLDER_ROOT, "long", target), 0);
    assert_int_equal(
        fc_send(&folder.c, FUSE_READLINK, folder_node(FOLDER_ROOT, "long"), NULL, 0, NULL, 0), 0);
    assert_int_equal(folder.c.answer_len, 4095);
    assert_int_equal(fc_send(&folder.c, FUSE_READLINK, FOLDER_ROOT, NULL, 0, NULL, 0), EINVAL);

    folder_write_file("in/f", "f");
    n = folder_node(FOLDER_ROOT, "f");
    assert_int_equal(fc_link(&folder.c, n, FOLDER_ROOT, "g"), 0);
    assert_int_equal(folder_node(FOLDER_ROOT, "g"), n); /* one file, one node */
    assert_int_equal(folder_stat_of("in/g").st_nlink, 2);
    assert_int_equal(fc_link(&folder.c, n, FOLDER_ROOT, "g"), EEXIST);
    assert_int_equal(fc_link(&folder.c, FOLDER_ROOT, FOLDER_ROOT, "h"), EPERM);
    assert_int_equal(fc_unlink(&folder.c, FOLDER_ROOT, "g"), 0);
    /* The name that the node was last known by has gone: it is found by the other. */
    assert_int_equal(folder_node(FOLDER_ROOT, "f"), n);
    folder_file_is("in/f", "f");
}

static void removing(void **state)
{
    uint64_t fh, n = folder_create_file("f", &fh), dir;
    struct fuse_attr attr;

    (void)state;
    assert_int_equal(fc_write(&folder.c, n, fh, 0, "kept", 4, 0), 0);
    assert_int_equal(fc_rmdir(&folder.c, FOLDER_ROOT, "f"), ENOTDIR);
    assert_int_equal(fc_unlink(&folder.c, FOLDER_ROOT, "f"), 0);
    assert_int_equal(fc_unlink(&folder.c, FOLDER_ROOT, "f"), ENOENT);
    /* It is open: it can be read, asked and changed. */
    folder_reads(n, fh, 0, "kept");
    assert_int_equal(fc_getattr(&folder.c, n, &attr), 0);
    assert_int_equal(attr.nlink, 0);
    assert_int_equal(attr.size, 4);
    assert_int_equal(fc_release(&folder.c, n, fh), 0);
    assert_int_equal(fc_getattr(&folder.c, n, &attr), ESTALE);

    assert_int_equal(fc_mkdir(&folder.c, FOLDER_ROOT, "d", 0777), 0);
    dir = folder_node(FOLDER_ROOT, "d");
    assert_int_equal(fc_mkdir(&folder.c, dir, "e", 0777), 0);
    assert_int_equal(fc_unlink(&folder.c, FOLDER_ROOT, "d"), EISDIR);
    assert_int_equal(fc_rmdir(&folder.c, FOLDER_ROOT, "d"), ENOTEMPTY);
    assert_int_equal(fc_opendir(&folder.c, dir, &fh), 0);
    assert_int_equal(fc_rmdir(&folder.c, dir, "e"), 0);
    assert_int_equal(fc_rmdir(&folder.c, FOLDER_ROOT, "d"), 0);
    assert_int_equal(fc_readdir(&folder.c, FUSE_READDIR, dir, fh, 0, 4096), 0);
    assert_int_equal(folder.c.answer_len, 0);
}

/* What the guest knows in a folder stays known under its new name. */
static void renaming(void **state)
{
    const struct fuse_rename_in to_root = {.newdir = FOLDER_ROOT};
    uint64_t dir, f, g, fh;
    struct fuse_attr attr;

    (void)state;
    assert_int_equal(mkdir("in/d", 0777), 0);
    folder_write_file("in/d/f", "f");
    folder_write_file("in/g", "g");
    dir = folder_node(FOLDER_ROOT, "d");
    f = folder_node(dir, "f");
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "d", FOLDER_ROOT, "e", 0), 0);
    assert_int_equal(fc_getattr(&folder.c, f, &attr), 0);
    assert_int_equal(fc_open(&folder.c, f, O_RDONLY, &fh), 0);
    folder_reads(f, fh, 0, "f");
    assert_int_equal(fc_rename(&folder.c, dir, "f", FOLDER_ROOT, "f", 0), 0);
    assert_int_equal(fc_getattr(&folder.c, f, &attr), 0);
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "f", FOLDER_ROOT, "g", 1),
                     EEXIST); /* RENAME_NOREPLACE */
    g = folder_node(FOLDER_ROOT, "g");
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "f", FOLDER_ROOT, "g", 2),
                     0); /* RENAME_EXCHANGE */
    folder_file_is("in/g", "f");
    folder_file_is("in/f", "g");
    assert_int_equal(fc_getattr(&folder.c, g, &attr), 0);
    assert_int_equal(fc_getattr(&folder.c, f, &attr), 0);
    assert_int_equal(folder_node(FOLDER_ROOT, "g"), f);
    assert_int_equal(
        fc_send(&folder.c, FUSE_RENAME, FOLDER_ROOT, &to_root, sizeof to_root, "g\0over", 7), 0);
    folder_file_is("in/over", "f");
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "e", dir, "x", 0), EINVAL); /* into itself */
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "none", FOLDER_ROOT, "x", 0), ENOENT);
    assert_int_equal(fc_rename(&folder.c, FOLDER_ROOT, "e", FOLDER_ROOT, "x", 8), EINVAL);
}

/* A folder and one in it that the host turned inside out, while the guest knew them as they were.
 */
static void inside_out(void **state)
{
    uint64_t a, b;
    struct fuse_entry_out e;

    (void)state;
    assert_int_equal(mkdir("in/a", 0777) | mkdir("in/a/b", 0777), 0);
    a = folder_node(FOLDER_ROOT, "a");
    b = folder_node(a, "b");
    assert_int_equal(rename("in/a/b", "in/b") | rename("in/a", "in/b/a"), 0);
    assert_int_equal(fc_lookup(&folder.c, b, "a", &e), ESTALE);
    assert_int_equal(folder_node(FOLDER_ROOT, "b"), b);
    assert_int_equal(folder_node(b, "a"), a);
    assert_int_equal(fc_getattr(&folder.c, a, &e.attr), 0);
}

/* The host takes 4096 bytes of a path at a time; a guest's folders may be deeper, up to a limit. */
static void deep_folders(void **state)
{
    char name[201];
    uint64_t dir = FOLDER_ROOT;
    struct fuse_entry_out e;
    struct fuse_attr attr;
    unsigned depth = 0;
    int error = 0;

    (void)state;
    memset(name, 'd', 200);
    name[200] = '\0';
    while (depth < 200 && (error = fc_mkdir(&folder.c, dir, name, 0777)) == 0) {
        memcpy(&e, folder.c.answer, sizeof e);
        dir = e.nodeid;
        depth++;
        if (depth == 60) {
            assert_int_equal(fc_symlink(&folder.c, dir, "l", "x"), 0);
            assert_int_equal(fc_unlink(&folder.c, dir, "l"), 0);
            assert_int_equal(fc_getattr(&folder.c, dir, &attr), 0);
            assert_true(S_ISDIR(attr.mode));
        }
    }
    assert_int_equal(error, ENAMETOOLONG);
    assert_true(depth >= 80 && depth < 85);
}

/* ---- Attributes
 * ---------------------------------------------------------------------------------- */

static void setting(void **state)
{
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = S_IFREG | 0604};
    uint64_t n, fh, link;

    (void)state;
    folder_write_file("in/f", "0123456789");
    n = folder_node(FOLDER_ROOT, "f");
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);
    assert_int_equal(folder_stat_of("in/f").st_mode, S_IFREG | 0604);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 4};
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);
    folder_file_is("in/f", "0123");
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = UINT64_MAX};
    assert_int_equal(fc_setattr(&folder.c, n, &in), EINVAL);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE};
    assert_int_equal(fc_setattr(&folder.c, FOLDER_ROOT, &in), EISDIR);
    in = (struct fuse_setattr_in){.valid = FATTR_ATIME | FATTR_MTIME,
                                  .atime = 1000,
                                  .atimensec = 1,
                                  .mtime = (uint64_t)-5,
                                  .mtimensec = 2};
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);
    assert_int_equal(folder_stat_of("in/f").st_atim.tv_sec, 1000);
    assert_int_equal(folder_stat_of("in/f").st_atim.tv_nsec, 1);
    assert_true(folder_stat_of("in/f").st_mtim.tv_sec == -5);
    in = (struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW};
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);
    assert_int_equal(folder_stat_of("in/f").st_atim.tv_sec, 1000);
    assert_true(folder_stat_of("in/f").st_mtim.tv_sec > 1000000);
    in = (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtimensec = 2000000000};
    assert_int_equal(fc_setattr(&folder.c, n, &in), EINVAL);
    in = (struct fuse_setattr_in){
        .valid = FATTR_UID | FATTR_GID, .uid = getuid(), .gid = folder_stat_of("in/f").st_gid};
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);

    /* What is open to write can be cut, whatever the mode says. */
    assert_int_equal(fc_open(&folder.c, n, O_RDWR, &fh), 0);
    in = (struct fuse_setattr_in){.valid = FATTR_MODE};
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .size = 2, .fh = fh};
    assert_int_equal(fc_setattr(&folder.c, n, &in), 0);
    assert_int_equal(folder_stat_of("in/f").st_size, 2);
    in.fh = fh + 1;
    assert_int_equal(fc_setattr(&folder.c, n, &in), EBADF);

    /* Of a link, its own. */
    assert_int_equal(fc_symlink(&folder.c, FOLDER_ROOT, "l", "f"), 0);
    link = folder_node(FOLDER_ROOT, "l");
    in = (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtime = 77};
    assert_int_equal(fc_setattr(&folder.c, link, &in), 0);
    assert_int_equal(folder_stat_of("in/l").st_mtim.tv_sec, 77);
    assert_int_not_equal(folder_stat_of("in/f").st_mtim.tv_sec, 77);
}

/* A program that had the bit from the host keeps it when the rest of its mode changes. */
static void setuid_from_the_host(void **state)
{
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 04755};

    (void)state;
    folder_write_file("in/f", "");
    assert_int_equal(chmod("in/f", 04700), 0);
    assert_int_equal(fc_setattr(&folder.c, folder_node(FOLDER_ROOT, "f"), &in), 0);
    assert_int_equal(folder_stat_of("in/f").st_mode, S_IFREG | 04755);
}

static void file_system(void **state)
{
    struct fuse_statfs_out out;

    (void)state;
    assert_int_equal(fc_send(&folder.c, FUSE_STATFS, FOLDER_ROOT, NULL, 0, NULL, 0), 0);
    memcpy(&out, folder.c.answer, sizeof out);
    assert_true(out.st.blocks > 0 && out.st.bsize > 0 && out.st.namelen == 255);
}

/* What a person who may not is told. As root there is no such folder: then somebody else asks. */
static void missing_rights(void **state)
{
    struct share_config config = {.dir = "in", .max_open = 8};
    bool is_root = geteuid() == 0;
    struct share *s;
    struct err e;

    (void)state;
    assert_int_equal(chmod(folder.base, 0711) | chmod("in", 0555), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    assert_null(share_open(&config, &e));
    assert_non_null(strstr(e.text, "nothing can be written there: Permission denied; add ,ro"));
    config.read_only = true;
    s = share_open(&config, &e);
    assert_non_null(s);
    share_close(s);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod("in", 0311), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    assert_null(share_open(&config, &e));
    assert_non_null(strstr(e.text, "it cannot be read: Permission denied"));
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod("in", 0755), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        TEST(sessions),
        TEST(lengths),
        TEST(fragments),
        TEST(what_is_not_there),
        TEST(forgetting),
        TEST(looking_up),
        TEST(making),
        TEST(creating_what_is_there),
        TEST(links),
        TEST(removing),
        TEST(renaming),
        TEST(inside_out),
        TEST(deep_folders),
        TEST(setting),
        TEST(setuid_from_the_host),
        TEST(file_system),
        TEST(missing_rights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
