/* The command line: a word a line. What is taken is a machine that can be made. */
#include <string.h>

#include "dbt/base/log.h"
#include "dbt/opt/opt.h"
#include "runtime/cli/options.h"
#include "runtime/system/signature.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_WORDS = 32, TEXT_ROOM = 4096 };

#define MIB (UINT64_C(1) << 20)

static void check_drives(const struct machine_config *m)
{
    unsigned n_consoles = 0;

    CHECK(m->n_virtio <= CONFIG_MAX_VIRTIO);
    for (unsigned i = 0; i < m->n_virtio; i++) {
        const struct drive_config *c = &m->virtio[i].drive;

        n_consoles += m->virtio[i].kind == VIRTIO_KIND_CONSOLE;
        if (m->virtio[i].kind != VIRTIO_KIND_BLK)
            continue;
        CHECK(c->path[0] != '\0' && strnlen(c->path, sizeof c->path) < sizeof c->path);
        CHECK(strnlen(c->serial, sizeof c->serial) < sizeof c->serial);
    }
    CHECK(n_consoles == (m->console != NULL));
}

static void check_net(const struct net_device_config *c)
{
    const struct net_config *n = &c->net;

    CHECK(strnlen(n->name, sizeof n->name) < sizeof n->name);
    CHECK((n->kind == NET_USER) == (n->name[0] == '\0'));
    CHECK(strnlen(n->hostname, sizeof n->hostname) < sizeof n->hostname);
    CHECK(n->mtu == 0 || (n->mtu >= NET_MIN_MTU && n->mtu <= NET_MAX_MTU));
    CHECK(n->n_forwards <= NET_MAX_FORWARDS);
    for (unsigned i = 0; i < n->n_forwards; i++)
        CHECK(n->forward[i].host_port != 0 && n->forward[i].guest_port != 0);
    CHECK((c->mac[0] & 1) == 0);
}

static void check_nets(const struct options *o)
{
    unsigned n_user = 0;

    for (unsigned i = 0; i < o->machine.n_virtio; i++) {
        if (o->machine.virtio[i].kind != VIRTIO_KIND_NET)
            continue;
        check_net(&o->machine.virtio[i].card);
        n_user += o->machine.virtio[i].card.net.kind == NET_USER;
        CHECK(!o->virtual_time);
    }
    CHECK(n_user <= 1);
}

static void check_options(const struct options *o)
{
    struct signature s;
    uint32_t passes = OPT_ALL;
    struct err e;

    CHECK(o->machine.ram_len >= MIB && o->machine.ram_len <= MIB * MIB);
    CHECK(o->machine.ram_len % 4096 == 0);
    CHECK(o->machine.n_harts >= 1 && o->machine.n_harts <= RV_MAX_HARTS);
    CHECK(o->cache_size >= MIB && o->cache_size <= 2048 * MIB);
    check_drives(&o->machine);
    check_nets(o);
    CHECK(o->machine.serial != NULL && o->filter_first <= o->filter_last);
    CHECK(o->virtual_time || (o->max_insns == 0 && o->engine != ENGINE_CHECK));
    if (o->machine.signature)
        CHECK(signature_parse(&s, o->machine.signature, &e));
    if (o->opt_list && opt_parse(o->opt_list, &passes, &e))
        CHECK((passes & ~OPT_ALL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char text[TEXT_ROOM + 1];
    char *argv[MAX_WORDS + 1] = {"dbt-run"}, *rest = text;
    struct options o;
    struct err e = {""};
    int argc = 1;

    fuzz_silence_stdout();
    len = len < TEXT_ROOM ? len : TEXT_ROOM;
    memcpy(text, data, len);
    text[len] = '\0';
    for (char *word; argc < MAX_WORDS && (word = strsep(&rest, "\n"));)
        argv[argc++] = word;
    log_state.mask = 0;
    switch (cli_parse(&o, argc, argv, &e)) {
    case CLI_RUN: check_options(&o); break;
    case CLI_EXIT_OK: CHECK(o.shown); break;
    case CLI_EXIT_USAGE: CHECK(e.text[0] != '\0'); break;
    default: CHECK(!"an end that cli_parse() has not");
    }
    return 0;
}
