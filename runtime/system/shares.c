#include "runtime/system/shares.h"

#include <sys/resource.h>

/* What the guest has open, the host has open: as many files as it lets us have, but not a number
 * that is there to say "all". Some are for ourselves. */
enum { MAX_FILES = 65536, FILES_OF_OURS = 128, MIN_FILES = 64 };

static unsigned raise_limit(void)
{
    struct rlimit limit;
    rlim_t n;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return MIN_FILES;
    n = limit.rlim_max < MAX_FILES ? limit.rlim_max : MAX_FILES;
    if (n > limit.rlim_cur) {
        limit.rlim_cur = n;
        n = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? n : MIN_FILES + FILES_OF_OURS;
    }
    return n > MIN_FILES + FILES_OF_OURS ? (unsigned)n - FILES_OF_OURS : MIN_FILES;
}

bool shares_open(struct shares *s, const struct machine_config *cfg, bool synchronous,
                 struct err *e)
{
    unsigned n = 0, max_open;

    *s = (struct shares){0};
    for (unsigned i = 0; i < cfg->n_virtio; i++)
        n += cfg->virtio[i].kind == VIRTIO_KIND_FS;
    if (n == 0)
        return true;
    max_open = raise_limit() / n;
    for (unsigned i = 0; i < cfg->n_virtio; i++) {
        const struct config_share *c = &cfg->virtio[i].share;
        const struct share_config config = {.dir = c->path,
                                            .read_only = c->read_only,
                                            .synchronous = synchronous,
                                            .max_open = max_open};

        if (cfg->virtio[i].kind != VIRTIO_KIND_FS)
            continue;
        s->share[i] = share_open(&config, e);
        if (!s->share[i]) {
            shares_close(s);
            return false;
        }
    }
    return true;
}

void shares_close(struct shares *s)
{
    for (unsigned i = 0; i < CONFIG_MAX_VIRTIO; i++)
        share_close(s->share[i]);
    *s = (struct shares){0};
}
