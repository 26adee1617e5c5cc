/* The host's side of the machine's shared folders. They are opened once for a run of dbt-run. */
#pragma once

#include "devices/host/share.h"
#include "runtime/system/config.h"

struct shares {
    struct share *share[CONFIG_MAX_VIRTIO]; /* of cfg->virtio[i]; NULL: no shared folder */
};

/* ---- The main thread --------------------------------------------------------------- */

/* Nothing to give back when it returns false. synchronous: see share_config. If there is a
 * folder, the process may have as many files open from now on as its hard limit says. */
bool shares_open(struct shares *s, const struct machine_config *cfg, bool synchronous,
                 struct err *e) MUST_CHECK;
void shares_close(struct shares *s);
