/* Guest bytes to host code: whatever the bytes, the mode and the options, a sound block comes out,
 * and host code when there is room for it. */
#include <stdlib.h>
#include <string.h>

#include "dbt/opt/opt.h"
#include "dbt/translate.h"
#include "frontend/riscv/rv.h"
#include "softmmu/mmu.h"
#include "tests/fuzz/fuzz.h"

enum { CODE_BYTES = 1 << 20, CAUSE_FETCH = 12 };

static const struct x64_mmu_layout layout = {
    .tlb_bits = TLB_BITS,
    .load_off = offsetof(struct mmu_view, load),
    .store_off = offsetof(struct mmu_view, store),
};

/* Two pages: the input from `start` on, again and again when it `wraps`, else nothing after it. */
struct code {
    const uint8_t *data;
    size_t len;
    uint32_t start;
    bool wraps;
};

static bool parcel(void *arg, uint32_t offset, uint16_t *out, uint64_t *cause, uint64_t *tval)
{
    const struct code *c = arg;
    size_t at = offset - c->start;

    CHECK(offset >= c->start && offset < 2 * PAGE_SIZE && offset % 2 == 0);
    if (c->wraps && c->len >= 2)
        at %= c->len & ~(size_t)1;
    if (at + 2 > c->len) {
        *cause = CAUSE_FETCH;
        *tval = offset;
        return false;
    }
    memcpy(out, c->data + at, 2);
    return true;
}

static void disassemble(const struct code *c)
{
    for (size_t at = 0; at + 4 <= c->len && at < 64; at += 2) {
        uint32_t word;
        char text[96];

        memcpy(&word, c->data + at, 4);
        unsigned n = rv_disasm(word, 0x80000000, text, sizeof text);

        CHECK((n == 2 || n == 4) && text[0] != '\0');
    }
}

static uint32_t take_mode(struct fuzz_input *in)
{
    static const uint32_t priv[] = {RV_U, RV_S, RV_M};
    static const uint32_t fs[] = {0, 1, 3};
    static const uint32_t frm[] = {0, RV_MODE_FRM_RMM, RV_MODE_FRM_INVALID};
    uint32_t mode = priv[fuzz_below(in, 3)];

    mode |= fs[fuzz_below(in, 3)] << RV_MODE_FS_SHIFT;
    mode |= frm[fuzz_below(in, 3)];
    mode |= fuzz_below(in, 2) ? RV_MODE_ZERO_OK : 0;
    return mode | (fuzz_below(in, 2) ? RV_MODE_TIME_OK : 0);
}

static void take_model(struct rv_hart *h, struct fuzz_input *in)
{
    static const char *const model[] = {
        "default", "rv64gc",          "rv64gc,c=off",   "default,d=off",
        "max",     "default,zba=off", "rv64gc,+zicond", "rv64gc,d=off,f=off",
    };
    struct err e;

    CHECK(rv_model_parse(&h->model, model[fuzz_below(in, 8)], &e));
}

static void translate(struct fuzz_input *in, struct rv_hart *h, struct code *c, uint8_t *room)
{
    const struct guest_fetch fetch = {parcel, c, PAGE_SIZE};
    struct translate_options options = {
        .passes = (uint32_t)fuzz_take(in, 2) & OPT_ALL,
        .virtual_time = fuzz_below(in, 2) != 0,
        .host_code = true,
        .stress_regs = fuzz_below(in, 4) == 0 ? fuzz_take(in, 1) + 1 : 0,
        .max_insns = 1 + fuzz_below(in, IR_MAX_GUEST),
    };
    struct translate_job job = {.s = &h->s, .mode = take_mode(in), .fetch = &fetch};
    struct translator *t = translator_create(&rv_guest_ops, &layout, &options);
    bool apart = fuzz_below(in, 2) != 0;
    size_t cap = fuzz_below(in, 8) == 0 ? (size_t)fuzz_take(in, 2) : CODE_BYTES;
    struct err e;

    c->start = (uint32_t)fuzz_take(in, 2) % PAGE_SIZE & ~1u;
    c->wraps = fuzz_below(in, 2) != 0;
    job.gpa = 0x80000000 + c->start;
    job.gva = (fuzz_below(in, 2) ? UINT64_C(0xffffffff80000000) : 0x10000) + c->start;
    c->data = in->at;
    c->len = in->left;
    const struct ir_block *b = translate_ir(t, &job, options.max_insns);

    CHECK(ir_verify(b, &e));
    CHECK(b->n_guest >= 1 && b->n_guest <= options.max_insns && b->len_bytes >= 2);
    const size_t hot = apart ? cap / 2 : cap;
    const struct x64_unit *unit =
        translate_host(t, &job,
                       &(struct x64_room){.hot = room,
                                          .hot_bytes = hot,
                                          .cold = apart ? room + CODE_BYTES / 2 : NULL,
                                          .cold_bytes = cap / 2});

    CHECK(unit ? unit->size_bytes <= hot && unit->cold_bytes <= cap / 2 : cap < CODE_BYTES);
    translator_destroy(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct rv_hart *hart;
    static uint8_t *room;
    struct fuzz_input in = {data, len};
    struct code code;

    if (!hart) {
        hart = calloc(1, sizeof *hart);
        room = malloc(CODE_BYTES);
        CHECK(hart && room);
    }
    take_model(hart, &in);
    translate(&in, hart, &code, room);
    disassemble(&code);
    return 0;
}
