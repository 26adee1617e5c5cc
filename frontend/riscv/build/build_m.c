/* M: nothing but what several families share. */
#include "frontend/riscv/build/rv_build.h"

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_m.def"
