/* The flattened device tree that the guest is told about itself with. Made by
 * libfdt; only what the board has is in it. */
#pragma once

#include <stddef.h>

#include "runtime/system/config.h"

struct fdt_blob {
    void *data; /* malloc'd */
    size_t len_bytes;
};

struct fdt_chosen {
    const char *cmdline;             /* NULL: none */
    uint64_t initrd_gpa, initrd_len; /* len 0: none */
    uint8_t rng_seed[32];
};

/* The board's own tree, for the extensions that `model` announces. */
bool fdt_build(struct fdt_blob *out, const struct machine_config *cfg,
               const struct rv_cpu_model *model, const struct fdt_chosen *chosen,
               struct err *e) MUST_CHECK;

/* -dtb: checks the user's tree and puts `chosen` in it. `name` is for the error. */
bool fdt_adopt(struct fdt_blob *out, const void *data, size_t len_bytes, const char *name,
               const struct fdt_chosen *chosen, struct err *e) MUST_CHECK;

void fdt_blob_fini(struct fdt_blob *b);
