/* What QEMU 7.2 does otherwise: rows of qemu_known.def. */
#pragma once

enum sys_qemu {
    SYS_QEMU_UNKNOWN,
#define LEFT_OUT(name, clause, what)    SYS_QEMU_##name,
#define ALIKE(name, clause, what)       SYS_QEMU_##name,
#define KNOWN(name, clause, what, when) SYS_QEMU_##name,
#include "tests/system/qemu_known.def"
#undef LEFT_OUT
#undef ALIKE
#undef KNOWN
    SYS_QEMU_N
};

struct sys_qemu_row {
    const char *name, *clause, *what;
    char kind; /* L: left out, A: told alike, K: known when met */
};

extern const struct sys_qemu_row sys_qemu_rows[SYS_QEMU_N];

/* Does a KNOWN row explain where these tellings of a program, by our engine and by QEMU, part? */
enum sys_qemu sys_qemu_known(const char *ours, const char *theirs);
