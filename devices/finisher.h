/* SiFive's test finisher, by which a guest ends the machine:
 *      0x5555 power off, 0x3333 | code << 16 fail with a code, 0x7777 reset */
#pragma once

#include "softmmu/phys.h"

enum finish_kind { FINISH_POWEROFF, FINISH_RESET };

struct finisher {
    /* Ends the run at the next block boundary; `code` is the exit status. Called
     * on the thread of the hart that wrote. */
    void (*finish)(void *arg, enum finish_kind kind, int code);
    void *arg;
};

extern const struct phys_mmio finisher_mmio; /* device: struct finisher * */
