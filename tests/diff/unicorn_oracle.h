/* Unicorn as an oracle: runs a random program until its first trap. What is peculiar to
 * Unicorn 2.0.1 and does not depend on the operands is evened out here; what does is in
 * unicorn_known.h. */
#pragma once

#include "tests/lib/rv_machine.h"
#include "tests/lib/rv_random.h"

/* What Unicorn has to say of a trap, in its own words. */
enum unicorn_stop {
    UNICORN_LOST,       /* something else: `text` says what */
    UNICORN_EXCEPTION,  /* `number`: the RISC-V cause, or near it */
    UNICORN_BREAKPOINT, /* it knows no ebreak */
    UNICORN_READ,       /* no memory at `address` */
    UNICORN_WRITE,
    UNICORN_FETCH,
};

struct unicorn_end {
    struct rv_regs regs;
    enum unicorn_stop stop;
    uint64_t number, address;
    const char *text;
};

struct unicorn;

struct unicorn *unicorn_create(void);
void unicorn_destroy(struct unicorn *u);

/* RAM as the program finds it, and leaves it: RV_RANDOM_RAM_BYTES at RV_RANDOM_BASE. */
uint8_t *unicorn_ram(struct unicorn *u);

/* The program is placed in RAM. `before`, if not NULL, is called before each instruction; that
 * is slow. */
void unicorn_run(struct unicorn *u, const struct rv_program *p, struct unicorn_end *end,
                 void (*before)(void *arg, const struct rv_regs *r), void *arg);

/* The trap that RISC-V takes in Unicorn's place. False: cannot be said. */
bool unicorn_trap(const struct unicorn_end *e, const struct rv_program *p, const uint8_t *ram,
                  uint64_t *cause, uint64_t *tval);
