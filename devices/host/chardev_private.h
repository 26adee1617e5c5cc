/* What the pieces of chardev share. Private to devices/host/chardev*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dbt/base/err.h"

/* ---- chardev_backend.c: what is behind the name ------------------------------------- */

struct chardev_backend {
    const char *option; /* that named it, for messages; borrowed */
    int in_fd, out_fd;  /* -1: none. A socket's client: both, and it may change */
    int listen_fd;      /* unix:...,server: -1 otherwise */
    int pty_slave;      /* kept open, so that the master never reports a hang-up */
    bool own_fds;       /* close them; not stdio's */
    bool is_terminal;   /* in_fd is a terminal, to be made raw */
    bool escapes;       /* Ctrl-A is ours */
    bool drops;         /* output that nobody takes for a second is dropped */
    bool is_socket;
    const char *unlink_path; /* malloc'd */
};

bool chardev_backend_open(struct chardev_backend *b, const char *option, const char *spec,
                          struct err *e) MUST_CHECK;
void chardev_backend_close(struct chardev_backend *b);

/* ---- chardev_terminal.c: the terminal's modes ------------------------------------------ */

/* Makes the terminal raw, once in a process; it is given back at exit and before
 * death by a signal. wake_fd, an eventfd, is written when its size changes. */
void chardev_raw_terminal(int fd, int wake_fd);

/* Gives it back; wake_fd is not written any more. */
void chardev_release_terminal(void);

/* ---- chardev_escape.c: the keys that are ours -------------------------------------------- */

enum escape_action {
    ESCAPE_NONE, /* nothing for the guest */
    ESCAPE_SEND, /* *out is for the guest */
    ESCAPE_QUIT,
    ESCAPE_BREAK,
    ESCAPE_HELP,
    ESCAPE_MONITOR,
};

struct escape {
    bool after_prefix;
};

enum escape_action escape_feed(struct escape *s, uint8_t in, uint8_t *out);
