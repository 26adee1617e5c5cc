#include "runtime/system/fdt.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/device.h"
#include "devices/pci/pci.h"
#include "devices/plic.h"
#include "runtime/system/memmap.h"

enum {
    TREE_ROOM = 64 * 1024,    /* the board's tree is 4 KiB and half a KiB a hart */
    TREE_LIMIT = 1024 * 1024, /* kernels map no more of it in early boot */
    /* Room in the blob for who adds to it in place. U-Boot makes the tree it was given 12 KiB
     * longer where it lies, and what it has behind it is its heap: only what fits into the old size
     * is safe. */
    TREE_SLACK = 12 * 1024,
    CACHE_BLOCK = 64,
    UART_CLOCK_HZ = 3686400,
};

/* Who is pointed at, by phandle. A hart's interrupt controller has its number
 * above PHANDLE_HART. */
enum { PHANDLE_PLIC = 1, PHANDLE_TEST, PHANDLE_HART = 0x10, PHANDLE_INTC = 0x100 };

/* What a PCI address begins with: kind of space, and which bits number the slot. */
enum { PCI_SPACE_IO = 0x01000000, PCI_SPACE_32 = 0x02000000, PCI_SPACE_64 = 0x03000000 };
enum { PCI_CELL_SLOT = 11 };

/* The local interrupts of a hart, as `interrupts-extended` names them. */
enum { IRQ_M_SOFT = 3, IRQ_M_TIMER = 7, IRQ_S_EXT = 9, IRQ_M_EXT = 11 };

/* ---- Writing: the first error stays, the rest does nothing ------------------------- */

struct tree {
    void *fdt;
    int error;
};

static void note(struct tree *t, int error)
{
    if (t->error == 0)
        t->error = error;
}

__attribute__((format(printf, 2, 3))) static void begin(struct tree *t, const char *format, ...)
{
    char name[64];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    note(t, fdt_begin_node(t->fdt, name));
}

static void end(struct tree *t)
{
    note(t, fdt_end_node(t->fdt));
}

static void bytes(struct tree *t, const char *name, const void *data, size_t len)
{
    note(t, fdt_property(t->fdt, name, data, (int)len));
}

/* A list of strings is one with zeros inside: the literal's own size is taken. */
#define STRINGS(t, name, literal) bytes((t), (name), "" literal, sizeof literal)

static void string(struct tree *t, const char *name, const char *text)
{
    note(t, fdt_property_string(t->fdt, name, text));
}

static void cell(struct tree *t, const char *name, uint32_t value)
{
    note(t, fdt_property_u32(t->fdt, name, value));
}

static void range(struct tree *t, const char *name, uint64_t gpa, uint64_t len)
{
    fdt64_t value[2] = {cpu_to_fdt64(gpa), cpu_to_fdt64(len)};

    bytes(t, name, value, sizeof value);
}

static void flag(struct tree *t, const char *name)
{
    bytes(t, name, NULL, 0);
}

static void external_irq(struct tree *t, uint32_t source)
{
    cell(t, "interrupt-parent", PHANDLE_PLIC);
    cell(t, "interrupts", source);
}

/* Every hart's interrupt controller with two of its local interrupts. */
static void hart_irqs(struct tree *t, unsigned n_harts, uint32_t first, uint32_t second)
{
    fdt32_t list[4 * 64];

    CHECK(n_harts <= 64);
    for (unsigned i = 0; i < n_harts; i++) {
        list[4 * i] = list[4 * i + 2] = cpu_to_fdt32(PHANDLE_INTC + i);
        list[4 * i + 1] = cpu_to_fdt32(first);
        list[4 * i + 3] = cpu_to_fdt32(second);
    }
    bytes(t, "interrupts-extended", list, 16 * (size_t)n_harts);
}

/* ---- Nodes --------------------------------------------------------------------------- */

static void isa_extensions(struct tree *t, const struct rv_cpu_model *model)
{
    char list[1024] = "i"; /* zeros between the names */
    size_t len = 2;

#define RV_EXT(name, text, single, help)                                                           \
    if (rv_has(model, RV_EXT_##name)) {                                                            \
        memcpy(list + len, text, sizeof text);                                                     \
        len += sizeof text;                                                                        \
    }
#include "frontend/riscv/isa/rv_ext.def"
#undef RV_EXT
    bytes(t, "riscv,isa-extensions", list, len);
}

static void cpu(struct tree *t, const struct rv_cpu_model *model, unsigned i)
{
    char isa[512];

    begin(t, "cpu@%x", i);
    cell(t, "phandle", PHANDLE_HART + i);
    string(t, "device_type", "cpu");
    cell(t, "reg", i);
    string(t, "status", "okay");
    string(t, "compatible", "riscv");
    string(t, "riscv,isa", rv_model_isa(model, isa, sizeof isa));
    string(t, "riscv,isa-base", "rv64i");
    isa_extensions(t, model);
    string(t, "mmu-type", "riscv,sv39");
    if (rv_has(model, RV_EXT_zicbom))
        cell(t, "riscv,cbom-block-size", CACHE_BLOCK);
    if (rv_has(model, RV_EXT_zicboz))
        cell(t, "riscv,cboz-block-size", CACHE_BLOCK);
    begin(t, "interrupt-controller");
    cell(t, "#interrupt-cells", 1);
    flag(t, "interrupt-controller");
    string(t, "compatible", "riscv,cpu-intc");
    cell(t, "phandle", PHANDLE_INTC + i);
    end(t);
    end(t);
}

static void cpus(struct tree *t, const struct rv_cpu_model *model, unsigned n_harts)
{
    begin(t, "cpus");
    cell(t, "#address-cells", 1);
    cell(t, "#size-cells", 0);
    cell(t, "timebase-frequency", CLOCK_HZ);
    for (unsigned i = 0; i < n_harts; i++)
        cpu(t, model, i);
    begin(t, "cpu-map");
    begin(t, "cluster0");
    for (unsigned i = 0; i < n_harts; i++) {
        begin(t, "core%u", i);
        cell(t, "cpu", PHANDLE_HART + i);
        end(t);
    }
    end(t);
    end(t);
    end(t);
}

static void virtio_slot(struct tree *t, unsigned slot)
{
    uint64_t len = MEMMAP_virtio_len / CONFIG_VIRTIO_SLOTS, gpa = MEMMAP_virtio_gpa + slot * len;

    begin(t, "virtio_mmio@%llx", (unsigned long long)gpa);
    string(t, "compatible", "virtio,mmio");
    range(t, "reg", gpa, len);
    external_irq(t, MEMMAP_virtio_irq + slot);
    end(t);
}

/* A device address with only the slot in it, and a pin, for each of the four that differ: which
 * source of the PLIC that is (PCI bus binding to IEEE 1275, section 6.1, "interrupt-map"). */
static void pci_interrupts(struct tree *t)
{
    const fdt32_t mask[4] = {cpu_to_fdt32((PCI_LINES - 1) << PCI_CELL_SLOT), 0, 0, cpu_to_fdt32(7)};
    fdt32_t map[PCI_LINES * PCI_LINES * 6], *at = map;

    for (uint32_t slot = 0; slot < PCI_LINES; slot++) {
        for (uint32_t pin = 0; pin < PCI_LINES; pin++, at += 6) {
            memset(at, 0, 6 * sizeof *at);
            at[0] = cpu_to_fdt32(slot << PCI_CELL_SLOT);
            at[3] = cpu_to_fdt32(pin + 1);
            at[4] = cpu_to_fdt32(PHANDLE_PLIC);
            at[5] = cpu_to_fdt32(MEMMAP_pci_ecam_irq + (slot + pin) % PCI_LINES);
        }
    }
    cell(t, "#interrupt-cells", 1);
    bytes(t, "interrupt-map-mask", mask, sizeof mask);
    bytes(t, "interrupt-map", map, sizeof map);
}

/* Its address on PCI, ours, and how long it is. */
static fdt32_t *pci_range(fdt32_t *at, uint32_t space, uint64_t pci, uint64_t gpa, uint64_t len)
{
    const uint32_t cells[7] = {
        space,         (uint32_t)(pci >> 32), (uint32_t)pci, (uint32_t)(gpa >> 32),
        (uint32_t)gpa, (uint32_t)(len >> 32), (uint32_t)len};

    for (unsigned i = 0; i < 7; i++)
        *at++ = cpu_to_fdt32(cells[i]);
    return at;
}

static void pci(struct tree *t, uint64_t ram_len)
{
    const uint64_t high = memmap_pci_high_gpa(ram_len);
    const fdt32_t buses[2] = {0, cpu_to_fdt32(255)};
    fdt32_t ranges[3 * 7], *at = ranges;

    at = pci_range(at, PCI_SPACE_IO, 0, MEMMAP_pci_io_gpa, MEMMAP_pci_io_len);
    at = pci_range(at, PCI_SPACE_32, MEMMAP_pci_mmio_gpa, MEMMAP_pci_mmio_gpa, MEMMAP_pci_mmio_len);
    pci_range(at, PCI_SPACE_64, high, high, memmap_pci_high_len);
    begin(t, "pci@%llx", (unsigned long long)MEMMAP_pci_ecam_gpa);
    string(t, "compatible", "pci-host-ecam-generic");
    string(t, "device_type", "pci");
    cell(t, "#address-cells", 3);
    cell(t, "#size-cells", 2);
    range(t, "reg", MEMMAP_pci_ecam_gpa, MEMMAP_pci_ecam_len);
    bytes(t, "ranges", ranges, sizeof ranges);
    bytes(t, "bus-range", buses, sizeof buses);
    cell(t, "linux,pci-domain", 0);
    flag(t, "dma-coherent");
    pci_interrupts(t);
    end(t);
}

static void soc(struct tree *t, const struct machine_config *cfg)
{
    const unsigned n_harts = cfg->n_harts;

    begin(t, "soc");
    cell(t, "#address-cells", 2);
    cell(t, "#size-cells", 2);
    string(t, "compatible", "simple-bus");
    flag(t, "ranges");

    begin(t, "test@%llx", (unsigned long long)MEMMAP_finisher_gpa);
    STRINGS(t, "compatible", "sifive,test1\0sifive,test0\0syscon");
    range(t, "reg", MEMMAP_finisher_gpa, MEMMAP_finisher_len);
    cell(t, "phandle", PHANDLE_TEST);
    end(t);

    begin(t, "rtc@%llx", (unsigned long long)MEMMAP_rtc_gpa);
    string(t, "compatible", "google,goldfish-rtc");
    range(t, "reg", MEMMAP_rtc_gpa, MEMMAP_rtc_len);
    external_irq(t, MEMMAP_rtc_irq);
    end(t);

    begin(t, "clint@%llx", (unsigned long long)MEMMAP_clint_gpa);
    STRINGS(t, "compatible", "sifive,clint0\0riscv,clint0");
    range(t, "reg", MEMMAP_clint_gpa, MEMMAP_clint_len);
    hart_irqs(t, n_harts, IRQ_M_SOFT, IRQ_M_TIMER);
    end(t);

    begin(t, "plic@%llx", (unsigned long long)MEMMAP_plic_gpa);
    STRINGS(t, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    range(t, "reg", MEMMAP_plic_gpa, MEMMAP_plic_len);
    hart_irqs(t, n_harts, IRQ_M_EXT, IRQ_S_EXT);
    cell(t, "riscv,ndev", PLIC_SOURCES - 1);
    flag(t, "interrupt-controller");
    cell(t, "#interrupt-cells", 1);
    cell(t, "#address-cells", 0);
    cell(t, "phandle", PHANDLE_PLIC);
    end(t);

    pci(t, cfg->ram_len);

    /* The last slot first: board_virtio.h says why. */
    for (unsigned slot = CONFIG_VIRTIO_SLOTS; slot-- > 0;)
        virtio_slot(t, slot);

    begin(t, "serial@%llx", (unsigned long long)MEMMAP_uart_gpa);
    string(t, "compatible", "ns16550a");
    range(t, "reg", MEMMAP_uart_gpa, MEMMAP_uart_len);
    cell(t, "clock-frequency", UART_CLOCK_HZ);
    external_irq(t, MEMMAP_uart_irq);
    end(t);
    end(t);
}

static void firmware_devices(struct tree *t, const struct machine_config *cfg)
{
    const uint64_t bank = MEMMAP_flash_len / CONFIG_FLASH_BANKS;
    const fdt64_t banks[4] = {cpu_to_fdt64(MEMMAP_flash_gpa), cpu_to_fdt64(bank),
                              cpu_to_fdt64(MEMMAP_flash_gpa + bank), cpu_to_fdt64(bank)};

    begin(t, "fw-cfg@%llx", (unsigned long long)MEMMAP_fw_cfg_gpa);
    string(t, "compatible", "qemu,fw-cfg-mmio");
    range(t, "reg", MEMMAP_fw_cfg_gpa, MEMMAP_fw_cfg_len);
    flag(t, "dma-coherent");
    end(t);
    if (!config_has_flash(cfg))
        return;
    begin(t, "flash@%llx", (unsigned long long)MEMMAP_flash_gpa);
    string(t, "compatible", "cfi-flash");
    bytes(t, "reg", banks, sizeof banks);
    cell(t, "bank-width", 4);
    end(t);
}

/* How an operating system ends the machine without a firmware's help. */
static void syscon(struct tree *t, const char *node, const char *compatible, uint32_t value)
{
    begin(t, "%s", node);
    string(t, "compatible", compatible);
    cell(t, "regmap", PHANDLE_TEST);
    cell(t, "offset", 0);
    cell(t, "value", value);
    end(t);
}

static void chosen_node(struct tree *t, const struct fdt_chosen *chosen)
{
    char console[64];

    begin(t, "chosen");
    if (chosen->cmdline)
        string(t, "bootargs", chosen->cmdline);
    if (chosen->initrd_len != 0) {
        note(t, fdt_property_u64(t->fdt, "linux,initrd-start", chosen->initrd_gpa));
        note(t,
             fdt_property_u64(t->fdt, "linux,initrd-end", chosen->initrd_gpa + chosen->initrd_len));
    }
    bytes(t, "rng-seed", chosen->rng_seed, sizeof chosen->rng_seed);
    snprintf(console, sizeof console, "/soc/serial@%llx", (unsigned long long)MEMMAP_uart_gpa);
    string(t, "stdout-path", console);
    end(t);
}

static void root(struct tree *t, const struct machine_config *cfg, const struct rv_cpu_model *model,
                 const struct fdt_chosen *chosen)
{
    begin(t, "%s", "");
    cell(t, "#address-cells", 2);
    cell(t, "#size-cells", 2);
    string(t, "compatible", "riscv-virtio");
    string(t, "model", "riscv-virtio,dbt");
    chosen_node(t, chosen);
    begin(t, "memory@%llx", (unsigned long long)MEMMAP_ram_gpa);
    string(t, "device_type", "memory");
    range(t, "reg", MEMMAP_ram_gpa, cfg->ram_len);
    end(t);
    cpus(t, model, cfg->n_harts);
    soc(t, cfg);
    firmware_devices(t, cfg);
    syscon(t, "poweroff", "syscon-poweroff", 0x5555);
    syscon(t, "reboot", "syscon-reboot", 0x7777);
    end(t);
}

/* ---- The door ------------------------------------------------------------------------ */

/* The finished tree, with its slack; `fdt` has the room. */
static int add_slack(void *fdt, struct fdt_blob *out)
{
    int error = fdt_open_into(fdt, fdt, (int)fdt_totalsize(fdt) + TREE_SLACK);

    *out = (struct fdt_blob){.data = fdt, .len_bytes = fdt_totalsize(fdt)};
    return error;
}

bool fdt_build(struct fdt_blob *out, const struct machine_config *cfg,
               const struct rv_cpu_model *model, const struct fdt_chosen *chosen, struct err *e)
{
    size_t room = TREE_ROOM + TREE_SLACK + (chosen->cmdline ? strlen(chosen->cmdline) : 0);
    struct tree t = {.fdt = calloc(1, room)};

    if (!t.fdt)
        return err_set(e, "no memory for the device tree");
    note(&t, fdt_create(t.fdt, (int)room));
    note(&t, fdt_finish_reservemap(t.fdt));
    root(&t, cfg, model, chosen);
    note(&t, fdt_finish(t.fdt));
    if (t.error == 0)
        note(&t, add_slack(t.fdt, out));
    if (t.error != 0) {
        free(t.fdt);
        return err_set(e, "cannot make the device tree: %s", fdt_strerror(t.error));
    }
    return true;
}

static int put_chosen(void *fdt, const struct fdt_chosen *chosen)
{
    int node = fdt_path_offset(fdt, "/chosen"), error = 0;

    if (node == -FDT_ERR_NOTFOUND)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    if (chosen->cmdline)
        error = fdt_setprop_string(fdt, node, "bootargs", chosen->cmdline);
    if (error == 0 && chosen->initrd_len != 0)
        error = fdt_setprop_u64(fdt, node, "linux,initrd-start", chosen->initrd_gpa);
    if (error == 0 && chosen->initrd_len != 0)
        error =
            fdt_setprop_u64(fdt, node, "linux,initrd-end", chosen->initrd_gpa + chosen->initrd_len);
    if (error == 0)
        error = fdt_setprop(fdt, node, "rng-seed", chosen->rng_seed, sizeof chosen->rng_seed);
    return error;
}

bool fdt_adopt(struct fdt_blob *out, const void *data, size_t len_bytes, const char *name,
               const struct fdt_chosen *chosen, struct err *e)
{
    size_t room;
    void *fdt;
    int error;

    if (len_bytes > TREE_LIMIT)
        return err_set(e, "%s: a device tree of %zu bytes; at most %d are taken", name, len_bytes,
                       TREE_LIMIT);
    error = fdt_check_full(data, len_bytes);
    if (error != 0)
        return err_set(e, "%s is not a sound device tree blob (%s); make one with dtc -O dtb", name,
                       fdt_strerror(error));
    room = len_bytes + 1024 + TREE_SLACK + (chosen->cmdline ? strlen(chosen->cmdline) : 0);
    fdt = malloc(room);
    if (!fdt)
        return err_set(e, "no memory for the device tree");
    error = fdt_open_into(data, fdt, (int)room);
    if (error == 0)
        error = put_chosen(fdt, chosen);
    if (error == 0)
        error = fdt_pack(fdt);
    if (error == 0)
        error = add_slack(fdt, out);
    if (error != 0) {
        free(fdt);
        return err_set(e, "%s: cannot add /chosen to it: %s", name, fdt_strerror(error));
    }
    return true;
}

void fdt_blob_fini(struct fdt_blob *b)
{
    free(b->data);
    *b = (struct fdt_blob){0};
}
