/* Blocks from IR text to host code, and that as text again. Included behind cmocka, by tests with
 * x64_text_begin and _end about each. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "backend-x86_64/x64.h"
#include "dbt/ir/ir.h"
#include "runtime/mmu_layout.h"
#include "softmmu/mmu.h"
#include "tests/lib/x64_one.h"

enum { CAP = 16384 };

static const struct x64_mmu_layout layout = {
    MMU_LAYOUT,
};

static struct x64_emitter *emitter;
static struct ir_block block;
static uint8_t code[CAP];
static char *text; /* what was disassembled last */

static inline int x64_text_begin(void **state)
{
    (void)state;
    emitter = x64_emitter_create(&layout, 16);
    return 0;
}

static inline int x64_text_end(void **state)
{
    (void)state;
    x64_emitter_destroy(emitter);
    free(text);
    text = NULL;
    return 0;
}

/* Leaves it in `block`, for the test to set what is no text. */
static inline void parse(const char *ir)
{
    struct err e;

    if (!ir_parse(&block, ir, &e))
        fail_msg("%s", e.text);
}

static inline const struct x64_unit *emit_block(void)
{
    struct err e;

    if (!ir_verify(&block, &e))
        fail_msg("%s", e.text);
    const struct x64_unit *u = emit_in_one(emitter, &block, code, CAP);

    assert_non_null(u);
    return u;
}

/* Leaves the host code from offset `from` on in `text`. */
static inline void disassemble(const struct x64_unit *u, uint32_t from)
{
    size_t len;

    free(text);
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    x64_disasm(f, code + from, 0, u->size_bytes - from, NULL);
    fclose(f);
}
