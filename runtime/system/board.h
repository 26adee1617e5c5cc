/* The board: all devices, wired to each other, to guest physical memory and to the
 * harts. The run loop hands in what it does for them (struct board_host).
 *
 *   UART, RTC, virtio --> PLIC --> hart's external interrupts (M and S)
 *   CLINT --------------------> hart's software and timer interrupts (M)
 *   finisher, HTIF -----------> board_host.finish
 *
 * Lock order: a device's lock, then the PLIC's, then what board_host's functions
 * take. board_host's functions must call no device. */
#pragma once

#include "devices/clint.h"
#include "devices/finisher.h"
#include "devices/fw_cfg.h"
#include "devices/htif.h"
#include "devices/pflash.h"
#include "devices/plic.h"
#include "devices/rtc_goldfish.h"
#include "devices/uart16550.h"
#include "runtime/system/board_virtio.h"
#include "runtime/system/boot.h"
#include "runtime/system/config.h"
#include "runtime/system/ends.h"

/* A deadline that somebody waits for: board_timer(i) is to be called when it has
 * come. Hart i's CLINT timer is BOARD_TIMER_HART + i. */
enum { BOARD_TIMER_RTC, BOARD_TIMER_HART, BOARD_MAX_TIMERS = BOARD_TIMER_HART + CLINT_MAX_HARTS };

enum { BOARD_SERIAL = 1, BOARD_CONSOLE = 2 }; /* lines, as a set */

struct board_host {
    /* Drives bit `bit` of the hart's mip. Any thread. */
    void (*set_mip)(void *hart, unsigned bit, bool level);
    void *hart[CLINT_MAX_HARTS];

    /* Replaces timer i's deadline (UINT64_MAX: none). Any thread. */
    void (*arm)(void *arg, unsigned timer, uint64_t deadline_ticks);
    /* The guest ends the machine: code is the exit status. On the hart's thread, in
     * the midst of a store; the run ends at the next boundary. */
    void (*finish)(void *arg, enum finish_kind kind, int code);
    /* The user ends it: Ctrl-A x. Not on a hart's thread. */
    void (*quit)(void *arg);
    /* The serial line's user turns to the monitor (Ctrl-A c), and types there. NULL: there is
     * none. Not on a hart's thread. */
    void (*to_monitor)(void *arg);
    void (*monitor)(void *arg, const uint8_t *data, size_t n);
    /* board_poll() is wanted, soon. Any thread. */
    void (*wake)(void *arg);
    /* Much of what was put on these lines waits there: who has put it, if it is a hart, is to run
     * no further while board_crowded(). Any thread, in the midst of a store. */
    void (*crowded)(void *arg, unsigned lines);
    /* A hart that waits so keeps its turn: for the guest no time passes. */
    bool virtual_time;
    /* A device wrote RAM in [gpa, gpa+len). On the hart's thread, between blocks. */
    void (*wrote)(void *arg, uint64_t gpa, uint64_t len_bytes);
    void *arg;
};

/* What a bank of flash needs to know. */
struct board_bank {
    struct board *board;
    struct firmware_files *files;
    unsigned n;
};

struct board {
    struct board_host host;
    struct plic plic;
    struct clint clint;
    struct uart uart;
    struct rtc rtc;
    struct finisher finisher;
    struct htif htif;
    struct board_virtio virtio;
    struct fw_cfg fw_cfg;
    struct pflash flash[CONFIG_FLASH_BANKS]; /* if there is flash */
    struct board_bank bank[CONFIG_FLASH_BANKS];
    bool has_flash;
    const struct lines *lines;
};

/* ---- The main thread, before the first hart runs, after the last has stopped ------ */

/* Adds the devices to `phys`. clock and ends are borrowed. */
void board_init(struct board *b, struct phys *phys, const struct clock *clock,
                const struct machine_config *cfg, const struct boot_plan *plan, struct ends *ends,
                const struct board_host *host);

/* The terminal becomes raw, input begins to flow. */
bool board_start(struct board *b, struct err *e) MUST_CHECK;

/* Input flows no more, and waits for another board. */
void board_stop(struct board *b);

/* The lines are another board's. */
void board_fini(struct board *b);

/* As after power-on; RAM is the caller's. */
void board_reset(struct board *b);
void board_state(struct board *b, struct state_io *io);

/* ---- The hart's thread, between blocks ------------------------------------------------- */

/* What the devices want done there: see board_host.wake. */
void board_poll(struct board *b);

/* ---- Any thread ----------------------------------------------------------------------- */

/* Timer i's deadline has come. */
void board_timer(struct board *b, unsigned timer);

/* Serves HTIF; cheap when there is none. One thread at a time. True when it had
 * something to do. */
bool board_poll_htif(struct board *b);

/* Those of the lines (BOARD_SERIAL | BOARD_CONSOLE) whose far end does not take what is put there.
 */
unsigned board_crowded(struct board *b, unsigned lines);
/* Lines that were crowded are not any more: devices put what they have kept. */
void board_goes_on(struct board *b, unsigned lines);
/* The user wants the end: there is room from now on. */
void board_hurry(struct board *b);

/* The serial line past the guest's driver: the built-in SBI's console. */
void board_console_put(struct board *b, uint8_t byte);
/* The same for what is not the guest's: no hart is to wait for it. */
void board_say(struct board *b, uint8_t byte);
int board_console_get(struct board *b); /* -1: nothing there */
