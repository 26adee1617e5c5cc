/* Frames that are not finished: what a card would do to them. */
#include <string.h>

#include "devices/host/net.h"

static bool is_known_gso(unsigned type)
{
    return type == NET_GSO_NONE || type == NET_GSO_TCPV4 || type == NET_GSO_TCPV6;
}

bool net_offload_is_sound(const struct net_offload *o, size_t len_bytes)
{
    bool needs_csum = (o->flags & NET_NEEDS_CSUM) != 0;

    if (needs_csum && (size_t)o->csum_start + o->csum_offset + 2 > len_bytes)
        return false;
    /* Each segment gets its own checksum, from the one that is begun. */
    return is_known_gso(o->gso_type) &&
           (o->gso_type == NET_GSO_NONE || (needs_csum && o->gso_size > 0));
}

/* The sum of 16-bit words in ones' complement, of which byte order does not matter (RFC 1071). */
static uint16_t ones_sum(const uint8_t *bytes, size_t len_bytes)
{
    uint64_t sum = 0;
    uint32_t word = 0;
    size_t i = 0;

    for (; i + 4 <= len_bytes; i += 4) {
        memcpy(&word, bytes + i, 4);
        sum += word;
    }
    word = 0;
    memcpy(&word, bytes + i, len_bytes - i);
    sum += word;
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    return (uint16_t)((sum >> 16) + (sum & UINT16_MAX));
}

/* What stands in the field is the sum of the pseudo header, which the driver has put there: it is
 * one of the bytes that are added up. */
void net_finish_checksum(struct net_frame *f)
{
    struct net_offload *o = &f->offload;
    uint16_t sum;

    if (!(o->flags & NET_NEEDS_CSUM))
        return;
    sum = (uint16_t)~ones_sum(f->bytes + o->csum_start, f->len - o->csum_start);
    /* To UDP, 0 would say that there is no checksum; to all it is the same as ~0. */
    if (sum == 0)
        sum = UINT16_MAX;
    memcpy(f->bytes + o->csum_start + o->csum_offset, &sum, sizeof sum);
    o->flags = (uint8_t)(o->flags & ~NET_NEEDS_CSUM);
}
