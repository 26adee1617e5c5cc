/* Sequences of accesses to the devices' registers, with what reaches a device from the other side
 * between them. A device keeps within itself, and its state saved and loaded is its state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/clint.h"
#include "devices/finisher.h"
#include "devices/fw_cfg.h"
#include "devices/htif.h"
#include "devices/pflash.h"
#include "devices/plic.h"
#include "devices/rtc_goldfish.h"
#include "devices/uart16550.h"
#include "tests/fuzz/fuzz.h"

enum { N_HARTS = 2, N_CONTEXTS = 4, MAX_STEPS = 400, RAM_LEN = 1 << 16, UART_IRQ = 10 };
#define RAM    UINT64_C(0x80000000)
#define TOHOST (RAM + 0x100)

struct bench {
    struct uart uart;
    struct plic plic;
    struct clint clint;
    struct rtc rtc;
    struct finisher finisher;
    struct htif htif;
    struct fw_cfg fw_cfg;
    struct pflash flash;
    struct clock clock;
    uint64_t ticks;
    uint64_t bytes_out;
    bool line[64];
};

static struct phys ram;

static uint64_t now(void *arg)
{
    return ((struct bench *)arg)->ticks;
}

static void set_ticks(void *arg, uint64_t ticks)
{
    ((struct bench *)arg)->ticks = ticks;
}

static void set_line(void *arg, unsigned n, bool level)
{
    ((struct bench *)arg)->line[n] = level;
}

static void put(void *arg, uint8_t byte)
{
    ((struct bench *)arg)->bytes_out += 1 + (byte == 0);
}

static int no_character(void *arg)
{
    return ((struct bench *)arg)->ticks % 3 == 0 ? 'x' : -1;
}

static void ready(void *arg)
{
    (void)arg;
}

static void finish(void *arg, enum finish_kind kind, int code)
{
    (void)arg;
    CHECK(kind == FINISH_POWEROFF || kind == FINISH_RESET);
    CHECK(code >= 0 && code <= 255 && "an exit status");
}

static void arm_hart(void *arg, unsigned hart, uint64_t deadline)
{
    (void)arg, (void)deadline;
    CHECK(hart < N_HARTS);
}

static void arm(void *arg, uint64_t deadline)
{
    (void)arg, (void)deadline;
}

static void wake(void *arg)
{
    (void)arg;
}

static void wrote_ram(void *arg, uint64_t gpa, uint64_t len_bytes)
{
    (void)arg;
    CHECK(phys_is_ram(&ram, gpa, len_bytes));
}

/* One for all, which stays as it is: what is programmed is taken back. */
static uint8_t *flash_bytes(void)
{
    static uint8_t *bytes;

    if (!bytes) {
        bytes = malloc(PFLASH_LEN);
        CHECK(bytes);
        memset(bytes, 0xff, PFLASH_LEN);
    }
    return bytes;
}

static bool keep(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    CHECK(offset < PFLASH_LEN && len_bytes <= PFLASH_LEN - offset);
    memset(flash_bytes() + offset, 0xff, len_bytes);
    return len_bytes != 2;
}

static void wrote_flash(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    CHECK(len_bytes > 0 && offset < PFLASH_LEN && len_bytes <= PFLASH_LEN - offset);
}

static void make_firmwares(struct bench *b)
{
    const struct virtio_dma dma = {.phys = &ram, .wrote = wrote_ram};
    const struct pflash_host host = {.keep = keep, .wake = wake, .wrote = wrote_flash};

    fw_cfg_init(&b->fw_cfg, &dma, wake, NULL);
    fw_cfg_add_number(&b->fw_cfg, FW_CFG_NB_CPUS, N_HARTS, 2);
    fw_cfg_add_file(&b->fw_cfg, "opt/b", "123456789", 9);
    fw_cfg_add_file(&b->fw_cfg, "opt/a", NULL, 0);
    pflash_init(&b->flash, flash_bytes(), false, &host);
}

/* An order of fw_cfg's, as it should be, or nearly. */
static void order(struct bench *b, struct fuzz_input *in)
{
    const uint32_t control = fuzz_below(in, 32) | fuzz_below(in, 40) << 16;
    const uint32_t words[2] = {__builtin_bswap32(control), (uint32_t)fuzz_take(in, 2) << 16};
    const uint64_t gpa = RAM + fuzz_take(in, 2), to = __builtin_bswap64(gpa ^ fuzz_below(in, 2));

    memcpy(phys_ptr(&ram, RAM + 0x200), words, sizeof words);
    memcpy(phys_ptr(&ram, RAM + 0x208), &to, sizeof to);
    fw_cfg_mmio.write(&b->fw_cfg, 16, 8,
                      __builtin_bswap64(fuzz_below(in, 8) ? RAM + 0x200 : fuzz_take(in, 8)));
    fw_cfg_poll(&b->fw_cfg);
}

static void make(struct bench *b)
{
    struct irq_line lines[N_CONTEXTS], soft[N_HARTS], timer[N_HARTS];

    memset(b, 0, sizeof *b);
    b->clock =
        (struct clock){.now_ticks = now, .set_ticks = set_ticks, .wall_seconds = now, .arg = b};
    for (unsigned i = 0; i < N_CONTEXTS; i++)
        lines[i] = (struct irq_line){set_line, b, i};
    for (unsigned i = 0; i < N_HARTS; i++) {
        soft[i] = (struct irq_line){set_line, b, 8 + i};
        timer[i] = (struct irq_line){set_line, b, 16 + i};
    }
    plic_init(&b->plic, lines, N_CONTEXTS);
    clint_init(&b->clint, &b->clock, soft, timer, N_HARTS, arm_hart, b);
    rtc_init(&b->rtc, &b->clock, plic_line(&b->plic, 11), arm, b);
    uart_init(&b->uart, plic_line(&b->plic, UART_IRQ),
              (struct uart_wire){.put = put, .ready = ready, .arg = b});
    b->finisher = (struct finisher){finish, b};
    htif_init(&b->htif, &ram, TOHOST, TOHOST + 64);
    b->htif.put = put;
    b->htif.get = no_character;
    b->htif.console = b;
    b->htif.finish = finish;
    b->htif.finish_arg = b;
    make_firmwares(b);
}

static void destroy(struct bench *b)
{
    fw_cfg_fini(&b->fw_cfg);
    pflash_fini(&b->flash);
    uart_fini(&b->uart);
    rtc_fini(&b->rtc);
    clint_fini(&b->clint);
    plic_fini(&b->plic);
}

/* ---- One step --------------------------------------------------------------------------- */

static void access_device(struct bench *b, struct fuzz_input *in)
{
    const struct {
        const struct phys_mmio *ops;
        void *device;
        uint64_t len;
        uint64_t dense[4]; /* where its registers are */
    } target[] = {
        {&uart_mmio, &b->uart, 0x100, {0}},
        {&plic_mmio, &b->plic, 0x600000, {0, 0x1000, 0x2000, 0x200000}},
        {&clint_mmio, &b->clint, 0x10000, {0, 0x4000, 0x4000, 0xbfc0}},
        {&rtc_mmio, &b->rtc, 0x1000, {0}},
        {&finisher_mmio, &b->finisher, 0x1000, {0}},
        {&fw_cfg_mmio, &b->fw_cfg, 0x18, {0, 0, 0, 0}},
        {&pflash_mmio, &b->flash, PFLASH_LEN, {0, 0, 0x2000, PFLASH_BLOCK}},
    };
    unsigned n = fuzz_below(in, 7), size = 1u << fuzz_below(in, 4);
    uint64_t offset = fuzz_take(in, 3) % target[n].len;
    const struct phys_mmio *ops = target[n].ops;

    if (fuzz_below(in, 4) != 0)
        offset = target[n].dense[fuzz_below(in, 4)] + offset % 0x40;
    offset = offset % target[n].len & ~(uint64_t)(size - 1);
    if (size < ops->min_size || size > ops->max_size)
        return;
    if (fuzz_below(in, 2))
        ops->write(target[n].device, offset, size, fuzz_take(in, size));
    else
        (void)ops->read(target[n].device, offset, size);
}

static void receive(struct bench *b, struct fuzz_input *in)
{
    uint8_t data[40];
    unsigned n = fuzz_below(in, sizeof data);

    for (unsigned i = 0; i < n; i++)
        data[i] = (uint8_t)fuzz_take(in, 1);
    CHECK(uart_receive(&b->uart, data, n) <= n);
}

static void command(struct bench *b, struct fuzz_input *in)
{
    uint64_t gpa = fuzz_below(in, 4) ? TOHOST : RAM + (fuzz_take(in, 2) & ~UINT64_C(7));
    uint64_t value = fuzz_take(in, 8);

    if (fuzz_below(in, 2))
        value = RAM + (value & 0xfff8);
    memcpy(phys_ptr(&ram, gpa), &value, 8);
    htif_poll(&b->htif);
}

static void step(struct bench *b, struct fuzz_input *in)
{
    switch (fuzz_below(in, 12)) {
    case 0: receive(b, in); break;
    case 1: uart_break(&b->uart); break;
    case 2: (void)uart_take(&b->uart); break;
    case 3: {
        struct irq_line line = plic_line(&b->plic, 1 + fuzz_below(in, UART_IRQ - 1));

        irq_set(&line, fuzz_below(in, 2) != 0);
        break;
    }
    case 4: b->ticks += fuzz_take(in, 8) >> fuzz_below(in, 64); break;
    case 5: clint_tick(&b->clint, fuzz_below(in, N_HARTS)); break;
    case 6: rtc_tick(&b->rtc); break;
    case 7:
        command(b, in);
        order(b, in);
        pflash_poll(&b->flash);
        break;
    default: access_device(b, in); break;
    }
    CHECK(b->uart.rx_len <= UART_FIFO && b->uart.rx_head < UART_FIFO);
}

/* ---- State ---------------------------------------------------------------------------------- */

static void transfer(struct bench *b, struct state_io *io)
{
    plic_state(&b->plic, io); /* first, as the board does: the others drive its lines */
    clint_state(&b->clint, io);
    uart_state(&b->uart, io);
    rtc_state(&b->rtc, io);
    htif_state(&b->htif, io);
    fw_cfg_state(&b->fw_cfg, io);
    pflash_state(&b->flash, io);
    CHECK(!io->failed);
}

static char *saved(struct bench *b, size_t *len)
{
    char *text;
    struct state_io io = {.saving = true};

    io.f = open_memstream(&text, len);
    transfer(b, &io);
    fclose(io.f);
    return text;
}

static void check_reads(const struct phys_mmio *ops, void *x, void *y, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += ops->min_size)
        CHECK(ops->read(x, at, ops->min_size) == ops->read(y, at, ops->min_size));
}

/* What a guest reads of one is what it reads of the other. */
static void check_same(struct bench *x, struct bench *y)
{
    for (unsigned n = 0; n < 64; n++)
        CHECK(x->line[n] == y->line[n]);
    check_reads(&clint_mmio, &x->clint, &y->clint, 0, 4 * N_HARTS);
    check_reads(&clint_mmio, &x->clint, &y->clint, 0x4000, 0x4000 + 8 * N_HARTS);
    check_reads(&clint_mmio, &x->clint, &y->clint, 0xbff8, 0xc000);
    check_reads(&rtc_mmio, &x->rtc, &y->rtc, 0, 0x40);
    check_reads(&plic_mmio, &x->plic, &y->plic, 0, 4 * PLIC_SOURCES);
    check_reads(&plic_mmio, &x->plic, &y->plic, 0x1000, 0x1000 + 4 * PLIC_WORDS);
    for (uint64_t n = 0; n < N_CONTEXTS; n++) {
        uint64_t enable = 0x2000 + 0x80 * n, context = 0x200000 + 0x1000 * n;

        check_reads(&plic_mmio, &x->plic, &y->plic, enable, enable + 4 * PLIC_WORDS);
        check_reads(&plic_mmio, &x->plic, &y->plic, context, context + 8); /* claims */
    }
    for (unsigned n = 0; n < UART_FIFO + 2; n++)
        check_reads(&uart_mmio, &x->uart, &y->uart, 0, 8);
}

static void check_state(struct bench *b)
{
    static struct bench other;
    size_t x_len, y_len;
    char *x, *y;

    rtc_tick(&b->rtc); /* what is due now would happen between the two */
    x = saved(b, &x_len);
    struct state_io io = {.f = fmemopen(x, x_len, "r")};

    make(&other);
    other.ticks = b->ticks;
    transfer(&other, &io);
    fclose(io.f);
    y = saved(&other, &y_len);
    CHECK(x_len == y_len && memcmp(x, y, x_len) == 0);
    free(x);
    free(y);
    check_same(b, &other);
    destroy(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct bench b;
    struct fuzz_input in = {data, len};
    struct err e;

    if (!ram.ram)
        CHECK(phys_init(&ram, RAM, RAM_LEN, &e));
    memset(phys_ptr(&ram, RAM), 0, RAM_LEN);
    make(&b);
    for (unsigned n = 0; n < MAX_STEPS && in.left > 0; n++)
        step(&b, &in);
    check_state(&b);
    destroy(&b);
    return 0;
}
