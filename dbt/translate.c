/* THE pipeline, from top to bottom:
 *
 *   guest bytes -> decode, build (front end) -> optimise -> allocate, emit (back end)
 *
 * Each arrow can be seen with -d in_asm,ir,ir_opt,out_asm. */
#include "dbt/translate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "dbt/opt/opt.h"

struct translator {
    const struct guest_ops *guest;
    struct translate_options options;
    struct x64_emitter *emitter;
    const struct ir_helper *helpers;
    unsigned n_helpers;
    uint64_t n_blocks; /* numbers the dumps */
    struct ir_block ir;
};

struct translator *translator_create(const struct guest_ops *guest,
                                     const struct x64_mmu_layout *layout,
                                     const struct translate_options *options)
{
    struct translator *t = calloc(1, sizeof *t);

    CHECK(t && "memory for the translator");
    t->guest = guest;
    t->options = *options;
    t->helpers = guest->helpers(&t->n_helpers);
    if (options->host_code) {
        t->emitter = x64_emitter_create(layout, x64_n_xmm(options->stress_regs));
        x64_emitter_stress(t->emitter, options->stress_regs);
    }
    return t;
}

void translator_destroy(struct translator *t)
{
    if (t->emitter)
        x64_emitter_destroy(t->emitter);
    free(t);
}

static FILE *dump_file(void)
{
    return log_state.out ? log_state.out : stderr;
}

static bool dumps(uint32_t cat, const struct translate_job *job)
{
    return log_on(cat) && log_in_filter(job->gva);
}

static void dump_guest(const struct translator *t, const struct translate_job *job)
{
    uint32_t page_off = t->ir.start;

    for (unsigned i = 0; i < t->ir.n; i++) {
        const struct ir_insn *in = &t->ir.insn[i];
        uint16_t lo = 0, hi = 0;
        uint64_t cause, tval;
        char text[96];

        if (in->op != IR_insn)
            continue;
        uint32_t off = (uint32_t)in->imm;
        uint64_t gva = job->gva - page_off + off;

        if (!job->fetch->parcel(job->fetch->arg, off, &lo, &cause, &tval))
            continue;
        if (in->aux == 4)
            (void)job->fetch->parcel(job->fetch->arg, off + 2, &hi, &cause, &tval);
        t->guest->disasm(lo | (uint32_t)hi << 16, gva, text, sizeof text);
        if (in->aux == 4)
            fprintf(dump_file(), "  %016" PRIx64 "  %04x%04x  %s\n", gva, hi, lo, text);
        else
            fprintf(dump_file(), "  %016" PRIx64 "  %04x      %s\n", gva, lo, text);
    }
}

static void dump_ir(const struct translator *t, const struct translate_job *job, uint32_t cat,
                    const char *title)
{
    if (!dumps(cat, job))
        return;
    fprintf(dump_file(), "-- %s\n", title);
    ir_print(&t->ir, dump_file());
}

static void check_ir(const struct translator *t, const char *when)
{
#ifdef DBT_DEBUG
    struct err e;

    if (!ir_verify(&t->ir, &e)) {
        fprintf(stderr, "IR %s: %s\n", when, e.text);
        ir_print(&t->ir, stderr);
        CHECK(!"the IR verifies");
    }
#else
    (void)t;
    (void)when;
#endif
}

const struct ir_block *translate_build(struct translator *t, const struct translate_job *job,
                                       unsigned max_insns)
{
    const struct ir_advice *advice = &t->options.advice;
    struct ir_block *b = &t->ir;

    b->virtual_time = t->options.virtual_time;
    b->strict_lrsc = t->options.strict_lrsc;
    b->one_hart = t->options.one_hart;
    b->upper_half = job->gva >> 63;
    b->window = job->window;
    b->share_lookups = false;
    b->cells = false;
    b->advice = advice;
    b->cold = advice->is_hot && !advice->is_hot(advice->arg, job->gpa, job->mode);
    b->joins = !b->virtual_time && ir_uses_window(b);
    b->helpers = t->helpers;
    b->n_helpers = t->n_helpers;
    if (max_insns > t->options.max_insns)
        max_insns = t->options.max_insns;
    t->guest->build(b, job->s, job->gpa, job->mode, job->fetch, max_insns);
    b->counted = advice->is_counted && advice->is_counted(advice->arg, b->gpa, b->len_bytes);
    check_ir(t, "as built");
    if (dumps(LOG_in_asm | LOG_ir | LOG_ir_opt | LOG_out_asm, job))
        fprintf(dump_file(), "block %" PRIu64 " at %016" PRIx64 " (physical %" PRIx64 ") mode %x\n",
                t->n_blocks++, job->gva, job->gpa, job->mode);
    if (dumps(LOG_in_asm, job))
        dump_guest(t, job);
    dump_ir(t, job, LOG_ir, "ir");
    return b;
}

const struct ir_block *translate_ir(struct translator *t, const struct translate_job *job,
                                    unsigned max_insns)
{
    struct ir_block *b = &t->ir;

    (void)translate_build(t, job, max_insns);
    opt_run(b, t->options.passes, NULL, NULL);
    check_ir(t, "optimised");
    dump_ir(t, job, LOG_ir_opt, "ir_opt");
    return b;
}

const struct x64_unit *translate_host(struct translator *t, const struct translate_job *job,
                                      const struct x64_room *room)
{
    const struct x64_unit *unit = x64_emit(t->emitter, &t->ir, room);

    if (unit && dumps(LOG_out_asm, job)) {
        fprintf(dump_file(), "-- out_asm, %u bytes\n", unit->size_bytes);
        x64_disasm(dump_file(), room->hot, 0, unit->size_bytes, unit);
        fprintf(dump_file(), "-- apart, %u bytes\n", unit->cold_bytes);
        x64_disasm(dump_file(), room->hot, unit->cold_at, unit->cold_bytes, NULL);
    }
    return unit;
}
