#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "devices/host/chardev_private.h"

/* The words of -serial. One row a backend: what the text begins with, and who
 * opens the rest. */
struct row {
    const char *prefix;
    bool whole; /* the prefix is all there may be */
    bool (*open)(struct chardev_backend *b, const char *rest, struct err *e);
};

static bool open_null(struct chardev_backend *b, const char *rest, struct err *e)
{
    (void)b, (void)rest, (void)e;
    return true;
}

/* With mon: the escapes work on a pipe too, as QEMU's do; without, bytes from a
 * pipe are data, all of them. */
static bool open_stdio(struct chardev_backend *b, const char *rest, struct err *e)
{
    (void)rest, (void)e;
    b->in_fd = STDIN_FILENO;
    b->out_fd = STDOUT_FILENO;
    b->is_terminal = isatty(STDIN_FILENO) != 0;
    b->escapes = b->is_terminal;
    return true;
}

static bool open_mon_stdio(struct chardev_backend *b, const char *rest, struct err *e)
{
    if (!open_stdio(b, rest, e))
        return false;
    b->escapes = true;
    return true;
}

static bool open_file(struct chardev_backend *b, const char *path, struct err *e)
{
    if (*path == '\0')
        return err_set(e, "%s file: needs a path, as in file:console.log", b->option);
    b->out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (b->out_fd < 0)
        return err_set(e, "%s file:%s: %s", b->option, path, strerror(errno));
    b->own_fds = true;
    return true;
}

static bool open_pty(struct chardev_backend *b, const char *rest, struct err *e)
{
    struct termios modes;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    const char *name;

    (void)rest;
    b->in_fd = b->out_fd = fd;
    b->own_fds = b->drops = true;
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || !(name = ptsname(fd)))
        return err_set(e, "%s pty: no pseudo-terminal: %s", b->option, strerror(errno));
    b->pty_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (b->pty_slave < 0)
        return err_set(e, "%s pty: cannot open %s: %s", b->option, name, strerror(errno));
    if (tcgetattr(b->pty_slave, &modes) == 0) {
        cfmakeraw(&modes);
        tcsetattr(b->pty_slave, TCSANOW, &modes);
    }
    fprintf(stderr, "dbt-run: the serial line is %s\n", name);
    return true;
}

/* ---- unix: ------------------------------------------------------------------------------ */

struct unix_words {
    struct sockaddr_un addr;
    bool server, wait;
};

static bool parse_unix(struct unix_words *w, const char *option, const char *rest, struct err *e)
{
    size_t len = strcspn(rest, ",");

    *w = (struct unix_words){.addr.sun_family = AF_UNIX, .wait = true};
    if (len == 0 || len >= sizeof w->addr.sun_path)
        return err_set(e, "%s unix: needs a path of 1 to %zu characters", option,
                       sizeof w->addr.sun_path - 1);
    memcpy(w->addr.sun_path, rest, len);
    for (const char *p = rest + len; *p == ',';) {
        const char *word = p + 1;
        size_t n = strcspn(word, ",");

        if ((n == 6 && memcmp(word, "server", 6) == 0) ||
            (n == 9 && memcmp(word, "server=on", 9) == 0))
            w->server = true;
        else if ((n == 6 && memcmp(word, "nowait", 6) == 0) ||
                 (n == 8 && memcmp(word, "wait=off", 8) == 0))
            w->wait = false;
        else
            return err_set(e, "%s unix: '%.*s' is not known; server, nowait are", option, (int)n,
                           word);
        p = word + n;
    }
    return true;
}

/* A socket that a run before has left behind is taken over; any other file stays. */
static bool bind_socket(int fd, const struct sockaddr_un *addr)
{
    struct stat st;
    int probe;

    if (bind(fd, (const struct sockaddr *)addr, sizeof *addr) == 0)
        return true;
    if (errno != EADDRINUSE || stat(addr->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    /* Not blocking: who has a client lets the next ones wait, and then us for a place there. */
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0 || connect(probe, (const struct sockaddr *)addr, sizeof *addr) == 0 ||
        errno != ECONNREFUSED) {
        if (probe >= 0)
            close(probe);
        errno = EADDRINUSE;
        return false;
    }
    close(probe);
    return unlink(addr->sun_path) == 0 &&
           bind(fd, (const struct sockaddr *)addr, sizeof *addr) == 0;
}

static bool open_server(struct chardev_backend *b, const struct unix_words *w, struct err *e)
{
    const char *path = w->addr.sun_path;

    if (!bind_socket(b->listen_fd, &w->addr))
        return err_set(e, "%s unix:%s: cannot listen there: %s", b->option, path, strerror(errno));
    b->unlink_path = strdup(path);
    if (listen(b->listen_fd, 1) != 0)
        return err_set(e, "%s unix:%s: cannot listen there: %s", b->option, path, strerror(errno));
    if (!w->wait)
        return true;
    fprintf(stderr, "dbt-run: waiting for a connection to %s\n", path);
    b->in_fd = b->out_fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (b->in_fd < 0)
        return err_set(e, "%s unix:%s: %s", b->option, path, strerror(errno));
    return true;
}

static bool open_unix(struct chardev_backend *b, const char *rest, struct err *e)
{
    struct unix_words w;
    int fd;

    if (!parse_unix(&w, b->option, rest, e))
        return false;
    b->own_fds = b->is_socket = true;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, "%s unix: no socket: %s", b->option, strerror(errno));
    if (w.server) {
        b->listen_fd = fd;
        return open_server(b, &w, e);
    }
    b->in_fd = b->out_fd = fd;
    if (connect(fd, (const struct sockaddr *)&w.addr, sizeof w.addr) != 0)
        return err_set(e, "%s unix:%s: cannot connect: %s (add ,server to listen there)", b->option,
                       w.addr.sun_path, strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return true;
}

/* ---- The door ---------------------------------------------------------------------------- */

static const struct row rows[] = {
    {"null", true, open_null},           {"none", true, open_null}, {"stdio", true, open_stdio},
    {"mon:stdio", true, open_mon_stdio}, {"pty", true, open_pty},   {"file:", false, open_file},
    {"unix:", false, open_unix},
};

bool chardev_backend_open(struct chardev_backend *b, const char *option, const char *spec,
                          struct err *e)
{
    *b = (struct chardev_backend){
        .option = option, .in_fd = -1, .out_fd = -1, .listen_fd = -1, .pty_slave = -1};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = strlen(rows[i].prefix);

        if (strncmp(spec, rows[i].prefix, len) != 0 || (rows[i].whole && spec[len] != '\0'))
            continue;
        if (rows[i].open(b, spec + len, e))
            return true;
        chardev_backend_close(b);
        return false;
    }
    return err_set(e,
                   "%s %s: not known; use stdio, mon:stdio, pty, null, file:PATH or "
                   "unix:PATH[,server[,nowait]]",
                   option, spec);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void chardev_backend_close(struct chardev_backend *b)
{
    if (b->own_fds) {
        if (b->in_fd != b->out_fd)
            close_fd(&b->in_fd);
        close_fd(&b->out_fd);
    }
    b->in_fd = b->out_fd = -1;
    close_fd(&b->listen_fd);
    close_fd(&b->pty_slave);
    if (b->unlink_path)
        unlink(b->unlink_path);
    free((void *)b->unlink_path);
    b->unlink_path = NULL;
}
