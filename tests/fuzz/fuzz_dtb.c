/* Device trees: the user's, adopted or refused; and the board's own, made for odd machines.
 * Whatever the guest gets is a sound tree with /chosen in it. */
#include <libfdt.h>
#include <string.h>

#include "runtime/system/fdt.h"
#include "tests/fuzz/fuzz_plan.h"

static void check_tree(const struct fdt_blob *b, const struct fdt_chosen *chosen)
{
    int node, len;

    CHECK(fdt_check_full(b->data, b->len_bytes) == 0);
    node = fdt_path_offset(b->data, "/chosen");
    CHECK(node >= 0);
    const char *args = fdt_getprop(b->data, node, "bootargs", &len);

    if (chosen->cmdline)
        CHECK(args && (size_t)len == strlen(chosen->cmdline) + 1 &&
              strcmp(args, chosen->cmdline) == 0);
}

static void choose(struct fdt_chosen *chosen, char *cmdline, size_t room, struct fuzz_input *in)
{
    size_t n = fuzz_take(in, 2) % room;

    *chosen = (struct fdt_chosen){0};
    if (fuzz_below(in, 2)) {
        chosen->initrd_gpa = fuzz_take(in, 8);
        chosen->initrd_len = fuzz_take(in, 8);
    }
    if (fuzz_below(in, 2) == 0)
        return;
    for (size_t i = 0; i < n; i++)
        cmdline[i] = (char)(fuzz_take(in, 1) | 1); /* no zero within */
    cmdline[n] = '\0';
    chosen->cmdline = cmdline;
}

static void build(struct fuzz_input *in, const struct fdt_chosen *chosen)
{
    struct machine_config cfg;
    struct rv_cpu_model model;
    struct fdt_blob b;
    struct err e;

    fuzz_config(&cfg, in);
    cfg.ram_len = fuzz_take(in, 8) & ~UINT64_C(4095);
    model = cfg.model;
    model.ext &= fuzz_take(in, 8);
    CHECK(fdt_build(&b, &cfg, &model, chosen, &e));
    check_tree(&b, chosen);
    fdt_blob_fini(&b);
}

static void adopt(struct fuzz_input *in, const struct fdt_chosen *chosen)
{
    struct fdt_blob b;
    struct err e = {""};

    if (!fdt_adopt(&b, in->at, in->left, "input", chosen, &e)) {
        CHECK(e.text[0] != '\0' && !strchr(e.text, '\n'));
        return;
    }
    check_tree(&b, chosen);
    fdt_blob_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    struct fdt_chosen chosen;
    char cmdline[1024];
    unsigned way = fuzz_below(&in, 4);

    choose(&chosen, cmdline, sizeof cmdline, &in);
    if (way == 0)
        build(&in, &chosen);
    else
        adopt(&in, &chosen);
    return 0;
}
