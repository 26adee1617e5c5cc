#include "runtime/system/network.h"

bool networks_open(struct networks *n, const struct machine_config *cfg, struct err *e)
{
    *n = (struct networks){0};
    for (unsigned i = 0; i < cfg->n_virtio; i++) {
        if (cfg->virtio[i].kind != VIRTIO_KIND_NET)
            continue;
        n->net[i] = net_open(&cfg->virtio[i].card.net, e);
        if (!n->net[i]) {
            networks_close(n);
            return err_prefix(e, "--net");
        }
    }
    return true;
}

void networks_close(struct networks *n)
{
    for (unsigned i = 0; i < CONFIG_MAX_VIRTIO; i++)
        net_close(n->net[i]);
    *n = (struct networks){0};
}
