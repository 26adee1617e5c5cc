/* A block's code in one piece, what seldom runs behind the rest. */
#pragma once

#include "backend-x86_64/x64.h"

static inline const struct x64_unit *emit_in_one(struct x64_emitter *x, const struct ir_block *b,
                                                 uint8_t *rw, size_t cap_bytes)
{
    return x64_emit(x, b, &(struct x64_room){.hot = rw, .hot_bytes = cap_bytes});
}
