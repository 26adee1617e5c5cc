/* The monitor: a user's questions and orders to a running machine, a line each.
 *
 *      a port's reader thread --> monitor_feed(): edits lines --> queue --> host.wake
 *      hart 0's thread, between blocks --> monitor_serve(): does them, answers
 *
 * Commands are done while all harts stand still between two blocks, and need no lock on them. A
 * stopped machine is a hart 0 that stays in monitor_serve(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"

enum { MONITOR_LINE = 256, MONITOR_QUEUE = 16, MONITOR_PORTS = 2 };

struct monitor;

/* Where a user types and reads. */
enum monitor_port {
    MONITOR_SERIAL, /* the serial line's terminal, after Ctrl-A c */
    MONITOR_SOCKET, /* --monitor */
};

/* A part of the machine that `info` shows. rest: what stands behind its name. */
struct monitor_info {
    const char *name, *help;
    void (*print)(void *arg, const char *rest, FILE *out);
};

/* What it does beyond the monitor's own commands. Hart 0's thread; what it has to say goes to
 * out. */
struct monitor_order {
    const char *name, *help;
    void (*run)(void *arg, const char *rest, FILE *out); /* rest: what stands behind its name */
};

/* What the machine does for it; arg goes to all of it, also to monitor_info.print. */
struct monitor_host {
    const struct monitor_info *info;   /* ends with a NULL name */
    const struct monitor_order *order; /* likewise */
    /* From hold() to release() the other harts stand still. Hart 0's thread. */
    void (*hold)(void *arg);
    void (*release)(void *arg);
    /* The machine is to end or to start anew. Hart 0's thread. */
    void (*quit)(void *arg);
    void (*reset)(void *arg);
    /* Time stands still from stopped() to continued(). Hart 0's thread, held. */
    void (*stopped)(void *arg);
    void (*continued)(void *arg);
    /* True when the run is over, for whatever reason: nobody is waited for. Any thread. */
    bool (*is_over)(void *arg);
    /* monitor_serve() is wanted. Any thread. */
    void (*wake)(void *arg);
    /* `quit` has been typed: hart 0 must come to it, also if it waits (in virtual time for another
     * hart, too) for somebody who does not read what the guest writes. A port's reader. */
    void (*hurry)(void *arg);
    /* Shows text at a port. Hart 0's thread, and the port's reader. */
    void (*put)(void *arg, enum monitor_port port, const char *text, size_t n);
    void *arg;
};

struct monitor *monitor_create(const struct monitor_host *host);
void monitor_destroy(struct monitor *m);

/* ---- A port's reader thread ---------------------------------------------------------- */

/* Shows the prompt: somebody begins to type here, and nothing of what another one did not finish is
 * before it. */
void monitor_greet(struct monitor *m, enum monitor_port port);

/* Bytes as they were typed: echoed (at a terminal, which MONITOR_SERIAL is), edited by backspace
 * and Ctrl-U, queued at a line's end. A line that is too long, or one too many, is refused there.
 */
void monitor_feed(struct monitor *m, enum monitor_port port, const uint8_t *data, size_t n);

/* ---- Any thread ------------------------------------------------------------------------ */

/* The run is over: a hart that is stopped looks at host.is_over. */
void monitor_wake(struct monitor *m);

/* ---- Hart 0's thread, between blocks --------------------------------------------------- */

/* Does what is queued. After `stop` it returns only for `cont`, or when the run is over. */
void monitor_serve(struct monitor *m);
