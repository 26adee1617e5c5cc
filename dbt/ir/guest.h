/* What a guest architecture hands to the run loop, which knows none. */
#pragma once

#include "dbt/ir/ir.h"

struct guest_fetch {
    /* The 2-byte parcel at `offset` from the start of the block's page (>= 4096:
     * in the next page). False when it cannot be read: cause and tval of the
     * trap that the instruction which needs it becomes are set. */
    bool (*parcel)(void *arg, uint32_t offset, uint16_t *out, uint64_t *cause, uint64_t *tval);
    void *arg;
    /* The block ends before the first instruction, its own first one apart, that begins at or
     * behind this offset from the page's start. */
    uint32_t end;
};

struct guest_ops {
    const char *name;
    size_t state_size; /* of the guest's struct, whose first member is struct cpu_state */

    /* Any thread, pure: decodes at most max_insns instructions from gpa on into
     * IR. `s` gives the model only. Never extends into a further page save by its
     * last instruction. b->virtual_time and
     * b->strict_lrsc are set by the caller before. */
    void (*build)(struct ir_block *b, const struct cpu_state *s, uint64_t gpa, uint32_t mode,
                  const struct guest_fetch *fetch, unsigned max_insns);
    /* Disassembles; gives the length in bytes. */
    unsigned (*disasm)(uint32_t word, uint64_t pc, char *text, size_t len);
    const struct ir_helper *(*helpers)(unsigned *n);

    /* The hart's thread, between blocks. */
    uint32_t (*mode_key)(const struct cpu_state *s);
    void (*sync)(struct cpu_state *s); /* recompute MMU space, mode, pending from the registers */
    void (*trap)(struct cpu_state *s, uint64_t cause, uint64_t tval); /* deliver; sets s->pc */
    bool (*interrupt)(struct cpu_state *s); /* deliver one if allowed; else clear PENDING_IRQ */
    bool (*wakes)(const struct cpu_state *s);
    void (*print_state)(const struct cpu_state *s, FILE *out);
    const char *(*cause_name)(uint64_t cause);
};
