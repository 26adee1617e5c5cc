/* The host's sides of a network card: the rings, and each kind with its thread and a peer of ours.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/host/net_private.h"

enum { PATIENCE_MS = 20000 };

static struct err e;

/* ---- Frames that are not finished --------------------------------------------------------- */

static struct net_frame *frame_of(const uint8_t *bytes, size_t len)
{
    struct net_frame *f = calloc(1, sizeof *f + len);

    assert_non_null(f);
    memcpy(f->bytes, bytes, len);
    f->len = (uint32_t)len;
    return f;
}

/* Of every length and from every place: with its checksum, and what stood there before, a packet
 * sums up to ~0. */
static void checksums(void **state)
{
    uint8_t bytes[80];

    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(251 * i + 17);
    for (unsigned len = 14; len <= sizeof bytes; len++)
        for (unsigned start = 0; start + 4 <= len; start++) {
            struct net_frame *f = frame_of(bytes, len);
            uint32_t sum = 0;

            f->offload = (struct net_offload){
                .flags = NET_NEEDS_CSUM, .csum_start = (uint16_t)start, .csum_offset = 2};
            assert_true(net_offload_is_sound(&f->offload, len));
            net_finish_checksum(f);
            assert_int_equal(f->offload.flags, 0);
            for (unsigned i = start; i < len; i++)
                sum += (uint32_t)f->bytes[i] << ((i - start) % 2 ? 0 : 8);
            sum += (uint32_t)bytes[start + 2] << 8 | bytes[start + 3];
            while (sum >> 16)
                sum = (sum >> 16) + (sum & 0xffff);
            assert_int_equal(sum, 0xffff);
            free(f);
        }
}

static void a_finished_frame_stays(void **state)
{
    uint8_t bytes[60] = {1, 2, 3};
    struct net_frame *f = frame_of(bytes, sizeof bytes);

    (void)state;
    f->offload = (struct net_offload){.csum_start = 4, .csum_offset = 4};
    net_finish_checksum(f);
    assert_memory_equal(f->bytes, bytes, sizeof bytes);
    free(f);
}

/* ---- Both rings, with a thread at the other end -------------------------------------------------
 */

struct echo {
    struct net *net;
    unsigned n_lost;
    bool refused; /* the last frame */
};

/* While paused it is woken when there is room. What was refused just before there was some is asked
 * for again at once. */
static void echo_wait(void *backend, struct net_polls *p, bool paused)
{
    if (!paused && ((struct echo *)backend)->refused)
        p->timeout_ms = 0;
}

static void echo_serve(void *backend, const struct net_polls *p)
{
    (void)backend, (void)p;
}

static bool echo_send(void *backend, const struct net_frame *f)
{
    struct echo *x = backend;
    struct net_frame *back;

    x->refused = !net_may_deliver(x->net);
    if (x->refused)
        return false;
    back = net_deliver_begin(x->net, NET_MAX_FRAME);
    if (!back) {
        x->n_lost++;
        return true;
    }
    memcpy(back->bytes, f->bytes, f->len);
    back->len = f->len;
    back->offload = f->offload;
    net_deliver(x->net, back);
    return true;
}

static void echo_close(void *backend)
{
    (void)backend;
}

static const struct net_ops echo_ops = {
    .wait = echo_wait, .serve = echo_serve, .send = echo_send, .close = echo_close};

static void count_event(void *arg)
{
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void nap(void)
{
    const struct timespec t = {.tv_nsec = 100000};

    nanosleep(&t, NULL);
}

static uint32_t length_of(uint32_t n)
{
    uint32_t random = n * 2654435761u;

    return 14 + (n % 16 == 0 ? random % (NET_MAX_FRAME - 13) : random % 1500);
}

static void check_echo(struct net_frame *f, uint32_t n)
{
    assert_int_equal(f->len, length_of(n));
    assert_int_equal(f->offload.gso_size, n & 0xffff);
    assert_memory_equal(f->bytes, &n, sizeof n);
    assert_int_equal(f->bytes[f->len - 1], n & 0xff);
}

static void there_and_back(void **state)
{
    const uint32_t n_frames = 20000;
    uint32_t n_sent = 0, n_got = 0, n_idle = 0;
    _Atomic unsigned n_events = 0;
    struct echo x = {0};
    struct net *net = net_create(&echo_ops, &x, &e);

    (void)state;
    assert_non_null(net);
    x.net = net;
    net_on_event(net, count_event, (void *)&n_events);
    net_start_guest(net, 0);
    assert_true(net_start(net, &e));
    while (n_got < n_frames) {
        struct net_frame *f;

        if (n_sent < n_frames && net_may_send(net)) {
            f = net_send_begin(net, length_of(n_sent));
            f->offload.gso_size = (uint16_t)n_sent;
            memcpy(f->bytes, &n_sent, sizeof n_sent);
            f->bytes[f->len - 1] = (uint8_t)n_sent;
            net_send(net, f);
            n_sent++;
        } else if ((f = net_receive(net))) {
            check_echo(f, n_got++);
            net_receive_done(net, f);
            n_idle = 0;
        } else {
            nap(); /* Nobody wakes us here; that somebody would is n_events' part. */
            assert_true(++n_idle < 10 * PATIENCE_MS);
        }
    }
    assert_int_equal(x.n_lost, 0);
    assert_true(n_events > 0);
    net_close(net);
}

/* ---- What all kinds are asked -------------------------------------------------------------------
 */

static struct net *open_net(const struct net_config *c)
{
    struct net *net = net_open(c, &e);

    if (!net)
        fail_msg("%s", e.text);
    net_start_guest(net, 0);
    return net;
}

static void send_bytes(struct net *net, const void *bytes, size_t len)
{
    struct net_frame *f;

    while (!net_may_send(net))
        nap();
    f = net_send_begin(net, len);
    memcpy(f->bytes, bytes, len);
    net_send(net, f);
}

/* The next frame, for which somebody may have to be waited for. */
static struct net_frame *await(struct net *net)
{
    struct net_frame *f;

    for (unsigned i = 0; !(f = net_receive(net)); i++) {
        if (i == 10 * PATIENCE_MS)
            fail_msg("no frame has come");
        nap();
    }
    return f;
}

/* The answer to "who has `target`?", from whatever else comes. */
static void assert_answers_arp(struct net *net, uint32_t own, uint32_t target)
{
    uint8_t ask[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12,
                       0x34, 0x56, 8,    6,    0,    1,    8,    0,    6, 4,
                       0,    1,    0x52, 0x54, 0,    0x12, 0x34, 0x56};

    memcpy(ask + 28, &own, 4);
    memcpy(ask + 38, &target, 4);
    send_bytes(net, ask, sizeof ask);
    for (;;) {
        struct net_frame *f = await(net);
        bool is_it = f->len >= 42 && f->bytes[12] == 8 && f->bytes[13] == 6 && f->bytes[21] == 2 &&
                     memcmp(f->bytes + 28, &target, 4) == 0 && memcmp(f->bytes, ask + 6, 6) == 0;

        net_receive_done(net, f);
        if (is_it)
            return;
    }
}

/* ---- user
 * ------------------------------------------------------------------------------------------ */

static uint16_t listener(int *fd, int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    *fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&a, sizeof a), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static void the_users_network_answers(void **state)
{
    const struct net_config c = {.kind = NET_USER};
    struct net *net = open_net(&c);

    (void)state;
    assert_true(net_link(net));
    assert_answers_arp(net, inet_addr("10.0.2.15"), inet_addr("10.0.2.2"));
    net_stop_guest(net);
    net_start_guest(net, 0);
    assert_answers_arp(net, inet_addr("10.0.2.15"), inet_addr("10.0.2.3"));
    net_close(net);
}

/* Anything at all is taken, and the network goes on. */
static void the_users_network_takes_anything(void **state)
{
    const struct net_config c = {.kind = NET_USER};
    struct net *net = open_net(&c);
    uint32_t random = 1;
    static uint8_t bytes[3000];

    (void)state;
    for (unsigned n = 0; n < 20000; n++) {
        size_t len = 14 + (random >> 8) % (n % 8 ? 100 : sizeof bytes - 14);

        for (size_t i = 0; i < len; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(random >> 24);
        }
        memcpy(bytes + 12, n % 3 == 0 ? "\x08\x06" : n % 3 == 1 ? "\x08\x00" : "\x86\xdd", 2);
        bytes[14] = (uint8_t)(n % 3 == 1 ? 0x45 : 0x60);
        send_bytes(net, bytes, len);
    }
    assert_answers_arp(net, inet_addr("10.0.2.15"), inet_addr("10.0.2.2"));
    net_close(net);
}

/* A connection from the host makes a SYN for the guest. */
static void a_forward_leads_to_the_guest(void **state)
{
    struct net_config c = {.kind = NET_USER, .n_forwards = 1};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd, client = socket(AF_INET, SOCK_STREAM, 0);
    struct net_frame *f;
    struct net *net;

    (void)state;
    c.forward[0] = (struct net_forward){.host_ip = htonl(INADDR_LOOPBACK), .guest_port = 80};
    c.forward[0].host_port = listener(&fd, SOCK_STREAM);
    close(fd);
    net = open_net(&c);
    assert_answers_arp(net, inet_addr("10.0.2.15"), inet_addr("10.0.2.2")); /* it knows us now */
    to.sin_port = htons(c.forward[0].host_port);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    do {
        f = await(net);
        if (f->bytes[12] == 8 && f->bytes[13] == 0 && f->bytes[23] == IPPROTO_TCP)
            break;
        net_receive_done(net, f);
    } while (true);
    assert_int_equal(f->offload.flags, NET_DATA_VALID);
    assert_int_equal(f->bytes[14 + 20 + 3], 80);
    assert_int_equal(f->bytes[14 + 20 + 13] & 0x12, 0x02);
    close(client);
    net_close(net);
}

static void assert_refused(const struct net_config *c, const char *words)
{
    struct net *net = net_open(c, &e);

    if (net)
        fail_msg("'%s' was expected", words);
    if (!strstr(e.text, words))
        fail_msg("'%s', not '%s'", e.text, words);
}

static void a_port_that_is_taken(void **state)
{
    struct net_config c = {.kind = NET_USER, .n_forwards = 1};
    int fd;

    (void)state;
    c.forward[0] = (struct net_forward){.host_ip = htonl(INADDR_LOOPBACK), .guest_port = 80};
    c.forward[0].host_port = listener(&fd, SOCK_STREAM);
    assert_refused(&c, "another program has it, choose another port");
    close(fd);
    c.forward[0].udp = true;
    c.forward[0].host_port = listener(&fd, SOCK_DGRAM);
    assert_refused(&c, "hostfwd=udp:127.0.0.1:");
    close(fd);
    c.forward[0].host_ip = inet_addr("192.0.2.1"); /* for documentation, nobody has it */
    assert_refused(&c, "this host has no such address");
}

static bool connects(uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = connect(client, (const struct sockaddr *)&to, sizeof to) == 0;

    close(client);
    return ok;
}

static void forwards_come_and_go(void **state)
{
    const struct net_config c = {.kind = NET_USER};
    struct net_forward f = {.host_ip = htonl(INADDR_LOOPBACK), .guest_port = 22};
    struct net *net = open_net(&c);
    char *text, port[16];
    size_t len;
    FILE *out = open_memstream(&text, &len);
    int fd;

    (void)state;
    f.host_port = listener(&fd, SOCK_STREAM);
    assert_false(net_forward_add(net, &f, &e));
    assert_non_null(strstr(e.text, "another program has it"));
    close(fd);
    assert_false(connects(f.host_port));
    assert_true(net_forward_add(net, &f, &e));
    assert_true(connects(f.host_port));
    net_print(net, out);
    assert_true(net_forward_remove(net, &f, &e));
    assert_false(connects(f.host_port));
    assert_false(net_forward_remove(net, &f, &e));
    assert_non_null(strstr(e.text, "no such forward"));
    fclose(out);
    snprintf(port, sizeof port, " %u ", f.host_port);
    assert_ptr_equal(strstr(text, "link up\n"), text);
    assert_non_null(strstr(text, "HOST_FORWARD"));
    assert_non_null(strstr(text, port));
    free(text);
    net_close(net);
}

static bool connects6(uint16_t port)
{
    const struct sockaddr_in6 to = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int client = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = connect(client, (const struct sockaddr *)&to, sizeof to) == 0;

    close(client);
    return ok;
}

/* IPv6's is not IPv4's, and comes and goes apart from it. */
static void forwards_of_ipv6(void **state)
{
    const struct net_config c = {.kind = NET_USER};
    struct net_forward f = {.ipv6 = true, .guest_port = 22};
    struct net *net;
    int fd;

    (void)state;
    f.host_port = listener(&fd, SOCK_STREAM);
    close(fd);
    if (access("/proc/net/if_inet6", F_OK) != 0)
        skip();
    net = open_net(&c);
    assert_false(connects6(f.host_port));
    assert_true(net_forward_add(net, &f, &e));
    assert_true(connects6(f.host_port));
    assert_false(connects(f.host_port));
    assert_false(net_forward_add(net, &f, &e));
    assert_non_null(strstr(e.text, "hostfwd=tcp:[]:"));
    assert_non_null(strstr(e.text, "another program has it"));
    assert_true(net_forward_remove(net, &f, &e));
    assert_false(connects6(f.host_port));
    assert_false(net_forward_remove(net, &f, &e));
    net_close(net);
}

static void forwards_as_text(void **state)
{
    struct net_forward f;

    (void)state;
    assert_true(net_forward_parse(&f, "udp:127.0.0.1:53-10.0.2.16:5353", &e));
    assert_true(f.udp && f.host_port == 53 && f.guest_port == 5353);
    assert_true(net_forward_parse_host(&f, "tcp::2222", &e));
    assert_true(!f.udp && f.host_ip == 0 && f.host_port == 2222);
    assert_true(net_forward_parse_host(&f, ":127.0.0.1:1", &e));
    assert_int_equal(f.host_ip, htonl(INADDR_LOOPBACK));
    assert_false(f.ipv6);
    assert_true(net_forward_parse(&f, "tcp:[::1]:53-[fec0::15]:5353", &e));
    assert_true(f.ipv6 && f.host_ip6[15] == 1 && f.guest_ip6[0] == 0xfe && f.guest_ip6[15] == 0x15);
    assert_true(f.host_port == 53 && f.guest_port == 5353);
    assert_true(net_forward_parse(&f, "tcp::53-[fec0::15]:22", &e));
    assert_true(f.ipv6 && f.host_ip6[15] == 0 && f.guest_ip6[15] == 0x15);
    assert_true(net_forward_parse(&f, "tcp:[::]:53-:22", &e));
    assert_true(f.ipv6 && f.guest_ip6[0] == 0);
    assert_true(net_forward_parse_host(&f, "udp:[::1]:7", &e));
    assert_true(f.udp && f.ipv6 && f.host_ip6[15] == 1 && f.host_port == 7);
    assert_false(net_forward_parse(&f, "tcp:[::1]:53-10.0.2.15:22", &e));
    assert_non_null(strstr(e.text, "take two of a kind"));
    assert_false(net_forward_parse(&f, "tcp:127.0.0.1:53-[fec0::15]:22", &e));
    assert_non_null(strstr(e.text, "take two of a kind"));
    assert_false(net_forward_parse(&f, "tcp:[::g]:53-:22", &e));
    assert_non_null(strstr(e.text, "'::g' is no IPv6 address, as in [::1]"));
    assert_false(net_forward_parse(&f, "tcp:[]:53-:22", &e));
    assert_false(net_forward_parse(&f, "tcp:[::1:53-:22", &e));
    assert_false(net_forward_parse(&f, "tcp:[::1]53-:22", &e));
    assert_false(net_forward_parse(&f, "tcp:[::1]:53-[", &e));
    assert_false(net_forward_parse(&f, "tcp:::1:53-:22", &e));
    assert_false(net_forward_parse_host(&f, "", &e));
    assert_false(net_forward_parse_host(&f, "tcp:2222", &e));
    assert_false(net_forward_parse_host(&f, "tcp::2222-:22", &e));
    assert_false(net_forward_parse_host(&f, "tcp::000022", &e));
    assert_false(net_forward_parse_host(&f, "sctp::22", &e));
    assert_false(net_forward_parse_host(&f, "tcp:host:22", &e));
}

/* ---- passt
 * ------------------------------------------------------------------------------------------ */

static char path[] = "/tmp/dbt-test-net.XXXXXX";

static int listen_as_passt(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%s/socket", path);
    unlink(a.sun_path);
    assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(server, 1), 0);
    return server;
}

/* A socket that listens, and a net that is connected to it; `fd` is our end. */
static struct net *open_passt(int *fd)
{
    struct net_config c = {.kind = NET_PASST};
    int server = listen_as_passt();
    struct net *net;

    snprintf(c.name, sizeof c.name, "%s/socket", path);
    net = open_net(&c);
    *fd = accept(server, NULL, NULL);
    assert_true(*fd >= 0);
    close(server);
    return net;
}

static void read_exactly(int fd, void *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (uint8_t *)to + done, len - done);

        assert_true(n > 0);
        done += (size_t)n;
    }
}

static void await_link_down(struct net *net)
{
    for (unsigned i = 0; net_link(net); i++) {
        assert_true(i < 10 * PATIENCE_MS);
        nap();
    }
}

/* More than the socket holds: the guest's frames come whole and in order when we read at last. */
static void frames_to_passt(void **state)
{
    int fd;
    struct net *net = open_passt(&fd);
    static uint8_t bytes[NET_MAX_FRAME];
    uint32_t n_sent = 0;

    (void)state;
    while (net_may_send(net)) {
        memcpy(bytes, &n_sent, sizeof n_sent);
        send_bytes(net, bytes, 60000 + n_sent++);
        for (unsigned i = 0; i < 100 && !net_may_send(net); i++)
            nap();
    }
    for (uint32_t n = 0; n < n_sent; n++) {
        uint32_t len;

        read_exactly(fd, &len, 4);
        assert_int_equal(ntohl(len), 60000 + n);
        read_exactly(fd, bytes, ntohl(len));
        assert_memory_equal(bytes, &n, sizeof n);
    }
    /* One that would end passt is not sent. */
    send_bytes(net, bytes, NET_MAX_FRAME);
    send_bytes(net, bytes, 14);
    read_exactly(fd, bytes, 4);
    assert_memory_equal(bytes, "\0\0\0\x0e", 4);
    close(fd);
    net_close(net);
}

/* A frame cut up by the stream, two in one write, the longest, and the guest's pause. */
static void frames_from_passt(void **state)
{
    static uint8_t bytes[4 + NET_MAX_FRAME];
    const uint32_t longest = htonl(NET_MAX_FRAME);
    int fd;
    struct net *net = open_passt(&fd);
    struct net_frame *f;

    (void)state;
    memset(bytes, 0, sizeof bytes);
    bytes[3] = 20;
    bytes[4] = 'a';
    bytes[27] = 16;
    bytes[28] = 'b';
    for (unsigned i = 0; i < 23; i++) {
        assert_int_equal(write(fd, bytes + i, 1), 1);
        nap();
    }
    assert_int_equal(write(fd, bytes + 23, 21), 21);
    for (unsigned i = 0; i < 2; i++) {
        f = await(net);
        assert_int_equal(f->len, i ? 16 : 20);
        assert_int_equal(f->bytes[0], 'a' + i);
        assert_int_equal(f->offload.flags, 0);
        net_receive_done(net, f);
    }
    memcpy(bytes, &longest, 4);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    f = await(net);
    assert_int_equal(f->len, NET_MAX_FRAME);
    net_receive_done(net, f);
    assert_false(net_forward_add(net, &(struct net_forward){.host_port = 1}, &e));
    assert_non_null(strstr(e.text, "only --net user has forwards"));
    close(fd);
    await_link_down(net);
    send_bytes(net, bytes, 100); /* to nobody */
    net_close(net);
}

/* What waits for the guest waits with the peer, not with us without end. */
static void passt_is_held_back(void **state)
{
    static uint8_t bytes[4 + 1400];
    unsigned n_written = 0, n_got = 0;
    int fd;
    struct net *net = open_passt(&fd);
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    (void)state;
    bytes[2] = 1400 >> 8;
    bytes[3] = 1400 & 255;
    while (poll(&p, 1, 500) == 1) {
        memcpy(bytes + 4, &n_written, sizeof n_written);
        assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
        assert_true(++n_written < 20000);
    }
    for (; n_got < n_written; n_got++) {
        struct net_frame *f = await(net);

        assert_memory_equal(f->bytes, &n_got, sizeof n_got);
        net_receive_done(net, f);
    }
    close(fd);
    net_close(net);
}

static void nonsense_from_passt(void **state)
{
    static const uint8_t bad[][4] = {{0, 0, 0, 0}, {0, 0, 0, 13}, {0, 1, 0, 18}, {255, 0, 0, 60}};

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd;
        struct net *net = open_passt(&fd);

        assert_int_equal(write(fd, bad[i], 4), 4);
        await_link_down(net);
        close(fd);
        net_close(net);
    }
}

/* The old one goes in the midst of a frame each way; the new one begins with a whole one. */
static void passt_starts_anew(void **state)
{
    static const uint8_t half[] = {0, 0, 0, 60, 'x', 'x'};
    uint8_t whole[4 + 60] = {0, 0, 0, 60, 'n', 'e', 'w'};
    struct net_frame *f;
    int fd, server;
    struct net *net = open_passt(&fd);

    (void)state;
    for (unsigned times = 0; times < 2; times++) {
        assert_int_equal(write(fd, half, sizeof half), sizeof half);
        close(fd);
        await_link_down(net);
        server = listen_as_passt();
        fd = accept(server, NULL, NULL);
        close(server);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, whole, sizeof whole), sizeof whole);
        f = await(net);
        assert_int_equal(f->len, 60);
        assert_memory_equal(f->bytes, "new", 3);
        net_receive_done(net, f);
        assert_true(net_link(net));
    }
    close(fd);
    net_close(net);
}

static void no_passt(void **state)
{
    struct net_config c = {.kind = NET_PASST};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    snprintf(c.name, sizeof c.name, "%s/nobody", path);
    assert_refused(&c, "start it first: passt --socket");
    snprintf(a.sun_path, sizeof a.sun_path, "%s/nobody", path);
    assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof a), 0);
    assert_refused(&c, "start it first: passt --socket"); /* nobody listens */
    close(server);
}

/* ---- tap: where we may
 * ------------------------------------------------------------------------------ */

static void no_tap(void **state)
{
    struct net_config c = {.kind = NET_TAP};

    (void)state;
    if (access("/dev/net/tun", R_OK | W_OK) != 0) {
        assert_refused(&c, "tap: cannot open /dev/net/tun");
        return;
    }
    strcpy(c.name, "an-interface-of-17");
    assert_refused(&c, "at most 15 letters");
    strcpy(c.name, "lo");
    if (net_open(&c, &e))
        fail_msg("lo is no tap interface");
    assert_non_null(strstr(e.text, "tap=lo: "));
}

static void up(const char *name, const char *address)
{
    struct ifreq r = {.ifr_flags = IFF_UP};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    memcpy(r.ifr_name, name, strlen(name));
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    memcpy(&r.ifr_addr, &a, sizeof a);
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &r), 0);
    close(fd);
}

/* An interface of our own: the host's kernel answers. */
static void the_hosts_kernel_answers(void **state)
{
    struct net_config c = {.kind = NET_TAP};
    struct net *net;

    (void)state;
    snprintf(c.name, sizeof c.name, "dbt%u", (unsigned)getpid() % 1000000);
    if (geteuid() != 0 || !(net = net_open(&c, &e))) {
        print_message("no rights to a tap interface\n");
        skip();
    }
    net_start_guest(net, NET_GET_CSUM | NET_GET_TSO4);
    up(c.name, "198.51.100.1");
    assert_answers_arp(net, inet_addr("198.51.100.2"), inet_addr("198.51.100.1"));
    assert_refused(&c, "another program has it");
    net_close(net);
}

/* What ip link del NAME asks of the host's kernel. */
static void delete_interface(const char *name)
{
    struct {
        struct nlmsghdr h;
        struct ifinfomsg info;
    } m = {.h = {.nlmsg_len = sizeof m, .nlmsg_type = RTM_DELLINK, .nlmsg_flags = NLM_F_REQUEST},
           .info = {.ifi_index = (int)if_nametoindex(name)}};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    assert_int_equal(send(fd, &m, sizeof m, 0), sizeof m);
    close(fd);
    assert_int_equal(if_nametoindex(name), 0);
}

static long cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Its descriptor says for ever that there is an error. */
static void the_interface_goes(void **state)
{
    struct net_config c = {.kind = NET_TAP};
    struct net *net;
    long before;

    (void)state;
    snprintf(c.name, sizeof c.name, "dbt%u", (unsigned)getpid() % 1000000);
    if (geteuid() != 0 || !(net = net_open(&c, &e))) {
        print_message("no rights to a tap interface\n");
        skip();
    }
    net_start_guest(net, 0);
    assert_true(net_link(net));
    delete_interface(c.name);
    for (unsigned i = 0; i < 1000 && net_link(net); i++)
        usleep(5000);
    assert_false(net_link(net));
    before = cpu_ms();
    usleep(200000);
    assert_true(cpu_ms() - before < 100);
    net_stop_guest(net); /* What the guest does meets nothing. */
    net_start_guest(net, NET_GET_CSUM);
    assert_true(net_may_send(net));
    net_send(net, net_send_begin(net, NET_MIN_FRAME));
    net_close(net);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(path) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"socket", "nobody"};
    char file[64];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        unlink(file);
    }
    return rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums),
        cmocka_unit_test(a_finished_frame_stays),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(the_users_network_answers),
        cmocka_unit_test(the_users_network_takes_anything),
        cmocka_unit_test(a_forward_leads_to_the_guest),
        cmocka_unit_test(a_port_that_is_taken),
        cmocka_unit_test(forwards_come_and_go),
        cmocka_unit_test(forwards_of_ipv6),
        cmocka_unit_test(forwards_as_text),
        cmocka_unit_test(frames_to_passt),
        cmocka_unit_test(frames_from_passt),
        cmocka_unit_test(passt_is_held_back),
        cmocka_unit_test(nonsense_from_passt),
        cmocka_unit_test(passt_starts_anew),
        cmocka_unit_test(no_passt),
        cmocka_unit_test(no_tap),
        cmocka_unit_test(the_hosts_kernel_answers),
        cmocka_unit_test(the_interface_goes),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
