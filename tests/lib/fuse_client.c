#include "tests/lib/fuse_client.h"

#include <string.h>

#include "dbt/base/check.h"

enum { MAX_OUT = 1 << 17, PIECE = 37, MAX_PIECES = 1024 };

void fc_start(struct fuse_client *c, struct share *share)
{
    memset(c, 0, sizeof *c);
    c->share = share;
    c->room = FC_ANSWER_ROOM;
}

/* Pieces of 37 bytes, the last one takes the rest. */
static unsigned cut(struct iovec *iov, uint8_t *bytes, size_t len)
{
    unsigned n = 0;

    while (len > 0) {
        size_t piece = n < 20 && len > PIECE ? PIECE : len;

        iov[n++] = (struct iovec){bytes, piece};
        bytes += piece;
        len -= piece;
    }
    return n;
}

int fc_send(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *args,
            size_t args_len, const void *more, size_t more_len)
{
    static uint8_t out[MAX_OUT], in[sizeof(struct fuse_out_header) + FC_ANSWER_ROOM];
    struct fuse_in_header h = {.opcode = opcode, .unique = ++c->unique, .nodeid = node};
    struct fuse_out_header answer;
    struct iovec out_iov[MAX_PIECES], in_iov[MAX_PIECES];
    size_t len = sizeof h + args_len + more_len;
    struct share_request r = {.out = out_iov, .in = in_iov, .out_bytes = len};

    CHECK(len <= sizeof out);
    h.len = (uint32_t)len + c->header_adds;
    memcpy(out, &h, sizeof h);
    if (args_len)
        memcpy(out + sizeof h, args, args_len);
    if (more_len)
        memcpy(out + sizeof h + args_len, more, more_len);
    r.n_out = cut(out_iov, out, len);
    r.in_bytes = sizeof answer + c->room;
    r.n_in = cut(in_iov, in, r.in_bytes);
    memset(in, 0xee, sizeof in);
    share_submit(c->share, &r);
    share_wait(c->share);
    CHECK(share_done(c->share) == &r && !r.job.next && "one goes in, one comes out");
    c->answer_len = 0;
    if (r.written == 0)
        return -1;
    memcpy(&answer, in, sizeof answer);
    CHECK(answer.unique == h.unique && answer.len == r.written && r.written <= r.in_bytes);
    CHECK(answer.error <= 0 && answer.error > -1000);
    CHECK(answer.error == 0 || answer.len == sizeof answer);
    c->answer_len = answer.len - sizeof answer;
    memcpy(c->answer, in + sizeof answer, c->answer_len);
    for (size_t i = r.written; i < r.in_bytes && i < r.written + 64; i++)
        CHECK((in[i] == 0xee || opcode == FUSE_READ) && "nothing is written behind the answer");
    return -answer.error;
}

/* One fixed part of the answer. */
static int take(struct fuse_client *c, int error, void *to, size_t len)
{
    if (error)
        return error;
    CHECK(c->answer_len >= len && "the answer is whole");
    memcpy(to, c->answer, len);
    return 0;
}

/* Arguments and a name. */
static int send_name(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *args,
                     size_t args_len, const char *name)
{
    return fc_send(c, opcode, node, args, args_len, name, strlen(name) + 1);
}

static int send_two(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *args,
                    size_t args_len, const char *a, const char *b)
{
    char text[16384];
    size_t a_len = strlen(a) + 1, b_len = strlen(b) + 1;

    CHECK(a_len + b_len <= sizeof text);
    memcpy(text, a, a_len);
    memcpy(text + a_len, b, b_len);
    return fc_send(c, opcode, node, args, args_len, text, a_len + b_len);
}

int fc_init(struct fuse_client *c)
{
    const struct fuse_init_in in = {.major = 7, .minor = 41, .flags = UINT32_MAX};

    return fc_send(c, FUSE_INIT, 0, &in, sizeof in, NULL, 0);
}

int fc_lookup(struct fuse_client *c, uint64_t parent, const char *name, struct fuse_entry_out *e)
{
    return take(c, send_name(c, FUSE_LOOKUP, parent, NULL, 0, name), e, sizeof *e);
}

int fc_getattr(struct fuse_client *c, uint64_t node, struct fuse_attr *attr)
{
    const struct fuse_getattr_in in = {0};
    struct fuse_attr_out out;
    int error = take(c, fc_send(c, FUSE_GETATTR, node, &in, sizeof in, NULL, 0), &out, sizeof out);

    if (!error)
        *attr = out.attr;
    return error;
}

int fc_setattr(struct fuse_client *c, uint64_t node, const struct fuse_setattr_in *in)
{
    return fc_send(c, FUSE_SETATTR, node, in, sizeof *in, NULL, 0);
}

static int open_by(struct fuse_client *c, uint32_t opcode, uint64_t node, uint32_t flags,
                   uint64_t *fh)
{
    const struct fuse_open_in in = {.flags = flags};
    struct fuse_open_out out;
    int error = take(c, fc_send(c, opcode, node, &in, sizeof in, NULL, 0), &out, sizeof out);

    if (!error)
        *fh = out.fh;
    return error;
}

int fc_open(struct fuse_client *c, uint64_t node, uint32_t flags, uint64_t *fh)
{
    return open_by(c, FUSE_OPEN, node, flags, fh);
}

int fc_opendir(struct fuse_client *c, uint64_t node, uint64_t *fh)
{
    return open_by(c, FUSE_OPENDIR, node, 0, fh);
}

int fc_create(struct fuse_client *c, uint64_t parent, const char *name, uint32_t flags,
              uint32_t mode, struct fuse_entry_out *e, uint64_t *fh)
{
    const struct fuse_create_in in = {.flags = flags, .mode = mode};
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out;
    int error = take(c, send_name(c, FUSE_CREATE, parent, &in, sizeof in, name), &out, sizeof out);

    if (error)
        return error;
    *e = out.entry;
    *fh = out.open.fh;
    return 0;
}

int fc_read(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};

    return fc_send(c, FUSE_READ, node, &in, sizeof in, NULL, 0);
}

int fc_write(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset, const void *bytes,
             uint32_t size, uint32_t flags)
{
    const struct fuse_write_in in = {.fh = fh, .offset = offset, .size = size, .flags = flags};
    struct fuse_write_out out;
    int error =
        take(c, fc_send(c, FUSE_WRITE, node, &in, sizeof in, bytes, size), &out, sizeof out);

    CHECK(error || out.size == size);
    return error;
}

int fc_mkdir(struct fuse_client *c, uint64_t parent, const char *name, uint32_t mode)
{
    const struct fuse_mkdir_in in = {.mode = mode};

    return send_name(c, FUSE_MKDIR, parent, &in, sizeof in, name);
}

int fc_mknod(struct fuse_client *c, uint64_t parent, const char *name, uint32_t mode)
{
    const struct fuse_mknod_in in = {.mode = mode, .rdev = 0x103};

    return send_name(c, FUSE_MKNOD, parent, &in, sizeof in, name);
}

int fc_symlink(struct fuse_client *c, uint64_t parent, const char *name, const char *target)
{
    return send_two(c, FUSE_SYMLINK, parent, NULL, 0, name, target);
}

int fc_link(struct fuse_client *c, uint64_t node, uint64_t parent, const char *name)
{
    const struct fuse_link_in in = {.oldnodeid = node};

    return send_name(c, FUSE_LINK, parent, &in, sizeof in, name);
}

int fc_unlink(struct fuse_client *c, uint64_t parent, const char *name)
{
    return send_name(c, FUSE_UNLINK, parent, NULL, 0, name);
}

int fc_rmdir(struct fuse_client *c, uint64_t parent, const char *name)
{
    return send_name(c, FUSE_RMDIR, parent, NULL, 0, name);
}

int fc_rename(struct fuse_client *c, uint64_t from, const char *name, uint64_t to,
              const char *new_name, uint32_t flags)
{
    const struct fuse_rename2_in in = {.newdir = to, .flags = flags};

    return send_two(c, FUSE_RENAME2, from, &in, sizeof in, name, new_name);
}

int fc_release(struct fuse_client *c, uint64_t node, uint64_t fh)
{
    const struct fuse_release_in in = {.fh = fh};

    return fc_send(c, FUSE_RELEASE, node, &in, sizeof in, NULL, 0);
}

int fc_readdir(struct fuse_client *c, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t offset,
               uint32_t size)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};

    return fc_send(c, opcode, node, &in, sizeof in, NULL, 0);
}

void fc_forget(struct fuse_client *c, uint64_t node, uint64_t n)
{
    const struct fuse_forget_in in = {.nlookup = n};

    CHECK(fc_send(c, FUSE_FORGET, node, &in, sizeof in, NULL, 0) == -1);
}
