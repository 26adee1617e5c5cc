/* The host's end of a serial line: a terminal, a file, a pseudo-terminal or a
 * socket, named as QEMU's -serial names them.
 *
 *      guest --> chardev_put() --> ring --> writer thread --> output
 *      input --> reader thread (Ctrl-A escapes) --> ring --> front.receive()
 *
 * The first byte after a pause is written at once, what follows within a
 * millisecond is gathered. Neither direction loses a byte, if whoever has put much output puts no
 * more while it waits; a full input ring leaves bytes with the host's kernel. (Bytes
 * for a pty or socket at which nobody is are dropped, as on a line that is unplugged.) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dbt/base/err.h"

struct chardev;

/* What is told of what happens, as far as it is not NULL; all are called on the reader's thread,
 * and must not wait for the guest, nor close the device. */
struct chardev_front {
    /* Bytes came in. Returns how many were taken; if fewer, chardev_ready() says
     * when to offer the rest. */
    size_t (*receive)(void *arg, const uint8_t *data, size_t n);
    void (*brk)(void *arg);  /* Ctrl-A b */
    void (*quit)(void *arg); /* Ctrl-A x */
    /* Somebody is there: a client of a socket. */
    void (*connected)(void *arg);
    /* Ctrl-A c: what is typed from now on goes to monitor(), until Ctrl-A c comes again. */
    void (*to_monitor)(void *arg);
    void (*monitor)(void *arg, const uint8_t *data, size_t n);
    /* The terminal has this size now; also once at the start. */
    void (*resized)(void *arg, unsigned columns, unsigned rows);
    void *arg;
    /* What is put must not wait for somebody who does not read: what he has not taken for a second
     * is dropped, as at a pty. The first front says it for all. */
    bool impatient;
};

/* ---- The main thread --------------------------------------------------------------- */

/* Opens what `spec` names: stdio, mon:stdio, null, none, pty, file:PATH,
 * unix:PATH[,server[,nowait]]. `option` is what the user wrote it behind, borrowed. The terminal is
 * not touched yet. NULL: *e says why. */
struct chardev *chardev_open(const char *option, const char *spec, struct err *e) MUST_CHECK;

/* Puts the terminal, if it is one, into raw mode and starts the threads; or goes on after
 * chardev_stop(), with another front. */
bool chardev_start(struct chardev *c, const struct chardev_front *front, struct err *e) MUST_CHECK;

/* The front may go when it returns. Input waits for the next one; what was put is still written,
 * and whoever is connected stays so. */
void chardev_stop(struct chardev *c);

/* Writes out what is left, as chardev_flush(), stops the threads, gives the terminal back. The
 * front may go when it returns. */
void chardev_close(struct chardev *c);

/* ---- Any thread ----------------------------------------------------------------------- */

/* Sends a byte, and waits for nobody: a device is in the middle of an access. False: it is crowded,
 * and what is put until chardev_has_room() says so may be lost once there are megabytes of it. */
bool chardev_put(struct chardev *c, uint8_t byte);
bool chardev_has_room(struct chardev *c);

/* The run is to end: from now on there is room, for what is to be dropped. */
void chardev_hurry(struct chardev *c);

/* The front has room again. */
void chardev_ready(struct chardev *c);

/* Returns when all that was put before has been written, or when the far end has taken nothing for
 * two seconds; in a hurry, two seconds after it was called. */
void chardev_flush(struct chardev *c);

/* Gives the terminal back as it was found. Async-signal-safe: a handler that is
 * about to end the process calls it. Does nothing when there is nothing to do. */
void chardev_restore_terminal(void);
