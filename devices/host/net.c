#define _GNU_SOURCE
#include "devices/host/net.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dbt/base/log.h"
#include "devices/host/net_private.h"

/* What another thread wants done on the net's. */
struct call {
    void (*run)(struct net *n, struct call *c);
    const struct net_forward *forward;
    bool begin;
    struct err *e;
    FILE *out;
    bool ok, done; /* done: the net's lock */
};

struct net {
    const struct net_ops *ops;
    void *backend;
    int wake_fd; /* its thread waits for it, too */
    pthread_t thread;
    bool have_thread;

    /* Its thread only. */
    struct net_polls polls;
    bool stuck;     /* the backend took no more */
    bool delivered; /* since the last event */

    pthread_mutex_t lock; /* all below; taken inside a device's */
    void (*event)(void *arg);
    void *event_arg;
    struct net_ring to_host, to_guest;
    bool asleep;  /* its thread looks at nothing until wake_fd says so, or the backend's do */
    bool paused;  /* it brings nothing more: to be woken when there is room */
    bool starved; /* the device waits for room to send */
    bool taking;  /* the guest takes frames */
    bool link, closing;
    struct call *call;        /* waits for our thread; NULL: none */
    pthread_cond_t call_done; /* or gone: there is room for the next */
};

/* ---- Waking each other ---------------------------------------------------------------------- */

static void wake_locked(struct net *n)
{
    uint64_t one = 1;

    n->asleep = false;
    /* It fails only when the counter is full: then the thread is awake soon, too. */
    if (write(n->wake_fd, &one, sizeof one) < 0)
        return;
}

static void tell_locked(struct net *n)
{
    if (n->event)
        n->event(n->event_arg);
}

void net_on_event(struct net *n, void (*event)(void *arg), void *arg)
{
    pthread_mutex_lock(&n->lock);
    n->event = event;
    n->event_arg = arg;
    pthread_mutex_unlock(&n->lock);
}

/* ---- The device's side
 * ---------------------------------------------------------------------------
 */

unsigned net_offloads(const struct net *n)
{
    return n->ops->offloads;
}

bool net_link(struct net *n)
{
    bool link;

    pthread_mutex_lock(&n->lock);
    link = n->link;
    pthread_mutex_unlock(&n->lock);
    return link;
}

void net_start_guest(struct net *n, unsigned offloads)
{
    if (n->ops->set_offloads)
        n->ops->set_offloads(n->backend, offloads);
    pthread_mutex_lock(&n->lock);
    n->taking = true;
    pthread_mutex_unlock(&n->lock);
}

void net_stop_guest(struct net *n)
{
    pthread_mutex_lock(&n->lock);
    n->taking = false;
    net_ring_clear(&n->to_guest);
    if (n->paused)
        wake_locked(n);
    pthread_mutex_unlock(&n->lock);
}

bool net_may_send(struct net *n)
{
    bool may;

    pthread_mutex_lock(&n->lock);
    may = net_ring_has_room(&n->to_host);
    n->starved |= !may;
    pthread_mutex_unlock(&n->lock);
    return may;
}

struct net_frame *net_send_begin(struct net *n, size_t len_bytes)
{
    struct net_frame *f;

    pthread_mutex_lock(&n->lock);
    f = net_ring_reserve(&n->to_host, len_bytes);
    pthread_mutex_unlock(&n->lock);
    CHECK(f && "net_may_send() was asked");
    return f;
}

void net_send(struct net *n, struct net_frame *f)
{
    pthread_mutex_lock(&n->lock);
    net_ring_commit(&n->to_host, f);
    if (n->asleep)
        wake_locked(n);
    pthread_mutex_unlock(&n->lock);
}

struct net_frame *net_receive(struct net *n)
{
    struct net_frame *f;

    pthread_mutex_lock(&n->lock);
    f = net_ring_first(&n->to_guest);
    pthread_mutex_unlock(&n->lock);
    return f;
}

void net_receive_done(struct net *n, struct net_frame *f)
{
    pthread_mutex_lock(&n->lock);
    net_ring_drop(&n->to_guest, f);
    if (n->paused && net_ring_has_room(&n->to_guest)) {
        n->paused = false;
        wake_locked(n);
    }
    pthread_mutex_unlock(&n->lock);
}

/* ---- Calls: done on the net's thread --------------------------------------------------------- */

static void do_call(struct net *n, struct call *c)
{
    pthread_mutex_lock(&n->lock);
    while (n->call)
        pthread_cond_wait(&n->call_done, &n->lock);
    n->call = c;
    wake_locked(n);
    while (!c->done)
        pthread_cond_wait(&n->call_done, &n->lock);
    pthread_mutex_unlock(&n->lock);
}

static void serve_call(struct net *n)
{
    struct call *c;

    pthread_mutex_lock(&n->lock);
    c = n->call;
    pthread_mutex_unlock(&n->lock);
    if (!c)
        return;
    c->run(n, c);
    pthread_mutex_lock(&n->lock);
    n->call = NULL;
    c->done = true;
    pthread_cond_broadcast(&n->call_done);
    pthread_mutex_unlock(&n->lock);
}

static void run_forward(struct net *n, struct call *c)
{
    c->ok = n->ops->forward(n->backend, c->forward, c->begin, c->e);
}

static void run_print(struct net *n, struct call *c)
{
    n->ops->print(n->backend, c->out);
}

static bool change_forward(struct net *n, const struct net_forward *f, bool begin, struct err *e)
{
    struct call c = {.run = run_forward, .forward = f, .begin = begin, .e = e};

    if (!n->ops->forward)
        return err_set(e, "only --net user has forwards");
    do_call(n, &c);
    return c.ok;
}

bool net_forward_add(struct net *n, const struct net_forward *f, struct err *e)
{
    return change_forward(n, f, true, e);
}

bool net_forward_remove(struct net *n, const struct net_forward *f, struct err *e)
{
    return change_forward(n, f, false, e);
}

void net_print(struct net *n, FILE *out)
{
    struct call c = {.run = run_print, .out = out};

    fprintf(out, "link %s\n", net_link(n) ? "up" : "down");
    if (n->ops->print)
        do_call(n, &c);
}

/* ---- The backend's side: its thread
 * ---------------------------------------------------------------
 */

unsigned net_polls_add(struct net_polls *p, int fd, short events)
{
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->fd = realloc(p->fd, p->room * sizeof *p->fd);
        CHECK(p->fd && "memory for what is waited for");
    }
    p->fd[p->n] = (struct pollfd){.fd = fd, .events = events};
    return p->n++;
}

struct net_frame *net_deliver_begin(struct net *n, size_t len_bytes)
{
    struct net_frame *f = NULL;

    pthread_mutex_lock(&n->lock);
    if (n->taking && len_bytes <= NET_MAX_FRAME)
        f = net_ring_reserve(&n->to_guest, len_bytes);
    pthread_mutex_unlock(&n->lock);
    if (!f)
        log_line(LOG_net, "a frame of %zu bytes for the guest is lost", len_bytes);
    return f;
}

bool net_may_deliver(struct net *n)
{
    bool may;

    pthread_mutex_lock(&n->lock);
    may = !n->taking || net_ring_has_room(&n->to_guest);
    pthread_mutex_unlock(&n->lock);
    return may;
}

/* The guest may have stopped since net_deliver_begin(): then it goes the way of what was there. */
void net_deliver(struct net *n, struct net_frame *f)
{
    pthread_mutex_lock(&n->lock);
    if (n->taking)
        net_ring_commit(&n->to_guest, f);
    n->delivered |= n->taking;
    pthread_mutex_unlock(&n->lock);
}

void net_set_link(struct net *n, bool up)
{
    pthread_mutex_lock(&n->lock);
    n->link = up;
    tell_locked(n);
    pthread_mutex_unlock(&n->lock);
}

/* What the guest sends, oldest first, until the backend takes no more. */
static void send_all(struct net *n)
{
    struct net_frame *f;

    n->stuck = false;
    for (;;) {
        pthread_mutex_lock(&n->lock);
        f = net_ring_first(&n->to_host);
        pthread_mutex_unlock(&n->lock);
        if (!f)
            return;
        if (!n->ops->takes_csum)
            net_finish_checksum(f);
        if (!n->ops->send(n->backend, f)) {
            n->stuck = true;
            return;
        }
        pthread_mutex_lock(&n->lock);
        net_ring_drop(&n->to_host, f);
        pthread_mutex_unlock(&n->lock);
    }
}

/* One event for all of a round. */
static void tell_news(struct net *n)
{
    pthread_mutex_lock(&n->lock);
    if (n->delivered || (n->starved && net_ring_has_room(&n->to_host))) {
        n->delivered = false;
        n->starved = false;
        tell_locked(n);
    }
    pthread_mutex_unlock(&n->lock);
}

/* Whoever adds a frame, or makes room, after this looks at `asleep` and `paused` under the same
 * lock: it wakes us, or we have seen what it did. False: closing. */
static bool prepare(struct net *n, bool *has_work, bool *paused)
{
    bool closing;

    pthread_mutex_lock(&n->lock);
    closing = n->closing;
    *paused = n->paused = !net_ring_has_room(&n->to_guest);
    *has_work = !n->stuck && net_ring_first(&n->to_host) != NULL;
    n->asleep = !*has_work;
    pthread_mutex_unlock(&n->lock);
    return !closing;
}

static void woken(struct net *n)
{
    uint64_t count;

    pthread_mutex_lock(&n->lock);
    n->asleep = false;
    pthread_mutex_unlock(&n->lock);
    if ((n->polls.fd[0].revents & POLLIN) && read(n->wake_fd, &count, sizeof count) < 0)
        return; /* Nothing in it: as well. */
}

bool net_round(struct net *n, bool may_wait)
{
    struct net_polls *p = &n->polls;
    bool has_work, paused;

    if (!prepare(n, &has_work, &paused))
        return false;
    p->n = 0;
    p->timeout_ms = -1;
    net_polls_add(p, n->wake_fd, POLLIN);
    n->ops->wait(n->backend, p, paused);
    if (poll(p->fd, p->n, has_work || !may_wait ? 0 : p->timeout_ms) < 0)
        for (unsigned i = 0; i < p->n; i++)
            p->fd[i].revents = 0;
    woken(n);
    n->ops->serve(n->backend, p);
    send_all(n); /* Afterwards: what was stuck may now go. */
    serve_call(n);
    tell_news(n);
    return true;
}

static void *run(void *arg)
{
    while (net_round(arg, true))
        ;
    return NULL;
}

/* ---- Life
 * ----------------------------------------------------------------------------------------
 */

struct net *net_create(const struct net_ops *ops, void *backend, struct err *e)
{
    struct net *n = calloc(1, sizeof *n);

    CHECK(n && "memory for a network");
    n->ops = ops;
    n->backend = backend;
    n->link = true;
    net_ring_init(&n->to_host);
    net_ring_init(&n->to_guest);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->call_done, NULL);
    n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->wake_fd >= 0)
        return n;
    err_set(e, "no descriptor for the network: %s", strerror(errno));
    net_close(n);
    return NULL;
}

/* Signals are for the others: one whose reader is gone must be an error here, not the end
 * (SIGPIPE: libslirp leaves that to us). */
bool net_start(struct net *n, struct err *e)
{
    sigset_t all, old;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&n->thread, NULL, run, n);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    n->have_thread = error == 0;
    return n->have_thread || err_set(e, "no thread for the network: %s", strerror(error));
}

void net_close(struct net *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->closing = true;
    wake_locked(n);
    pthread_mutex_unlock(&n->lock);
    if (n->have_thread)
        pthread_join(n->thread, NULL);
    n->ops->close(n->backend);
    if (n->wake_fd >= 0)
        close(n->wake_fd);
    net_ring_fini(&n->to_host);
    net_ring_fini(&n->to_guest);
    free(n->polls.fd);
    pthread_cond_destroy(&n->call_done);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

struct net *net_open(const struct net_config *config, struct err *e)
{
    struct net *n = NULL;

    switch (config->kind) {
    case NET_USER: n = net_slirp_open(config, e); break;
    case NET_TAP: n = net_tap_open(config, e); break;
    case NET_PASST: n = net_passt_open(config, e); break;
    }
    if (n && !net_start(n, e)) {
        net_close(n);
        n = NULL;
    }
    return n;
}
