/* A guest that sends a shared folder any message, well made, nearly so, or not at all, while the
 * host's folder changes beneath it. What lies beside the folder stays as it is, each answer fits
 * its room, and all descriptors are given back. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/host/share.h"
#include "tests/fuzz/fuzz.h"

enum {
    MAX_STEPS = 200,
    MAX_FILE = 1 << 20,
    N_KNOWN = 16,
    N_FLIGHT = 4,
    OUT_ROOM = 8192,
    IN_ROOM = 8192
};

static char base[64], shared[128];

static uint64_t known_node[N_KNOWN], known_file[N_KNOWN];
static unsigned n_nodes, n_files;

struct message {
    uint8_t out[OUT_ROOM], in[IN_ROOM];
    size_t len;
    struct iovec out_iov[3], in_iov[3];
    struct share_request r;
};
static struct message flight[N_FLIGHT];
static unsigned n_flight;

/* A name in base. The text is good for three calls more. */
static const char *in_base(const char *name)
{
    static char text[4][128];
    static unsigned n;

    n = (n + 1) % 4;
    snprintf(text[n], sizeof text[n], "%s/%s", base, name);
    return text[n];
}

/* ---- The folder ---------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    if (at->level > 0)
        CHECK(remove(path) == 0);
    return 0;
}

/* The guest may have taken all rights from its folders; the tests run as root or not. */
static int open_up(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)at;
    if (flag == FTW_D || flag == FTW_DNR)
        (void)chmod(path, 0700);
    return 0;
}

static void empty(const char *dir)
{
    nftw(dir, open_up, 16, FTW_PHYS);
    nftw(dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static void clean_up(void)
{
    empty(base);
    CHECK(rmdir(base) == 0);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void first_time(void)
{
    const struct rlimit limit = {MAX_FILE, MAX_FILE};

    strcpy(base, "/dev/shm/dbt-fuzz-share.XXXXXX");
    CHECK(mkdtemp(base));
    CHECK(mkdir(in_base("in"), 0700) == 0 && mkdir(in_base("outside"), 0700) == 0);
    write_file(in_base("outside/secret"), "secret");
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    snprintf(shared, sizeof shared, "%s/in", base);
    atexit(clean_up);
}

static void fill(void)
{
    CHECK(mkdir(in_base("in/sub"), 0700) == 0 && mkdir(in_base("in/sub/a"), 0700) == 0);
    CHECK(symlink("../outside", in_base("in/l")) == 0);
    write_file(in_base("in/a"), "text");
    write_file(in_base("in/sub/secret"), "harmless");
}

static void check_outside(void)
{
    char text[16] = "";
    struct stat st;
    DIR *dir = opendir(in_base("outside"));
    int fd = open(in_base("outside/secret"), O_RDONLY | O_CLOEXEC);
    unsigned n = 0;

    CHECK(dir && fd >= 0);
    while (readdir(dir))
        n++;
    CHECK(n == 3 && "nothing was made outside");
    CHECK(read(fd, text, sizeof text) == 6 && memcmp(text, "secret", 6) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0600);
    closedir(dir);
    close(fd);
}

/* Another process of the host's. */
static void host_changes(struct fuzz_input *in)
{
    switch (fuzz_below(in, 6)) {
    case 0: (void)rename(in_base("in/sub"), in_base("in/b")); break;
    case 1: (void)rename(in_base("in/b"), in_base("in/sub")); break;
    case 2:
        /* A guest that is busy may have taken the name meanwhile. */
        if (rename(in_base("in/sub"), in_base("moved")) == 0 &&
            symlink("../outside", in_base("in/sub")) != 0)
            return;
        break;
    case 3:
        (void)unlink(in_base("in/sub"));
        (void)rename(in_base("moved"), in_base("in/sub"));
        break;
    case 4: (void)unlink(in_base("in/a")); break;
    default: (void)rename(in_base("in/sub/a"), in_base("in/a2")); break;
    }
}

/* ---- Messages -------------------------------------------------------------------------------- */

static uint64_t any_node(struct fuzz_input *in)
{
    unsigned n = fuzz_below(in, N_KNOWN + 4);

    if (n < n_nodes && n < N_KNOWN)
        return known_node[n];
    return n < N_KNOWN + 3 ? FUSE_ROOT_ID : fuzz_take(in, 8);
}

static uint64_t any_file(struct fuzz_input *in)
{
    unsigned n = fuzz_below(in, N_KNOWN);

    return n < n_files ? known_file[n] : fuzz_take(in, 1 + 7 * fuzz_below(in, 2));
}

static size_t put(struct message *m, const void *bytes, size_t len)
{
    if (m->len + len > sizeof m->out)
        len = sizeof m->out - m->len;
    memcpy(m->out + m->len, bytes, len);
    m->len += len;
    return m->len;
}

static void put64(struct message *m, uint64_t value)
{
    put(m, &value, 8);
}

static void put32(struct message *m, uint64_t value)
{
    put(m, &value, 4);
}

static void put_name(struct message *m, struct fuzz_input *in)
{
    static const char *const names[] = {
        "a",   "b",      "sub", "secret",       "l",
        "..",  ".",      "",    "../outside/x", "sub/a",
        "a\n", "/tmp/x", "a2",  "moved",        "../outside/secret"};
    unsigned n = fuzz_below(in, 20);
    uint8_t text[300];

    if (n < sizeof names / sizeof names[0]) {
        put(m, names[n], strlen(names[n]) + 1);
        return;
    }
    n = fuzz_below(in, sizeof text);
    memset(text, 'x', n);
    for (unsigned i = 0; i < n && i < 8; i++)
        text[i] = (uint8_t)fuzz_take(in, 1);
    put(m, text, n);
    put(m, "", fuzz_below(in, 8) != 0);
}

static uint64_t any_number(struct fuzz_input *in)
{
    static const uint64_t usual[] = {0, 1, 8, 4096, 100000, MAX_FILE, INT64_MAX, UINT64_MAX};
    unsigned n = fuzz_below(in, 10);

    return n < 8 ? usual[n] : fuzz_take(in, n == 8 ? 2 : 8);
}

/* The arguments as they should be, if the numbers are. */
static void put_args(struct message *m, struct fuzz_input *in, uint32_t op)
{
    switch (op) {
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR: put_name(m, in); break;
    case FUSE_SYMLINK:
        put_name(m, in);
        put_name(m, in);
        break;
    case FUSE_FORGET: put64(m, fuzz_below(in, 3)); break;
    case FUSE_GETATTR:
        put64(m, 0);
        put64(m, any_file(in));
        break;
    case FUSE_SETATTR:
        put32(m, fuzz_take(in, 2));
        put32(m, 0);
        put64(m, any_file(in));
        for (unsigned i = 0; i < 5; i++)
            put64(m, any_number(in));
        for (unsigned i = 0; i < 8; i++)
            put32(m, i == 3 ? fuzz_take(in, 2) : i >= 5 && i < 7 ? getuid() : any_number(in));
        break;
    case FUSE_MKNOD:
        put32(m, fuzz_take(in, 2));
        put32(m, fuzz_take(in, 2));
        put64(m, 0);
        put_name(m, in);
        break;
    case FUSE_MKDIR:
        put64(m, fuzz_take(in, 2));
        put_name(m, in);
        break;
    case FUSE_LINK:
    case FUSE_RENAME:
        put64(m, any_node(in));
        put_name(m, in);
        if (op == FUSE_RENAME)
            put_name(m, in);
        break;
    case FUSE_RENAME2:
        put64(m, any_node(in));
        put64(m, fuzz_below(in, 6));
        put_name(m, in);
        put_name(m, in);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR: put64(m, fuzz_below(in, 2) ? fuzz_below(in, 4) : fuzz_take(in, 4)); break;
    case FUSE_CREATE:
        put32(m, fuzz_take(in, 4));
        put32(m, fuzz_take(in, 2));
        put64(m, 0);
        put_name(m, in);
        break;
    case FUSE_READ:
    case FUSE_WRITE:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
        put64(m, any_file(in));
        put64(m, fuzz_below(in, 2) ? 0 : any_number(in));
        put32(m, op == FUSE_WRITE ? fuzz_below(in, 64) : any_number(in));
        put32(m, fuzz_take(in, 1));
        put64(m, 0);
        put64(m, fuzz_take(in, 2));
        if (op == FUSE_WRITE)
            for (unsigned i = 0; i < 5; i++)
                put64(m, i);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        put64(m, any_file(in));
        put64(m, 0);
        put64(m, 0);
        break;
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
        put64(m, any_file(in));
        put64(m, fuzz_below(in, 2));
        break;
    case FUSE_FALLOCATE:
        put64(m, any_file(in));
        put64(m, any_number(in));
        put64(m, any_number(in));
        put64(m, fuzz_below(in, 32));
        break;
    case FUSE_LSEEK:
        put64(m, any_file(in));
        put64(m, any_number(in));
        put64(m, fuzz_below(in, 6));
        break;
    case FUSE_COPY_FILE_RANGE:
        put64(m, any_file(in));
        put64(m, any_number(in));
        put64(m, any_node(in));
        put64(m, any_file(in));
        put64(m, any_number(in));
        put64(m, any_number(in));
        put64(m, fuzz_below(in, 8) == 0);
        break;
    case FUSE_INIT:
        put32(m, fuzz_below(in, 8) ? 7 : fuzz_take(in, 1));
        put32(m, 36);
        put64(m, fuzz_take(in, 8));
        break;
    case FUSE_BATCH_FORGET:
        put64(m, fuzz_take(in, 2));
        for (unsigned i = fuzz_below(in, 5); i > 0; i--) {
            put64(m, any_node(in));
            put64(m, fuzz_below(in, 3));
        }
        break;
    default: break;
    }
}

static unsigned cut(struct iovec *iov, uint8_t *bytes, size_t len, struct fuzz_input *in)
{
    size_t first = fuzz_below(in, 100);

    first = first < len ? first : len;
    iov[0] = (struct iovec){bytes, first};
    iov[1] = (struct iovec){bytes + first, len - first};
    return 2;
}

static void send(struct share *s, struct fuzz_input *in)
{
    struct message *m = &flight[n_flight++];
    uint32_t op = fuzz_below(in, 56), room = IN_ROOM;
    struct fuse_in_header h = {.opcode = op, .unique = 77, .nodeid = any_node(in)};

    m->len = sizeof h;
    put_args(m, in, op);
    for (unsigned n = fuzz_below(in, 16) == 0 ? fuzz_below(in, 40) : 0; n > 0; n--)
        put(m, (uint8_t[]){(uint8_t)fuzz_take(in, 1)}, 1);
    if (fuzz_below(in, 16) == 0)
        m->len = fuzz_below(in, (unsigned)m->len + 1);
    h.len = (uint32_t)m->len;
    if (fuzz_below(in, 16) == 0)
        h.len = (uint32_t)any_number(in);
    if (fuzz_below(in, 16) == 0)
        room = fuzz_below(in, 300);
    memcpy(m->out, &h, sizeof h);
    memset(m->in, 0xee, sizeof m->in);
    m->r = (struct share_request){.out = m->out_iov,
                                  .n_out = cut(m->out_iov, m->out, m->len, in),
                                  .out_bytes = m->len,
                                  .in = m->in_iov,
                                  .n_in = cut(m->in_iov, m->in, room, in),
                                  .in_bytes = room};
    share_submit(s, &m->r);
}

/* ---- Answers -----------------------------------------------------------------------------------
 */

static void learn(const struct message *m)
{
    struct fuse_in_header h;
    struct fuse_entry_out e;
    uint64_t file;
    size_t at = sizeof(struct fuse_out_header);

    memcpy(&h, m->out, sizeof h);
    if (h.opcode == FUSE_LOOKUP || h.opcode == FUSE_MKDIR || h.opcode == FUSE_CREATE ||
        h.opcode == FUSE_MKNOD || h.opcode == FUSE_SYMLINK || h.opcode == FUSE_LINK) {
        memcpy(&e, m->in + at, sizeof e);
        known_node[n_nodes++ % N_KNOWN] = e.nodeid;
        at += sizeof e;
    }
    if (h.opcode == FUSE_OPEN || h.opcode == FUSE_OPENDIR || h.opcode == FUSE_CREATE) {
        memcpy(&file, m->in + at, sizeof file);
        known_file[n_files++ % N_KNOWN] = file;
    }
}

static void check_answer(const struct message *m)
{
    struct fuse_out_header h;

    CHECK(m->r.written <= m->r.in_bytes);
    for (size_t i = m->r.in_bytes; i < m->r.in_bytes + 64 && i < sizeof m->in; i++)
        CHECK(m->in[i] == 0xee && "nothing is written behind the room");
    if (m->r.written == 0)
        return;
    memcpy(&h, m->in, sizeof h);
    CHECK(h.len == m->r.written && h.unique == 77 && h.error <= 0 && h.error > -1000);
    if (h.error == 0)
        learn(m);
}

static void collect(struct share *s)
{
    unsigned n = 0;

    share_wait(s);
    for (struct share_request *r = share_done(s); r;
         r = (struct share_request *)(void *)r->job.next)
        n++;
    CHECK(n == n_flight && "each comes back once");
    for (unsigned i = 0; i < n_flight; i++)
        check_answer(&flight[i]);
    n_flight = 0;
}

static void say_init(struct share *s)
{
    const uint8_t nothing = 0;
    struct fuzz_input in = {&nothing, 0};
    const struct fuse_in_header h = {.len = sizeof h + 16, .opcode = FUSE_INIT, .unique = 77};
    const uint32_t args[4] = {7, 36, 0, UINT32_MAX};
    struct message *m = &flight[n_flight++];

    m->len = 0;
    put(m, &h, sizeof h);
    put(m, args, sizeof args);
    memset(m->in, 0xee, sizeof m->in);
    m->r = (struct share_request){.out = m->out_iov,
                                  .n_out = cut(m->out_iov, m->out, m->len, &in),
                                  .out_bytes = m->len,
                                  .in = m->in_iov,
                                  .n_in = cut(m->in_iov, m->in, 256, &in),
                                  .in_bytes = 256};
    share_submit(s, &m->r);
    collect(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    unsigned kind = fuzz_below(&in, 8);
    const struct share_config config = {
        .dir = shared, .read_only = kind == 1, .synchronous = kind > 2, .max_open = 8};
    struct share *s;
    struct err e;
    int free_fd, fd;

    if (base[0] == '\0')
        first_time();
    free_fd = dup(0);
    close(free_fd);
    n_nodes = n_files = 0;
    fill();
    s = share_open(&config, &e);
    CHECK(s && "the folder is shared");
    if (kind != 7)
        say_init(s);
    for (unsigned n = 0; n < MAX_STEPS && in.left > 0; n++) {
        if (fuzz_below(&in, 16) == 0)
            host_changes(&in);
        send(s, &in);
        if (config.synchronous || n_flight == N_FLIGHT)
            collect(s);
    }
    collect(s);
    share_close(s);
    check_outside();
    empty(in_base("in"));
    (void)unlink(in_base("moved")); /* a folder, or what the guest renamed to be one */
    empty(in_base("moved"));
    (void)rmdir(in_base("moved"));
    fd = dup(0);
    CHECK(fd == free_fd && "all descriptors were given back");
    close(fd);
    return 0;
}
