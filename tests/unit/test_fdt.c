/* The device tree: sound, complete, and true to the board and the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "runtime/system/fdt.h"
#include "runtime/system/memmap.h"

static struct machine_config config(const char *model)
{
    struct machine_config cfg = {.ram_len = UINT64_C(512) << 20, .n_harts = 1};
    struct err e;

    assert_true(rv_model_parse(&cfg.model, model, &e));
    return cfg;
}

static struct fdt_blob build(const struct machine_config *cfg, const struct fdt_chosen *chosen)
{
    struct fdt_blob b;
    struct err e;

    assert_true(fdt_build(&b, cfg, &cfg->model, chosen, &e));
    assert_int_equal(fdt_check_full(b.data, b.len_bytes), 0);
    return b;
}

static const char *text(const struct fdt_blob *b, const char *path, const char *name)
{
    int len, node = fdt_path_offset(b->data, path);
    const char *value;

    assert_true(node >= 0);
    value = fdt_getprop(b->data, node, name, &len);
    assert_non_null(value);
    assert_int_equal(value[len - 1], 0);
    return value;
}

static uint32_t cell(const struct fdt_blob *b, const char *path, const char *name, unsigned i)
{
    int len, node = fdt_path_offset(b->data, path);
    const fdt32_t *value = fdt_getprop(b->data, node, name, &len);

    assert_non_null(value);
    assert_true((int)(4 * i) < len);
    return fdt32_to_cpu(value[i]);
}

static bool has(const struct fdt_blob *b, const char *path, const char *name)
{
    return fdt_getprop(b->data, fdt_path_offset(b->data, path), name, NULL) != NULL;
}

/* Every row of the memory map has its node, at its address and with its interrupt. */
static void the_memory_map_is_told(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});
    static const struct {
        const char *path;
        uint64_t gpa, len;
        uint32_t irq;
    } rows[] = {
        {"/soc/test@100000", MEMMAP_finisher_gpa, MEMMAP_finisher_len, 0},
        {"/soc/rtc@101000", MEMMAP_rtc_gpa, MEMMAP_rtc_len, MEMMAP_rtc_irq},
        {"/soc/clint@2000000", MEMMAP_clint_gpa, MEMMAP_clint_len, 0},
        {"/soc/plic@c000000", MEMMAP_plic_gpa, MEMMAP_plic_len, 0},
        {"/soc/serial@10000000", MEMMAP_uart_gpa, MEMMAP_uart_len, MEMMAP_uart_irq},
        {"/soc/virtio_mmio@10001000", MEMMAP_virtio_gpa, 0x1000, MEMMAP_virtio_irq},
        {"/soc/virtio_mmio@10008000", MEMMAP_virtio_gpa + 0x7000, 0x1000, 8},
        {"/soc/pci@30000000", MEMMAP_pci_ecam_gpa, MEMMAP_pci_ecam_len, 0},
        {"/fw-cfg@10100000", MEMMAP_fw_cfg_gpa, MEMMAP_fw_cfg_len, 0},
        {"/memory@80000000", MEMMAP_ram_gpa, UINT64_C(512) << 20, 0},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(cell(&b, rows[i].path, "reg", 1), rows[i].gpa);
        assert_int_equal(cell(&b, rows[i].path, "reg", 3), rows[i].len);
        if (rows[i].irq == 0)
            continue;
        assert_int_equal(cell(&b, rows[i].path, "interrupts", 0), rows[i].irq);
        assert_int_equal(cell(&b, rows[i].path, "interrupt-parent", 0),
                         cell(&b, "/soc/plic@c000000", "phandle", 0));
    }
    assert_int_equal(cell(&b, "/poweroff", "regmap", 0),
                     cell(&b, "/soc/test@100000", "phandle", 0));
    assert_int_equal(cell(&b, "/reboot", "value", 0), 0x7777);
    fdt_blob_fini(&b);
}

/* As in QEMU's tree: guests number what they find in this order. */
static void the_last_slot_is_named_first(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});
    int node = fdt_node_offset_by_compatible(b.data, -1, "virtio,mmio");

    (void)state;
    for (uint64_t gpa = 0x10008000; gpa > 0x10000000; gpa -= 0x1000) {
        int len;
        const fdt32_t *reg = fdt_getprop(b.data, node, "reg", &len);

        assert_int_equal(len, 16);
        assert_int_equal(fdt32_to_cpu(reg[1]), gpa);
        node = fdt_node_offset_by_compatible(b.data, node, "virtio,mmio");
    }
    assert_int_equal(node, -FDT_ERR_NOTFOUND);
    fdt_blob_fini(&b);
}

/* The words are those of QEMU's tree (-M virt,dumpdtb=FILE), but for the PLIC's phandle. */
static void pci_is_told(void **state)
{
    static const uint32_t ranges[21] = {0x1000000, 0, 0,          0, 0x3000000,  0, 0x10000,
                                        0x2000000, 0, 0x40000000, 0, 0x40000000, 0, 0x40000000,
                                        0x3000000, 4, 0,          4, 0,          4, 0};
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});
    const char *path = "/soc/pci@30000000";
    uint32_t plic = cell(&b, "/soc/plic@c000000", "phandle", 0);

    (void)state;
    assert_string_equal(text(&b, path, "compatible"), "pci-host-ecam-generic");
    assert_string_equal(text(&b, path, "device_type"), "pci");
    for (unsigned i = 0; i < 21; i++)
        assert_int_equal(cell(&b, path, "ranges", i), ranges[i]);
    assert_int_equal(cell(&b, path, "interrupt-map-mask", 0), 0x1800);
    assert_int_equal(cell(&b, path, "interrupt-map-mask", 3), 7);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(cell(&b, path, "interrupt-map", 6 * i), i / 4 << 11);
        assert_int_equal(cell(&b, path, "interrupt-map", 6 * i + 3), i % 4 + 1);
        assert_int_equal(cell(&b, path, "interrupt-map", 6 * i + 4), plic);
        assert_int_equal(cell(&b, path, "interrupt-map", 6 * i + 5), 32 + (i / 4 + i % 4) % 4);
    }
    assert_int_equal(cell(&b, path, "bus-range", 1), 255);
    fdt_blob_fini(&b);

    /* The range above moves with RAM. */
    cfg.ram_len = UINT64_C(14) << 30;
    b = build(&cfg, &(struct fdt_chosen){0});
    assert_int_equal(cell(&b, path, "ranges", 15), 4);
    fdt_blob_fini(&b);
    cfg.ram_len += 4096;
    b = build(&cfg, &(struct fdt_chosen){0});
    assert_int_equal(cell(&b, path, "ranges", 15), 8);
    assert_int_equal(cell(&b, path, "ranges", 17), 8);
    fdt_blob_fini(&b);
}

static void flash_is_told_if_it_is_there(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});

    (void)state;
    assert_true(fdt_path_offset(b.data, "/flash@20000000") < 0);
    fdt_blob_fini(&b);
    cfg.flash[1].given = true;
    b = build(&cfg, &(struct fdt_chosen){0});
    assert_int_equal(cell(&b, "/flash@20000000", "reg", 1), 0x20000000);
    assert_int_equal(cell(&b, "/flash@20000000", "reg", 3), 0x2000000);
    assert_int_equal(cell(&b, "/flash@20000000", "reg", 5), 0x22000000);
    assert_int_equal(cell(&b, "/flash@20000000", "bank-width", 0), 4);
    fdt_blob_fini(&b);
}

/* U-Boot adds to the tree where it lies, and takes what is behind its size for its own. */
static void there_is_room_to_add(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0}), c;
    struct err e;
    char text[8192];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(fdt_adopt(&c, b.data, b.len_bytes, "x.dtb", &(struct fdt_chosen){0}, &e));
    for (unsigned i = 0; i < 2; i++) {
        void *fdt = i ? c.data : b.data;

        assert_int_equal(
            fdt_setprop(fdt, fdt_path_offset(fdt, "/chosen"), "more", text, sizeof text), 0);
    }
    fdt_blob_fini(&b);
    fdt_blob_fini(&c);
}

static void interrupts_reach_the_hart(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});
    uint32_t intc = cell(&b, "/cpus/cpu@0/interrupt-controller", "phandle", 0);
    static const uint32_t plic[] = {11, 9}, clint[] = {3, 7};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cell(&b, "/soc/plic@c000000", "interrupts-extended", 2 * i), intc);
        assert_int_equal(cell(&b, "/soc/plic@c000000", "interrupts-extended", 2 * i + 1), plic[i]);
        assert_int_equal(cell(&b, "/soc/clint@2000000", "interrupts-extended", 2 * i), intc);
        assert_int_equal(cell(&b, "/soc/clint@2000000", "interrupts-extended", 2 * i + 1),
                         clint[i]);
    }
    assert_int_equal(cell(&b, "/cpus", "timebase-frequency", 0), 10000000);
    fdt_blob_fini(&b);
}

/* As many as there may be; each with the lines that the board wires, in the order of the contexts.
 */
static void each_hart_is_told(void **state)
{
    struct machine_config cfg = config("default");
    static const uint32_t plic[] = {11, 9}, clint[] = {3, 7};

    (void)state;
    cfg.n_harts = RV_MAX_HARTS;
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});

    for (unsigned i = 0; i < cfg.n_harts; i++) {
        char path[64];

        snprintf(path, sizeof path, "/cpus/cpu@%x", i);
        assert_int_equal(cell(&b, path, "reg", 0), i);
        uint32_t hart = cell(&b, path, "phandle", 0);

        snprintf(path, sizeof path, "/cpus/cpu-map/cluster0/core%u", i);
        assert_int_equal(cell(&b, path, "cpu", 0), hart);
        snprintf(path, sizeof path, "/cpus/cpu@%x/interrupt-controller", i);
        uint32_t intc = cell(&b, path, "phandle", 0);

        for (unsigned k = 0; k < 2; k++) {
            unsigned at = 4 * i + 2 * k;

            assert_int_equal(cell(&b, "/soc/plic@c000000", "interrupts-extended", at), intc);
            assert_int_equal(cell(&b, "/soc/plic@c000000", "interrupts-extended", at + 1), plic[k]);
            assert_int_equal(cell(&b, "/soc/clint@2000000", "interrupts-extended", at), intc);
            assert_int_equal(cell(&b, "/soc/clint@2000000", "interrupts-extended", at + 1),
                             clint[k]);
        }
    }
    assert_true(fdt_path_offset(b.data, "/cpus/cpu@40") < 0);
    fdt_blob_fini(&b);
}

static void extensions_are_the_models(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_blob b = build(&cfg, &(struct fdt_chosen){0});
    int node = fdt_path_offset(b.data, "/cpus/cpu@0"), n;

    (void)state;
    assert_memory_equal(text(&b, "/cpus/cpu@0", "riscv,isa"), "rv64imafdc_", 11);
    assert_string_equal(text(&b, "/cpus/cpu@0", "riscv,isa-base"), "rv64i");
    assert_string_equal(text(&b, "/cpus/cpu@0", "mmu-type"), "riscv,sv39");
    n = 1;
#define RV_EXT(name, spelled, single, help)                                                        \
    n += rv_has(&cfg.model, RV_EXT_##name);                                                        \
    assert_int_equal(fdt_stringlist_search(b.data, node, "riscv,isa-extensions", spelled) >= 0,    \
                     rv_has(&cfg.model, RV_EXT_##name));
#include "frontend/riscv/isa/rv_ext.def"
#undef RV_EXT
    assert_int_equal(fdt_stringlist_count(b.data, node, "riscv,isa-extensions"), n);
    assert_int_equal(fdt_stringlist_search(b.data, node, "riscv,isa-extensions", "i"), 0);
    assert_int_equal(cell(&b, "/cpus/cpu@0", "riscv,cboz-block-size", 0), 64);
    fdt_blob_fini(&b);

    cfg = config("rv64gc");
    b = build(&cfg, &(struct fdt_chosen){0});
    assert_false(has(&b, "/cpus/cpu@0", "riscv,cboz-block-size"));
    assert_false(has(&b, "/cpus/cpu@0", "riscv,cbom-block-size"));
    fdt_blob_fini(&b);
}

static void chosen_holds_what_was_chosen(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_chosen chosen = {.cmdline = "console=ttyS0 quiet",
                                .initrd_gpa = 0x84000000,
                                .initrd_len = 0x1234,
                                .rng_seed = {1, 2, 3}};
    struct fdt_blob b = build(&cfg, &chosen);

    (void)state;
    assert_string_equal(text(&b, "/chosen", "bootargs"), "console=ttyS0 quiet");
    assert_string_equal(text(&b, "/chosen", "stdout-path"), "/soc/serial@10000000");
    assert_int_equal(cell(&b, "/chosen", "linux,initrd-start", 1), 0x84000000);
    assert_int_equal(cell(&b, "/chosen", "linux,initrd-end", 1), 0x84001234);
    assert_int_equal(cell(&b, "/chosen", "rng-seed", 0), 0x01020300);
    fdt_blob_fini(&b);

    b = build(&cfg, &(struct fdt_chosen){0});
    assert_false(has(&b, "/chosen", "bootargs"));
    assert_false(has(&b, "/chosen", "linux,initrd-start"));
    fdt_blob_fini(&b);
}

static void a_users_tree_is_adopted(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_chosen none = {0}, chosen = {.cmdline = "a=b",
                                            .initrd_gpa = UINT64_C(0x100000000),
                                            .initrd_len = 16};
    struct fdt_blob b = build(&cfg, &none), c;
    struct err e;

    (void)state;
    assert_true(fdt_adopt(&c, b.data, b.len_bytes, "x.dtb", &chosen, &e));
    assert_int_equal(fdt_check_full(c.data, c.len_bytes), 0);
    assert_string_equal(text(&c, "/chosen", "bootargs"), "a=b");
    assert_int_equal(cell(&c, "/chosen", "linux,initrd-start", 0), 1);
    assert_string_equal(text(&c, "/chosen", "stdout-path"), "/soc/serial@10000000");
    fdt_blob_fini(&c);

    /* One without /chosen gets it. */
    assert_int_equal(fdt_del_node(b.data, fdt_path_offset(b.data, "/chosen")), 0);
    assert_true(fdt_adopt(&c, b.data, b.len_bytes, "x.dtb", &chosen, &e));
    assert_string_equal(text(&c, "/chosen", "bootargs"), "a=b");
    fdt_blob_fini(&c);
    fdt_blob_fini(&b);
}

/* Whatever the bytes, they are refused with a line or adopted; never followed. */
static void a_damaged_tree_is_harmless(void **state)
{
    struct machine_config cfg = config("default");
    struct fdt_chosen chosen = {.cmdline = "a=b"};
    struct fdt_blob b = build(&cfg, &chosen), c;
    uint8_t *copy = malloc(b.len_bytes);
    unsigned refused = 0, seed = 1;
    struct err e;

    (void)state;
    for (size_t len = 0; len < b.len_bytes; len += 7)
        assert_false(fdt_adopt(&c, b.data, len, "x.dtb", &chosen, &e));
    for (unsigned i = 0; i < 3000; i++) {
        memcpy(copy, b.data, b.len_bytes);
        for (unsigned k = 0; k < 3; k++) {
            seed = seed * 1103515245 + 12345;
            copy[(seed >> 8) % (i % 2 ? 64 : b.len_bytes)] = (uint8_t)(seed >> 4);
        }
        if (fdt_adopt(&c, copy, b.len_bytes, "x.dtb", &chosen, &e))
            fdt_blob_fini(&c);
        else
            refused++;
    }
    assert_true(refused > 500);
    free(copy);
    fdt_blob_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_slot_is_named_first),
        cmocka_unit_test(pci_is_told),
        cmocka_unit_test(flash_is_told_if_it_is_there),
        cmocka_unit_test(there_is_room_to_add),
        cmocka_unit_test(the_memory_map_is_told),
        cmocka_unit_test(interrupts_reach_the_hart),
        cmocka_unit_test(each_hart_is_told),
        cmocka_unit_test(extensions_are_the_models),
        cmocka_unit_test(chosen_holds_what_was_chosen),
        cmocka_unit_test(a_users_tree_is_adopted),
        cmocka_unit_test(a_damaged_tree_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
