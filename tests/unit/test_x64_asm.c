/* Every row of x64_enc.def, encoded with random operands and read back by capstone. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <capstone/capstone.h>

#include "backend-x86_64/emit/asm.h"
#include "tests/lib/ir_random.h"

enum { ROUNDS = 600, BUFFER = 256, MAX_OPS = 4 };

static csh handle;
static struct ir_random rnd = {.seed = 0x5eed};

/* ---- What capstone must see --------------------------------------------------------- */

enum kind { OP_REG, OP_XMM, OP_MEM, OP_IMM };

struct operand {
    enum kind kind;
    unsigned size; /* bytes of a register or a memory operand; 0: any */
    unsigned reg;
    int64_t imm;
    struct x64_mem mem;
};

struct expect {
    char mnemonic[24];
    unsigned n;
    struct operand op[MAX_OPS];
};

static const char *reg_name(unsigned reg, unsigned size)
{
    static const char *const r64[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static const char *const r32[] = {"eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
                                      "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"};
    static const char *const r16[] = {"ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
                                      "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"};
    static const char *const r8[] = {"al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
                                     "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"};

    return size == 8 ? r64[reg] : size == 4 ? r32[reg] : size == 2 ? r16[reg] : r8[reg];
}

static bool is_reg(unsigned cs_reg, const char *name)
{
    const char *got = cs_reg ? cs_reg_name(handle, cs_reg) : "";

    return strcmp(got ? got : "", name) == 0;
}

static bool is_memory(const cs_x86_op *o, const struct operand *w, const cs_insn *insn)
{
    const x86_op_mem *m = &o->mem;
    const struct x64_mem *want = &w->mem;

    if (o->type != X86_OP_MEM || (w->size && o->size != w->size))
        return false;
    if ((m->segment == X86_REG_GS) != want->gs)
        return false;
    if (want->base == X64_RIP)
        return m->base == X86_REG_RIP && m->index == X86_REG_INVALID &&
               (int64_t)insn->address + insn->size + m->disp == want->disp;
    if (!is_reg(m->base, want->base == X64_NO_REG ? "" : reg_name(want->base, 8)) ||
        m->disp != want->disp)
        return false;
    if (want->index == X64_NO_REG)
        return m->index == X86_REG_INVALID;
    return is_reg(m->index, reg_name(want->index, 8)) && m->scale == 1 << want->scale;
}

static bool is_operand(const cs_x86_op *o, const struct operand *w, const cs_insn *insn)
{
    char xmm[8];

    switch (w->kind) {
    case OP_REG: return o->type == X86_OP_REG && is_reg(o->reg, reg_name(w->reg, w->size));
    case OP_XMM:
        snprintf(xmm, sizeof xmm, "xmm%u", w->reg);
        return o->type == X86_OP_REG && is_reg(o->reg, xmm);
    case OP_MEM: return is_memory(o, w, insn);
    case OP_IMM:
        return o->type == X86_OP_IMM && (w->size == 8   ? o->imm == w->imm
                                         : w->size == 4 ? (int32_t)o->imm == (int32_t)w->imm
                                                        : (uint8_t)o->imm == (uint8_t)w->imm);
    }
    return false;
}

static void print_want(const struct expect *e)
{
    print_error("wanted: %s", e->mnemonic);
    for (unsigned k = 0; k < e->n; k++) {
        const struct operand *o = &e->op[k];

        if (o->kind == OP_MEM)
            print_error("  %u:%s[%u+%u<<%u%+d]", o->size, o->mem.gs ? "gs:" : "", o->mem.base,
                        o->mem.index, o->mem.scale, o->mem.disp);
        else if (o->kind == OP_IMM)
            print_error("  %" PRId64, o->imm);
        else
            print_error("  %s%u:%u", o->kind == OP_XMM ? "x" : "r", o->size, o->reg);
    }
    print_error("\n");
}

/* The bytes from `at` on are this one instruction. */
static void check(const struct x64_code *c, uint32_t at, const struct expect *e)
{
    cs_insn *insn;
    size_t n = cs_disasm(handle, c->start + at, x64_at(c) - at, at, 1, &insn);
    bool ok = n == 1 && insn->size == x64_at(c) - at && strcmp(insn->mnemonic, e->mnemonic) == 0 &&
              insn->detail->x86.op_count == e->n;

    assert_false(c->full);
    for (unsigned k = 0; ok && k < e->n; k++)
        ok = is_operand(&insn->detail->x86.operands[k], &e->op[k], insn);
    if (!ok) {
        for (uint32_t k = at; k < x64_at(c); k++)
            print_error("%02x ", c->start[k]);
        print_error("is: %s %s\n", n ? insn->mnemonic : "nothing", n ? insn->op_str : "");
        print_want(e);
    }
    if (n)
        cs_free(insn, 1);
    assert_true(ok);
}

/* ---- Random operands ------------------------------------------------------------------- */

static unsigned any_reg(void)
{
    return ir_random_below(&rnd, 16);
}

static int32_t any_disp(void)
{
    static const int32_t corners[] = {0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN};

    if (ir_random_below(&rnd, 2))
        return corners[ir_random_below(&rnd, 9)];
    return (int32_t)ir_random_next(&rnd);
}

static struct x64_mem mem_with_base(void)
{
    struct x64_mem m = x64_mem(any_reg(), any_disp());

    if (ir_random_below(&rnd, 8) == 0)
        return x64_mem(X64_RIP, (int32_t)ir_random_below(&rnd, 4096));
    m.gs = ir_random_below(&rnd, 4) == 0;
    if (ir_random_below(&rnd, 2) == 0)
        return m;
    do {
        m.index = (uint8_t)any_reg();
    } while (m.index == RSP);
    m.scale = (uint8_t)ir_random_below(&rnd, 4);
    return m;
}

static struct x64_mem any_mem(void)
{
    struct x64_mem m = mem_with_base();

    if (m.base != X64_RIP && ir_random_below(&rnd, 8) == 0)
        m.base = X64_NO_REG;
    return m;
}

/* A code buffer that begins somewhere. */
static struct x64_code fresh(uint8_t *buffer)
{
    struct x64_code c = {.start = buffer, .p = buffer, .end = buffer + BUFFER, .full = false};

    x64_align(&c, 64, ir_random_below(&rnd, 64));
    return c;
}

static struct operand of_reg(unsigned reg, unsigned size)
{
    return (struct operand){.kind = OP_REG, .size = size, .reg = reg};
}
static struct operand of_xmm(unsigned reg)
{
    return (struct operand){.kind = OP_XMM, .reg = reg};
}
static struct operand of_mem(struct x64_mem m, unsigned size)
{
    return (struct operand){.kind = OP_MEM, .size = size, .mem = m};
}
static struct operand of_imm(int64_t imm, unsigned size)
{
    return (struct operand){.kind = OP_IMM, .size = size, .imm = imm};
}

/* The row's name without the digits and the tail that tell forms apart. */
static struct expect named(const char *row)
{
    struct expect e = {.n = 0};
    size_t n = strcspn(row, "_");

    while (n > 0 && row[n - 1] >= '0' && row[n - 1] <= '9')
        n--;
    memcpy(e.mnemonic, row, n);
    return e;
}

static void add(struct expect *e, struct operand o)
{
    assert_true(e->n < MAX_OPS);
    e->op[e->n++] = o;
}

/* ---- Rows -------------------------------------------------------------------------------- */

typedef void f_rr(struct x64_code *, unsigned, unsigned);
typedef void f_rm(struct x64_code *, unsigned, struct x64_mem);
typedef void f_mr(struct x64_code *, struct x64_mem, unsigned);
typedef void f_ri(struct x64_code *, unsigned, int32_t);
typedef void f_mi(struct x64_code *, struct x64_mem, int32_t);
typedef void f_r(struct x64_code *, unsigned);
typedef void f_m(struct x64_code *, struct x64_mem);
typedef void f_ru(struct x64_code *, unsigned, unsigned);
typedef void f_rrr(struct x64_code *, unsigned, unsigned, unsigned);
typedef void f_rrm(struct x64_code *, unsigned, unsigned, struct x64_mem);

enum row_kind { ROW_RM, ROW_MR, ROW_MI, ROW_M, ROW_SH, ROW_V, ROW_VMR };

struct row {
    enum row_kind kind;
    const char *name;
    bool w;
    union {
        struct {
            f_rr *rr;
            f_rm *rm;
        } rm;
        struct {
            f_mr *mr;
        } mr;
        struct {
            f_ri *ri;
            f_mi *mi;
        } mi;
        struct {
            f_r *r;
            f_m *m;
        } m;
        struct {
            f_ru *ri8;
        } sh;
        struct {
            f_rrr *rrr;
            f_rrm *rrm;
        } v;
        struct {
            f_mr *mr;
            f_rr *rr;
        } vmr;
    };
};

static const struct row rows[] = {
#define X64_RM(name, w, pp, map, op) {ROW_RM, #name, w, .rm = {x64_##name##_rr, x64_##name##_rm}},
#define X64_MR(name, w, pp, map, op) {ROW_MR, #name, w, .mr = {x64_##name##_mr}},
#define X64_MI(name, w, op, ext)     {ROW_MI, #name, w, .mi = {x64_##name##_ri, x64_##name##_mi}},
#define X64_M(name, w, op, ext)      {ROW_M, #name, w, .m = {x64_##name##_r, x64_##name##_m}},
#define X64_SH(name, w, ext)         {ROW_SH, #name, w, .sh = {x64_##name##_ri8}},
#define X64_V(name, w, pp, map, op)  {ROW_V, #name, w, .v = {x64_##name##_rrr, x64_##name##_rrm}},
#define X64_VMR(name, w, pp, map, op)                                                              \
    {ROW_VMR, #name, w, .vmr = {x64_##name##_mr, x64_##name##_rr}},
#include "backend-x86_64/x64_enc.def"
#undef X64_RM
#undef X64_MR
#undef X64_MI
#undef X64_M
#undef X64_SH
#undef X64_V
#undef X64_VMR
};

static bool ends(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);

    return n >= k && strcmp(s + n - k, tail) == 0;
}

static bool begins(const char *s, const char *head)
{
    return strncmp(s, head, strlen(head)) == 0;
}

static void row_rm(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    bool is_lea = begins(r->name, "lea"), is_test = begins(r->name, "test");
    unsigned dst = r->w ? 8 : 4, src = dst, reg = any_reg(), rm = any_reg();
    struct x64_mem m = any_mem();
    bool memory = is_lea || ir_random_below(&rnd, 2);

    if (begins(r->name, "mov") && !ends(r->name, "32"))
        src = ends(r->name, "8") ? 1 : ends(r->name, "16") ? 2 : ends(r->name, "sxd") ? 4 : dst;
    if (is_lea)
        src = 0; /* touches no memory: capstone's size means nothing */
    if (is_lea)
        m.gs = false;
    struct operand first = of_reg(reg, dst), second = memory ? of_mem(m, src) : of_reg(rm, src);

    if (memory)
        r->rm.rm(&c, reg, m);
    else
        r->rm.rr(&c, reg, rm);
    /* test has no direction: the manual writes r/m first. */
    add(&e, is_test ? second : first);
    add(&e, is_test ? first : second);
    check(&c, at, &e);
}

static void row_mr(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    unsigned size = r->w ? 8 : ends(r->name, "16") ? 2 : ends(r->name, "8") ? 1 : 4;
    struct x64_mem m = any_mem();
    unsigned reg = any_reg();

    r->mr.mr(&c, m, reg);
    add(&e, of_mem(m, size));
    add(&e, of_reg(reg, size));
    check(&c, at, &e);
}

static void row_mi(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    unsigned size = r->w ? 8 : 4, reg = any_reg();
    struct x64_mem m = any_mem();
    int32_t imm = any_disp();

    if (ir_random_below(&rnd, 2)) {
        r->mi.mi(&c, m, imm);
        add(&e, of_mem(m, size));
    } else {
        r->mi.ri(&c, reg, imm);
        add(&e, of_reg(reg, size));
    }
    add(&e, of_imm(imm, size));
    check(&c, at, &e);
}

static void row_m(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    bool branch = strcmp(r->name, "call") == 0 || strcmp(r->name, "jmp") == 0;
    unsigned size = r->w || branch ? 8 : 4, reg = any_reg();
    struct x64_mem m = any_mem();

    if (ir_random_below(&rnd, 2)) {
        r->m.m(&c, m);
        add(&e, of_mem(m, size));
    } else {
        r->m.r(&c, reg);
        add(&e, of_reg(reg, size));
    }
    check(&c, at, &e);
}

static void row_sh(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    unsigned size = r->w ? 8 : 4, reg = any_reg(), n = ir_random_below(&rnd, 8 * size);

    r->sh.ri8(&c, reg, n);
    add(&e, of_reg(reg, size));
    add(&e, of_imm((int64_t)n, 1));
    check(&c, at, &e);
}

/* How a VEX row's operands are written: x an xmm register, r a 64-bit one, s a 32-bit
 * one; d, v, m which of the three it is. */
static const char *vex_form(const char *name)
{
    if (ends(name, "lx") && !ends(name, "mulx"))
        return "rdrmrv";
    if (strcmp(name, "shrx32") == 0)
        return "sdsmsv";
    if (begins(name, "sarx") || begins(name, "shrx"))
        return "rdrmrv";
    if (strcmp(name, "andn") == 0 || strcmp(name, "mulx") == 0)
        return "rdrvrm";
    if (begins(name, "vcvtsi2"))
        return "xdxvrm";
    if (begins(name, "vcvt") && ends(name, "si"))
        return "rdxm";
    if (begins(name, "vcvt") && ends(name, "si32"))
        return "sdxm";
    if (strcmp(name, "vmovq_xr") == 0)
        return "xdrm";
    if (begins(name, "vmov") || begins(name, "vucomi") || begins(name, "vcomi") ||
        begins(name, "vptest"))
        return "xdxm";
    return "xdxvxm";
}

static unsigned vex_mem_size(const char *name)
{
    if (begins(name, "vcomi") || begins(name, "vucomi"))
        return 0; /* capstone 4 says 16 where the manual says 8 or 4 */
    if (name[0] != 'v')
        return ends(name, "32") ? 4 : 8;
    if (begins(name, "vcvtsi2") || begins(name, "vmovq"))
        return 8;
    if (ends(name, "pd") || begins(name, "vp") || begins(name, "vmovups"))
        return 16;
    if (begins(name, "vcvt"))
        return strstr(name, "sd2") ? 8 : 4; /* the source's */
    return strstr(name, "ss") ? 4 : 8;
}

/* Registers from 16 on take the EVEX form. Some rows have none, and capstone 4 does not know
 * that of fused operations: test_x64_emit runs them. */
static bool has_evex(const char *name)
{
    return strcmp(name, "vptest") != 0 && strcmp(name, "vpcmpeqd") != 0 && !begins(name, "vfmadd");
}

static unsigned any_operand(const char *name, char class)
{
    return ir_random_below(&rnd, class == 'x' && has_evex(name) ? 32 : 16);
}

/* Of an EVEX form with a SIB byte capstone 4 reads a wrong index, or nothing. What objdump says
 * of them was compared by hand. */
static struct x64_mem without_index(struct x64_mem m)
{
    m.index = X64_NO_REG;
    if ((m.base & 7) == RSP)
        m.base = RBP;
    return m;
}

/* There the logical operations are those of integers, and capstone 4 takes each operand in
 * memory for a whole register. */
static void as_evex(struct expect *e)
{
    static const char *const names[][2] = {
        {"vandpd", "vpandq"}, {"vandnpd", "vpandnq"}, {"vorpd", "vporq"}, {"vxorpd", "vpxorq"}};
    bool evex = false;

    for (unsigned k = 0; k < e->n; k++)
        evex |= e->op[k].kind == OP_XMM && e->op[k].reg >= 16;
    for (unsigned n = 0; evex && n < 4; n++)
        if (strcmp(e->mnemonic, names[n][0]) == 0)
            snprintf(e->mnemonic, sizeof e->mnemonic, "%s", names[n][1]);
    for (unsigned k = 0; evex && k < e->n; k++)
        e->op[k].size = e->op[k].kind == OP_MEM ? 0 : e->op[k].size;
}

static void row_v(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    const char *form = vex_form(r->name);
    bool has_v = strchr(form, 'v') != NULL;
    unsigned d = any_operand(r->name, form[0]);
    unsigned v = has_v ? any_operand(r->name, *(strchr(form, 'v') - 1)) : 0;
    unsigned rm = any_operand(r->name, form[strlen(form) - 2]);
    struct x64_mem m = mem_with_base();
    bool memory = ir_random_below(&rnd, 2) || strcmp(r->name, "vmovss_xm") == 0;

    if (memory && (d | v) >= 16)
        m = without_index(m);

    if (memory)
        r->v.rrm(&c, d, v, m);
    else
        r->v.rrr(&c, d, v, rm);
    for (; *form; form += 2) {
        unsigned reg = form[1] == 'd' ? d : form[1] == 'v' ? v : rm;

        if (form[1] == 'm' && memory)
            add(&e, of_mem(m, vex_mem_size(r->name)));
        else if (form[0] == 'x')
            add(&e, of_xmm(reg));
        else
            add(&e, of_reg(reg, form[0] == 'r' ? 8 : 4));
    }
    as_evex(&e);
    check(&c, at, &e);
}

static void row_vmr(const struct row *r, uint8_t *buffer)
{
    struct x64_code c = fresh(buffer);
    struct expect e = named(r->name);
    uint32_t at = x64_at(&c);
    unsigned reg = ir_random_below(&rnd, 32);
    unsigned rm = ir_random_below(&rnd, strcmp(r->name, "vmovq_rx") == 0 ? 16 : 32);
    struct x64_mem m = mem_with_base();

    if (reg >= 16)
        m = without_index(m);
    /* Between registers vmovq_mx is not used; capstone 4 does not know its EVEX form. */
    bool memory =
        strcmp(r->name, "vmovss_mx") == 0 || (strcmp(r->name, "vmovq_mx") == 0 && (reg | rm) >= 16);

    if (memory || ir_random_below(&rnd, 2)) {
        r->vmr.mr(&c, m, reg);
        add(&e, of_mem(m, vex_mem_size(r->name)));
    } else {
        r->vmr.rr(&c, rm, reg);
        add(&e, strcmp(r->name, "vmovq_rx") == 0 ? of_reg(rm, 8) : of_xmm(rm));
    }
    add(&e, of_xmm(reg));
    as_evex(&e);
    check(&c, at, &e);
}

static void every_row_is_what_it_says(void **state)
{
    static void (*const of_kind[])(const struct row *, uint8_t *) = {
        [ROW_RM] = row_rm, [ROW_MR] = row_mr, [ROW_MI] = row_mi,  [ROW_M] = row_m,
        [ROW_SH] = row_sh, [ROW_V] = row_v,   [ROW_VMR] = row_vmr};
    uint8_t buffer[BUFFER];

    (void)state;
    for (unsigned k = 0; k < sizeof rows / sizeof rows[0]; k++)
        for (unsigned n = 0; n < ROUNDS; n++)
            of_kind[rows[k].kind](&rows[k], buffer);
}

/* ---- Forms that fit no row ------------------------------------------------------------------ */

static void one(const struct x64_code *c, uint32_t at, const char *mnemonic, unsigned n,
                const struct operand *op)
{
    struct expect e = {.n = n};

    snprintf(e.mnemonic, sizeof e.mnemonic, "%s", mnemonic);
    for (unsigned k = 0; k < n; k++)
        e.op[k] = op[k];
    check(c, at, &e);
}
#define ONE(c, at, mnemonic, ...)                                                                  \
    one(c, at, mnemonic, sizeof((struct operand[]){__VA_ARGS__}) / sizeof(struct operand),         \
        (struct operand[]){__VA_ARGS__})

static void immediates_take_the_shortest_form(void **state)
{
    uint8_t buffer[BUFFER];

    (void)state;
    for (unsigned n = 0; n < 4000; n++) {
        struct x64_code c = fresh(buffer);
        uint64_t v = ir_random_value(&rnd);
        unsigned reg = any_reg();
        uint32_t at = x64_at(&c);

        x64_mov_imm(&c, reg, v);
        if (v <= UINT32_MAX) {
            ONE(&c, at, "mov", of_reg(reg, 4), of_imm((int64_t)v, 4));
            assert_true(x64_at(&c) - at <= 6);
        } else if ((int64_t)v == (int32_t)v) {
            ONE(&c, at, "mov", of_reg(reg, 8), of_imm((int64_t)v, 8));
            assert_int_equal(x64_at(&c) - at, 7);
        } else {
            ONE(&c, at, "movabs", of_reg(reg, 8), of_imm((int64_t)v, 8));
        }
    }
}

static void conditions_are_numbered_as_the_processor_does(void **state)
{
    static const char *const cc[] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                     "s", "ns", "p", "np", "l", "ge", "le", "g"};
    uint8_t buffer[BUFFER];
    char text[8];

    (void)state;
    for (unsigned k = 0; k < 16; k++) {
        for (unsigned reg = 0; reg < 16; reg++) {
            struct x64_code c = fresh(buffer);
            uint32_t at = x64_at(&c);

            x64_setcc(&c, (enum x64_cc)k, reg);
            snprintf(text, sizeof text, "set%s", cc[k]);
            ONE(&c, at, text, of_reg(reg, 1));
        }
        struct x64_code c = fresh(buffer);
        uint32_t at = x64_at(&c);
        uint32_t field = x64_jcc(&c, (enum x64_cc)k);

        x64_fix(&c, field, 0x123);
        snprintf(text, sizeof text, "j%s", cc[k]);
        ONE(&c, at, text, of_imm(0x123, 8));
    }
}

static void other_forms(void **state)
{
    uint8_t buffer[BUFFER];

    (void)state;
    for (unsigned n = 0; n < 2000; n++) {
        unsigned d = any_reg(), s = any_reg(), k = ir_random_below(&rnd, 64);
        struct x64_mem m = mem_with_base();
        int32_t imm = any_disp();
        struct x64_code c;
        uint32_t at;

#define FORM(call, mnemonic, ...)                                                                  \
    c = fresh(buffer), at = x64_at(&c), call;                                                      \
    ONE(&c, at, mnemonic, __VA_ARGS__)
        FORM(x64_imul_imm(&c, d, s, imm), "imul", of_reg(d, 8), of_reg(s, 8), of_imm(imm, 8));
        FORM(x64_vcmpeq(&c, true, d, s, k & 15), "vcmpeqsd", of_xmm(d), of_xmm(s), of_xmm(k & 15));
        FORM(x64_vcmpeq(&c, false, d, s, k & 15), "vcmpeqss", of_xmm(d), of_xmm(s), of_xmm(k & 15));
        FORM(x64_bswap(&c, d), "bswap", of_reg(d, 8));
        FORM(x64_rorx(&c, d, s, k), "rorx", of_reg(d, 8), of_reg(s, 8), of_imm((int64_t)k, 1));
        FORM(x64_ror_cl(&c, true, d), "ror", of_reg(d, 8), of_reg(RCX, 1));
        FORM(x64_ror_cl(&c, false, d), "ror", of_reg(d, 4), of_reg(RCX, 1));
        FORM(x64_ldmxcsr(&c, m), "ldmxcsr", of_mem(m, 4));
        FORM(x64_stmxcsr(&c, m), "stmxcsr", of_mem(m, 4));
        FORM(x64_push(&c, d), "push", of_reg(d, 8));
        FORM(x64_pop(&c, d), "pop", of_reg(d, 8));
#undef FORM
#define FORM0(call, mnemonic)                                                                      \
    c = fresh(buffer), at = x64_at(&c), call, one(&c, at, mnemonic, 0, NULL)
        FORM0(x64_cqo(&c), "cqo");
        FORM0(x64_lfence(&c), "lfence");
        FORM0(x64_rdtsc(&c), "rdtsc");
        FORM0(x64_ret(&c), "ret");
#undef FORM0
    }
}

static void jumps_can_be_patched(void **state)
{
    uint8_t buffer[BUFFER];

    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        struct x64_code c = fresh(buffer);
        uint32_t target = ir_random_below(&rnd, 10000);
        bool calls = ir_random_below(&rnd, 2) != 0;

        for (unsigned k = ir_random_below(&rnd, 4); k > 0; k--)
            x64_byte(&c, 0x90);
        uint32_t field = calls ? x64_call_patchable(&c) : x64_jmp_patchable(&c);

        assert_int_equal(field % 4, 0);
        assert_int_equal(field + 4, x64_at(&c));
        x64_fix(&c, field, target);
        ONE(&c, field - 1, calls ? "call" : "jmp", of_imm((int64_t)target, 8));
    }
}

/* What fills up to an alignment does nothing, and is read as whole instructions. */
static void padding_is_no_ops(void **state)
{
    uint8_t buffer[BUFFER];

    (void)state;
    for (unsigned from = 0; from < 32; from++) {
        for (unsigned rest = 0; rest < 32; rest++) {
            struct x64_code c = {.start = buffer, .p = buffer + from, .end = buffer + BUFFER};
            cs_insn *insn;
            size_t n;

            x64_align(&c, 32, rest);
            assert_int_equal(x64_at(&c) % 32, rest);
            assert_true(x64_at(&c) - from < 32);
            n = cs_disasm(handle, buffer + from, x64_at(&c) - from, 0, 0, &insn);
            size_t bytes = 0;

            for (size_t k = 0; k < n; k++) {
                assert_string_equal(insn[k].mnemonic, "nop");
                bytes += insn[k].size;
            }
            assert_int_equal(bytes, x64_at(&c) - from);
            if (n)
                cs_free(insn, n);
        }
    }
}

/* No byte is written behind the end, whatever does not fit. */
static void a_full_buffer_stays_whole(void **state)
{
    (void)state;
    for (unsigned room = 0; room < 24; room++) {
        for (unsigned n = 0; n < 200; n++) {
            uint8_t buffer[64];
            struct x64_code c = {.start = buffer, .p = buffer, .end = buffer + room};
            const struct row *r = &rows[ir_random_below(&rnd, sizeof rows / sizeof rows[0])];

            memset(buffer, 0xcc, sizeof buffer);
            for (unsigned k = 0; k < 3; k++) {
                x64_add_mi(&c, mem_with_base(), any_disp());
                x64_mov_imm(&c, any_reg(), ir_random_next(&rnd));
                if (r->kind == ROW_V)
                    r->v.rrm(&c, any_reg(), any_reg(), mem_with_base());
                x64_align(&c, 16, 0);
                x64_fix(&c, x64_jmp(&c), 0);
            }
            assert_true(c.full);
            assert_true(c.p <= c.end);
            for (unsigned k = room; k < sizeof buffer; k++)
                assert_int_equal(buffer[k], 0xcc);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_what_it_says),
        cmocka_unit_test(immediates_take_the_shortest_form),
        cmocka_unit_test(conditions_are_numbered_as_the_processor_does),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(jumps_can_be_patched),
        cmocka_unit_test(padding_is_no_ops),
        cmocka_unit_test(a_full_buffer_stays_whole),
    };
    int failed;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
        return 1;
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    cs_close(&handle);
    return failed;
}
