/* The host's ends of the machine's lines: serial line, virtio console, monitor. As the disks, they
 * are opened once for a run of dbt-run: a guest that resets cuts off nobody who is connected, and
 * goes on in the same file. */
#pragma once

#include "devices/host/chardev.h"
#include "runtime/system/config.h"

struct lines {
    struct chardev *serial;
    struct chardev *console, *monitor; /* NULL: there is none */
};

/* ---- The main thread --------------------------------------------------------------- */

/* Opens those of cfg's that are not open yet. False: *e says why; the others stay open. */
bool lines_open(struct lines *l, const struct machine_config *cfg, struct err *e) MUST_CHECK;

/* Output is written out, the terminal given back. */
void lines_close(struct lines *l);
