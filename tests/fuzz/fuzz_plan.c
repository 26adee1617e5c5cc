#include "tests/fuzz/fuzz_plan.h"

#include <string.h>

#include "runtime/system/boot.h"
#include "runtime/system/memmap.h"

#define MIB (UINT64_C(1) << 20)

void fuzz_config(struct machine_config *cfg, struct fuzz_input *in)
{
    static const uint64_t ram[] = {4 * MIB, 8 * MIB, 1 * MIB, 2 * MIB + 4096, 64 * MIB};
    static const enum firmware firmware[] = {FIRMWARE_AUTO, FIRMWARE_BUILTIN, FIRMWARE_NONE};
    static const enum image_as as[] = {AS_AUTO, AS_MACHINE, AS_SUPERVISOR};
    static const char *const signature[] = {NULL, NULL, "f", "f,tohost,fromhost"};
    struct err e;

    *cfg = (struct machine_config){
        .ram_len = ram[fuzz_below(in, sizeof ram / sizeof ram[0])],
        .n_harts = 1,
        .firmware = firmware[fuzz_below(in, sizeof firmware / sizeof firmware[0])],
        .as = as[fuzz_below(in, sizeof as / sizeof as[0])],
        .signature = signature[fuzz_below(in, sizeof signature / sizeof signature[0])],
        .serial = "null",
        .fixed_seed = true,
    };
    CHECK(rv_model_parse(&cfg->model, "default", &e));
}

static bool in_ram(const struct machine_config *cfg, uint64_t gpa, uint64_t len_bytes)
{
    return gpa >= MEMMAP_ram_gpa && len_bytes <= cfg->ram_len &&
           gpa - MEMMAP_ram_gpa <= cfg->ram_len - len_bytes;
}

/* A part's bytes are those of a file that the plan holds, or the plan's own. */
static bool has_bytes(const struct boot_plan *p, const struct boot_part *a)
{
    const uint8_t *data = a->data;

    if (a->data_len == 0 || a->data == p->dtb.data || a->data == p->fw_info)
        return true;
    for (unsigned i = 0; i < p->n_files; i++) {
        const struct boot_file *f = &p->file[i];

        if (data >= f->data && data <= f->data + f->len &&
            a->data_len <= (size_t)(f->data + f->len - data))
            return true;
    }
    return false;
}

static void check_plan(const struct boot_plan *p, const struct machine_config *cfg)
{
    for (unsigned i = 0; i < p->n_parts; i++) {
        const struct boot_part *a = &p->part[i];

        CHECK(in_ram(cfg, a->gpa, a->len_bytes));
        CHECK(a->data_len <= a->len_bytes && has_bytes(p, a));
        for (unsigned k = 0; k < i; k++) {
            const struct boot_part *b = &p->part[k];

            CHECK(a->gpa >= b->gpa + b->len_bytes || b->gpa >= a->gpa + a->len_bytes);
        }
    }
    CHECK(in_ram(cfg, p->pc, 2) && p->pc % 2 == 0);
    CHECK(in_ram(cfg, p->a1, p->dtb.len_bytes));
    CHECK(p->signature_len == 0 || in_ram(cfg, p->signature_gpa, p->signature_len));
    CHECK(p->firmware != FIRMWARE_AUTO);
}

void fuzz_plan(const struct machine_config *cfg)
{
    struct boot_plan p;
    struct phys phys;
    struct err e = {""};

    if (!boot_plan(&p, cfg, &e)) {
        CHECK(e.text[0] != '\0' && !strchr(e.text, '\n') && "one line says why");
        return;
    }
    check_plan(&p, cfg);
    if (cfg->ram_len <= 8 * MIB) {
        CHECK(phys_init(&phys, MEMMAP_ram_gpa, cfg->ram_len, &e));
        boot_commit(&p, &phys);
        phys_fini(&phys);
    }
    boot_plan_fini(&p);
}
