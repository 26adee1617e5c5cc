#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"
#include "tests/lib/elf_write.h"
#include "tests/system/program.h"

struct image {
    uint8_t *bytes;
    size_t len;
};

static uint64_t put(struct image *m, const void *bytes, size_t len)
{
    uint64_t at = SYS_PROGRAMS + m->len;

    CHECK(m->len + len + 8 <= SYS_PROGRAMS_BYTES && "fewer programs fit into an image");
    memcpy(m->bytes + m->len, bytes, len);
    m->len += (len + 7) & ~(size_t)7;
    return at;
}

static void put_programs(struct image *m, const struct sys_program *p, size_t n, bool verbose)
{
    uint64_t rng = 7, data[SYS_DATA_BYTES / 8], data_at;

    m->len = n * SYS_H_LEN * 8;
    for (size_t i = 0; i < SYS_DATA_BYTES / 8; i++)
        data[i] = rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    data_at = put(m, data, sizeof(data));
    for (size_t k = 0; k < n; k++) {
        uint64_t header[SYS_H_LEN];

        memcpy(header, p[k].header, sizeof(header));
        header[SYS_H_CODE] = put(m, p[k].code, header[SYS_H_CODE_LEN]);
        header[SYS_H_POKES] = put(m, p[k].poke, p[k].n_pokes * sizeof(p[k].poke[0]));
        header[SYS_H_DATA] = data_at;
        header[SYS_H_FLAGS] |= (verbose ? SYS_VERBOSE : 0) | (k + 1 == n ? SYS_LAST : 0);
        memcpy(m->bytes + k * sizeof(header), header, sizeof(header));
    }
}

static uint8_t *read_runtime(const char *path, size_t *len, struct err *e)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = calloc(1, 0x10000);

    CHECK(bytes);
    *len = f ? fread(bytes, 1, 0x10000, f) : 0;
    if (f)
        fclose(f);
    if (*len > 0)
        return bytes;
    free(bytes);
    err_set(e, "%s: cannot be read; make builds it", path);
    return NULL;
}

bool sys_image_write(const char *path, const char *runtime, const struct sys_program *p, size_t n,
                     bool verbose, struct err *e)
{
    struct image m = {.bytes = calloc(1, SYS_PROGRAMS_BYTES)};
    const uint32_t jump[2] = {0x00000297 | (SYS_RUNTIME - SYS_RAM), /* auipc t0 */
                              0x00028067};                          /* jr t0 */
    size_t runtime_len;
    uint8_t *code = read_runtime(runtime, &runtime_len, e);
    bool ok = false;

    CHECK(m.bytes);
    if (!code)
        goto free_image;
    put_programs(&m, p, n, verbose);
    const struct elf_segment segments[] = {{SYS_RAM, jump, sizeof(jump), sizeof(jump)},
                                           {SYS_RUNTIME, code, runtime_len, runtime_len},
                                           {SYS_PROGRAMS, m.bytes, m.len, m.len}};
    ok = elf_write(path, SYS_RAM, segments, sizeof(segments) / sizeof(segments[0]));
    if (!ok)
        err_set(e, "%s: cannot be written: %s", path, strerror(errno));
    free(code);
free_image:
    free(m.bytes);
    return ok;
}
