/* --net tap=IF: an interface of the host's, by /dev/net/tun. Each frame goes with what stays to be
 * done to it, and the host's kernel does that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dbt/base/log.h"
#include "devices/host/net_private.h"

enum { MAX_BATCH = 64 }; /* frames in a round: what the guest sends has its turn, too */

struct tap {
    int fd;
    unsigned at;  /* among what is waited for; 0: not waited for */
    bool is_gone; /* the net's thread: the interface was removed */
    struct net *net;
};

/* The guest sees that its cable is out. The descriptor stays open, for set_offloads() has it, but
 * there is nothing any more to wait for: it would say so for ever. */
static void hang_up(struct tap *t)
{
    fprintf(stderr, "dbt-run: --net tap: the interface is gone; the guest's network is down\n");
    t->is_gone = true;
    net_set_link(t->net, false);
}

static void wait_for(void *backend, struct net_polls *p, bool paused)
{
    struct tap *t = backend;

    t->at = paused || t->is_gone ? 0 : net_polls_add(p, t->fd, POLLIN);
}

/* False: nothing more to read at present. What comes while the guest takes nothing is read, too,
 * and lost. */
static bool read_frame(struct tap *t)
{
    struct net_frame *f = net_deliver_begin(t->net, NET_MAX_FRAME);
    struct net_offload offload;
    uint8_t lost[64];
    const struct iovec iov[2] = {{f ? &f->offload : &offload, sizeof offload},
                                 {f ? f->bytes : lost, f ? NET_MAX_FRAME : sizeof lost}};
    ssize_t n = readv(t->fd, iov, 2);

    if (n < 0) {
        if (errno == EBADFD)
            hang_up(t);
        return false;
    }
    if (!f || n < (ssize_t)(sizeof offload + NET_MIN_FRAME))
        return true;
    f->len = (uint32_t)(n - (ssize_t)sizeof offload);
    /* No more segments than we asked for come; the flags that the guest does not know do not
     * leave here. */
    f->offload.flags &= NET_NEEDS_CSUM | NET_DATA_VALID;
    if (net_offload_is_sound(&f->offload, f->len))
        net_deliver(t->net, f);
    return true;
}

static void serve(void *backend, const struct net_polls *p)
{
    struct tap *t = backend;

    if (t->at == 0 || p->fd[t->at].revents == 0)
        return;
    for (unsigned i = 0; i < MAX_BATCH && net_may_deliver(t->net) && read_frame(t); i++)
        ;
}

/* The host's kernel has room, or loses it as a wire would. */
static bool send_frame(void *backend, const struct net_frame *f)
{
    struct tap *t = backend;
    struct net_offload offload = f->offload;
    const struct iovec iov[2] = {{&offload, sizeof offload}, {(void *)f->bytes, f->len}};

    if (writev(t->fd, iov, 2) < 0)
        log_line(LOG_net, "tap: a frame of %u bytes is lost: %s", f->len, strerror(errno));
    return true;
}

static void set_offloads(void *backend, unsigned offloads)
{
    const struct tap *t = backend;
    unsigned bits = 0;

    if (offloads & NET_GET_CSUM)
        bits = TUN_F_CSUM | (offloads & NET_GET_TSO4 ? TUN_F_TSO4 : 0) |
               (offloads & NET_GET_TSO6 ? TUN_F_TSO6 : 0);
    if (ioctl(t->fd, TUNSETOFFLOAD, (unsigned long)bits) != 0)
        log_line(LOG_net, "tap: offloads %#x: %s", bits, strerror(errno));
}

static void close_tap(void *backend)
{
    struct tap *t = backend;

    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

static const struct net_ops tap_ops = {
    .offloads = NET_SEND_TSO4 | NET_SEND_TSO6 | NET_GET_CSUM | NET_GET_TSO4 | NET_GET_TSO6,
    .takes_csum = true,
    .wait = wait_for,
    .serve = serve,
    .send = send_frame,
    .set_offloads = set_offloads,
    .close = close_tap,
};

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

static bool open_driver(int *fd, struct err *e)
{
    *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd >= 0)
        return true;
    return err_set(e, "tap: cannot open /dev/net/tun: %s%s", strerror(errno),
                   errno == ENOENT ? "; as root: modprobe tun" : "; --net user needs no rights");
}

static bool refuse(const char *name, int error, struct err *e)
{
    switch (error) {
    case EPERM:
        return err_set(e,
                       "tap=%s: no rights to it; as root: ip tuntap add dev %s mode tap user "
                       "YOU, or write --net user",
                       name, name);
    case EBUSY: return err_set(e, "tap=%s: another program has it", name);
    case EINVAL:
        return err_set(e, "tap=%s: it is no tap interface; ip tuntap shows those that are", name);
    default: return err_set(e, "tap=%s: %s", name, strerror(error));
    }
}

static bool attach(const struct tap *t, const char *name, struct err *e)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = sizeof(struct net_offload);

    if (strlen(name) >= sizeof request.ifr_name)
        return err_set(e, "tap=%s: the name of an interface has at most %zu letters", name,
                       sizeof request.ifr_name - 1);
    memcpy(request.ifr_name, name, strlen(name) + 1);
    if (ioctl(t->fd, TUNSETIFF, &request) != 0)
        return refuse(name, errno, e);
    if (ioctl(t->fd, TUNSETVNETHDRSZ, &header) != 0)
        return err_set(e, "tap=%s: TUNSETVNETHDRSZ: %s", name, strerror(errno));
    return true;
}

struct net *net_tap_open(const struct net_config *config, struct err *e)
{
    struct tap *t = calloc(1, sizeof *t);

    CHECK(t && "memory for a network");
    if (!open_driver(&t->fd, e) || !attach(t, config->name, e)) {
        close_tap(t);
        return NULL;
    }
    t->net = net_create(&tap_ops, t, e);
    return t->net;
}
