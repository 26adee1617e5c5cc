/* The host-target interface of RISC-V test programs: two words of RAM, the
 * symbols `tohost` and `fromhost` of an ELF. A command is
 *      device << 56 | command << 48 | payload
 *      device 0, command 0: exit (payload bit 0 set) or a system call of the proxy kernel
 *      device 1, command 1: put a character; command 0: get one
 * The words are plain RAM: whoever runs the hart calls htif_poll() now and then,
 * or when he hears of a store to the page. */
#pragma once

#include "devices/device.h"
#include "devices/finisher.h"
#include "softmmu/phys.h"

struct htif {
    struct phys *phys;
    uint64_t tohost_gpa;   /* 0: this machine has no HTIF */
    uint64_t fromhost_gpa; /* 0: no answers */
    bool wants_char;       /* the guest waits for a character */

    uint64_t in_hand, n_written; /* a command that writes, and how much of it is done */

    void (*put)(void *arg, uint8_t byte);
    /* Does the console take what is put? Else what writes waits, unanswered. NULL: always. */
    bool (*has_room)(void *arg);
    int (*get)(void *arg); /* -1: nothing there; NULL: never anything */
    void *console;
    void (*finish)(void *arg, enum finish_kind kind, int code);
    void *finish_arg;
    /* RAM was written in [gpa, gpa+len): it may have been code. May be NULL. */
    void (*wrote)(void *arg, uint64_t gpa, uint64_t len_bytes);
    void *wrote_arg;
};

/* Both words must be in RAM and 8-byte aligned, else HTIF stays off. */
void htif_init(struct htif *h, struct phys *phys, uint64_t tohost_gpa, uint64_t fromhost_gpa);

/* Serves one command, if there is one, or writes some more of it. One thread at a time; any. True
 * when there was something to do. */
bool htif_poll(struct htif *h);

void htif_state(struct htif *h, struct state_io *io);
