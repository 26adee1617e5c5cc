/* The host's side of a network card: a thread that takes the guest's frames to where the network
 * is, and brings those that come. Between it and the device stand two rings of frames, bounded:
 * a device that has no room to send waits, a frame that comes when the guest takes none is lost, as
 * on a wire. The thread never touches guest memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"

struct net;

enum net_kind {
    NET_USER,  /* libslirp: a network of its own behind the host's sockets */
    NET_TAP,   /* an interface of the host's */
    NET_PASST, /* a program at the other end of a socket */
};

enum {
    NET_MAX_FORWARDS = 32,
    NET_NAME_ROOM = 108, /* of a socket's path */
    NET_HOSTNAME_ROOM = 64,
    NET_MIN_FRAME = 14,
    /* The longest IP packet, in an Ethernet frame with a VLAN tag. */
    NET_MAX_FRAME = 65535 + 14 + 4,
    NET_DEFAULT_MTU = 1500,
    NET_MIN_MTU = 1280, /* of IPv6 */
    NET_MAX_MTU = 65520,
};

/* A port of the host's that leads to one of the guest's. Addresses are as they stand on the wire;
 * 0: any of the host's, the guest's own. */
struct net_forward {
    bool udp;
    bool ipv6; /* both addresses are IPv6's, else both IPv4's */
    uint32_t host_ip, guest_ip;
    uint8_t host_ip6[16], guest_ip6[16];
    uint16_t host_port, guest_port;
};

struct net_config {
    enum net_kind kind;
    char name[NET_NAME_ROOM]; /* TAP: the interface. PASST: the socket's path */
    unsigned mtu;             /* 0: NET_DEFAULT_MTU */
    /* USER: */
    bool restricted; /* the guest reaches nothing of the host's, forwards apart */
    bool no_ipv6;
    char hostname[NET_HOSTNAME_ROOM]; /* what DHCP tells the guest that it is called; "": nothing */
    struct net_forward forward[NET_MAX_FORWARDS];
    unsigned n_forwards;
};

/* What stays to be done to a frame, laid out as Linux's tun and virtio 1.2, section 5.1.6, have it.
 */
struct net_offload {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len; /* a hint */
    uint16_t gso_size;
    /* With NEEDS_CSUM: the sum of the bytes from csum_start on belongs csum_offset behind. */
    uint16_t csum_start, csum_offset;
};

enum { /* flags */
       NET_NEEDS_CSUM = 1,
       NET_DATA_VALID = 2, /* its checksums are right */
};

enum { /* gso_type: one TCP segment of many gso_size, or one frame as it is */
       NET_GSO_NONE = 0,
       NET_GSO_TCPV4 = 1,
       NET_GSO_TCPV6 = 4,
};

struct net_frame {
    uint32_t len; /* of bytes */
    struct net_offload offload;
    uint8_t bytes[]; /* from the Ethernet header on, without its checksum */
};

/* What a side can do with frames that are not finished. */
enum net_offloads {
    NET_SEND_TSO4 = 1, /* the host takes segments of many */
    NET_SEND_TSO6 = 2,
    NET_GET_CSUM = 4, /* the host brings frames that say NEEDS_CSUM or DATA_VALID */
    NET_GET_TSO4 = 8, /* and segments of many */
    NET_GET_TSO6 = 16,
};

/* ---- The main thread ---------------------------------------------------------------------- */

/* Opens it and starts its thread. NULL: *e says why, and what to do. */
struct net *net_open(const struct net_config *config, struct err *e) MUST_CHECK;
void net_close(struct net *n);

/* `event` is called, on any thread and with locks held, when net_receive() has something new,
 * net_may_send() is true again, or net_link() has changed. When this returns, the function that was
 * set before is not running. */
void net_on_event(struct net *n, void (*event)(void *arg), void *arg);

/* A forward as text: tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT. False: *e says what is wrong. */
bool net_forward_parse(struct net_forward *f, const char *text, struct err *e) MUST_CHECK;
/* Its host's half alone: tcp|udp:[ADDRESS]:PORT. */
bool net_forward_parse_host(struct net_forward *f, const char *text, struct err *e) MUST_CHECK;

/* ---- Any thread but the net's own: each waits for that one ------------------------------------
 */

/* Makes a forward while the guest runs, or ends the one of that host's port. */
bool net_forward_add(struct net *n, const struct net_forward *f, struct err *e) MUST_CHECK;
bool net_forward_remove(struct net *n, const struct net_forward *f, struct err *e) MUST_CHECK;

/* What goes on in it, for a person. */
void net_print(struct net *n, FILE *out);

/* ---- Any one thread at a time ---------------------------------------------------------------- */

/* enum net_offloads that it is capable of. */
unsigned net_offloads(const struct net *n);

/* Is there a network at the other end? */
bool net_link(struct net *n);

/* The guest takes frames from now on, of those kinds (NET_GET_*); or none: what waits is
 * dropped, and what comes too. */
void net_start_guest(struct net *n, unsigned offloads);
void net_stop_guest(struct net *n);

/* Is there room for a frame of any length? False: an event will say when there is. */
bool net_may_send(struct net *n) MUST_CHECK;

/* Room for a frame of len bytes, to be filled and sent; net_may_send() was true. What the offload
 * says must have been found sound (net_offload_is_sound), and be among what the host can do. */
struct net_frame *net_send_begin(struct net *n, size_t len_bytes);
void net_send(struct net *n, struct net_frame *f);

/* The next frame that came, or NULL. It stays until net_receive_done(). */
struct net_frame *net_receive(struct net *n);
void net_receive_done(struct net *n, struct net_frame *f);

/* ---- Frames: any thread ------------------------------------------------------------------------
 */

/* Does the checksum lie in the frame, and is the segmentation one of those that exist? */
bool net_offload_is_sound(const struct net_offload *o, size_t len_bytes) MUST_CHECK;

/* Computes the checksum that is missing, if one is. The offload is sound. */
void net_finish_checksum(struct net_frame *f);
