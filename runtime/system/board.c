#include "runtime/system/board.h"

#include "devices/host/chardev.h"
#include "runtime/system/memmap.h"

/* Bits of mip (RISC-V privileged specification, section 3.1.9). */
enum { MIP_MSI = 3, MIP_MTI = 7, MIP_SEI = 9, MIP_MEI = 11 };

static struct irq_line hart_line(const struct board *b, unsigned hart, unsigned bit)
{
    return (struct irq_line){.set = b->host.set_mip, .arg = b->host.hart[hart], .n = bit};
}

/* ---- What the devices ask for ------------------------------------------------------- */

static void arm_hart(void *arg, unsigned hart, uint64_t deadline_ticks)
{
    struct board *b = arg;

    b->host.arm(b->host.arg, BOARD_TIMER_HART + hart, deadline_ticks);
}

static void arm_rtc(void *arg, uint64_t deadline_ticks)
{
    struct board *b = arg;

    b->host.arm(b->host.arg, BOARD_TIMER_RTC, deadline_ticks);
}

static struct chardev *line_of(const struct board *b, unsigned line)
{
    return line == BOARD_SERIAL ? b->lines->serial : b->lines->console;
}

static void put(struct board *b, unsigned line, uint8_t byte)
{
    if (!chardev_put(line_of(b, line), byte))
        b->host.crowded(b->host.arg, line);
}

static void wire_put(void *arg, uint8_t byte)
{
    board_console_put(arg, byte);
}

static void wire_ready(void *arg)
{
    chardev_ready(((struct board *)arg)->lines->serial);
}

static size_t front_receive(void *arg, const uint8_t *data, size_t n)
{
    return uart_receive(&((struct board *)arg)->uart, data, n);
}

static void front_break(void *arg)
{
    uart_break(&((struct board *)arg)->uart);
}

static void front_quit(void *arg)
{
    struct board *b = arg;

    b->host.quit(b->host.arg);
}

static void front_to_monitor(void *arg)
{
    struct board *b = arg;

    b->host.to_monitor(b->host.arg);
}

static void front_monitor(void *arg, const uint8_t *data, size_t n)
{
    struct board *b = arg;

    b->host.monitor(b->host.arg, data, n);
}

static void console_wire_put(void *arg, uint8_t byte)
{
    struct board *b = arg;

    put(b, BOARD_CONSOLE, byte);
}

/* The driver's buffers are served by any hart: this one is to come again, and so it waits. */
static bool console_wire_has_room(void *arg)
{
    struct board *b = arg;

    if (!board_crowded(b, BOARD_CONSOLE))
        return true;
    b->host.crowded(b->host.arg, BOARD_CONSOLE);
    return false;
}

static void console_wire_ready(void *arg)
{
    chardev_ready(((struct board *)arg)->lines->console);
}

static size_t console_receive(void *arg, const uint8_t *data, size_t n)
{
    return virtio_console_receive(((struct board *)arg)->virtio.console, data, n);
}

static void console_resized(void *arg, unsigned columns, unsigned rows)
{
    virtio_console_resize(((struct board *)arg)->virtio.console, (uint16_t)columns, (uint16_t)rows);
}

/* It is hart 0 that comes to HTIF now and then, whoever has written: it waits for nobody, and the
 * guest for its answer. In virtual time that must not come by the host's; so hart 0 waits. */
static void htif_put(void *arg, uint8_t byte)
{
    struct board *b = arg;

    if (b->host.virtual_time)
        put(b, BOARD_SERIAL, byte);
    else
        board_say(b, byte);
}

static bool htif_has_room(void *arg)
{
    struct board *b = arg;

    return b->host.virtual_time || !board_crowded(b, BOARD_SERIAL);
}

static int console_get(void *arg)
{
    return board_console_get(arg);
}

/* ---- Life --------------------------------------------------------------------------- */

static void init_interrupts(struct board *b, const struct clock *clock, unsigned n_harts)
{
    struct irq_line context[2 * CLINT_MAX_HARTS], soft[CLINT_MAX_HARTS], timer[CLINT_MAX_HARTS];

    CHECK(n_harts <= CLINT_MAX_HARTS);
    for (unsigned i = 0; i < n_harts; i++) {
        context[2 * i] = hart_line(b, i, MIP_MEI);
        context[2 * i + 1] = hart_line(b, i, MIP_SEI);
        soft[i] = hart_line(b, i, MIP_MSI);
        timer[i] = hart_line(b, i, MIP_MTI);
    }
    plic_init(&b->plic, context, 2 * n_harts);
    clint_init(&b->clint, clock, soft, timer, n_harts, arm_hart, b);
}

static void init_devices(struct board *b, struct phys *phys, const struct clock *clock,
                         const struct boot_plan *plan)
{
    const struct uart_wire wire = {.put = wire_put, .ready = wire_ready, .arg = b};

    uart_init(&b->uart, plic_line(&b->plic, MEMMAP_uart_irq), wire);
    rtc_init(&b->rtc, clock, plic_line(&b->plic, MEMMAP_rtc_irq), arm_rtc, b);
    b->finisher = (struct finisher){.finish = b->host.finish, .arg = b->host.arg};
    htif_init(&b->htif, phys, plan->tohost_gpa, plan->fromhost_gpa);
    b->htif.put = htif_put;
    b->htif.has_room = htif_has_room;
    b->htif.get = console_get;
    b->htif.console = b;
    b->htif.finish = b->host.finish;
    b->htif.finish_arg = b->host.arg;
    b->htif.wrote = b->host.wrote;
    b->htif.wrote_arg = b->host.arg;
}

static void init_virtio(struct board *b, struct phys *phys, const struct machine_config *cfg,
                        const struct ends *ends)
{
    const struct board_virtio_host host = {
        .plic = &b->plic,
        .console = {.put = console_wire_put,
                    .has_room = console_wire_has_room,
                    .ready = console_wire_ready,
                    .arg = b},
        .dma = {.phys = phys, .wrote = b->host.wrote, .arg = b->host.arg},
        .wake = b->host.wake,
        .wake_arg = b->host.arg,
    };

    board_virtio_init(&b->virtio, cfg, ends, &host);
}

/* ---- Flash -------------------------------------------------------------------------- */

static bool flash_keep(void *arg, uint64_t offset, uint64_t len_bytes)
{
    const struct board_bank *bank = arg;

    return firmware_files_keep(bank->files, bank->n, offset, len_bytes);
}

static void flash_wake(void *arg)
{
    struct board *b = ((struct board_bank *)arg)->board;

    b->host.wake(b->host.arg);
}

static void flash_wrote(void *arg, uint64_t offset, uint64_t len_bytes)
{
    const struct board_bank *bank = arg;
    const struct board_host *host = &bank->board->host;

    host->wrote(host->arg, MEMMAP_flash_gpa + (uint64_t)PFLASH_LEN * bank->n + offset, len_bytes);
}

static void init_flash(struct board *b, struct phys *phys, const struct machine_config *cfg,
                       struct firmware_files *files)
{
    b->has_flash = config_has_flash(cfg);
    for (unsigned n = 0; b->has_flash && n < CONFIG_FLASH_BANKS; n++) {
        const uint64_t at = (uint64_t)PFLASH_LEN * n;
        const struct pflash_host host = {
            .keep = flash_keep, .wake = flash_wake, .wrote = flash_wrote, .arg = &b->bank[n]};

        b->bank[n] = (struct board_bank){.board = b, .files = files, .n = n};
        pflash_init(&b->flash[n], files->flash + at, cfg->flash[n].file.read_only, &host);
        phys_add_mmio(phys, MEMMAP_flash_gpa + at, PFLASH_LEN, "flash", &pflash_mmio, &b->flash[n]);
    }
}

/* ---- What the firmware may ask for ---------------------------------------------------- */

static void add_file(struct fw_cfg *f, uint16_t len_key, uint16_t data_key,
                     const struct firmware_file *file)
{
    fw_cfg_add_number(f, len_key, file->len, 4);
    fw_cfg_add(f, data_key, file->data, file->len);
}

static void init_fw_cfg(struct board *b, struct phys *phys, const struct machine_config *cfg,
                        const struct firmware_files *files)
{
    static const uint8_t no_uuid[16];
    const struct virtio_dma dma = {.phys = phys, .wrote = b->host.wrote, .arg = b->host.arg};
    struct fw_cfg *f = &b->fw_cfg;

    fw_cfg_init(f, &dma, b->host.wake, b->host.arg);
    fw_cfg_add(f, FW_CFG_UUID, no_uuid, sizeof no_uuid);
    fw_cfg_add_number(f, FW_CFG_RAM_SIZE, cfg->ram_len, 8);
    fw_cfg_add_number(f, FW_CFG_NOGRAPHIC, 1, 2);
    fw_cfg_add_number(f, FW_CFG_NB_CPUS, cfg->n_harts, 2);
    fw_cfg_add_number(f, FW_CFG_MAX_CPUS, cfg->n_harts, 2);
    add_file(f, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, &files->kernel);
    add_file(f, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, &files->initrd);
    add_file(f, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA, &files->cmdline);
    for (unsigned i = 0; i < cfg->n_fw_files; i++)
        fw_cfg_add_file(f, cfg->fw_file[i].name, files->file[i].data, files->file[i].len);
}

void board_init(struct board *b, struct phys *phys, const struct clock *clock,
                const struct machine_config *cfg, const struct boot_plan *plan, struct ends *ends,
                const struct board_host *host)
{
    *b = (struct board){.host = *host, .lines = &ends->lines};
    init_interrupts(b, clock, cfg->n_harts);
    init_devices(b, phys, clock, plan);
    init_virtio(b, phys, cfg, ends);
    init_flash(b, phys, cfg, &ends->firmware);
    init_fw_cfg(b, phys, cfg, &ends->firmware);
#define ADD(name, ops, device)                                                                     \
    phys_add_mmio(phys, MEMMAP_##name##_gpa, MEMMAP_##name##_len, #name, ops, device)
    ADD(finisher, &finisher_mmio, &b->finisher);
    ADD(rtc, &rtc_mmio, &b->rtc);
    ADD(clint, &clint_mmio, &b->clint);
    ADD(plic, &plic_mmio, &b->plic);
    ADD(uart, &uart_mmio, &b->uart);
    ADD(fw_cfg, &fw_cfg_mmio, &b->fw_cfg);
#undef ADD
}

bool board_start(struct board *b, struct err *e)
{
    const struct chardev_front front = {.receive = front_receive,
                                        .brk = front_break,
                                        .quit = front_quit,
                                        .to_monitor = front_to_monitor,
                                        .monitor = b->host.monitor ? front_monitor : NULL,
                                        .arg = b};

    const struct chardev_front console = {
        .receive = console_receive, .quit = front_quit, .resized = console_resized, .arg = b};

    return chardev_start(b->lines->serial, &front, e) &&
           (!b->lines->console || chardev_start(b->lines->console, &console, e));
}

void board_stop(struct board *b)
{
    chardev_stop(b->lines->serial);
    if (b->lines->console)
        chardev_stop(b->lines->console);
}

void board_fini(struct board *b)
{
    board_stop(b);
    board_virtio_fini(&b->virtio);
    for (unsigned n = 0; b->has_flash && n < CONFIG_FLASH_BANKS; n++)
        pflash_fini(&b->flash[n]);
    fw_cfg_fini(&b->fw_cfg);
    uart_fini(&b->uart);
    rtc_fini(&b->rtc);
    clint_fini(&b->clint);
    plic_fini(&b->plic);
}

void board_reset(struct board *b)
{
    board_virtio_reset(&b->virtio);
    for (unsigned n = 0; b->has_flash && n < CONFIG_FLASH_BANKS; n++)
        pflash_reset(&b->flash[n]);
    fw_cfg_reset(&b->fw_cfg);
    uart_reset(&b->uart);
    rtc_reset(&b->rtc);
    clint_reset(&b->clint);
    plic_reset(&b->plic);
    b->htif.wants_char = false;
    b->htif.in_hand = 0;
}

void board_state(struct board *b, struct state_io *io)
{
    plic_state(&b->plic, io);
    clint_state(&b->clint, io);
    uart_state(&b->uart, io);
    rtc_state(&b->rtc, io);
    htif_state(&b->htif, io);
    board_virtio_state(&b->virtio, io);
    for (unsigned n = 0; b->has_flash && n < CONFIG_FLASH_BANKS; n++)
        pflash_state(&b->flash[n], io);
    fw_cfg_state(&b->fw_cfg, io);
}

/* ---- While it runs -------------------------------------------------------------------- */

void board_timer(struct board *b, unsigned timer)
{
    if (timer == BOARD_TIMER_RTC)
        rtc_tick(&b->rtc);
    else
        clint_tick(&b->clint, timer - BOARD_TIMER_HART);
}

void board_poll(struct board *b)
{
    board_virtio_poll(&b->virtio);
    for (unsigned n = 0; b->has_flash && n < CONFIG_FLASH_BANKS; n++)
        pflash_poll(&b->flash[n]);
    fw_cfg_poll(&b->fw_cfg);
}

bool board_poll_htif(struct board *b)
{
    return htif_poll(&b->htif);
}

unsigned board_crowded(struct board *b, unsigned lines)
{
    unsigned crowded = 0;

    for (unsigned line = BOARD_SERIAL; line <= BOARD_CONSOLE; line <<= 1)
        if (lines & line && !chardev_has_room(line_of(b, line)))
            crowded |= line;
    return crowded;
}

void board_goes_on(struct board *b, unsigned lines)
{
    if (lines & BOARD_CONSOLE)
        virtio_console_room(b->virtio.console);
}

void board_hurry(struct board *b)
{
    chardev_hurry(b->lines->serial);
    if (b->lines->console)
        chardev_hurry(b->lines->console);
}

void board_console_put(struct board *b, uint8_t byte)
{
    put(b, BOARD_SERIAL, byte);
}

void board_say(struct board *b, uint8_t byte)
{
    chardev_put(b->lines->serial, byte);
}

int board_console_get(struct board *b)
{
    return uart_take(&b->uart);
}
