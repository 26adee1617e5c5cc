/* The text form of the IR. What is read and verified prints to text that is read to the same
 * block; it runs, and does the same when the passes have been over it; and the back end takes it.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend-x86_64/x64.h"
#include "dbt/opt/opt.h"
#include "softmmu/mmu.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/ir_random.h"
#include "tests/lib/x64_one.h"

enum { TEXT_ROOM = 16384, CODE_BYTES = 1 << 20 };

static struct ir_block first, second;
static struct ir_world start, plain, optimised;

static const struct x64_mmu_layout layout = {
    .tlb_bits = TLB_BITS,
    .load_off = offsetof(struct mmu_view, load),
    .store_off = offsetof(struct mmu_view, store),
};

static bool read_text(struct ir_block *b, const char *text)
{
    struct err e = {""};

    memset(b, 0, sizeof *b);
    b->helpers = ir_world_helpers;
    b->n_helpers = ir_world_n_helpers;
    if (!ir_parse(b, text, &e) || !ir_verify(b, &e)) {
        CHECK(e.text[0] != '\0');
        return false;
    }
    return true;
}

static char *printed(const struct ir_block *b)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    ir_print(b, f);
    fclose(f);
    return text;
}

static void check_round_trip(void)
{
    char *x = printed(&first), *y;

    CHECK(read_text(&second, x) && "what was printed can be read");
    y = printed(&second);
    CHECK(strcmp(x, y) == 0);
    CHECK(first.n == second.n &&
          memcmp(first.insn, second.insn, first.n * sizeof first.insn[0]) == 0);
    free(x);
    free(y);
}

/* Memory that every address has: loads are made of the address, stores are only seen. */
static uint64_t load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    struct ir_world *w = (struct ir_world *)(void *)s;
    uint64_t v = va * UINT64_C(0x9e3779b97f4a7c15);
    unsigned shift = 64 - 8 * ir_mem_size(aux);

    w->trace = (w->trace ^ va ^ aux) * UINT64_C(0xbf58476d1ce4e5b9);
    if (va % 61 == 0)
        state_raise(s, IR_WORLD_LOAD_FAULT, va);
    return ir_mem_signed(aux) ? (uint64_t)((int64_t)(v << shift) >> shift) : v << shift >> shift;
}

static bool store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value)
{
    struct ir_world *w = (struct ir_world *)(void *)s;
    uint64_t seen = value << (64 - 8 * ir_mem_size(aux));

    w->trace = (w->trace ^ va ^ aux ^ seen * 3) * UINT64_C(0xbf58476d1ce4e5b9);
    if (va % 61 == 0)
        state_raise(s, IR_WORLD_STORE_FAULT, va);
    return va % 7 == 0;
}

static uint64_t tick(struct cpu_state *s)
{
    return ((struct ir_world *)(void *)s)->ticks += 3;
}

static const struct ir_env env = {load, store, tick};

static enum exit_reason evaluate(struct ir_world *w, const struct ir_block *b)
{
    int left = setjmp(w->s.unwind);

    return left ? (enum exit_reason)(left - 1) : ir_eval(b, &w->s, &env);
}

/* Does it keep to the world's own words? The verifier lets ldst and stst reach further, as the
 * hart's struct of a front end does. */
static bool within_world(const struct ir_block *b)
{
    const uint64_t own = offsetof(struct ir_world, own);

    for (uint32_t n = 0; n < b->n; n++) {
        const struct ir_insn *i = &b->insn[n];

        if ((i->op == IR_ldst || i->op == IR_stst) &&
            (i->imm < own || i->imm > own + 8 * (IR_WORLD_OWN - 1)))
            return false;
    }
    return true;
}

static void check_meaning(uint32_t passes, uint64_t seed)
{
    struct ir_random r = {.seed = seed};
    enum exit_reason plain_end, optimised_end;
    struct err e;
    bool run = within_world(&first);

    ir_world_init(&start, &r);
    ir_world_copy(&plain, &start);
    ir_world_copy(&optimised, &start);
    plain_end = run ? evaluate(&plain, &first) : EXIT_LINK;
    opt_run(&first, passes, NULL, NULL);
    CHECK(ir_verify(&first, &e));
    if (!run)
        return;
    optimised_end = evaluate(&optimised, &first);
    if (ir_world_same(&plain, plain_end, &optimised, optimised_end, stderr))
        return;
    ir_print(&second, stderr);
    ir_print(&first, stderr);
    CHECK(!"the passes keep what a block does");
}

static void check_host_code(void)
{
    static struct x64_emitter *emitter;
    static uint8_t *code;

    if (!emitter) {
        emitter = x64_emitter_create(&layout, x64_n_xmm(0));
        code = malloc(CODE_BYTES);
        CHECK(code != NULL);
    }
    emit_in_one(emitter, &first, code, CODE_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char text[TEXT_ROOM + 1];
    struct fuzz_input in = {data, len};
    uint32_t passes = (uint32_t)fuzz_take(&in, 1);

    len = in.left < TEXT_ROOM ? in.left : TEXT_ROOM;
    memcpy(text, in.at, len);
    text[len] = '\0';
    if (!read_text(&first, text))
        return 0;
    check_round_trip();
    check_meaning(passes & 1 ? OPT_ALL : passes >> 1 & OPT_ALL, passes);
    check_host_code();
    return 0;
}
