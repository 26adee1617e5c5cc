#include <string.h>

#include "runtime/system/boot_image.h"
#include "runtime/system/memmap.h"

/* Where Debian's package `opensbi` puts it. */
static const char opensbi_path[] = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";

enum { FW_DYNAMIC_MAGIC = 0x4942534f /* "OSBI" */, FW_DYNAMIC_VERSION = 2, FW_NEXT_S_MODE = 1 };
enum { FIRMWARE_ROOM = 2 << 20 };

bool firmware_place(struct boot_plan *p, struct boot_image *img, struct err *e)
{
    const char *path = p->firmware == FIRMWARE_OPENSBI ? opensbi_path : p->cfg->firmware_path;
    struct boot_part *part;

    if (!image_open(p, img, path, e)) {
        if (p->firmware == FIRMWARE_OPENSBI)
            strncat(e->text, " (apt install opensbi, or use --firmware builtin)",
                    sizeof e->text - strlen(e->text) - 1);
        return false;
    }
    if (img->kind == IMAGE_LINUX)
        return err_set(e, "%s is a Linux kernel, not a firmware; give it as -kernel", path);
    if (img->kind == IMAGE_ELF)
        return elf_place(p, img, e);
    if (!image_place_flat(p, img, MEMMAP_ram_gpa, e))
        return false;
    /* A flat firmware's .bss, stacks and heap lie behind it. */
    part = &p->part[p->n_parts - 1];
    if (part->len_bytes < FIRMWARE_ROOM && FIRMWARE_ROOM <= p->cfg->ram_len)
        part->len_bytes = FIRMWARE_ROOM;
    return true;
}

/* struct fw_dynamic_info of OpenSBI's include/sbi/fw_dynamic.h: magic, version,
 * next_addr, next_mode, options, boot_hart. Other firmwares ignore a2. */
void firmware_info(struct boot_plan *p, uint64_t next_pc)
{
    const uint64_t info[] = {FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next_pc, FW_NEXT_S_MODE, 0, 0};

    _Static_assert(sizeof info == sizeof p->fw_info, "the plan holds it");
    memcpy(p->fw_info, info, sizeof info);
}

/* OpenSBI 1.1 knows nothing of menvcfg.ADUE and never sets it; a kernel that is
 * told of Svadu relies on it without asking. (Newer ones wait for the kernel to
 * ask through FWFT, which it does only when both Svade and Svadu are announced.) */
struct rv_cpu_model firmware_announces(enum firmware firmware, const struct rv_cpu_model *model)
{
    struct rv_cpu_model announced = *model;

    if (firmware == FIRMWARE_OPENSBI || firmware == FIRMWARE_FILE)
        announced.ext &= ~(UINT64_C(1) << RV_EXT_svadu);
    return announced;
}
