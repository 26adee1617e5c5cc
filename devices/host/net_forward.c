/* hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT, as QEMU spells it, where the brackets say that an
 * address may be left out; about one of IPv6 they are to be written. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host/net.h"

#define HOST_FORM "tcp|udp:[ADDRESS]:PORT"
#define FORM      HOST_FORM "-[ADDRESS]:PORT, as in tcp:127.0.0.1:2222-:22"

enum { TEXT_ROOM = 128, PORT_DIGITS = 5 };

/* Cuts *text at the separator and returns what stands before it; NULL: there is none. */
static char *cut(char **text, char separator)
{
    char *piece = *text, *end = strchr(piece, separator);

    if (!end)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return piece;
}

/* ADDRESS: of IPv4, or of IPv6 in brackets. Returns it and moves on behind the colon. */
static char *cut_address(char **text)
{
    char *piece = *text, *end = *piece == '[' ? strchr(piece, ']') : NULL;

    if (!end)
        return cut(text, ':');
    if (end[1] != ':')
        return NULL;
    end[1] = '\0';
    *text = end + 2;
    return piece;
}

static bool parse_address6(uint8_t *ip, char *text, const char *whole, struct err *e)
{
    size_t len = strlen(text);

    text[len - 1] = '\0'; /* the bracket, see cut_address() */
    return inet_pton(AF_INET6, text + 1, ip) == 1 ||
           err_set(e, "hostfwd=%s: '%s' is no IPv6 address, as in [::1]", whole, text + 1);
}

static bool parse_address4(uint32_t *ip, const char *text, const char *whole, struct err *e)
{
    struct in_addr a = {0};

    if (*text != '\0' && inet_pton(AF_INET, text, &a) != 1)
        return err_set(e, "hostfwd=%s: '%s' is no IPv4 address, as in 127.0.0.1", whole, text);
    *ip = a.s_addr;
    return true;
}

/* libslirp carries IPv6 to IPv6; an address that is left out is of the other's kind. */
static bool parse_addresses(struct net_forward *f, char *host, char *guest, const char *whole,
                            struct err *e)
{
    f->ipv6 = *host == '[' || *guest == '[';
    if (!f->ipv6)
        return parse_address4(&f->host_ip, host, whole, e) &&
               parse_address4(&f->guest_ip, guest, whole, e);
    if ((*host != '[' && *host != '\0') || (*guest != '[' && *guest != '\0'))
        return err_set(e, "hostfwd=%s: one address is IPv4's and one IPv6's; take two of a kind",
                       whole);
    return (*host == '\0' || parse_address6(f->host_ip6, host, whole, e)) &&
           (*guest == '\0' || parse_address6(f->guest_ip6, guest, whole, e));
}

static bool parse_port(uint16_t *port, const char *text, const char *whole, struct err *e)
{
    size_t len = strspn(text, "0123456789");
    unsigned long n =
        len > 0 && len <= PORT_DIGITS && text[len] == '\0' ? strtoul(text, NULL, 10) : 0;

    if (n == 0 || n > UINT16_MAX)
        return err_set(e, "hostfwd=%s: '%s' is no port, from 1 to 65535", whole, text);
    *port = (uint16_t)n;
    return true;
}

static bool parse_protocol(bool *udp, const char *text, const char *whole, struct err *e)
{
    *udp = strcmp(text, "udp") == 0;
    return *udp || *text == '\0' || strcmp(text, "tcp") == 0 ||
           err_set(e, "hostfwd=%s: '%s' is neither tcp nor udp", whole, text);
}

bool net_forward_parse(struct net_forward *f, const char *whole, struct err *e)
{
    char text[TEXT_ROOM], *rest = text, *protocol, *host, *port, *guest;

    *f = (struct net_forward){0};
    if (strlen(whole) >= sizeof text)
        return err_set(e, "hostfwd=%.64s...: too long; " FORM, whole);
    memcpy(text, whole, strlen(whole) + 1);
    if (!(protocol = cut(&rest, ':')) || !(host = cut_address(&rest)) ||
        !(port = cut(&rest, '-')) || !(guest = cut_address(&rest)))
        return err_set(e, "hostfwd=%s: write " FORM, whole);
    return parse_protocol(&f->udp, protocol, whole, e) &&
           parse_addresses(f, host, guest, whole, e) && parse_port(&f->host_port, port, whole, e) &&
           parse_port(&f->guest_port, rest, whole, e);
}

bool net_forward_parse_host(struct net_forward *f, const char *whole, struct err *e)
{
    char text[TEXT_ROOM], *rest = text, *protocol, *host, none = '\0';

    *f = (struct net_forward){0};
    if (strlen(whole) >= sizeof text)
        return err_set(e, "hostfwd=%.64s...: too long; " HOST_FORM, whole);
    memcpy(text, whole, strlen(whole) + 1);
    if (!(protocol = cut(&rest, ':')) || !(host = cut_address(&rest)))
        return err_set(e, "hostfwd=%s: write " HOST_FORM, whole);
    return parse_protocol(&f->udp, protocol, whole, e) &&
           parse_addresses(f, host, &none, whole, e) && parse_port(&f->host_port, rest, whole, e);
}
