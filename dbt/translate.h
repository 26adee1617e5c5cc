/* The pipeline: guest bytes in, host code out. It owns no cache and takes no lock,
 * so that tests call it directly and threads translate side by side. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "backend-x86_64/x64.h"
#include "dbt/ir/guest.h"

/* Which parts of the pipeline run, and how. */
struct translate_options {
    uint32_t passes; /* opt.h: bit i runs pass i */
    bool virtual_time;
    bool strict_lrsc; /* see struct ir_block */
    bool one_hart;    /* see struct ir_block */
    struct ir_advice advice;
    bool host_code;       /* false: stop after the optimiser (--engine=interp) */
    uint64_t stress_regs; /* seed of random register assignment, 0: off */
    unsigned max_insns;   /* guest instructions a block, at most IR_MAX_GUEST */
};

struct translator;

/* guest, layout are copied or borrowed for the translator's life. One thread uses it. */
struct translator *translator_create(const struct guest_ops *guest,
                                     const struct x64_mmu_layout *layout,
                                     const struct translate_options *options);
void translator_destroy(struct translator *t);

struct translate_job {
    const struct cpu_state *s; /* for the model; not changed */
    uint64_t gpa, gva;         /* of the first instruction; gva for dumps only */
    uint32_t mode;
    enum ir_window window; /* under IR_MODE_WINDOW: which there is */
    const struct guest_fetch *fetch;
};

/* Front end only: for a block that is evaluated once and kept by nobody. The IR is the
 * translator's, until its next call. */
const struct ir_block *translate_build(struct translator *t, const struct translate_job *job,
                                       unsigned max_insns);

/* Front end and optimiser; the IR as above. */
const struct ir_block *translate_ir(struct translator *t, const struct translate_job *job,
                                    unsigned max_insns);

/* Back end, for the block that translate_ir() just gave: host code into the room. NULL
 * when that is too little. */
const struct x64_unit *translate_host(struct translator *t, const struct translate_job *job,
                                      const struct x64_room *room);
