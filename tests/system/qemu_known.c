#include "tests/system/qemu_known.h"

#include "tests/system/layout.h"
#include "tests/system/telling.h"

/* Where two tellings part. */
struct difference {
    const char *ours, *theirs;
    size_t at; /* the first token that is not the same */
    size_t
        trap; /* the beginning of the trap that it is in, if in its cause, epc or tval; else at */
};

/* Of a trap: T or S, and in a row epc, tval, status. */
static uint64_t cause_at(const char *text, size_t at)
{
    return is_trap(text[at]) ? token(text, at, text[at]) : UINT64_MAX;
}

static uint64_t tval_at(const char *text, size_t at)
{
    return token(text, at + 2 * TOKEN, 'v');
}

static uint64_t status_at(const char *text, size_t at)
{
    return token(text, at + 3 * TOKEN, 's');
}

/* ---- The board
 * ----------------------------------------------------------------------------------- */

/* PCIe, flash, virtio and fw_cfg are below RAM; more of PCIe is above. */
static bool is_board_fault(const char *text, size_t at)
{
    uint64_t cause = cause_at(text, at), tval = tval_at(text, at);

    return (cause == 1 || cause == 5 || cause == 7) && (tval < SYS_RAM || tval >> 34 == 1);
}

static bool ever_met_board(const char *text)
{
    for (size_t at = 0, len = strlen(text); at + 3 * TOKEN <= len; at += TOKEN)
        if (is_trap(text[at]) && is_board_fault(text, at))
            return true;
    return false;
}

/* Two names for the fault of one access are no matter of the board, which has something there or
 * has not. */
static bool is_one_fault(const struct difference *d)
{
    return is_trap(d->ours[d->trap]) && is_trap(d->theirs[d->trap]) &&
           token(d->ours, d->trap + TOKEN, 'e') == token(d->theirs, d->trap + TOKEN, 'e') &&
           tval_at(d->ours, d->trap) == tval_at(d->theirs, d->trap);
}

/* It stops QEMU for good now and then: then there is no telling of its. */
static bool meets_board(const struct difference *d)
{
    if (!d->theirs[0])
        return ever_met_board(d->ours);
    return !is_one_fault(d) &&
           (is_board_fault(d->ours, d->trap) || is_board_fault(d->theirs, d->trap));
}

/* ---- Fields of mstatus
 * ----------------------------------------------------------------------------- */

#define FIELDS      (UINT64_C(0xcf) << 32 | 0x600) /* GVA, MPV, SXL, UXL; VS */
#define OURS_FIELDS (UINT64_C(0xa) << 32)          /* SXL and UXL are 64 bits */

/* A register or CSR that holds what was read of mstatus or sstatus. */
static bool differs_in_fields(const struct difference *d)
{
    uint64_t ours = token_value(d->ours, d->at), theirs = token_value(d->theirs, d->at);
    uint64_t uxl = UINT64_C(2) << 32;

    if (!d->theirs[0] || d->ours[d->at] != d->theirs[d->at] || is_trap(d->ours[d->at]))
        return false;
    return ours != theirs && ((ours ^ theirs) & ~FIELDS) == 0 &&
           ((ours & FIELDS) == OURS_FIELDS || (ours & FIELDS) == uxl);
}

static bool is_narrow(const struct difference *d)
{
    const char *text = d->theirs;
    size_t len = strlen(text);

    for (size_t at = 0; at + 4 * TOKEN <= len && at <= d->at; at += TOKEN)
        if (text[at] == 'T' && (status_at(text, at) >> 32 & 3) != 2)
            return true;
    return false;
}

/* ---- Memory
 * ---------------------------------------------------------------------------------------- */

enum { V = 1, W = 4, U = 16 };

/* The leaf entry that our page fault is about; 0: there is none. */
static uint64_t leaf_of(const struct difference *d)
{
    uint64_t leaf = token(d->ours, d->trap + 4 * TOKEN, 'W');

    return leaf == UINT64_MAX ? 0 : leaf;
}

/* The entry says by itself that ours has to be a page fault: V, and no W. */
static bool reads_first(const struct difference *d)
{
    enum { STORE_ACCESS = 7, STORE_PAGE = 15 };

    return cause_at(d->ours, d->trap) == STORE_PAGE &&
           cause_at(d->theirs, d->trap) == STORE_ACCESS && (leaf_of(d) & (V | W)) == V;
}

/* As here: V and U, and it was S, with SUM, that came. */
static bool fetches_user_page(const struct difference *d)
{
    enum { FETCH_PAGE = 12, SUM = 0x40000, S = 1 };
    uint64_t status = status_at(d->ours, d->trap);
    uint64_t from = d->ours[d->trap] == 'T' ? status >> 11 & 3 : status >> 8 & 1;

    return cause_at(d->ours, d->trap) == FETCH_PAGE && from == S && (status & SUM) &&
           (leaf_of(d) & (V | U)) == (V | U);
}

static bool writes_bare(const struct difference *d)
{
    uint64_t theirs = token(d->theirs, d->at, '=');
    enum { SATP = SYS_FIRST_CSR + 4 }; /* in csr.def */

    return d->at >= TOKEN && token(d->ours, d->at - TOKEN, 'C') == SATP &&
           token(d->ours, d->at, '=') == 0 && theirs != UINT64_MAX && theirs >> 60 == 0;
}

/* ---- The table
 * --------------------------------------------------------------------------------------- */

static struct difference difference(const char *ours, const char *theirs)
{
    struct difference d = {.ours = ours, .theirs = theirs, .at = same_tokens(ours, theirs)};

    d.trap = d.at;
    for (unsigned n = 0; n < 2 && d.trap >= TOKEN && !is_trap(ours[d.trap]); n++)
        d.trap -= TOKEN;
    if (!is_trap(ours[d.trap]) || is_trap(theirs[d.at]))
        d.trap = d.at;
    return d;
}

enum sys_qemu sys_qemu_known(const char *ours, const char *theirs)
{
    const struct difference at = difference(ours, theirs), *d = &at;

#define LEFT_OUT(name, clause, what)
#define ALIKE(name, clause, what)
#define KNOWN(name, clause, what, when)                                                            \
    if (when)                                                                                      \
        return SYS_QEMU_##name;
#include "tests/system/qemu_known.def"
#undef LEFT_OUT
#undef ALIKE
#undef KNOWN
    return SYS_QEMU_UNKNOWN;
}

const struct sys_qemu_row sys_qemu_rows[SYS_QEMU_N] = {
    {"unknown", "", "", 0},
#define LEFT_OUT(name, clause, what)    {#name, clause, what, 'L'},
#define ALIKE(name, clause, what)       {#name, clause, what, 'A'},
#define KNOWN(name, clause, what, when) {#name, clause, what, 'K'},
#include "tests/system/qemu_known.def"
#undef LEFT_OUT
#undef ALIKE
#undef KNOWN
};
