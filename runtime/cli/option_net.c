/* --net, -nic, -netdev: networks, QEMU's spellings and ours. */
#include <ctype.h>
#include <string.h>

#include "runtime/cli/option_list.h"

/* ---- The settings ------------------------------------------------------------------------ */

static bool take_forward(struct net_config *c, const struct option_item *it, struct err *e)
{
    const char *text = it->value ? it->value : "";
    struct net_forward f;

    if (!net_forward_parse(&f, text, e))
        return false;
    if (c->n_forwards == NET_MAX_FORWARDS)
        return err_set(e, "hostfwd=%s: more than %d of them", text, NET_MAX_FORWARDS);
    c->forward[c->n_forwards++] = f;
    return true;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)c));

    return c != '\0' && at ? (int)(at - digits) : -1;
}

/* Six pairs of digits, a colon or dash between them. */
static bool parse_mac(uint8_t mac[6], const char *text)
{
    if (strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        const char *pair = text + 3 * i;
        int high = hex_digit(pair[0]), low = hex_digit(pair[1]);

        if (high < 0 || low < 0 || (i < 5 && pair[2] != ':' && pair[2] != '-'))
            return false;
        mac[i] = (uint8_t)(16 * high + low);
    }
    return true;
}

/* The first octet's last bit stands for a group of cards (IEEE 802), and all zeros for none. */
static bool take_mac(uint8_t mac[6], const struct option_item *it, struct err *e)
{
    static const uint8_t none[6];
    const char *text = it->value ? it->value : "";

    if (!parse_mac(mac, text))
        return err_set(e, "%s=%s: no such address; as in 52:54:00:12:34:56", it->name, text);
    return (!(mac[0] & 1) && memcmp(mac, none, sizeof none) != 0) ||
           err_set(e, "%s=%s: no address of one card; as in 52:54:00:12:34:56", it->name, text);
}

static bool take_mtu(unsigned *mtu, const struct option_item *it, struct err *e)
{
    uint64_t n;

    if (!it->value || !option_number(it->value, &n) || n < NET_MIN_MTU || n > NET_MAX_MTU)
        return err_set(e, "mtu=%s: from %d to %d", it->value ? it->value : "", NET_MIN_MTU,
                       NET_MAX_MTU);
    *mtu = (unsigned)n;
    return true;
}

static const struct option_habit habits[] = {
    {"script", " no ", "set the interface up beforehand, and write script=no or leave it out"},
    {"downscript", " no ", "take the interface down yourself, and leave it out"},
    {"vhost", " off ", "leave it out"},
    {"vnet_hdr", " on ", "leave it out"},
    {"ipv4", " on ", "leave it out"},
    {"model", " virtio virtio-net-device virtio-net-pci ",
     "the card is virtio-net-device; or write virtio-net-pci"},
    {"server", " off ", "passt listens: start it first"},
    {"addr.type", " unix ", "write addr.type=unix,addr.path=SOCKET, or --net passt=SOCKET"},
};

/* What QEMU can change of the user's network, and we not. */
static bool is_fixed(const char *name)
{
    static const char *const fixed[] = {"net",         "host",           "dns",
                                        "dhcpstart",   "ipv6-net",       "ipv6-host",
                                        "ipv6-prefix", "ipv6-prefixlen", "ipv6-dns"};

    for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (option_is(name, fixed[i]))
            return true;
    return false;
}

static bool refuse(const struct option_item *it, struct err *e)
{
    if (is_fixed(it->name))
        return err_set(e,
                       "%s=: addresses are QEMU's: the guest 10.0.2.15, the host 10.0.2.2, DNS "
                       "10.0.2.3, fec0::/64; leave it out",
                       it->name);
    if (option_is(it->name, "guestfwd") || option_is(it->name, "smb") ||
        option_is(it->name, "tftp") || option_is(it->name, "bootfile"))
        return err_set(e, "%s=: it is not there; the guest reaches the host's servers at 10.0.2.2",
                       it->name);
    return err_set(e,
                   "%s is not known; hostfwd=, restrict=on, hostname=, ipv6=off for user, mac=, "
                   "mtu=",
                   it->name);
}

static bool take_user(struct net_config *c, const struct option_item *it, bool *known,
                      struct err *e)
{
    bool ok, ipv6;

    *known = true;
    if (option_is(it->name, "hostfwd"))
        return take_forward(c, it, e);
    if (option_is(it->name, "restrict") &&
        (!it->value || (!option_is(it->value, "yes") && !option_is(it->value, "no"))))
        return option_on_off(&c->restricted, it, e);
    if (option_is(it->name, "restrict")) {
        c->restricted = option_is(it->value, "yes");
        return true;
    }
    if (option_is(it->name, "hostname"))
        return option_copy(c->hostname, sizeof c->hostname, it, e);
    if (option_is(it->name, "ipv6")) {
        ok = option_on_off(&ipv6, it, e);
        c->no_ipv6 = ok && !ipv6;
        return ok;
    }
    *known = false;
    return true;
}

static bool take_setting(struct cli_net *n, const struct option_item *it, struct err *e)
{
    struct net_config *c = &n->config.net;
    bool known = false, ok;

    if (option_is(it->name, "id"))
        return option_copy(n->id, sizeof n->id, it, e);
    if (option_is(it->name, "mac") || option_is(it->name, "macaddr"))
        return take_mac(n->config.mac, it, e);
    if (option_is(it->name, "mtu") || option_is(it->name, "host_mtu"))
        return take_mtu(&c->mtu, it, e);
    if (c->kind == NET_TAP && option_is(it->name, "ifname"))
        return option_copy(c->name, sizeof c->name, it, e);
    if (c->kind == NET_PASST && (option_is(it->name, "addr.path") || option_is(it->name, "path")))
        return option_copy(c->name, sizeof c->name, it, e);
    if (c->kind == NET_USER && (ok = take_user(c, it, &known, e), known))
        return ok;
    if (option_is_habit(habits, sizeof habits / sizeof habits[0], it, &ok, e)) {
        n->on_pci |= option_is(it->name, "model") && ok && option_is(it->value, "virtio-net-pci");
        return ok;
    }
    return refuse(it, e);
}

/* ---- A network --------------------------------------------------------------------------------
 */

/* The first piece. */
static bool take_kind(struct cli_net *n, const struct option_item *it, struct err *e)
{
    struct net_config *c = &n->config.net;
    bool user = option_is(it->name, "user"), tap = option_is(it->name, "tap"),
         passt = option_is(it->name, "passt") || option_is(it->name, "stream");

    if (user && it->value)
        return err_set(e, "user takes no value; settings stand behind a comma");
    if (option_is(it->name, "nic"))
        return err_set(e, "nic: the card comes with its network: write --net user,mac=M alone");
    if (!user && !tap && !passt)
        return err_set(e, "%s is not known; user, tap=IF, passt=SOCKET or none", it->name);
    c->kind = user ? NET_USER : tap ? NET_TAP : NET_PASST;
    return !it->value || option_copy(c->name, sizeof c->name, it, e);
}

static bool parse(struct cli_net *n, const char *value, struct err *e)
{
    static const char *const which[] = {
        [NET_TAP] = "which interface? tap=IF", [NET_PASST] = "which socket? passt=SOCKET"};
    struct option_item it;

    *n = (struct cli_net){.id = ""};
    if (!option_next(&value, &it, e) || !take_kind(n, &it, e))
        return false;
    while (option_next(&value, &it, e))
        if (!take_setting(n, &it, e))
            return false;
    if (e->text[0] != '\0')
        return false;
    if (n->config.net.kind != NET_USER && n->config.net.name[0] == '\0')
        return err_set(e, "%s", which[n->config.net.kind]);
    return true;
}

bool option_net(struct options *o, const char *value, struct err *e)
{
    struct cli_net n;

    if (option_is(value, "none"))
        return true;
    if (!parse(&n, value, e) || !option_add_virtio(o, VIRTIO_KIND_NET, n.on_pci, e))
        return false;
    o->machine.virtio[o->machine.n_virtio - 1].card = n.config;
    return true;
}

static struct cli_net *find(struct options *o, const char *id)
{
    for (unsigned i = 0; i < o->n_nets; i++)
        if (option_is(o->net[i].id, id))
            return &o->net[i];
    return NULL;
}

bool option_netdev(struct options *o, const char *value, struct err *e)
{
    struct cli_net n;

    if (!parse(&n, value, e))
        return false;
    if (n.id[0] == '\0')
        return err_set(e, "it needs an id=, for -device virtio-net-device,netdev=ID; or write "
                          "--net for both");
    if (find(o, n.id))
        return err_set(e, "id=%s is taken by another network", n.id);
    if (o->n_nets == CONFIG_MAX_VIRTIO)
        return err_set(e, "one network too many: the board has room for %d devices",
                       CONFIG_MAX_VIRTIO);
    o->net[o->n_nets++] = n;
    return true;
}

bool option_device_net(struct options *o, const struct option_bus *bus, const char *rest,
                       struct err *e)
{
    struct option_item it;
    char id[DRIVE_ID_ROOM] = "";
    struct net_device_config card = {.mac = {0}};
    bool ok = true;

    while (ok && option_next(&rest, &it, e)) {
        if (option_is(it.name, "netdev"))
            ok = option_copy(id, sizeof id, &it, e);
        else if (option_is(it.name, "mac"))
            ok = take_mac(card.mac, &it, e);
        else if (option_is(it.name, "host_mtu"))
            ok = take_mtu(&card.net.mtu, &it, e);
        else if (!option_is_of_bus(bus, &it, &ok, e) && !option_is(it.name, "id"))
            ok = err_set(e, "%s: %s is not known; netdev=ID, mac=, host_mtu=", bus->name, it.name);
    }
    if (e->text[0] != '\0')
        return false;
    if (id[0] == '\0')
        return err_set(e, "%s needs netdev=ID; or write --net user for both", bus->name);
    if (!option_add_virtio(o, VIRTIO_KIND_NET, bus->on_pci, e))
        return false;
    option_set_text(o->backend_of[o->machine.n_virtio - 1].id, id);
    o->machine.virtio[o->machine.n_virtio - 1].card = card;
    return true;
}

/* ---- All of them together
 * ------------------------------------------------------------------------ */

static bool attach(struct options *o, unsigned i, struct err *e)
{
    static const uint8_t none[6];
    struct net_device_config card = o->machine.virtio[i].card;
    struct cli_net *n = find(o, o->backend_of[i].id);

    if (!n)
        return err_set(e, "-device virtio-net-%s,netdev=%s: there is no -netdev with id=%s",
                       o->machine.virtio[i].on_pci ? "pci" : "device", o->backend_of[i].id,
                       o->backend_of[i].id);
    if (n->used)
        return err_set(e, "-netdev id=%s is given to two devices", n->id);
    n->used = true;
    o->machine.virtio[i].card = n->config;
    if (memcmp(card.mac, none, sizeof none) != 0)
        memcpy(o->machine.virtio[i].card.mac, card.mac, sizeof none);
    if (card.net.mtu)
        o->machine.virtio[i].card.net.mtu = card.net.mtu;
    return true;
}

/* QEMU's addresses, in the order of the cards. */
static void give_address(uint8_t mac[6], unsigned n)
{
    static const uint8_t none[6], first[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

    if (memcmp(mac, none, sizeof none) != 0)
        return;
    memcpy(mac, first, sizeof first);
    mac[5] = (uint8_t)(mac[5] + n);
}

static bool check_kind(const struct options *o, unsigned i, unsigned *n_user, struct err *e)
{
    if (o->virtual_time)
        return err_set(e, "--net: a network keeps the time of its peers; it cannot be had with "
                          "--time virtual, --engine check or --max-insns");
    if (o->machine.virtio[i].card.net.kind == NET_USER && ++*n_user > 1)
        return err_set(e, "--net user: there can be one; let the other be tap=IF or passt=SOCKET");
    return true;
}

bool option_attach_nets(struct options *o, struct err *e)
{
    unsigned n_cards = 0, n_user = 0;

    for (unsigned i = 0; i < o->machine.n_virtio; i++) {
        if (o->machine.virtio[i].kind != VIRTIO_KIND_NET)
            continue;
        if ((o->backend_of[i].id[0] != '\0' && !attach(o, i, e)) || !check_kind(o, i, &n_user, e))
            return false;
        give_address(o->machine.virtio[i].card.mac, n_cards++);
    }
    for (unsigned i = 0; i < o->n_nets; i++)
        if (!o->net[i].used)
            return err_set(e,
                           "-netdev id=%s is given to no device; add -device "
                           "virtio-net-device,netdev=%s, or write --net instead",
                           o->net[i].id, o->net[i].id);
    return true;
}
