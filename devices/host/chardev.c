#define _GNU_SOURCE
#include "devices/host/chardev.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/host/chardev_private.h"

enum {
    /* Where it is crowded, whoever puts is to wait, and can do so later. Meanwhile comes what a
     * block of each hart still stores, a call of each to the built-in SBI (4 KiB), one buffer of
     * the virtio console (1 MiB), a step of HTIF's (64 KiB): all that fits. */
    OUT_RING = 2 << 20,
    OUT_CROWDED = 64 * 1024,
    IN_RING = 64 * 1024,
    WRITE_STEP = 4096,   /* what a pipe that polls writable takes without blocking */
    GATHER_NS = 1000000, /* at most one write a millisecond */
    REFUSED_NS = 100000000,
    PATIENCE_MS = 1000, /* with a pty that nobody reads */
    CLOSE_PATIENCE_S = 2,
};

struct ring {
    uint8_t *data;
    uint32_t size, head, len; /* len bytes from head on, modulo size */
};

struct chardev {
    struct chardev_backend backend; /* in_fd, out_fd: change under the lock only */
    struct chardev_front front;
    struct escape escape; /* reader's */
    bool in_monitor;      /* reader's: keys go to front.monitor */
    struct ring in;       /* reader's */
    struct winsize size;  /* reader's: of the terminal, as the front knows it */
    int wake_fd;          /* eventfd: the reader is to look around */
    pthread_t reader, writer;
    bool reader_runs, writer_runs; /* main thread's */

    pthread_mutex_t lock; /* all below; no other lock is taken inside it */
    pthread_cond_t has_output, progress;
    struct ring out;
    bool writer_idle; /* waits for has_output */
    bool complained;  /* that output is lost */
    bool writing;     /* out_fd is in use without the lock */
    bool unplugged;   /* nobody took output for PATIENCE_MS: try, but do not wait */
    bool hurry;       /* chardev_hurry() was called */
    bool stop;        /* the writer ends when the ring is empty */
    bool stop_reader;
};

/* ---- Rings ------------------------------------------------------------------------------- */

static void ring_push(struct ring *r, uint8_t byte)
{
    r->data[(r->head + r->len) % r->size] = byte;
    r->len++;
}

/* The bytes up to the ring's seam. */
static size_t ring_front(const struct ring *r, const uint8_t **data)
{
    *data = r->data + r->head;
    return r->len < r->size - r->head ? r->len : r->size - r->head;
}

/* Empty, it begins at its start again: memory behind what was ever in it at once is not touched. */
static void ring_drop(struct ring *r, size_t n)
{
    r->len -= (uint32_t)n;
    r->head = r->len ? (uint32_t)((r->head + n) % r->size) : 0;
}

/* ---- Output ------------------------------------------------------------------------------ */

bool chardev_put(struct chardev *c, uint8_t byte)
{
    bool has_room;

    pthread_mutex_lock(&c->lock);
    if (c->out.len < c->out.size)
        ring_push(&c->out, byte);
    has_room = c->out.len < OUT_CROWDED;
    if (c->writer_idle) {
        c->writer_idle = false;
        pthread_cond_signal(&c->has_output);
    }
    pthread_mutex_unlock(&c->lock);
    return has_room;
}

bool chardev_has_room(struct chardev *c)
{
    bool has_room;

    pthread_mutex_lock(&c->lock);
    has_room = c->out.len < OUT_CROWDED || c->hurry;
    pthread_mutex_unlock(&c->lock);
    return has_room;
}

void chardev_hurry(struct chardev *c)
{
    pthread_mutex_lock(&c->lock);
    c->hurry = true;
    pthread_mutex_unlock(&c->lock);
}

/* Waits until fd takes bytes. False: it will not, drop them. */
static bool wait_writable(struct chardev *c, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int timeout = !c->backend.drops ? -1 : c->unplugged ? 0 : PATIENCE_MS, n;

    do
        n = poll(&p, 1, timeout);
    while (n < 0 && errno == EINTR);
    c->unplugged = n == 0;
    return n > 0 && !(p.revents & (POLLERR | POLLNVAL));
}

/* How many bytes are done with: written, or dropped because nobody wants them. */
static size_t write_some(struct chardev *c, int fd, const uint8_t *data, size_t n)
{
    ssize_t done;

    if (fd < 0 || !wait_writable(c, fd))
        return n;
    if (n > WRITE_STEP)
        n = WRITE_STEP;
    done = c->backend.is_socket ? send(fd, data, n, MSG_NOSIGNAL) : write(fd, data, n);
    if (done >= 0)
        return (size_t)done;
    if (errno == EINTR || errno == EAGAIN)
        return 0;
    /* Nobody at a pty or socket is a line that is unplugged; a file that cannot be written is
     * said once. */
    if (!c->backend.is_socket && errno != EIO && !c->complained) {
        c->complained = true;
        fprintf(stderr, "dbt-run: %s: output is lost: %s\n", c->backend.option, strerror(errno));
    }
    return n;
}

static void nap(long ns)
{
    const struct timespec pause = {.tv_nsec = ns};

    nanosleep(&pause, NULL);
}

/* Writes out what the ring held when it was looked at. */
static void drain_locked(struct chardev *c)
{
    uint32_t left = c->out.len;

    while (left > 0) {
        const uint8_t *data;
        size_t n = ring_front(&c->out, &data);
        int fd = c->backend.out_fd;

        n = n < left ? n : left;
        c->writing = true;
        pthread_mutex_unlock(&c->lock);
        n = write_some(c, fd, data, n);
        pthread_mutex_lock(&c->lock);
        c->writing = false;
        ring_drop(&c->out, n);
        left -= (uint32_t)n;
        pthread_cond_broadcast(&c->progress);
    }
}

static void *writer_main(void *arg)
{
    struct chardev *c = arg;

    pthread_mutex_lock(&c->lock);
    while (!c->stop || c->out.len > 0) {
        if (c->out.len == 0) {
            c->writer_idle = true;
            pthread_cond_wait(&c->has_output, &c->lock);
            c->writer_idle = false;
            continue;
        }
        drain_locked(c);
        if (c->stop)
            continue;
        pthread_mutex_unlock(&c->lock);
        nap(GATHER_NS);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static struct timespec deadline(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += CLOSE_PATIENCE_S;
    return t;
}

void chardev_flush(struct chardev *c)
{
    struct timespec until = deadline();

    pthread_mutex_lock(&c->lock);
    while (c->out.len > 0 && c->writer_runs) {
        const uint32_t len = c->out.len;

        if (pthread_cond_timedwait(&c->progress, &c->lock, &until) != 0)
            break;
        if (c->out.len < len && !c->hurry)
            until = deadline();
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- Input ------------------------------------------------------------------------------- */

static void say(const char *text)
{
    fprintf(stderr, "\r\n%s\r\n", text);
}

static void switch_monitor(struct chardev *c)
{
    if (!c->front.monitor) {
        say("There is no monitor here.");
        return;
    }
    c->in_monitor = !c->in_monitor;
    if (c->in_monitor)
        c->front.to_monitor(c->front.arg);
    else
        say("Keys go to the guest.");
}

static void take_byte(struct chardev *c, uint8_t byte)
{
    uint8_t out = byte;
    enum escape_action action =
        c->backend.escapes ? escape_feed(&c->escape, byte, &out) : ESCAPE_SEND;

    switch (action) {
    case ESCAPE_NONE: break;
    case ESCAPE_SEND:
        if (c->in_monitor)
            c->front.monitor(c->front.arg, &out, 1);
        else
            ring_push(&c->in, out);
        break;
    case ESCAPE_QUIT: c->front.quit(c->front.arg); break;
    case ESCAPE_BREAK: c->front.brk(c->front.arg); break;
    case ESCAPE_HELP:
        say("Ctrl-A x  end the machine     Ctrl-A b       send a break\r\n"
            "Ctrl-A c  to and from the monitor\r\n"
            "Ctrl-A h  this help           Ctrl-A Ctrl-A  send Ctrl-A");
        break;
    case ESCAPE_MONITOR: switch_monitor(c); break;
    }
}

static void set_client(struct chardev *c, int fd)
{
    int old;

    pthread_mutex_lock(&c->lock);
    old = c->backend.in_fd;
    c->backend.in_fd = -1;
    if (c->backend.is_socket) {
        c->backend.out_fd = -1;
        if (old >= 0)
            shutdown(old, SHUT_RDWR); /* the writer, if it waits there, is waked */
        while (c->writing)
            pthread_cond_wait(&c->progress, &c->lock);
        if (old >= 0)
            close(old);
        c->backend.in_fd = c->backend.out_fd = fd;
    }
    pthread_mutex_unlock(&c->lock);
}

/* Without a descriptor to be had (a guest's connections may use them up) the client stays where he
 * is, and poll() says so at once, again and again. */
static void welcome(struct chardev *c)
{
    int fd = accept4(c->backend.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    set_client(c, fd);
    if (fd >= 0)
        c->front.connected(c->front.arg);
    else
        nap(REFUSED_NS);
}

/* Reads once; there is room for all of it. At the end of the input the guest goes
 * on without; a server waits for its next client. */
static void read_input(struct chardev *c)
{
    uint8_t data[1024];
    size_t room = c->in.size - c->in.len;
    ssize_t n = read(c->backend.in_fd, data, room < sizeof data ? room : sizeof data);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        set_client(c, -1);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        take_byte(c, data[i]);
}

static void deliver(struct chardev *c)
{
    while (c->in.len > 0) {
        const uint8_t *data;
        size_t n = ring_front(&c->in, &data);
        size_t taken = c->front.receive(c->front.arg, data, n);

        ring_drop(&c->in, taken);
        if (taken < n)
            return;
    }
}

/* SIGWINCH wakes the reader. */
static void look_at_size(struct chardev *c)
{
    struct winsize size;

    if (!c->backend.is_terminal || ioctl(c->backend.in_fd, TIOCGWINSZ, &size) != 0 ||
        (size.ws_col == c->size.ws_col && size.ws_row == c->size.ws_row))
        return;
    c->size = size;
    c->front.resized(c->front.arg, size.ws_col, size.ws_row);
}

/* A pipe whose writer is gone polls as POLLHUP for ever: read() tells its end. */
static void *reader_main(void *arg)
{
    struct chardev *c = arg;

    for (;;) {
        look_at_size(c);

        bool listens = c->backend.in_fd < 0 && c->backend.listen_fd >= 0;
        struct pollfd p[2] = {
            {.fd = c->wake_fd, .events = POLLIN},
            {.fd = listens ? c->backend.listen_fd : c->backend.in_fd, .events = POLLIN},
        };
        uint64_t count;
        bool stop;

        if (c->in.len == c->in.size)
            p[1].fd = -1; /* what comes stays with the host's kernel */
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents && read(c->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
            break;
        pthread_mutex_lock(&c->lock);
        stop = c->stop_reader;
        pthread_mutex_unlock(&c->lock);
        /* What was typed before the end is heard, however short the time in between. */
        if (p[1].revents && !listens)
            read_input(c);
        if (stop)
            break;
        if (p[1].revents && listens)
            welcome(c);
        deliver(c);
    }
    return NULL;
}

static void wake_reader(struct chardev *c)
{
    const uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof one);

    (void)n; /* it can only fail when it is awake already */
}

void chardev_ready(struct chardev *c)
{
    wake_reader(c);
}

/* ---- Life -------------------------------------------------------------------------------- */

static size_t take_all(void *arg, const uint8_t *data, size_t n)
{
    (void)arg, (void)data;
    return n;
}

static void ignore(void *arg)
{
    (void)arg;
}

static void ignore_size(void *arg, unsigned columns, unsigned rows)
{
    (void)arg, (void)columns, (void)rows;
}

struct chardev *chardev_open(const char *option, const char *spec, struct err *e)
{
    struct chardev *c = calloc(1, sizeof *c);

    if (!c) {
        err_set(e, "no memory for %s", option);
        return NULL;
    }
    c->out = (struct ring){.data = malloc(OUT_RING), .size = OUT_RING};
    c->in = (struct ring){.data = malloc(IN_RING), .size = IN_RING};
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->has_output, NULL);
    pthread_cond_init(&c->progress, NULL);
    if (!c->out.data || !c->in.data || c->wake_fd < 0)
        err_set(e, "no memory for %s", option);
    else if (chardev_backend_open(&c->backend, option, spec, e))
        return c;
    c->backend =
        (struct chardev_backend){.in_fd = -1, .out_fd = -1, .listen_fd = -1, .pty_slave = -1};
    chardev_close(c);
    return NULL;
}

/* The threads take no signals: those are for the harts and the main thread. But
 * a fault of our own must find its handler, which gives the terminal back. */
static bool start_thread(pthread_t *t, void *(*run)(void *), struct chardev *c, struct err *e)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    sigset_t all, old;
    int error;

    sigfillset(&all);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(t, NULL, run, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error == 0 || err_set(e, "cannot start a thread: %s", strerror(error));
}

bool chardev_start(struct chardev *c, const struct chardev_front *front, struct err *e)
{
    c->front = *front;
    c->size = (struct winsize){0};
    c->stop_reader = c->hurry = false;
    if (!c->writer_runs) /* which looks at it */
        c->backend.drops |= front->impatient;
    if (!front->receive)
        c->front.receive = take_all;
    if (!front->brk)
        c->front.brk = ignore;
    if (!front->quit)
        c->front.quit = ignore;
    if (!front->connected)
        c->front.connected = ignore;
    if (!front->to_monitor)
        c->front.to_monitor = ignore;
    if (!front->resized)
        c->front.resized = ignore_size;
    if (c->backend.is_terminal)
        chardev_raw_terminal(c->backend.in_fd, c->wake_fd);
    c->writer_runs = c->writer_runs || start_thread(&c->writer, writer_main, c, e);
    c->reader_runs = c->writer_runs && start_thread(&c->reader, reader_main, c, e);
    return c->reader_runs;
}

void chardev_stop(struct chardev *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop_reader = true;
    pthread_mutex_unlock(&c->lock);
    wake_reader(c);
    if (c->reader_runs)
        pthread_join(c->reader, NULL);
    c->reader_runs = false;
}

/* The writer may be stuck in a write to a terminal that has been stopped. Then it,
 * and what it uses, is left to the end of the process. */
static bool join_writer(struct chardev *c)
{
    struct timespec until = deadline();

    if (!c->writer_runs || pthread_timedjoin_np(c->writer, NULL, &until) == 0)
        return true;
    pthread_detach(c->writer);
    return false;
}

void chardev_close(struct chardev *c)
{
    bool joined;

    chardev_stop(c);
    chardev_flush(c);
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->has_output);
    pthread_mutex_unlock(&c->lock);
    joined = join_writer(c);
    if (c->backend.is_terminal)
        chardev_release_terminal();
    if (!joined)
        return;
    chardev_backend_close(&c->backend);
    close(c->wake_fd);
    pthread_cond_destroy(&c->has_output);
    pthread_cond_destroy(&c->progress);
    pthread_mutex_destroy(&c->lock);
    free(c->out.data);
    free(c->in.data);
    free(c);
}
