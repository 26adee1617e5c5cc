/* frontend/riscv/rv_block: where blocks end, and what they say on their way out. What
 * instructions compute is tested by running them, elsewhere. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/build/rv_build.h"
#include "frontend/riscv/rv_decode.h"
#include "frontend/riscv/rv_helper.h"

enum {
    FS_DIRTY = 3 << RV_MODE_FS_SHIFT,
    FS_CLEAN = 1 << RV_MODE_FS_SHIFT,
    NORMAL = RV_S | FS_DIRTY | RV_MODE_TIME_OK,
    MISSING_CAUSE = 12,
};

/* Two pages of code and a block made of it. */
struct fixture {
    uint16_t code[PAGE_SIZE]; /* parcels */
    uint32_t missing;         /* offset from which nothing can be fetched */
    uint32_t end;             /* where the block is to end; 0: the page does it */
    struct rv_cpu_model model;
    struct ir_block block;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    f.missing = 2 * PAGE_SIZE;
    f.model.ext = (UINT64_C(1) << RV_EXT_COUNT) - 1;
    *state = &f;
    return 0;
}

static bool parcel(void *arg, uint32_t offset, uint16_t *out, uint64_t *cause, uint64_t *tval)
{
    struct fixture *f = arg;

    assert_int_equal(offset % 2, 0);
    if (offset >= f->missing) {
        *cause = MISSING_CAUSE;
        *tval = offset;
        return false;
    }
    *out = f->code[offset / 2];
    return true;
}

static void put(struct fixture *f, uint32_t offset, uint32_t word)
{
    f->code[offset / 2] = (uint16_t)word;
    if (rv_len_bytes((uint16_t)word) == 4)
        f->code[offset / 2 + 1] = (uint16_t)(word >> 16);
}

static void remove_ext(struct fixture *f, enum rv_ext ext)
{
    f->model.ext &= ~(UINT64_C(1) << ext);
}

/* ---- What a block does about control, as one line of text ----------------------------- */

struct line {
    char text[2000];
    size_t used;
};

static void add(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    l->used += (size_t)vsnprintf(l->text + l->used, sizeof(l->text) - l->used, format, args);
    va_end(args);
    assert_true(l->used < sizeof(l->text));
}

/* A value: #constant, pc+offset, or ? for what is known when it runs. */
static void add_value(struct line *l, const struct ir_block *b, ir_ref r)
{
    const struct ir_insn *i = &b->insn[r.n];

    if (i->op == IR_const)
        add(l, "#%" PRIx64, i->imm);
    else if (i->op == IR_pc)
        add(l, "pc+%" PRIx64, i->imm);
    else
        add(l, "?");
}

static void add_insn(struct line *l, const struct ir_block *b, const struct ir_insn *i)
{
    switch (i->op) {
    case IR_insn: add(l, "%s%" PRIx64 ":", l->used ? " " : "", i->imm); break;
    case IR_call: add(l, " call %s", b->helpers[ir_call_id(i->imm)].name); break;
    case IR_count: add(l, " count %" PRIu64, i->imm); break;
    case IR_exit_pending: add(l, " pending %" PRIx64, i->imm); break;
    case IR_exit_if: add(l, " if %" PRIx64, i->imm); break;
    case IR_exit_goto: add(l, " goto %" PRIx64, i->imm); break;
    case IR_exit_jump:
        add(l, " jump ");
        add_value(l, b, i->a);
        break;
    case IR_exit_trap:
        add(l, " trap %" PRIu64 " ", i->imm);
        add_value(l, b, i->a);
        break;
    case IR_ld:
    case IR_ldf:
    case IR_st:
    case IR_stf:
        if (b->virtual_time) /* what is counted before it may raise */
            add(l, " %s", ir_ops[i->op].name);
        break;
    case IR_time:
    case IR_irq:
    case IR_ldst:
    case IR_stst:
    case IR_getfflags:
    case IR_setfflags: add(l, " %s", ir_ops[i->op].name); break;
    case IR_fence: add(l, i->aux ? " fence" : " lesser-fence"); break;
    default: break;
    }
}

static void build(struct fixture *f, uint32_t start, uint32_t mode, unsigned max_insns)
{
    const struct guest_fetch fetch = {parcel, f, f->end ? f->end : PAGE_SIZE};
    struct err e;

    rv_build_block(&f->block, &f->model, 0x80000000 + start, mode, &fetch, max_insns);
    if (!ir_verify(&f->block, &e)) {
        ir_print(&f->block, stderr);
        fail_msg("%s", e.text);
    }
    assert_int_equal(f->block.start, start);
    assert_int_equal(f->block.mode, mode);
}

static void expect(struct fixture *f, uint32_t start, uint32_t mode, const char *want)
{
    struct line l = {.used = 0};

    build(f, start, mode, IR_MAX_GUEST);
    for (uint32_t n = 0; n < f->block.n; n++)
        add_insn(&l, &f->block, &f->block.insn[n]);
    if (strcmp(l.text, want) != 0) {
        ir_print(&f->block, stderr);
        fail_msg("\n  is        %s\n  should be %s", l.text, want);
    }
}

/* One instruction alone, then an ecall. */
static void expect_one(struct fixture *f, uint32_t word, uint32_t mode, const char *want)
{
    put(f, 0, word);
    put(f, rv_len_bytes((uint16_t)word), 0x73);
    expect(f, 0, mode, want);
}

/* Words used below. */
enum {
    NOP = 0x13,
    C_NOP = 0x0001,
    ECALL = 0x73,
    EBREAK = 0x100073,
    JAL_16 = 0x010000ef,           /* jal ra, 16 */
    BEQ_32 = 0x02b50063,           /* beq a0, a1, 32 */
    BEQ_6 = 0x00b50363,            /* beq a0, a1, 6 */
    BACK_8 = (int32_t)0xfeb51ce3u, /* bne a0, a1, -8 */
    FADD_D = 0x02b57553,           /* fadd.d fa0, fa0, fa1, dyn */
    FADD_D_5 = 0x02b55553,         /* the same with rm 5 */
    FADD_D_RUP = 0x02b53553,
    FSD = 0x00a53427, /* fsd fa0, 8(a0) */
};

/* ---- Ends ------------------------------------------------------------------------------- */

static void jumps_end_blocks(void **state)
{
    struct fixture *f = *state;

    put(f, 0, NOP);
    put(f, 4, JAL_16);
    expect(f, 0, NORMAL, "0: 4: goto 14");
    assert_int_equal(f->block.len_bytes, 8);
    assert_int_equal(f->block.n_guest, 2);
    expect(f, 4, NORMAL, "4: goto 14");
    expect_one(f, 0x00050067, NORMAL, "0: jump ?");                /* jalr zero, 0(a0) */
    expect_one(f, 0x8082, NORMAL, "0: jump ?");                    /* c.jr ra */
    expect_one(f, 0xa001, NORMAL, "0: goto 0");                    /* c.j 0 */
    expect_one(f, 0xffdff06f, NORMAL, "0: goto fffffffffffffffc"); /* jal zero, -4 */
}

/* jal zero, distance */
static uint32_t jump(int32_t distance)
{
    uint32_t d = (uint32_t)distance;

    return (d >> 20 & 1) << 31 | (d >> 1 & 0x3ff) << 21 | (d >> 11 & 1) << 20 |
           (d >> 12 & 0xff) << 12 | 0x6f;
}

static void short_jumps_forward_are_followed(void **state)
{
    struct fixture *f = *state;

    put(f, 4, jump(12));
    put(f, 16, ECALL);
    expect(f, 4, NORMAL, "4: 10: trap 9 #0");
    assert_int_equal(f->block.len_bytes, 16); /* what is skipped included */
    assert_int_equal(f->block.n_guest, 2);
    put(f, 16, jump(4)); /* to the next instruction */
    put(f, 20, ECALL);
    f->block.virtual_time = true;
    expect(f, 4, NORMAL, "4: 10: 14: count 2 trap 9 #0");
    f->block.virtual_time = false;
    put(f, 0, jump(4 + RV_MAX_SKIP));
    put(f, 4 + RV_MAX_SKIP, ECALL);
    expect(f, 0, NORMAL, "0: 204: trap 9 #0");
    put(f, 0, jump(8 + RV_MAX_SKIP));
    expect(f, 0, NORMAL, "0: goto 208");
    put(f, 0, jump(-8));
    expect(f, 0, NORMAL, "0: goto fffffffffffffff8");
    put(f, 0xff8, jump(4));
    put(f, 0xffc, jump(4)); /* out of the page */
    expect(f, 0xff8, NORMAL, "ff8: ffc: goto 1000");
    put(f, 0, jump(8));
    build(f, 0, NORMAL, 1); /* full before the target is reached */
    assert_int_equal(f->block.len_bytes, 4);
    assert_int_equal(f->block.insn[f->block.n - 1].imm, 8);
}

/* A far call is direct when its auipc is the instruction before. */
static void auipc_makes_jalr_direct(void **state)
{
    struct fixture *f = *state;

    put(f, 0x10, 0x00001517); /* auipc a0, 1 */
    put(f, 0x14, 0x009500e7); /* jalr ra, 9(a0) */
    expect(f, 0x10, NORMAL, "10: 14: goto 1018");
    put(f, 0x14, C_NOP);
    put(f, 0x16, 0x009500e7);
    expect(f, 0x10, NORMAL, "10: 14: 16: jump ?");
    put(f, 0x14, 0x009580e7); /* jalr ra, 9(a1) */
    expect(f, 0x10, NORMAL, "10: 14: jump ?");
    put(f, 0xff0, 0x7ffff517); /* auipc a0, 0x7ffff: too far for an offset */
    put(f, 0xff4, 0x7ff500e7);
    expect(f, 0xff0, NORMAL, "ff0: ff4: jump ?");
}

static void branches_are_side_exits_up_to_a_limit(void **state)
{
    struct fixture *f = *state;

    put(f, 0, NOP);
    put(f, 4, BEQ_32);
    put(f, 8, (uint32_t)BACK_8);
    put(f, 12, ECALL);
    expect(f, 0, NORMAL, "0: 4: if 24 8: if 0 c: trap 9 #0");
    put(f, 12, BEQ_32);
    put(f, 16, BEQ_32);
    put(f, 20, ECALL);
    expect(f, 0, NORMAL, "0: 4: if 24 8: if 0 c: if 2c 10: if 30 goto 14");
}

static void limits_end_blocks(void **state)
{
    struct fixture *f = *state;

    for (uint32_t offset = 0; offset < 0x200; offset += 4)
        put(f, offset, NOP);
    build(f, 0, NORMAL, 3);
    assert_int_equal(f->block.n_guest, 3);
    assert_int_equal(f->block.len_bytes, 12);
    assert_int_equal(f->block.insn[f->block.n - 1].op, IR_exit_goto);
    assert_int_equal(f->block.insn[f->block.n - 1].imm, 12);
    build(f, 0, NORMAL, IR_MAX_GUEST);
    assert_int_equal(f->block.n_guest, IR_MAX_GUEST);
}

static void pages_end_blocks(void **state)
{
    struct fixture *f = *state;

    put(f, 0xffc, C_NOP);
    put(f, 0xffe, C_NOP);
    put(f, 0x1000, ECALL);
    f->missing = PAGE_SIZE; /* nothing behind the page is even looked at */
    expect(f, 0xffc, NORMAL, "ffc: ffe: goto 1000");
    assert_int_equal(f->block.len_bytes, 4);
}

/* It depends on two mappings: links to it are guarded. */
static void a_straddling_instruction_is_alone(void **state)
{
    struct fixture *f = *state;

    put(f, 0xffc, C_NOP);
    put(f, 0xffe, NOP);
    put(f, 0x1002, NOP);
    expect(f, 0xffc, NORMAL, "ffc: goto ffe");
    assert_int_equal(f->block.straddle_bytes, 2);
    assert_int_equal(f->block.len_bytes, 2);
    expect(f, 0xffe, NORMAL, "ffe: goto 1002");
    assert_int_equal(f->block.len_bytes, 4);
    put(f, 0xffe, JAL_16);
    expect(f, 0xffe, NORMAL, "ffe: goto 100e");
}

/* ---- Traps ------------------------------------------------------------------------------- */

static void a_fault_is_taken_when_it_is_reached(void **state)
{
    struct fixture *f = *state;

    put(f, 0xffc, C_NOP);
    put(f, 0xffe, NOP);
    f->missing = PAGE_SIZE;
    expect(f, 0xffc, NORMAL, "ffc: goto ffe");
    assert_int_equal(f->block.len_bytes, 2);
    expect(f, 0xffe, NORMAL, "ffe: trap 12 pc+1000");
    assert_int_equal(f->block.len_bytes, 4); /* it depends on the page behind */
    f->missing = 0xffc;
    expect(f, 0xffc, NORMAL, "ffc: trap 12 pc+ffc");
}

static void illegal_words_are_the_tval(void **state)
{
    struct fixture *f = *state;

    put(f, 0, NOP);
    put(f, 4, 0xffffffff);
    expect(f, 0, NORMAL, "0: 4: trap 2 #ffffffff");
    put(f, 4, 0x0000);
    put(f, 6, 0x1234); /* of no interest: the illegal one is short */
    expect(f, 0, NORMAL, "0: 4: trap 2 #0");
    put(f, 4, 0x8002);
    expect(f, 0, NORMAL, "0: 4: trap 2 #8002");
}

static void calls_and_breakpoints(void **state)
{
    struct fixture *f = *state;

    put(f, 8, ECALL);
    expect(f, 8, RV_U, "8: call ecall jump ?");
    expect(f, 8, RV_S, "8: trap 9 #0");
    expect(f, 8, RV_M, "8: trap 11 #0");
    put(f, 8, EBREAK);
    expect(f, 8, RV_U, "8: trap 3 pc+8");
    put(f, 8, 0x9002);
    expect(f, 8, RV_U, "8: trap 3 pc+8");
}

static void disabled_extensions_are_illegal(void **state)
{
    static const struct {
        enum rv_ext ext;
        uint32_t word;
    } cases[] = {
        {RV_EXT_m, 0x02b50533},
        {RV_EXT_a, 0x1005252f},
        {RV_EXT_f, 0x00052507},
        {RV_EXT_d, 0x00053507},
        {RV_EXT_d, 0x2002},
        {RV_EXT_c, 0x2002},
        {RV_EXT_c, 0x0505},
        {RV_EXT_zba, 0x20b52533},
        {RV_EXT_zbb, 0x60051513},
        {RV_EXT_zbs, 0x48b51533},
        {RV_EXT_zicond, 0x0eb55533},
        {RV_EXT_zicsr, 0x34051073},
        {RV_EXT_zicboz, 0x0045200f},
        {RV_EXT_zicbom, 0x0005200f},
        {RV_EXT_zawrs, 0x00d00073},
        {RV_EXT_svinval, 0x16b50073},
        {RV_EXT_zifencei, 0x0000100f},
    };
    struct fixture *f = *state;

    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        const uint64_t all = f->model.ext;
        char want[64];

        snprintf(want, sizeof(want), "0: trap 2 #%" PRIx32, cases[n].word);
        put(f, 0, cases[n].word);
        put(f, 4, ECALL);
        build(f, 0, NORMAL, 1);
        assert_int_not_equal(f->block.insn[f->block.n - 1].op, IR_exit_trap);
        remove_ext(f, cases[n].ext);
        expect(f, 0, NORMAL, want);
        f->model.ext = all;
    }
}

/* Without C a jump to an address that is no multiple of 4 traps, when it is made. */
static void misaligned_targets_without_c(void **state)
{
    struct fixture *f = *state;

    expect_one(f, BEQ_6, NORMAL, "0: if 6 4: trap 9 #0");
    expect_one(f, 0x00050067, NORMAL, "0: jump ?");
    remove_ext(f, RV_EXT_c);
    expect_one(f, BEQ_6, NORMAL, "0: call jump_check 4: trap 9 #0");
    expect_one(f, 0x006000ef, NORMAL, "0: trap 0 pc+6"); /* jal ra, 6 */
    expect_one(f, 0x00050067, NORMAL, "0: call jump_check jump ?");
}

/* ---- Floating point and the mode key ------------------------------------------------------ */

static void floating_point_follows_fs(void **state)
{
    struct fixture *f = *state;

    put(f, 0, NOP);
    put(f, 4, FSD);
    put(f, 8, FADD_D);
    put(f, 12, ECALL);
    expect(f, 0, RV_S, "0: 4: trap 2 #a53427");
    expect(f, 0, RV_S | FS_CLEAN, "0: 4: 8: call fs_dirty jump pc+8");
    expect(f, 0, RV_S | FS_DIRTY, "0: 4: 8: c: trap 9 #0");
    put(f, 4, 0x2002); /* c.fldsp */
    expect(f, 4, RV_S, "4: trap 2 #2002");
}

static bool has_op(const struct ir_block *b, bool (*is)(const struct ir_insn *i))
{
    for (uint32_t n = 0; n < b->n; n++)
        if (is(&b->insn[n]))
            return true;
    return false;
}

static bool reads_fp(const struct ir_insn *i)
{
    return i->op == IR_getf;
}

static bool changes_fp(const struct ir_insn *i)
{
    return i->op == IR_setf || ((ir_ops[i->op].flags & FPFLAGS) && i->op != IR_fclass) ||
           (i->op == IR_call && ir_call_id(i->imm) == IR_HELP_fp);
}

static bool is_dirtied(const struct ir_insn *i)
{
    return i->op == IR_call && ir_call_id(i->imm) == RV_HELP_fs_dirty;
}

/* The kinds of the tables against what the builders do: what touches floating-point state needs
 * FS, and what may change it makes it dirty first. */
static void kinds_say_what_builders_do(void **state)
{
    struct fixture *f = *state;

    for (enum rv_op row = 1; row < RV_OP_COUNT; row++) {
        struct rv_insn i;
        bool changes, reads;

        put(f, 0, rv_row_match(row));
        rv_decode(rv_row_match(row), &i);
        if (i.op == RV_OP_reserved)
            continue;
        build(f, 0, NORMAL, 1);
        changes = has_op(&f->block, changes_fp);
        reads = has_op(&f->block, reads_fp);
        build(f, 0, RV_S | FS_CLEAN, 1);
        if (has_op(&f->block, is_dirtied) != changes)
            fail_msg("%s %s floating-point state", rv_rows[row].name,
                     changes ? "changes" : "does not change");
        build(f, 0, RV_S, 1);
        if ((f->block.insn[f->block.n - 1].op == IR_exit_trap &&
             f->block.insn[f->block.n - 1].imm == 2) != (changes || reads))
            fail_msg("%s %s floating-point state", rv_rows[row].name,
                     changes || reads ? "touches" : "does not touch");
    }
}

static void rounding_modes(void **state)
{
    struct fixture *f = *state;

    expect_one(f, FADD_D_5, NORMAL, "0: trap 2 #2b55553");
    expect_one(f, FADD_D, NORMAL | RV_MODE_FRM_INVALID, "0: trap 2 #2b57553");
    expect_one(f, FADD_D_RUP, NORMAL | RV_MODE_FRM_INVALID, "0: 4: trap 9 #0");
    expect_one(f, FADD_D, NORMAL | RV_MODE_FRM_RMM, "0: call fp 4: trap 9 #0");
    expect_one(f, FADD_D_RUP, NORMAL | RV_MODE_FRM_RMM, "0: 4: trap 9 #0");
    /* flt.d has no rounding mode where fadd.d has one. */
    expect_one(f, 0xa2b51553, NORMAL | RV_MODE_FRM_INVALID | RV_MODE_FRM_RMM, "0: 4: trap 9 #0");
}

/* ---- The system --------------------------------------------------------------------------- */

static void csr_accesses(void **state)
{
    struct fixture *f = *state;

    expect_one(f, 0x10402573, RV_S, "0: call csr 4: trap 9 #0");  /* csrrs a0, sie, zero */
    expect_one(f, 0x10416073, RV_S, "0: call csr jump pc+4");     /* csrrsi zero, sie, 2 */
    expect_one(f, 0x14051573, RV_S, "0: ldst stst 4: trap 9 #0"); /* csrrw a0, sscratch, a0 */
    expect_one(f, 0x14102573, RV_S, "0: ldst 4: trap 9 #0");      /* csrrs a0, sepc, zero */
    expect_one(f, 0x14051573, RV_U, "0: call csr jump pc+4");     /* its own trap */
    expect_one(f, 0x34051573, RV_S, "0: call csr jump pc+4");     /* mscratch */
    expect_one(f, 0x34051573, RV_M, "0: ldst stst 4: trap 11 #0");
    expect_one(f, 0xc0102573, RV_U, "0: call csr 4: call ecall jump ?"); /* csrrs a0, time, zero */
    expect_one(f, 0xc0102573, RV_U | RV_MODE_TIME_OK, "0: time 4: call ecall jump ?");
    expect_one(f, 0xc0151573, RV_M | RV_MODE_TIME_OK, "0: call csr jump pc+4"); /* a write */
    /* csrrs a0, fflags, zero; csrrw a0, fflags, a0: in C where state becomes dirty, or is off. */
    expect_one(f, 0x00102573, RV_S | FS_CLEAN, "0: getfflags 4: trap 9 #0");
    expect_one(f, 0x00102573, RV_S, "0: call csr 4: trap 9 #0");
    expect_one(f, 0x00151573, RV_S | FS_DIRTY, "0: getfflags setfflags 4: trap 9 #0");
    expect_one(f, 0x00151573, RV_S | FS_CLEAN, "0: call csr jump pc+4");
    expect_one(f, 0x00205073, RV_S | FS_DIRTY, "0: call csr jump pc+4"); /* frm */
}

static void sstatus_accesses(void **state)
{
    struct fixture *f = *state;

    expect_one(f, 0x10002573, RV_S, "0: ldst 4: trap 9 #0");      /* csrrs a0, sstatus, zero */
    expect_one(f, 0x10017573, RV_S, "0: ldst stst 4: trap 9 #0"); /* csrrci a0, sstatus, 2 */
    /* csrrsi a0, sstatus, 2: what became deliverable is taken behind it. */
    expect_one(f, 0x10016573, RV_S, "0: ldst stst ldst ldst ldst irq pending 4 4: trap 9 #0");
    expect_one(f, 0x1002e573, RV_S,
               "0: ldst 4: trap 9 #0"); /* csrrsi a0, sstatus, 5: no such bits */
    expect_one(f, 0x10052573, RV_S, "0: call csr jump pc+4"); /* csrrs a0, sstatus, a0 */
    expect_one(f, 0x10015573, RV_S, "0: call csr jump pc+4"); /* csrrwi a0, sstatus, 2: all of it */
    expect_one(f, 0x10002573, RV_U, "0: call csr 4: call ecall jump ?");
    expect_one(f, 0x30016573, RV_M, "0: call csr jump pc+4"); /* mstatus */
}

/* What an epc keeps of an address: all but one bit with C, all but two without. */
static void epc_is_an_address_of_code(void **state)
{
    struct fixture *f = *state;

    for (unsigned with_c = 0; with_c < 2; with_c++) {
        unsigned found = 0;

        if (!with_c)
            remove_ext(f, RV_EXT_c);
        put(f, 0, 0x34151073); /* csrrw zero, mepc, a0 */
        build(f, 0, RV_M, 1);
        for (uint32_t n = 0; n < f->block.n; n++)
            found += f->block.insn[n].op == IR_const &&
                     f->block.insn[n].imm == ~UINT64_C(0) - (with_c ? 1 : 3);
        assert_int_equal(found, 1);
        f->model.ext |= UINT64_C(1) << RV_EXT_c;
    }
}

static void system_instructions(void **state)
{
    struct fixture *f = *state;

    expect_one(f, 0x30200073, RV_M, "0: call mret jump ?");
    expect_one(f, 0x10200073, RV_S, "0: call sret jump ?");
    expect_one(f, 0x10500073, RV_S, "0: call wfi jump pc+4");
    expect_one(f, 0x12b50073, RV_S, "0: call sfence jump pc+4");
    expect_one(f, 0x16b50073, RV_S, "0: call sfence jump pc+4");
    expect_one(f, 0x18000073, RV_S, "0: call sinval_check 4: trap 9 #0");
    expect_one(f, 0x0000100f, RV_U, "0: call fence_i jump pc+4");
    expect_one(f, 0x0045200f, RV_U, "0: call cbo pending 4 4: call ecall jump ?");
    expect_one(f, 0x0045200f, RV_U | RV_MODE_ZERO_OK, "0: call cbo pending 4 4: call ecall jump ?");
    expect_one(f, 0x00d00073, RV_U, "0: call wrs 4: call ecall jump ?");
    expect_one(f, 0x0100000f, RV_U, "0: call pause 4: call ecall jump ?");
}

static void atomics_and_fences(void **state)
{
    struct fixture *f = *state;

    expect_one(f, 0x00b5252f, RV_U, "0: call amo pending 4 4: call ecall jump ?");
    expect_one(f, 0x18b5252f, RV_U, "0: call sc pending 4 4: call ecall jump ?");
    expect_one(f, 0x1405252f, RV_U, "0: call lr 4: call ecall jump ?");       /* lr.w.aq */
    expect_one(f, 0x1605252f, RV_U, "0: fence call lr 4: call ecall jump ?"); /* lr.w.aqrl */
    expect_one(f, 0x0ff0000f, RV_U, "0: fence 4: call ecall jump ?");         /* fence iorw, iorw */
    expect_one(f, 0x0230000f, RV_U, "0: lesser-fence 4: call ecall jump ?");  /* fence r, rw */
    expect_one(f, 0x0310000f, RV_U, "0: lesser-fence 4: call ecall jump ?");  /* fence rw, w */
    expect_one(f, 0x0120000f, RV_U, "0: fence 4: call ecall jump ?");         /* fence w, r */
    expect_one(f, 0x8330000f, RV_U, "0: lesser-fence 4: call ecall jump ?");  /* fence.tso */
}

/* Prefetches and other hints do nothing, and rd = x0 is no register. */
static void hints_do_nothing(void **state)
{
    static const uint32_t hints[] = {0x00056013, 0x00156013, 0x00001037, 0x6005, 0x0002, 0x8006};
    struct fixture *f = *state;

    for (unsigned n = 0; n < sizeof(hints) / sizeof(hints[0]); n++) {
        put(f, 0, hints[n]);
        put(f, rv_len_bytes((uint16_t)hints[n]), ECALL);
        build(f, 0, NORMAL, IR_MAX_GUEST);
        for (uint32_t k = 0; k < f->block.n; k++)
            assert_int_not_equal(f->block.insn[k].op, IR_set);
    }
}

/* A block ends before what begins at the asked-for end, save its first instruction. */
static void ends_where_it_is_asked_to(void **state)
{
    struct fixture *f = *state;

    for (uint32_t offset = 0; offset < 64; offset += 4)
        put(f, offset, NOP);
    f->end = 8;
    expect(f, 0, NORMAL, "0: 4: goto 8");
    f->end = 6; /* 4 begins before it */
    expect(f, 0, NORMAL, "0: 4: goto 8");
    expect(f, 8, NORMAL, "8: goto c");
}

/* ---- Virtual time ------------------------------------------------------------------------- */

static void every_instruction_is_counted_once(void **state)
{
    struct fixture *f = *state;

    f->block.virtual_time = true;
    for (uint32_t offset = 0; offset < 64; offset += 4)
        put(f, offset, NOP);
    put(f, 8, BEQ_32);
    put(f, 16, JAL_16);
    expect(f, 0, NORMAL, "0: 4: 8: count 3 if 28 c: 10: count 2 goto 20");
    put(f, 16, ECALL); /* does not retire */
    expect(f, 0, NORMAL, "0: 4: 8: count 3 if 28 c: 10: count 1 trap 9 #0");
}

static void count_at_other_ends(void **state)
{
    struct fixture *f = *state;

    f->block.virtual_time = true;
    expect_one(f, 0xc0102573, NORMAL, "0: time 4: count 1 trap 9 #0");
    expect_one(f, 0x10416073, NORMAL, "0: call csr count 1 jump pc+4");
    expect_one(f, 0x00d00073, NORMAL, "0: call wrs count 1 pending 4 4: trap 9 #0");
    expect_one(f, 0x0100000f, NORMAL, "0: call pause count 1 pending 4 4: trap 9 #0");
    put(f, 0, NOP);
    put(f, 4, ECALL); /* as long as an instruction, and retires nothing */
    expect(f, 0, RV_U, "0: 4: count 1 call ecall ldst stst count 1 jump ?");
    expect_one(f, 0x00b5252f, NORMAL, "0: call amo count 1 pending 4 4: trap 9 #0");
    put(f, 0, NOP);
    put(f, 4, FADD_D);
    expect(f, 0, RV_S | FS_CLEAN, "0: 4: count 1 call fs_dirty jump pc+4");
    expect(f, 4, RV_S | FS_CLEAN, "4: call fs_dirty jump pc+4");
    put(f, 0xffc, C_NOP);
    put(f, 0xffe, C_NOP);
    expect(f, 0xffc, NORMAL, "ffc: ffe: count 2 goto 1000");
    put(f, 0xffe, NOP);
    f->missing = PAGE_SIZE;
    expect(f, 0xffc, NORMAL, "ffc: count 1 goto ffe");
    put(f, 0xffc, ECALL);
    put(f, 0xff8, BEQ_32);
    expect(f, 0xff8, NORMAL, "ff8: count 1 if 1018 ffc: trap 9 #0");
}

/* What may raise comes after the count of all before it, however long the block is. */
static void count_before_what_may_raise(void **state)
{
    static const uint32_t ld = 0x00053503, sd = 0x00a53023, fld = 0x00053507, fsd = 0x00a53027,
                          amoadd = 0x00b5252f, csrw_mie = 0x30451073;
    static const uint32_t words[] = {NOP, ld, NOP, sd, fld, NOP, NOP, fsd, NOP, amoadd};
    struct fixture *f = *state;

    f->block.virtual_time = true;
    for (uint32_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
        put(f, 4 * k, words[k]);
    put(f, 40, NOP);
    put(f, 44, csrw_mie);
    expect(f, 0, NORMAL,
           "0: 4: count 1 ld 8: c: count 2 st 10: count 1 ldf 14: 18: 1c: count 3 stf 20: 24: "
           "count 2 call amo count 1 pending 28 28: 2c: count 1 call csr count 1 jump pc+30");
}

/* ---- Whatever there is ---------------------------------------------------------------------- */

/* Forward, one behind the other but for what short jumps skip, up to the block's end. */
static void instructions_follow_each_other(const struct ir_block *b)
{
    uint32_t next = b->start;

    for (uint32_t n = 0; n < b->n; n++) {
        const struct ir_insn *i = &b->insn[n];

        if (i->op != IR_insn)
            continue;
        assert_in_range(i->imm, next, next + RV_MAX_SKIP);
        next = (uint32_t)i->imm + i->aux;
    }
    assert_int_equal(next - b->start, b->len_bytes);
}

/* Blocks of random instructions of all rows are well-formed, whatever the mode. */
static void random_blocks_are_well_formed(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 3;

    for (unsigned round = 0; round < 3000; round++) {
        for (uint32_t offset = 0xf00; offset < 0x1008;) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            enum rv_op row = 1 + (unsigned)(random >> 33) % (RV_OP_COUNT - 1);
            uint32_t any = (uint32_t)(random >> 20);

            put(f, offset, (any & ~rv_row_mask(row)) | rv_row_match(row));
            offset += rv_row_is_compressed(row) ? 2 : 4;
        }
        f->block.virtual_time = round & 1;
        for (uint32_t start = 0xf00; start < 0x1000;) {
            build(f, start, (uint32_t)(random >> 40) & 0x7f, 1 + round % IR_MAX_GUEST);
            assert_in_range(f->block.n_guest, 1, 1 + round % IR_MAX_GUEST);
            assert_in_range(f->block.n, 2, 48 * f->block.n_guest);
            instructions_follow_each_other(&f->block);
            start += f->block.len_bytes;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(jumps_end_blocks, setup),
        cmocka_unit_test_setup(short_jumps_forward_are_followed, setup),
        cmocka_unit_test_setup(auipc_makes_jalr_direct, setup),
        cmocka_unit_test_setup(branches_are_side_exits_up_to_a_limit, setup),
        cmocka_unit_test_setup(limits_end_blocks, setup),
        cmocka_unit_test_setup(pages_end_blocks, setup),
        cmocka_unit_test_setup(a_straddling_instruction_is_alone, setup),
        cmocka_unit_test_setup(a_fault_is_taken_when_it_is_reached, setup),
        cmocka_unit_test_setup(illegal_words_are_the_tval, setup),
        cmocka_unit_test_setup(calls_and_breakpoints, setup),
        cmocka_unit_test_setup(disabled_extensions_are_illegal, setup),
        cmocka_unit_test_setup(misaligned_targets_without_c, setup),
        cmocka_unit_test_setup(floating_point_follows_fs, setup),
        cmocka_unit_test_setup(kinds_say_what_builders_do, setup),
        cmocka_unit_test_setup(rounding_modes, setup),
        cmocka_unit_test_setup(csr_accesses, setup),
        cmocka_unit_test_setup(sstatus_accesses, setup),
        cmocka_unit_test_setup(epc_is_an_address_of_code, setup),
        cmocka_unit_test_setup(system_instructions, setup),
        cmocka_unit_test_setup(atomics_and_fences, setup),
        cmocka_unit_test_setup(hints_do_nothing, setup),
        cmocka_unit_test_setup(every_instruction_is_counted_once, setup),
        cmocka_unit_test_setup(ends_where_it_is_asked_to, setup),
        cmocka_unit_test_setup(count_at_other_ends, setup),
        cmocka_unit_test_setup(count_before_what_may_raise, setup),
        cmocka_unit_test_setup(random_blocks_are_well_formed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
