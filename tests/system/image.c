#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"
#include "tests/system/program.h"

enum { N_SEGMENTS = 3, HEAD = 0x1000 };

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

static Elf64_Phdr segment(uint64_t gpa, uint64_t offset, uint64_t len)
{
    return (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_flags = PF_R | PF_W | PF_X,
                        .p_offset = offset,
                        .p_vaddr = gpa,
                        .p_paddr = gpa,
                        .p_filesz = len,
                        .p_memsz = len,
                        .p_align = 8};
}

static bool write_elf(FILE *f, const uint8_t *runtime, size_t runtime_len, const struct image *m)
{
    uint8_t head[HEAD] = {0};
    Elf64_Ehdr eh = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_RISCV,
        .e_version = EV_CURRENT,
        .e_entry = SYS_RAM,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = N_SEGMENTS};
    const uint32_t jump[2] = {0x00000297 | (SYS_RUNTIME - SYS_RAM), /* auipc t0 */
                              0x00028067};                          /* jr t0 */
    Elf64_Phdr ph[N_SEGMENTS] = {segment(SYS_RAM, HEAD - 8, 8),
                                 segment(SYS_RUNTIME, HEAD, runtime_len),
                                 segment(SYS_PROGRAMS, HEAD + runtime_len, m->len)};

    memcpy(head, &eh, sizeof(eh));
    memcpy(head + sizeof(eh), ph, sizeof(ph));
    memcpy(head + HEAD - 8, jump, 8);
    return fwrite(head, 1, HEAD, f) == HEAD && fwrite(runtime, 1, runtime_len, f) == runtime_len &&
           fwrite(m->bytes, 1, m->len, f) == m->len;
}

bool sys_image_write(const char *path, const char *runtime, const struct sys_program *p, size_t n,
                     bool verbose, struct err *e)
{
    struct image m = {.bytes = calloc(1, SYS_PROGRAMS_BYTES)};
    size_t runtime_len;
    uint8_t *code = read_runtime(runtime, &runtime_len, e);
    bool ok = false;
    FILE *f;

    CHECK(m.bytes);
    if (!code)
        goto free_image;
    put_programs(&m, p, n, verbose);
    f = fopen(path, "wb");
    if (f) {
        ok = write_elf(f, code, runtime_len, &m);
        ok = fclose(f) == 0 && ok;
    }
    if (!ok)
        err_set(e, "%s: cannot be written: %s", path, strerror(errno));
    free(code);
free_image:
    free(m.bytes);
    return ok;
}
