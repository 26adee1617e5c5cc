#include "runtime/system/drive.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/system/boot.h"
#include "runtime/system/boot_image.h"

static bool is_block_device(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* A file that nobody reads as a disk would look like a broken disk to the guest, which might then
 * repair it. */
static bool check_format(const struct drive_config *c, struct err *e)
{
    if (c->format || is_block_device(c->path) || image_disk_kind(c->path) != DISK_FORMAT)
        return true;
    return image_refuse_format(c->path, e);
}

static bool check_readable(const char *path, struct err *e)
{
    if (access(path, R_OK) == 0)
        return true;
    return err_set(e, "cannot open %s: %s", path, strerror(errno));
}

/* U-Boot tries the first disk and no other (2023.01: boot_targets has virtio0 alone). */
static bool check_bootable(const struct machine_config *cfg, struct err *e)
{
    const char *first = NULL;

    for (unsigned i = 0; i < cfg->n_virtio; i++) {
        const char *path = cfg->virtio[i].drive.path;
        bool may_boot = cfg->virtio[i].kind == VIRTIO_KIND_BLK &&
                        (is_block_device(path) || image_disk_kind(path) == DISK_PARTITIONED);

        if (cfg->virtio[i].kind != VIRTIO_KIND_BLK)
            continue;
        if (!check_readable(path, e) || !check_format(&cfg->virtio[i].drive, e))
            return false;
        if (may_boot && first)
            return err_set(e, "%s cannot be booted, it has no partition table; give %s first",
                           first, path);
        if (may_boot)
            return true;
        first = first ? first : path;
    }
    return err_set(e, "%s cannot be booted, it has no partition table; give a -kernel beside it",
                   first);
}

bool drives_take_image(struct machine_config *cfg, struct err *e)
{
    struct virtio_config first = {.kind = VIRTIO_KIND_BLK};
    const char *path = cfg->image;
    size_t len = path ? strlen(path) : 0;

    if (!path || cfg->as != AS_AUTO)
        return true;
    if (!is_block_device(path) && image_disk_kind(path) != DISK_PARTITIONED)
        return true;
    if (!config_has_room(cfg, false))
        return err_set(e, "%s is one disk too many: the board has %d virtio slots", path,
                       CONFIG_VIRTIO_SLOTS);
    if (len >= sizeof first.drive.path)
        return err_set(e, "%.64s...: the path is too long", path);
    memcpy(first.drive.path, path, len + 1);
    memmove(&cfg->virtio[1], &cfg->virtio[0], cfg->n_virtio * sizeof cfg->virtio[0]);
    cfg->virtio[0] = first;
    cfg->n_virtio++;
    cfg->image = NULL;
    return true;
}

static bool open_drive(struct block **out, const struct machine_config *cfg,
                       const struct drive_config *c, bool synchronous, struct err *e)
{
    const struct block_config config = {.path = c->path,
                                        .format = c->format,
                                        .read_only = c->read_only,
                                        .snapshot = c->snapshot || cfg->snapshot,
                                        .synchronous = synchronous};

    if (!check_format(c, e))
        return false;
    *out = block_open(&config, e);
    return *out != NULL;
}

bool drives_check_boot(const struct machine_config *cfg, struct err *e)
{
    if (!boot_is_from_disk(cfg))
        return true;
    if (!check_bootable(cfg, e))
        return false;
    if (cfg->cmdline)
        return err_set(e,
                       "-append: a disk's own boot loader has the kernel's command line; change it "
                       "there, or give a -kernel beside it");
    if (cfg->initrd)
        return err_set(e,
                       "-initrd: a disk's own boot loader has it; leave it out, or give a -kernel "
                       "beside it");
    return true;
}

bool drives_open(struct drives *d, const struct machine_config *cfg, bool synchronous,
                 struct err *e)
{
    *d = (struct drives){0};
    for (unsigned i = 0; i < cfg->n_virtio; i++) {
        if (cfg->virtio[i].kind != VIRTIO_KIND_BLK)
            continue;
        if (!open_drive(&d->block[i], cfg, &cfg->virtio[i].drive, synchronous, e)) {
            drives_close(d);
            return false;
        }
    }
    return true;
}

void drives_close(struct drives *d)
{
    for (unsigned i = 0; i < CONFIG_MAX_VIRTIO; i++)
        block_close(d->block[i]);
    *d = (struct drives){0};
}
