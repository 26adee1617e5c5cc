#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "runtime/system/boot_file.h"

/* Both unpackers fill a buffer that grows up to the limit; a result that reaches
 * it is too large, which also ends a bomb. */
struct unpacker {
    struct boot_file *out;
    uint64_t limit;
    struct err *e;
};

enum { FIRST_ROOM = 32 << 20 };

static bool too_large(struct unpacker *u)
{
    return err_set(u->e, "%s unpacks to more than the guest's RAM; give it more with -m",
                   u->out->path);
}

static bool truncated(struct unpacker *u)
{
    return err_set(u->e, "%s ends in the middle of its packed data: the file is truncated",
                   u->out->path);
}

static bool damaged(struct unpacker *u, const char *why)
{
    return err_set(u->e, "%s: its packed data is damaged: %s", u->out->path, why);
}

static bool more_room(struct unpacker *u)
{
    struct boot_file *f = u->out;
    if (f->len > u->limit)
        return too_large(u);
    return boot_file_grow(f, FIRST_ROOM) || err_set(u->e, "%s: no memory to unpack it", f->path);
}

static uint8_t *room(const struct unpacker *u)
{
    return (uint8_t *)u->out->data + u->out->len;
}

/* zlib counts in 32 bits, so both sides go in pieces. */
static bool inflate_all(struct unpacker *u, z_stream *z, const uint8_t *data, size_t len)
{
    const size_t piece = 1 << 30;
    int status = Z_OK;

    while (status != Z_STREAM_END) {
        size_t in = len < piece ? len : piece, free_len;

        if (u->out->len == u->out->map_len && !more_room(u))
            return false;
        free_len = u->out->map_len - u->out->len;
        z->next_in = (Bytef *)(uintptr_t)data;
        z->avail_in = (uInt)in;
        z->next_out = room(u);
        z->avail_out = (uInt)(free_len < piece ? free_len : piece);
        status = inflate(z, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return damaged(u, z->msg ? z->msg : "not gzip after all");
        if (status != Z_STREAM_END && len == 0 && z->avail_out != 0)
            return truncated(u);
        data = z->next_in;
        len -= in - z->avail_in;
        u->out->len = (size_t)(z->next_out - u->out->data);
    }
    return true;
}

static bool gunzip(struct unpacker *u, const uint8_t *data, size_t len)
{
    z_stream z = {0};
    bool ok;

    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return err_set(u->e, "%s: no memory to unpack it", u->out->path);
    ok = inflate_all(u, &z, data, len);
    inflateEnd(&z);
    return ok;
}

static bool unzstd(struct unpacker *u, const uint8_t *data, size_t len)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = {.src = data, .size = len};
    size_t left = 1;
    bool ok = true;

    if (!z)
        return err_set(u->e, "%s: no memory to unpack it", u->out->path);
    ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 31);
    while (ok && left != 0) {
        ZSTD_outBuffer out;

        if (u->out->len == u->out->map_len && !more_room(u)) {
            ok = false;
            break;
        }
        out = (ZSTD_outBuffer){.dst = room(u), .size = u->out->map_len - u->out->len};
        left = ZSTD_decompressStream(z, &out, &in);
        u->out->len += out.pos;
        if (ZSTD_isError(left))
            ok = damaged(u, ZSTD_getErrorName(left));
        else if (left != 0 && in.pos == in.size && out.pos < out.size)
            ok = truncated(u);
    }
    ZSTD_freeDStream(z);
    return ok;
}

bool boot_unpack(struct boot_file *out, const char *path, enum boot_packing packing,
                 const uint8_t *data, size_t len, uint64_t limit, struct err *e)
{
    struct unpacker u = {.out = out, .limit = limit, .e = e};
    bool ok;

    *out = (struct boot_file){.path = path};
    ok = packing == PACKED_GZIP ? gunzip(&u, data, len) : unzstd(&u, data, len);
    if (ok && out->len > limit)
        ok = too_large(&u);
    if (ok && out->len == 0)
        ok = err_set(e, "%s unpacks to nothing", path);
    if (!ok)
        boot_file_close(out);
    return ok;
}
