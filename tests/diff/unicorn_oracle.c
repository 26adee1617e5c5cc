#include "tests/diff/unicorn_oracle.h"

#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

#include "dbt/base/check.h"
#include "frontend/riscv/sys/sys.h"

/* Where Unicorn alone has memory: the spare register's page, whose first half is for the
 * repairs and whose second holds the mret that starts programs in S and U. */
#define SPARE_PAGE RV_RANDOM_SPARE_VALUE
enum { MRET = 0x30200073, MRET_AT = 0x800, MSTATUS_FS = 3 << 13, N_REGS = 66 };
enum { RUNS_MAX = 50000 };

struct unicorn {
    uc_engine *uc;
    uc_context *reset;
    uint8_t *ram;
    unsigned n_runs;
    struct unicorn_end *end;
    int id[N_REGS];
    uint64_t value[N_REGS];
    void *pointer[N_REGS];
    uc_hook on_code;
    void (*before)(void *arg, const struct rv_regs *r);
    void *arg;
    uint64_t at; /* of the last instruction that `before` was called for */
};

/* ---- Hooks -------------------------------------------------------------------------------- */

static void on_exception(uc_engine *uc, uint32_t number, void *arg)
{
    struct unicorn *u = arg;

    u->end->stop = UNICORN_EXCEPTION;
    u->end->number = number;
    uc_emu_stop(uc);
}

static bool on_invalid(uc_engine *uc, void *arg)
{
    (void)uc;
    ((struct unicorn *)arg)->end->stop = UNICORN_BREAKPOINT;
    return false;
}

/* The first of what may be several calls for the bytes of one access. */
static bool on_memory(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                      void *arg)
{
    struct unicorn_end *e = ((struct unicorn *)arg)->end;

    (void)uc, (void)size, (void)value;
    if (e->stop != UNICORN_LOST)
        return false;
    e->stop = type == UC_MEM_READ_UNMAPPED    ? UNICORN_READ
              : type == UC_MEM_WRITE_UNMAPPED ? UNICORN_WRITE
                                              : UNICORN_FETCH;
    e->address = address;
    return false;
}

/* ---- Registers ---------------------------------------------------------------------------- */

/* x1..x31, f0..f31, fcsr: number 0 is pc. */
static void name_registers(struct unicorn *u)
{
    unsigned n = 0;

    u->id[n++] = UC_RISCV_REG_PC;
    for (int k = 1; k < 32; k++)
        u->id[n++] = UC_RISCV_REG_X0 + k;
    for (int k = 0; k < 32; k++)
        u->id[n++] = UC_RISCV_REG_F0 + k;
    u->id[n++] = UC_RISCV_REG_FCSR;
    u->id[n++] = UC_RISCV_REG_MSTATUS;
    for (unsigned k = 0; k < N_REGS; k++)
        u->pointer[k] = &u->value[k];
}

static void read_regs(struct unicorn *u, struct rv_regs *r)
{
    uc_reg_read_batch(u->uc, u->id, u->pointer, N_REGS - 1);
    r->pc = u->value[0];
    r->x[0] = 0;
    memcpy(r->x + 1, u->value + 1, 31 * 8);
    memcpy(r->f, u->value + 32, sizeof(r->f));
    r->fcsr = (uint32_t)u->value[64];
}

/* FCSR and MSTATUS go the way of a csrrw: in M mode, to which the context brings back. */
static void write_regs(struct unicorn *u, const struct rv_program *p)
{
    u->value[0] = RV_RANDOM_BASE + p->start;
    memcpy(u->value + 1, p->x + 1, 31 * 8);
    memcpy(u->value + 32, p->f, sizeof(p->f));
    u->value[64] = p->fcsr;
    u->value[65] = MSTATUS_FS | (uint64_t)p->priv << RV_STATUS_MPP_SHIFT;
    uc_reg_write_batch(u->uc, u->id, u->pointer, N_REGS);
}

static void on_code(uc_engine *uc, uint64_t address, uint32_t size, void *arg)
{
    struct unicorn *u = arg;
    struct rv_regs r;

    (void)uc, (void)size;
    if (address >= SPARE_PAGE && address < SPARE_PAGE + PAGE_SIZE)
        return;
    u->at = address;
    read_regs(u, &r);
    r.pc = address;
    u->before(u->arg, &r);
}

/* ---- Life --------------------------------------------------------------------------------- */

static void must(uc_err e)
{
    if (e == UC_ERR_OK)
        return;
    fprintf(stderr, "unicorn: %s\n", uc_strerror(e));
    exit(1);
}

static void open_engine(struct unicorn *u)
{
    uint32_t mret = MRET;
    uint64_t mstatus = MSTATUS_FS;
    uc_hook hook;

    must(uc_open(UC_ARCH_RISCV, UC_MODE_RISCV64, &u->uc));
    must(uc_mem_map_ptr(u->uc, RV_RANDOM_BASE, RV_RANDOM_RAM_BYTES, UC_PROT_ALL, u->ram));
    must(uc_mem_map(u->uc, SPARE_PAGE, PAGE_SIZE, UC_PROT_ALL));
    must(uc_mem_write(u->uc, SPARE_PAGE + MRET_AT, &mret, sizeof(mret)));
    must(uc_reg_write(u->uc, UC_RISCV_REG_MSTATUS, &mstatus));
    must(uc_hook_add(u->uc, &hook, UC_HOOK_INTR, (void *)on_exception, u, 1, 0));
    must(uc_hook_add(u->uc, &hook, UC_HOOK_INSN_INVALID, (void *)on_invalid, u, 1, 0));
    must(uc_hook_add(u->uc, &hook, UC_HOOK_MEM_INVALID, (void *)on_memory, u, 1, 0));
    must(uc_context_alloc(u->uc, &u->reset));
    must(uc_context_save(u->uc, u->reset));
}

static void close_engine(struct unicorn *u)
{
    uc_context_free(u->reset);
    uc_close(u->uc);
}

struct unicorn *unicorn_create(void)
{
    struct unicorn *u = calloc(1, sizeof(*u));

    CHECK(u && "memory for the oracle");
    u->ram = aligned_alloc(PAGE_SIZE, RV_RANDOM_RAM_BYTES);
    CHECK(u->ram && "memory for the oracle");
    name_registers(u);
    open_engine(u);
    return u;
}

void unicorn_destroy(struct unicorn *u)
{
    close_engine(u);
    free(u->ram);
    free(u);
}

/* Unicorn 2.0.1 crashes in page_collection_lock() after some 300,000 programs, when it has
 * emptied its full code buffer: it must not come to that. */
static void renew_engine(struct unicorn *u)
{
    if (++u->n_runs % RUNS_MAX != 0)
        return;
    close_engine(u);
    open_engine(u);
}

uint8_t *unicorn_ram(struct unicorn *u)
{
    return u->ram;
}

/* ---- Runs --------------------------------------------------------------------------------- */

/* Unicorn leaves a single in a register without its box: the two nops behind the instruction
 * become fsw, flw of that register. */
static void put_repairs(struct unicorn *u, const struct rv_program *p)
{
    for (unsigned k = 1; k + 1 < p->n; k++) {
        if (p->room[k] != 1)
            continue;
        uint32_t reg = p->word[k - 1] >> 7 & 31;
        uint32_t fsw = 0x00002027 | (uint32_t)RV_RANDOM_SPARE << 15 | reg << 20;
        uint32_t flw = 0x00002007 | (uint32_t)RV_RANDOM_SPARE << 15 | reg << 7;

        memcpy(u->ram + p->offset[k], &fsw, 4);
        memcpy(u->ram + p->offset[k + 1], &flw, 4);
    }
}

static void remove_repairs(struct unicorn *u, const struct rv_program *p)
{
    for (unsigned k = 0; k < p->n; k++)
        if (p->room[k])
            memcpy(u->ram + p->offset[k], &p->word[k], 4);
}

void unicorn_run(struct unicorn *u, const struct rv_program *p, struct unicorn_end *end,
                 void (*before)(void *arg, const struct rv_regs *r), void *arg)
{
    uint64_t start = RV_RANDOM_BASE + p->start;
    uint64_t zero = 0;

    renew_engine(u);
    memset(end, 0, sizeof(*end));
    u->end = end;
    u->before = before;
    u->arg = arg;
    put_repairs(u, p);
    must(uc_ctl_remove_cache(u->uc, RV_RANDOM_BASE, RV_RANDOM_BASE + RV_RANDOM_RAM_BYTES));
    must(uc_context_restore(u->uc, u->reset));
    write_regs(u, p);
    if (before)
        must(uc_hook_add(u->uc, &u->on_code, UC_HOOK_CODE, (void *)on_code, u, 1, 0));
    if (p->priv != RV_M) {
        must(uc_reg_write(u->uc, UC_RISCV_REG_MEPC, &start));
        must(uc_reg_write(u->uc, UC_RISCV_REG_MSCRATCH, &zero));
        start = SPARE_PAGE + MRET_AT;
    }
    end->text = uc_strerror(uc_emu_start(u->uc, start, 2, 0, 0));
    read_regs(u, &end->regs);
    if (before)
        must(uc_hook_del(u->uc, u->on_code));
    remove_repairs(u, p);
    /* An exception leaves pc behind the instruction, as if all had four bytes; when memory is
     * missing pc is the start of Unicorn's own block. */
    if (end->stop == UNICORN_EXCEPTION)
        end->regs.pc -= 4;
    else if (before && (end->stop == UNICORN_READ || end->stop == UNICORN_WRITE))
        end->regs.pc = u->at;
}

bool unicorn_trap(const struct unicorn_end *e, const struct rv_program *p, const uint8_t *ram,
                  uint64_t *cause, uint64_t *tval)
{
    uint64_t offset = e->regs.pc - RV_RANDOM_BASE;
    struct rv_insn i = {.op = RV_OP_reserved};
    uint32_t word = 0;

    if (offset <= RV_RANDOM_RAM_BYTES - 4) {
        memcpy(&word, ram + offset, 4);
        rv_decode(word, &i);
    }
    bool is_load = rv_rows[i.op].kind == RV_KIND_LOAD || i.op == RV_OP_lr_w || i.op == RV_OP_lr_d ||
                   i.op == RV_OP_flw || i.op == RV_OP_fld;

    *tval = e->address;
    switch (e->stop) {
    case UNICORN_EXCEPTION:
        *cause = e->number;
        *tval = 0;
        if (e->number == RV_ILLEGAL)
            *tval = i.len == 2 ? word & 0xffff : word;
        else if (e->number == RV_ECALL_U)
            *cause = RV_ECALL_U + p->priv;
        else if (e->number == RV_LOAD_MISALIGNED || e->number == RV_STORE_MISALIGNED)
            *cause = is_load ? RV_LOAD_MISALIGNED : RV_STORE_MISALIGNED, *tval = e->regs.x[i.rs1];
        return true;
    case UNICORN_BREAKPOINT:
        *cause = RV_BREAKPOINT;
        *tval = e->regs.pc;
        return i.op == RV_OP_ebreak;
    case UNICORN_READ:
    case UNICORN_WRITE: *cause = is_load ? RV_LOAD_ACCESS : RV_STORE_ACCESS; return true;
    case UNICORN_FETCH: *cause = RV_FETCH_ACCESS; return true;
    default: return false;
    }
}
