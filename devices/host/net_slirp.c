/* --net user: libslirp ends the guest's connections here and makes its own with the host's sockets.
 * All of libslirp is called on the net's thread, but for its beginning and its end; it keeps its
 * clock in a global, so there is one of it in a process. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/clock.h"
#include "dbt/base/log.h"
#include "devices/host/net_private.h"

enum { NS_PER_MS = 1000000, CONFIG_VERSION = 1 };

struct timer {
    SlirpTimerCb due;
    void *arg;
    int64_t at_ms; /* INT64_MAX: not set */
    struct timer *next;
};

struct slirp_net {
    Slirp *slirp;
    struct net *net;
    struct timer *timers;
    bool paused; /* in this round: sockets are left alone */
    struct net_polls *adding;
    const struct net_polls *polled;
};

/* ---- What libslirp calls --------------------------------------------------------------------- */

static ssize_t send_packet(const void *bytes, size_t len_bytes, void *opaque)
{
    struct slirp_net *s = opaque;
    struct net_frame *f = s->net ? net_deliver_begin(s->net, len_bytes) : NULL;

    if (!f)
        return (ssize_t)len_bytes;
    memcpy(f->bytes, bytes, len_bytes);
    /* libslirp has just computed all its checksums. */
    f->offload.flags = NET_DATA_VALID;
    net_deliver(s->net, f);
    return (ssize_t)len_bytes;
}

static void guest_error(const char *text, void *opaque)
{
    (void)opaque;
    log_line(LOG_net, "libslirp: %s", text);
}

static int64_t now_ns(void *opaque)
{
    (void)opaque;
    return (int64_t)clock_ns(CLOCK_MONOTONIC);
}

static void *timer_new(SlirpTimerCb due, void *arg, void *opaque)
{
    struct slirp_net *s = opaque;
    struct timer *t = malloc(sizeof *t);

    CHECK(t && "memory for a timer");
    *t = (struct timer){.due = due, .arg = arg, .at_ms = INT64_MAX, .next = s->timers};
    s->timers = t;
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    struct slirp_net *s = opaque;
    struct timer **t = &s->timers;

    while (*t != timer)
        t = &(*t)->next;
    *t = (*t)->next;
    free(timer);
}

static void timer_mod(void *timer, int64_t at_ms, void *opaque)
{
    (void)opaque;
    ((struct timer *)timer)->at_ms = at_ms;
}

/* It names its descriptors anew for each poll. */
static void poll_fd(int fd, void *opaque)
{
    (void)fd;
    (void)opaque;
}

static void notify(void *opaque)
{
    (void)opaque;
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = now_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = poll_fd,
    .unregister_poll_fd = poll_fd,
    .notify = notify,
};

/* ---- The thread --------------------------------------------------------------------------------
 */

static const struct {
    int slirp;
    short poll;
} events[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int wanted, void *opaque)
{
    struct slirp_net *s = opaque;
    short bits = 0;

    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++)
        if (wanted & events[i].slirp)
            bits = (short)(bits | events[i].poll);
    return (int)net_polls_add(s->adding, fd, bits);
}

static int get_revents(int i, void *opaque)
{
    const struct slirp_net *s = opaque;
    short bits = s->polled->fd[i].revents;
    int found = 0;

    for (unsigned k = 0; k < sizeof events / sizeof events[0]; k++)
        if (bits & events[k].poll)
            found |= events[k].slirp;
    return found;
}

/* Up to the next timer, at least a millisecond. */
static void limit(int *timeout_ms, int64_t ms)
{
    if (ms < 1)
        ms = 1;
    if (*timeout_ms < 0 || ms < *timeout_ms)
        *timeout_ms = ms < 1000000 ? (int)ms : 1000000;
}

static void wait_for(void *backend, struct net_polls *p, bool paused)
{
    struct slirp_net *s = backend;
    uint32_t timeout = UINT32_MAX;

    s->paused = paused;
    if (paused)
        return;
    s->adding = p;
    slirp_pollfds_fill(s->slirp, &timeout, add_poll, s);
    if (timeout != UINT32_MAX)
        limit(&p->timeout_ms, timeout);
    for (const struct timer *t = s->timers; t; t = t->next)
        if (t->at_ms != INT64_MAX)
            limit(&p->timeout_ms, t->at_ms - now_ns(s) / NS_PER_MS);
}

/* A timer sets itself again, and others; none goes away by it. */
static void serve_timers(struct slirp_net *s)
{
    int64_t now_ms = now_ns(s) / NS_PER_MS;

    for (struct timer *t = s->timers; t; t = t->next) {
        if (t->at_ms > now_ms)
            continue;
        t->at_ms = INT64_MAX;
        t->due(t->arg);
    }
}

static void serve(void *backend, const struct net_polls *p)
{
    struct slirp_net *s = backend;

    if (s->paused)
        return;
    s->polled = p;
    slirp_pollfds_poll(s->slirp, 0, get_revents, s);
    serve_timers(s);
}

static bool send_frame(void *backend, const struct net_frame *f)
{
    slirp_input(((struct slirp_net *)backend)->slirp, f->bytes, (int)f->len);
    return true;
}

/* ---- Forwards
 * ------------------------------------------------------------------------------------- */

static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE: return "; another program has it, choose another port";
    case EACCES: return "; ports below 1024 are root's, choose another";
    case EADDRNOTAVAIL: return "; this host has no such address";
    default: return "";
    }
}

union address {
    struct sockaddr any;
    struct sockaddr_in ip;
    struct sockaddr_in6 ip6;
};

static socklen_t address(union address *a, bool ipv6, uint32_t ip, const uint8_t *ip6,
                         uint16_t port)
{
    memset(a, 0, sizeof *a);
    if (!ipv6) {
        a->ip = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = ip};
        return sizeof a->ip;
    }
    a->ip6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&a->ip6.sin6_addr, ip6, sizeof a->ip6.sin6_addr);
    return sizeof a->ip6;
}

/* Any address of IPv6 is not also any of IPv4. */
static int flags_of(const struct net_forward *f)
{
    return (f->udp ? SLIRP_HOSTFWD_UDP : 0) | (f->ipv6 ? SLIRP_HOSTFWD_V6ONLY : 0);
}

static bool forward(Slirp *slirp, const struct net_forward *f, struct err *e)
{
    static const uint8_t none[16];
    union address host, guest;
    socklen_t host_len = address(&host, f->ipv6, f->host_ip, f->host_ip6, f->host_port);
    socklen_t guest_len = address(&guest, f->ipv6, f->guest_ip, f->guest_ip6, f->guest_port);
    char text[INET6_ADDRSTRLEN] = "";

    errno = 0;
    if (slirp_add_hostxfwd(slirp, &host.any, host_len, &guest.any, guest_len, flags_of(f)) == 0)
        return true;
    int error = errno;

    if (!f->ipv6 && f->host_ip)
        inet_ntop(AF_INET, &f->host_ip, text, sizeof text);
    if (f->ipv6 && memcmp(f->host_ip6, none, sizeof none) != 0)
        inet_ntop(AF_INET6, f->host_ip6, text, sizeof text);
    return err_set(e, "hostfwd=%s:%s%s%s:%u: cannot listen there: %s%s", f->udp ? "udp" : "tcp",
                   f->ipv6 ? "[" : "", text, f->ipv6 ? "]" : "", f->host_port, strerror(error),
                   advice(error));
}

static bool change_forward(void *backend, const struct net_forward *f, bool begin, struct err *e)
{
    Slirp *slirp = ((struct slirp_net *)backend)->slirp;
    union address host;
    socklen_t host_len;

    if (begin)
        return forward(slirp, f, e);
    host_len = address(&host, f->ipv6, f->host_ip, f->host_ip6, f->host_port);
    return slirp_remove_hostxfwd(slirp, &host.any, host_len, flags_of(f)) == 0 ||
           err_set(e, "there is no such forward; info network lists them");
}

static void print(void *backend, FILE *out)
{
    char *text = slirp_connection_info(((struct slirp_net *)backend)->slirp);

    fputs(text, out);
    free(text); /* from g_malloc(), which is malloc() since GLib 2.46 */
}

static void close_slirp(void *backend)
{
    struct slirp_net *s = backend;

    if (s->slirp)
        slirp_cleanup(s->slirp);
    free(s);
}

/* A segment of many is to libslirp a long one, which fits into its window; but over IPv6 it takes
 * none that is longer than its MTU. */
static const struct net_ops slirp_ops = {
    .offloads = NET_SEND_TSO4 | NET_GET_CSUM,
    .wait = wait_for,
    .serve = serve,
    .send = send_frame,
    .forward = change_forward,
    .print = print,
    .close = close_slirp,
};

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

/* The addresses are QEMU's. */
static Slirp *make(struct slirp_net *s, const struct net_config *config)
{
    const unsigned mtu = config->mtu ? config->mtu : NET_DEFAULT_MTU;
    SlirpConfig c = {.version = CONFIG_VERSION,
                     .restricted = config->restricted,
                     .in_enabled = true,
                     .in6_enabled = !config->no_ipv6,
                     .vprefix_len = 64,
                     .vhostname = config->hostname[0] != '\0' ? config->hostname : NULL,
                     .if_mtu = mtu,
                     .if_mru = mtu};

    inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
    inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
    inet_pton(AF_INET, "10.0.2.2", &c.vhost);
    inet_pton(AF_INET, "10.0.2.15", &c.vdhcp_start);
    inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
    inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &c.vhost6);
    inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
    return slirp_new(&c, &callbacks, s);
}

struct net *net_slirp_open(const struct net_config *config, struct err *e)
{
    struct slirp_net *s = calloc(1, sizeof *s);
    struct net *n;

    CHECK(s && "memory for a network");
    s->slirp = make(s, config);
    if (!s->slirp) {
        err_set(e, "libslirp does not start; it is version %s", slirp_version_string());
        goto fail;
    }
    for (unsigned i = 0; i < config->n_forwards; i++)
        if (!forward(s->slirp, &config->forward[i], e))
            goto fail;
    n = net_create(&slirp_ops, s, e);
    if (n)
        s->net = n;
    return n;

fail:
    close_slirp(s);
    return NULL;
}
