/* The code that all blocks share: the way in, the ways out, and the calls of C.
 * Whenever C runs, every guest register is in the state and MXCSR is the host's.
 *
 * Floating-point registers go in lazily, and MXCSR with them: after C they stay in the state, and
 * fp_away says so, until a block that touches them is entered. A kernel that runs with floating
 * point off, and programs that compute with integers, so pay nothing for them. */

#include <immintrin.h>

#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

static const uint8_t preserved[] = {RBX, RBP, R12, R13, R14, R15};

static void save_pins(struct x64_code *c)
{
    for (unsigned k = 0; k < X64_N_PINS; k++)
        x64_mov_mr(c, x64_guest_reg(x64_pins[k].guest), x64_pins[k].host);
}

static void load_pins(struct x64_code *c)
{
    for (unsigned k = 0; k < X64_N_PINS; k++)
        x64_mov_rm(c, x64_pins[k].host, x64_guest_reg(x64_pins[k].guest));
}

/* From where it is not known whether they are in. */
static void put_fpins_away(struct x64_code *c)
{
    x64_cmp32_mi(c, STATE_MEM(fp_away), 0);
    uint32_t away = x64_jcc(c, CC_NE);

    x64_call_m(c, STATE_MEM(stub[X64_STUB_FP_OUT]));
    x64_fix(c, away, x64_at(c));
}

/* The stack of expected returns: 16 bytes a call, the host's return address below the guest's.
 * It begins 16 bytes below a multiple of its size, so that the low bits of rsp tell when it is
 * full. Its first entry is nobody's, an odd address. */
static void start_returns(struct x64_code *c)
{
    x64_and_ri(c, RSP, -X64_RETURNS);
    x64_sub_ri(c, RSP, 16);
    x64_mov_mr(c, STATE_MEM(returns), RSP);
    x64_mov_rm(c, RAX, STATE_MEM(stub[X64_STUB_LOOKUP]));
    x64_mov_mr(c, x64_mem(RSP, 0), RAX);
    x64_mov_mi(c, x64_mem(RSP, 8), 0x55555555);
    x64_mov32_mi(c, STATE_MEM(returns_stale), 0);
}

/* enter(state, code): rdi, rsi. */
static void make_enter(struct x64_code *c)
{
    for (unsigned k = 0; k < sizeof preserved; k++)
        x64_push(c, preserved[k]);
    x64_lea_rm(c, RBP, x64_mem(RDI, STATE_BIAS));
    x64_mov_mr(c, STATE_MEM(host_sp), RSP);
    start_returns(c);
    x64_mov_rr(c, RAX, RSI);
    load_pins(c);
    x64_jmp_r(c, RAX);
}

static void leave(struct x64_code *c, enum exit_reason reason)
{
    save_pins(c);
    put_fpins_away(c);
    x64_mov_imm(c, RAX, reason);
    /* Blocks call the stubs that may end here: rsp is not what it was. */
    x64_mov_rm(c, RSP, STATE_MEM(host_sp));
    for (unsigned k = sizeof preserved; k-- > 0;)
        x64_pop(c, preserved[k]);
    x64_ret(c);
}

static void name_exit(struct x64_code *c)
{
    x64_mov32_mr(c, STATE_MEM(exit_index), RCX);
    x64_mov_mr(c, STATE_MEM(exit_block), RDX);
}

static void make_link(struct x64_code *c)
{
    name_exit(c);
    leave(c, EXIT_LINK);
}

/* [reg << scale] in an array of the state's; `word` of an element. */
static struct x64_mem element(size_t array, unsigned reg, unsigned scale, unsigned word)
{
    struct x64_mem m = x64_state_at(array + 8 * word);

    m.index = (uint8_t)reg;
    m.scale = (uint8_t)scale;
    return m;
}

/* (address >> 1 & mask) * 16 = (address & mask << 1) * 8, but for the 8, which is a scale of 3. */
static void jump_index_of(struct x64_code *c, unsigned reg, unsigned address, unsigned bits)
{
    x64_mov32_rr(c, reg, address);
    x64_and32_ri(c, reg, ((1 << bits) - 1) << 1);
}

/* The physical tag of rax, whose tag is in rbx, into r13, and where its entry is into rdx. The
 * field of a jump where nothing is known of the page. Loses r12. */
static uint32_t find_by_page(struct x64_code *c)
{
    enum { PAGE = offsetof(struct cpu_state, code_page) };

    x64_mov_rr(c, R12, RBX);
    x64_and_ri(c, R12, -PAGE_SIZE);
    x64_mov32_rr(c, RDX, RAX);
    x64_shr32_ri8(c, RDX, PAGE_BITS - 4);
    x64_and32_ri(c, RDX, ((1 << CODE_PAGE_BITS) - 1) << 4);
    x64_cmp_rm(c, R12, element(PAGE, RDX, 0, 0));
    uint32_t no_page = x64_jcc(c, CC_NE);

    x64_mov32_rr(c, R13, RAX);
    x64_and32_ri(c, R13, PAGE_SIZE - 1);
    x64_or_rm(c, R13, element(PAGE, RDX, 0, 1));
    x64_mov32_rr(c, RDX, R13);
    x64_shr32_ri8(c, RDX, PHYS_JUMP_FOLD);
    x64_xor_rr(c, RDX, R13);
    x64_and32_ri(c, RDX, ((1 << PHYS_JUMP_BITS) - 1) << 1);
    x64_shl_ri8(c, RDX, 3);
    x64_add_rm(c, RDX, STATE_MEM(phys_jump));
    return no_page;
}

/* The tag of rax, an address of either half, into rbx. */
static void tag_of(struct x64_code *c)
{
    x64_mov_rr(c, RBX, RAX);
    x64_shr_ri8(c, RBX, 63);
    x64_mov_rm(c, RBX, (struct x64_mem){RBP, RBX, 3, false, STATE_MEM(salt).disp});
    x64_xor_rr(c, RBX, RAX);
}

/* Of an address in rax that has no tag; loses rbx. The field of that jump. */
static uint32_t jump_if_odd(struct x64_code *c)
{
    x64_mov_rr(c, RBX, RAX);
    x64_sar_ri8(c, RBX, 39);
    x64_add_ri(c, RBX, 1); /* 1: lower half, 0: upper half, else no canonical address */
    x64_cmp_ri(c, RBX, 1);
    return x64_jcc(c, CC_A);
}

/* A jump to rax that the jump cache does not know: by the page that it leads
 * to, which is known, and the physical cache, from where it comes into the other one.
 * runtime/jumps.c has the other half of the order: who drops the block empties the one, then looks
 * into the other, with a fence between, as here. Keeps rax where it falls through, and page_va, by
 * which the run loop finds the target. */
static void look_up_page(struct x64_code *c)
{
    enum { JUMP = offsetof(struct cpu_state, jump) };

    uint32_t odd = jump_if_odd(c);

    tag_of(c);
    uint32_t no_page = find_by_page(c);

    x64_cmp_rm(c, R13, x64_mem(RDX, 0));
    uint32_t no_block = x64_jcc(c, CC_NE);

    x64_mov_rm(c, RCX, x64_mem(RDX, 8));
    jump_index_of(c, R12, RAX, JUMP_BITS);
    x64_mov_mr(c, element(JUMP, R12, 3, 1), RCX);
    x64_xchg_mr(c, element(JUMP, R12, 3, 0), RBX); /* and a fence */
    x64_cmp_rm(c, R13, x64_mem(RDX, 0));
    uint32_t dropped = x64_jcc(c, CC_NE);

    x64_and_ri(c, RAX, -PAGE_SIZE);
    tag_of(c);
    x64_mov_mr(c, STATE_MEM(page_va), RAX);
    x64_mov_mr(c, STATE_MEM(page_tag), RBX);
    x64_jmp_r(c, RCX);
    x64_fix(c, dropped, x64_at(c));
    x64_mov_mi(c, element(JUMP, R12, 3, 0), JUMP_EMPTY);
    x64_fix(c, odd, x64_at(c));
    x64_fix(c, no_page, x64_at(c));
    x64_fix(c, no_block, x64_at(c));
}

static void make_lookup(struct x64_code *c)
{
    look_up_page(c);
    x64_mov_mr(c, STATE_MEM(pc), RAX);
    leave(c, EXIT_LOOKUP);
}

/* The jump cache for any address in rax. ecx and rdx, which name the exit, are kept: rbx
 * and r12 are free at an exit. Falls through on a miss. */
static void look_up(struct x64_code *c)
{
    enum { JUMP = offsetof(struct cpu_state, jump) };

    uint32_t odd = jump_if_odd(c);

    tag_of(c);
    jump_index_of(c, R12, RAX, JUMP_BITS);
    x64_cmp_rm(c, RBX, element(JUMP, R12, 3, 0));
    uint32_t miss = x64_jcc(c, CC_NE);

    x64_and_ri(c, RAX, -PAGE_SIZE);
    x64_and_ri(c, RBX, -PAGE_SIZE);
    x64_mov_mr(c, STATE_MEM(page_va), RAX);
    x64_mov_mr(c, STATE_MEM(page_tag), RBX);
    x64_jmp_m(c, element(JUMP, R12, 3, 1));
    x64_fix(c, miss, x64_at(c));
    x64_fix(c, odd, x64_at(c));
}

static void make_lookup_any(struct x64_code *c)
{
    look_up(c);
    make_lookup(c);
}

/* An exit that was linked for another process, perhaps one that has ended: it is left to the
 * caches, since most are passed a few times only, but for every 64th, which is more likely one that
 * is passed often. */
static void make_lookup_link(struct x64_code *c)
{
    enum { RELINK = 64 };

    x64_sub_mi(c, STATE_MEM(until_relink), 1);
    uint32_t relink = x64_jcc(c, CC_S);

    look_up(c);
    name_exit(c);
    look_up_page(c);
    leave(c, EXIT_LINK);
    x64_fix(c, relink, x64_at(c));
    x64_mov_mi(c, STATE_MEM(until_relink), RELINK - 1);
    make_link(c);
}

static void make_pending(struct x64_code *c)
{
    x64_add_rm(c, RAX, STATE_MEM(page_va));
    x64_mov_mr(c, STATE_MEM(pc), RAX);
    leave(c, EXIT_PENDING);
}

static void make_trap(struct x64_code *c)
{
    x64_mov32_rm(c, RAX, STATE_MEM(insn_off));
    x64_add_rm(c, RAX, STATE_MEM(page_va));
    x64_mov_mr(c, STATE_MEM(pc), RAX);
    leave(c, EXIT_TRAP);
}

/* rdx is a temporary that no C function preserves: the stubs do. fp: the block has the
 * floating-point registers in xmm, and wants them there when C has done. */
static void save_state(struct x64_code *c, bool fp)
{
    x64_mov_mr(c, STATE_MEM(scratch[6]), RDX);
    save_pins(c);
    if (fp)
        x64_call_m(c, STATE_MEM(stub[X64_STUB_FP_OUT]));
    else
        put_fpins_away(c);
    x64_lea_rm(c, RDI, x64_mem(RBP, -STATE_BIAS));
}

static void load_state(struct x64_code *c, bool fp)
{
    load_pins(c);
    if (fp)
        x64_call_m(c, STATE_MEM(stub[X64_STUB_FP_IN]));
    x64_mov_rm(c, RDX, STATE_MEM(scratch[6]));
}

/* insn_off and aux out of slow_info; rsi = va, edx = aux, rdi = state. */
static void slow_arguments(struct x64_code *c, bool fp)
{
    save_state(c, fp);
    x64_mov_rr(c, RSI, RAX);
    x64_mov32_rm(c, RDX, STATE_MEM(slow_info));
    x64_movzx16_rr(c, RAX, RDX);
    x64_mov32_mr(c, STATE_MEM(insn_off), RAX);
    x64_shr32_ri8(c, RDX, 24);
}

static void load(struct x64_code *c, bool fp)
{
    slow_arguments(c, fp);
    x64_sub_ri(c, RSP, 8);
    x64_call_m(c, STATE_MEM(slow_load));
    x64_add_ri(c, RSP, 8);
    load_state(c, fp);
    x64_ret(c);
}

static void store(struct x64_code *c, bool fp)
{
    slow_arguments(c, fp);
    x64_sub_ri(c, RSP, 8);
    x64_call_m(c, STATE_MEM(slow_store));
    x64_add_ri(c, RSP, 8);
    load_state(c, fp);
    x64_enc_r(c, false, 0, 0, 0x84, RAX, RAX, true, true); /* test al, al */
    uint32_t dropped = x64_jcc(c, CC_NE);

    x64_ret(c);
    x64_fix(c, dropped, x64_at(c));
    /* The running block was dropped: leave behind this instruction, which virtual time has not
     * counted and nothing else minds. */
    x64_add_mi(c, STATE_MEM(icount), 1);
    x64_mov32_rm(c, RAX, STATE_MEM(slow_info));
    x64_mov32_rr(c, RCX, RAX);
    x64_shr32_ri8(c, RCX, 16);
    x64_and32_ri(c, RCX, 7);
    x64_movzx16_rr(c, RAX, RAX);
    x64_add_rr(c, RAX, RCX);
    make_pending(c);
}

static void call(struct x64_code *c, bool fp)
{
    save_state(c, fp);
    x64_mov32_rm(c, RSI, STATE_MEM(helper_k));
    x64_mov_rm(c, RDX, STATE_MEM(scratch[0]));
    x64_mov_rm(c, RCX, STATE_MEM(scratch[1]));
    x64_mov_rm(c, R8, STATE_MEM(scratch[2]));
    x64_sub_ri(c, RSP, 8);
    x64_call_m(c, (struct x64_mem){RBP, RAX, 3, false, STATE_MEM(helper).disp});
    x64_add_ri(c, RSP, 8);
    load_state(c, fp);
    x64_cmp32_mi(c, STATE_MEM(returns_stale), 0);
    uint32_t stale = x64_jcc(c, CC_NE);

    x64_ret(c);
    /* The helper changed what addresses mean: no return may be taken for granted. */
    x64_fix(c, stale, x64_at(c));
    x64_mov32_mi(c, STATE_MEM(returns_stale), 0);
    x64_pop(c, RCX);
    x64_mov_rm(c, RSP, STATE_MEM(returns));
    x64_jmp_r(c, RCX);
}

static void make_load(struct x64_code *c)
{
    load(c, false);
}

static void make_store(struct x64_code *c)
{
    store(c, false);
}

static void make_call(struct x64_code *c)
{
    call(c, false);
}

static void make_fp_load(struct x64_code *c)
{
    load(c, true);
}

static void make_fp_store(struct x64_code *c)
{
    store(c, true);
}

static void make_fp_call(struct x64_code *c)
{
    call(c, true);
}

static void make_fp_in(struct x64_code *c, unsigned n_fpins)
{
    for (unsigned k = 0; k < n_fpins; k++)
        x64_vmovq_xm_rrm(c, x64_fpins[k].host, 0, x64_guest_reg(STATE_FP + x64_fpins[k].guest));
    x64_ldmxcsr(c, STATE_MEM(mxcsr));
    x64_mov32_mi(c, STATE_MEM(fp_away), 0);
    x64_ret(c);
}

static void make_fp_out(struct x64_code *c, unsigned n_fpins)
{
    for (unsigned k = 0; k < n_fpins; k++)
        x64_vmovq_mx_mr(c, x64_guest_reg(STATE_FP + x64_fpins[k].guest), x64_fpins[k].host);
    x64_stmxcsr(c, STATE_MEM(mxcsr));
    x64_ldmxcsr(c, STATE_MEM(host_mxcsr));
    x64_mov32_mi(c, STATE_MEM(fp_away), 1);
    x64_ret(c);
}

/* The layout of tables and cells is in x64.h and emit/emit_mem.c. When the cell's misses have run
 * out, its access takes the slow path, where C finds worn_code. */
static void make_fill(struct x64_code *c, const struct x64_mmu_layout *l, uint32_t table)
{
    struct x64_mem left = x64_state_at(offsetof(struct cpu_state, misses_left));
    struct x64_mem entry = {RDX, X64_NO_REG, 0, true, (int32_t)table};
    struct x64_mem cell = {RCX, X64_NO_REG, 0, true, (int32_t)l->cell_off};
    struct x64_mem chunks = {X64_NO_REG, X64_NO_REG, 0, true, (int32_t)l->cell_chunks_off};
    struct x64_mem chunks_of = {RDX, X64_NO_REG, 0, true, (int32_t)l->chunks_of_off};

    if (!l->n_cells)
        return; /* nobody calls it */
    x64_push(c, RDX);
    x64_mov32_rr(c, RDX, RCX);
    x64_shr32_ri8(c, RDX, 2);
    left.index = RDX;
    x64_sub32_mi(c, left, 1);
    uint32_t worn = x64_jcc(c, CC_B);

    x64_rorx(c, RDX, RAX, PAGE_BITS - 4);
    x64_and32_ri(c, RDX, (int32_t)(((1u << l->tlb_bits) - 1) << 4));
    x64_cmp_rm(c, RAX, entry);
    uint32_t miss = x64_jcc(c, CC_NE);

    x64_mov_mr(c, cell, RAX);
    entry.disp += 8;
    x64_mov_rm(c, RAX, entry);
    cell.disp += 8;
    x64_mov_mr(c, cell, RAX);
    x64_shr32_ri8(c, RCX, 4 + (unsigned)__builtin_ctz(l->n_cells / 16));
    x64_mov_imm(c, RAX, 1);
    x64_shlx_rrr(c, RCX, RCX, RAX);
    x64_shr32_ri8(c, RDX, 2);
    x64_or32_mr(c, chunks, RCX);
    x64_or32_mr(c, chunks_of, RCX);
    entry = (struct x64_mem){X64_NO_REG, RDX, 2, true, entry.disp};
    x64_mov_rm(c, RCX, entry);
    x64_pop(c, RDX);
    x64_xor32_rr(c, RAX, RAX);
    x64_ret(c);

    x64_fix(c, worn, x64_at(c));
    x64_shr32_ri8(c, RCX, 4);
    x64_mov32_mr(c, STATE_MEM(worn_cell), RCX);
    x64_mov_rm(c, RDX, x64_mem(RSP, 8));
    x64_mov_mr(c, STATE_MEM(worn_code), RDX);
    x64_test_rr(c, RDX, RDX);
    x64_fix(c, miss, x64_at(c));
    x64_pop(c, RDX); /* leaves the flags, which say no */
    x64_ret(c);
}

void x64_make_stubs(struct x64_stubs *out, uint8_t *rw, const uint8_t *rx, size_t cap_bytes,
                    const struct x64_mmu_layout *layout, unsigned n_xmm)
{
    static void (*const make[X64_STUB_COUNT])(struct x64_code *) = {
        [X64_STUB_LINK] = make_link,
        [X64_STUB_LOOKUP] = make_lookup,
        [X64_STUB_LOOKUP_ANY] = make_lookup_any,
        [X64_STUB_LOOKUP_LINK] = make_lookup_link,
        [X64_STUB_PENDING] = make_pending,
        [X64_STUB_TRAP] = make_trap,
        [X64_STUB_LOAD] = make_load,
        [X64_STUB_STORE] = make_store,
        [X64_STUB_CALL] = make_call,
        [X64_STUB_FP_LOAD] = make_fp_load,
        [X64_STUB_FP_STORE] = make_fp_store,
        [X64_STUB_FP_CALL] = make_fp_call,
    };
    struct x64_code c = {.start = rw, .p = rw, .end = rw + cap_bytes, .full = false};
    const uint8_t *enter = rx;

    make_enter(&c);
    for (unsigned k = 0; k < X64_STUB_COUNT; k++) {
        x64_align(&c, X64_CODE_ALIGN, 0);
        out->stub[k] = rx + x64_at(&c);
        if (k == X64_STUB_FP_IN)
            make_fp_in(&c, x64_n_fpins(n_xmm));
        else if (k == X64_STUB_FP_OUT)
            make_fp_out(&c, x64_n_fpins(n_xmm));
        else if (k == X64_STUB_FILL_LOAD)
            make_fill(&c, layout, layout->load_off);
        else if (k == X64_STUB_FILL_STORE)
            make_fill(&c, layout, layout->store_off);
        else
            make[k](&c);
    }
    CHECK(!c.full && "room for the stubs");
    memcpy(&out->enter, &enter, sizeof enter);
    out->size_bytes = x64_at(&c);
}

void x64_init_state(struct cpu_state *s, const struct x64_stubs *stubs,
                    const struct x64_mmu_layout *layout, const struct ir_helper *helpers,
                    unsigned n_helpers)
{
    CHECK(n_helpers <= STATE_N_HELPERS);
    for (unsigned k = 0; k < X64_STUB_COUNT; k++)
        s->stub[k] = stubs->stub[k];
    for (unsigned k = 0; k < n_helpers; k++)
        memcpy(&s->helper[k], &helpers[k].fn, sizeof helpers[k].fn);
    s->fp_box[0] = UINT64_C(0xffffffff00000000);
    s->fp_sign32[0] = UINT64_C(1) << 31;
    s->fp_sign64[0] = UINT64_C(1) << 63;
    for (unsigned k = 0; k < 64; k++)
        s->fflags_of_mxcsr[k] = (uint8_t)ir_fp_from_mxcsr(k);
    for (unsigned k = 0; k < 32; k++)
        s->mxcsr_of_fflags[k] = (uint8_t)ir_fp_to_mxcsr(k);
    s->fp_away = 1;
    s->host_mxcsr = _mm_getcsr();
    s->slow_load = layout->load;
    s->slow_store = layout->store;
    s->worn_code = NULL;
    s->is_hot = 0;
    for (unsigned n = 0; n < STATE_N_HEAT; n++)
        s->runs_left[n] = STATE_HEAT;
    for (unsigned n = 0; n < STATE_N_CELLS; n++)
        s->misses_left[n] = STATE_CELL_MISSES;
}

unsigned x64_n_xmm(uint64_t stress_seed)
{
    __builtin_cpu_init();
    return !(stress_seed & 2) && __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("avx512vl")
               ? 32
               : 16;
}

bool x64_host_ok(struct err *e)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
        __builtin_cpu_supports("popcnt"))
        return true;
    return err_set(e,
                   "this host's processor lacks AVX2, FMA, BMI1 or BMI2: dbt-run needs x86-64-v3 "
                   "(Haswell, Zen or later); try --engine=interp");
}
