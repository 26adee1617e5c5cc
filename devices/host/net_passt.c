/* --net passt=SOCKET: frames over a stream, each behind its length in four bytes, the first of them
 * the highest: what passt and QEMU's -netdev stream speak. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dbt/base/clock.h"
#include "devices/host/net_private.h"

enum { LENGTH = 4, IN_ROOM = 4 * (LENGTH + NET_MAX_FRAME), MAX_SENT = 65535, AGAIN_MS = 500 };

struct passt {
    int fd; /* -1: the other end is gone */
    unsigned at;
    struct net *net;
    size_t in_len, out_len; /* out: the rest of a frame that was sent in part */
    bool blocked;           /* the socket takes no more */
    bool lost;              /* fd is -1, and passt may be started anew */
    int64_t again_ms;       /* when that is looked at next */
    struct sockaddr_un to;
    uint8_t in[IN_ROOM], out[LENGTH + NET_MAX_FRAME];
};

static int64_t now_ms(void)
{
    return (int64_t)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

/* The guest sees that its cable is out. */
static void hang_up(struct passt *p, const char *why, bool for_good)
{
    fprintf(stderr, "dbt-run: --net passt: %s; the guest's network is down%s\n", why,
            for_good ? "" : " until passt is there again");
    close(p->fd);
    p->fd = -1;
    p->lost = !for_good;
    p->again_ms = now_ms() + AGAIN_MS;
    net_set_link(p->net, false);
}

static int connect_to(const struct sockaddr_un *to, int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) == 0)
        return fd;
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

/* What was half sent or half received belongs to the one that is gone. */
static void look_again(struct passt *p)
{
    p->again_ms = now_ms() + AGAIN_MS;
    p->fd = connect_to(&p->to, SOCK_NONBLOCK);
    if (p->fd < 0)
        return;
    p->lost = p->blocked = false;
    p->in_len = p->out_len = 0;
    fprintf(stderr, "dbt-run: --net passt: passt is there again; the guest's network is up\n");
    net_set_link(p->net, true);
}

/* ---- To the socket
 * ------------------------------------------------------------------------------- */

/* Sends pieces, and keeps what is left of them. False: nothing of it was taken. */
static bool put(struct passt *p, struct iovec *iov, size_t n)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
    ssize_t sent = sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        p->blocked = true;
        return false;
    }
    if (sent < 0) {
        hang_up(p, strerror(errno), false);
        return true;
    }
    p->out_len = 0;
    for (size_t i = 0; i < n; i++) {
        size_t done = (size_t)sent < iov[i].iov_len ? (size_t)sent : iov[i].iov_len;

        memmove(p->out + p->out_len, (uint8_t *)iov[i].iov_base + done, iov[i].iov_len - done);
        p->out_len += iov[i].iov_len - done;
        sent -= (ssize_t)done;
    }
    p->blocked = p->out_len > 0;
    return true;
}

/* What is left of the last frame. False: some still is. */
static bool flush(struct passt *p)
{
    while (p->fd >= 0 && p->out_len > 0 && !p->blocked) {
        struct iovec rest = {p->out, p->out_len};

        put(p, &rest, 1);
    }
    return p->out_len == 0 || p->fd < 0;
}

/* A frame that passt would take for the end of all order is lost; so is one for nobody. */
static bool send_frame(void *backend, const struct net_frame *f)
{
    struct passt *p = backend;
    uint32_t len = htonl(f->len);
    struct iovec iov[2] = {{&len, LENGTH}, {(void *)f->bytes, f->len}};

    if (!flush(p))
        return false;
    if (p->fd < 0 || f->len > MAX_SENT)
        return true;
    return !p->blocked && put(p, iov, 2);
}

/* ---- From the socket
 * -------------------------------------------------------------------------------
 */

static void deliver(struct passt *p, const uint8_t *bytes, uint32_t len_bytes)
{
    struct net_frame *f = net_deliver_begin(p->net, len_bytes);

    if (!f)
        return;
    memcpy(f->bytes, bytes, len_bytes);
    net_deliver(p->net, f);
}

/* All whole frames of what was read. False: what comes makes no sense. */
static bool take_frames(struct passt *p)
{
    size_t at = 0;

    while (p->in_len - at >= LENGTH) {
        uint32_t len;

        memcpy(&len, p->in + at, LENGTH);
        len = ntohl(len);
        if (len < NET_MIN_FRAME || len > NET_MAX_FRAME)
            return false;
        if (p->in_len - at - LENGTH < len)
            break;
        deliver(p, p->in + at + LENGTH, len);
        at += LENGTH + len;
    }
    memmove(p->in, p->in + at, p->in_len - at);
    p->in_len -= at;
    return true;
}

static void receive(struct passt *p)
{
    ssize_t n = recv(p->fd, p->in + p->in_len, sizeof p->in - p->in_len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(p, n == 0 ? "the other end has closed the socket" : strerror(errno), false);
        return;
    }
    p->in_len += (size_t)n;
    if (!take_frames(p))
        hang_up(p, "what comes from the socket are no frames", true);
}

/* ---- The thread
 * -------------------------------------------------------------------------------------
 */

static void wait_for(void *backend, struct net_polls *polls, bool paused)
{
    struct passt *p = backend;
    unsigned events = (paused ? 0u : POLLIN) | (p->blocked ? POLLOUT : 0u);

    if (p->lost && (polls->timeout_ms < 0 || polls->timeout_ms > AGAIN_MS))
        polls->timeout_ms = AGAIN_MS;
    p->at = p->fd < 0 || events == 0 ? 0 : net_polls_add(polls, p->fd, (short)events);
}

static void serve(void *backend, const struct net_polls *polls)
{
    struct passt *p = backend;
    int events = p->at ? polls->fd[p->at].revents : 0;

    if (p->fd >= 0 && (events & (POLLOUT | POLLERR | POLLHUP))) {
        p->blocked = false;
        flush(p);
    }
    if (p->fd >= 0 && (events & (POLLIN | POLLERR | POLLHUP)))
        receive(p);
    if (p->lost && now_ms() >= p->again_ms)
        look_again(p);
}

static void close_passt(void *backend)
{
    struct passt *p = backend;

    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

/* passt takes segments of many, and sends frames as long as the guest's MTU. */
static const struct net_ops passt_ops = {
    .offloads = NET_SEND_TSO4 | NET_SEND_TSO6,
    .wait = wait_for,
    .serve = serve,
    .send = send_frame,
    .close = close_passt,
};

/* ---- Life
 * ------------------------------------------------------------------------------------------- */

static bool connect_first(struct passt *p, const char *path, struct err *e)
{
    p->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof p->to.sun_path)
        return err_set(e, "passt=%s: the path is too long", path);
    memcpy(p->to.sun_path, path, strlen(path) + 1);
    p->fd = connect_to(&p->to, 0);
    if (p->fd >= 0)
        return true;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(e, "passt=%s: %s; start it first: passt --socket %s", path, strerror(errno),
                       path);
    return err_set(e, "passt=%s: %s", path, strerror(errno));
}

struct net *net_passt_open(const struct net_config *config, struct err *e)
{
    struct passt *p = calloc(1, sizeof *p);

    CHECK(p && "memory for a network");
    p->fd = -1;
    if (!connect_first(p, config->name, e)) {
        close_passt(p);
        return NULL;
    }
    p->net = net_create(&passt_ops, p, e);
    return p->net;
}
