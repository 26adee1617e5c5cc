/* --drive, and -device, which puts any of the backends that were named into a slot. */
#include <string.h>

#include "runtime/cli/option_list.h"

/* ---- --drive ------------------------------------------------------------------------------ */

/* Settings of QEMU's that change nothing here, and what to say to other values. */
static const struct option_habit habits[] = {
    {"if", " virtio none ",
     "disks are virtio: leave it out, or if=none and -device "
     "virtio-blk-device,drive=ID; flash is if=pflash"},
    {"cache", " writeback none ", "writes are safe once the guest flushes; leave it out"},
    {"aio", " threads native io_uring ", "leave it out"},
    {"discard", " unmap on ", "discarded ranges are given back; leave it out"},
    {"detect-zeroes", " off ", "leave it out"},
    {"media", " disk ", "for a CD image write readonly=on"},
    {"werror", " report ", "errors are reported to the guest; leave it out"},
    {"rerror", " report ", "errors are reported to the guest; leave it out"},
};

static bool take_habit(const struct option_item *it, struct err *e)
{
    bool ok;

    if (option_is_habit(habits, sizeof habits / sizeof habits[0], it, &ok, e))
        return ok;
    if (option_is(it->name, "index") || option_is(it->name, "bus"))
        return err_set(e, "%s=: disks are numbered in the order in which they are given", it->name);
    return err_set(
        e, "%s is not known; file=, format=, readonly=on, snapshot=on, serial=, id=", it->name);
}

static bool take_format(struct drive_config *c, const struct option_item *it, struct err *e)
{
    const char *format = it->value ? it->value : "";
    char known[256];

    c->format = block_format_find(format);
    block_format_list(known, sizeof known);
    return c->format || err_set(e, "format=%s: an unknown format; there are %s", format, known);
}

static bool take_unit(struct cli_drive *d, const struct option_item *it, struct err *e)
{
    uint64_t n;

    d->unit_given = true;
    if (!it->value || !option_number(it->value, &n) || n >= CONFIG_FLASH_BANKS)
        return err_set(e, "unit=%s: of if=pflash, 0 or 1", it->value ? it->value : "");
    d->unit = (unsigned)n;
    return true;
}

static bool take_setting(struct cli_drive *d, const struct option_item *it, bool first,
                         struct err *e)
{
    struct drive_config *c = &d->config;

    if (first && !it->value) {
        const struct option_item path = {.name = "file", .value = it->text};

        return option_copy(c->path, sizeof c->path, &path, e);
    }
    if (option_is(it->name, "file"))
        return option_copy(c->path, sizeof c->path, it, e);
    if (option_is(it->name, "id"))
        return option_copy(d->id, sizeof d->id, it, e);
    if (option_is(it->name, "serial"))
        return option_copy(c->serial, sizeof c->serial, it, e);
    if (option_is(it->name, "format") || option_is(it->name, "driver"))
        return take_format(c, it, e);
    if (option_is(it->name, "readonly") || option_is(it->name, "read-only") ||
        option_is(it->name, "ro"))
        return option_on_off(&c->read_only, it, e);
    if (option_is(it->name, "snapshot"))
        return option_on_off(&c->snapshot, it, e);
    if (option_is(it->name, "unit"))
        return take_unit(d, it, e);
    if (option_is(it->name, "if") && it->value && option_is(it->value, "pflash")) {
        d->flash = true;
        return true;
    }
    if (option_is(it->name, "if") && it->value && option_is(it->value, "none"))
        d->loose = true;
    return take_habit(it, e);
}

static struct cli_drive *find_drive(struct options *o, const char *id)
{
    for (unsigned i = 0; i < o->n_drives; i++)
        if (option_is(o->drive[i].id, id))
            return &o->drive[i];
    return NULL;
}

bool option_drive(struct options *o, const char *value, struct err *e)
{
    struct cli_drive d = {0};
    struct option_item it;
    bool first = true;

    for (; option_next(&value, &it, e); first = false)
        if (!take_setting(&d, &it, first, e))
            return false;
    if (e->text[0] != '\0')
        return false;
    if (d.config.path[0] == '\0')
        return err_set(e, "which file? --drive file=PATH");
    if (d.flash)
        return option_flash(o, &d, e);
    if (d.unit_given)
        return err_set(e, "unit=: disks are numbered in the order in which they are given");
    if (d.loose && d.id[0] == '\0')
        return err_set(e, "if=none needs an id=, for -device virtio-blk-device,drive=ID");
    if (d.id[0] != '\0' && find_drive(o, d.id))
        return err_set(e, "id=%s is taken by another drive", d.id);
    if (o->n_drives == CONFIG_MAX_VIRTIO)
        return err_set(e, "one drive too many: the board has room for %d devices",
                       CONFIG_MAX_VIRTIO);
    if (!d.loose) {
        if (!option_add_virtio(o, VIRTIO_KIND_BLK, false, e))
            return false;
        o->machine.virtio[o->machine.n_virtio - 1].drive = d.config;
    }
    o->drive[o->n_drives++] = d;
    return true;
}

/* ---- --console ------------------------------------------------------------------------------- */

bool option_console(struct options *o, const char *value, struct err *e)
{
    if (o->machine.console)
        return err_set(e, "there is one console, and it is --console %s", o->machine.console);
    o->machine.console = value;
    return option_add_virtio(o, VIRTIO_KIND_CONSOLE, false, e);
}

static bool is_stdio(const char *words)
{
    return words && (option_is(words, "stdio") || option_is(words, "mon:stdio"));
}

static bool settle_bus(struct options *o, struct err *e)
{
    struct machine_config *m = &o->machine;

    if (!o->console_bus_given || !o->console_on_pci)
        return true;
    if (!m->console)
        return err_set(e,
                       "-device virtio-serial-pci is for a console: write --console stdio, pty or "
                       "unix:PATH beside it");
    if (!config_has_room(m, true))
        return err_set(e, "one device too many: PCI has %d slots", CONFIG_PCI_SLOTS - 1);
    for (unsigned i = 0; i < m->n_virtio; i++)
        m->virtio[i].on_pci |= m->virtio[i].kind == VIRTIO_KIND_CONSOLE;
    return true;
}

bool option_settle_console(struct options *o, struct err *e)
{
    if (!settle_bus(o, e))
        return false;
    if (!is_stdio(o->machine.console) || !is_stdio(o->machine.serial))
        return true;
    if (o->serial_given)
        return err_set(e, "-serial %s and --console %s: standard input is for one of them",
                       o->machine.serial, o->machine.console);
    o->machine.serial = "null";
    return true;
}

/* ---- -device ----------------------------------------------------------------------------------
 */

static bool device_blk(struct options *o, const struct option_bus *bus, const char *rest,
                       struct err *e)
{
    struct option_item it;
    char drive[DRIVE_ID_ROOM] = "", serial[DRIVE_SERIAL_ROOM] = "";

    while (option_next(&rest, &it, e)) {
        bool ok = true;

        if (option_is(it.name, "drive"))
            ok = option_copy(drive, sizeof drive, &it, e);
        else if (option_is(it.name, "serial"))
            ok = option_copy(serial, sizeof serial, &it, e);
        else if (!option_is_of_bus(bus, &it, &ok, e) && !option_is(it.name, "id"))
            ok = err_set(e, "%s: %s is not known; drive=ID, serial=", bus->name, it.name);
        if (!ok)
            return false;
    }
    if (e->text[0] != '\0')
        return false;
    if (drive[0] == '\0')
        return err_set(e, "%s needs drive=ID; or write --drive file=PATH for both", bus->name);
    if (!option_add_virtio(o, VIRTIO_KIND_BLK, bus->on_pci, e))
        return false;
    option_set_text(o->backend_of[o->machine.n_virtio - 1].id, drive);
    option_set_text(o->machine.virtio[o->machine.n_virtio - 1].drive.serial, serial);
    return true;
}

/* rng=ID, max-bytes= and the like: the host's random numbers are all the same. */
static bool device_rng(struct options *o, const struct option_bus *bus, const char *rest,
                       struct err *e)
{
    struct option_item it;
    bool ok = true;

    while (ok && option_next(&rest, &it, e))
        if (!option_is_of_bus(bus, &it, &ok, e))
            ok = true;
    return ok && e->text[0] == '\0' && option_add_virtio(o, VIRTIO_KIND_RNG, bus->on_pci, e);
}

/* What the console of --console is plugged into. */
static bool device_serial(struct options *o, const struct option_bus *bus, const char *rest,
                          struct err *e)
{
    struct option_item it;
    bool ok = true;

    while (ok && option_next(&rest, &it, e))
        if (!option_is_of_bus(bus, &it, &ok, e) && !option_is(it.name, "id") &&
            !option_is(it.name, "max_ports"))
            ok = err_set(e, "%s: %s is not known; leave it out", bus->name, it.name);
    if (!ok || e->text[0] != '\0')
        return false;
    if (o->console_bus_given)
        return err_set(e, "%s: there is one console", bus->name);
    o->console_bus_given = true;
    o->console_on_pci = bus->on_pci;
    return true;
}

bool option_device(struct options *o, const char *value, struct err *e)
{
    static const struct {
        const char *base;
        bool (*call)(struct options *o, const struct option_bus *bus, const char *rest,
                     struct err *e);
    } rows[] = {{"virtio-blk", device_blk},
                {"virtio-net", option_device_net},
                {"virtio-rng", device_rng},
                {"virtio-balloon", option_device_balloon},
                {"virtio-serial", device_serial}};
    size_t len = strcspn(value, ",");
    const char *rest = value[len] == ',' ? value + len + 1 : NULL;
    struct option_bus bus;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (option_is_virtio(value, len, rows[i].base, &bus))
            return rows[i].call(o, &bus, rest, e);
    if (len == 11 && memcmp(value, "virtconsole", len) == 0)
        return err_set(e, "virtconsole: write --console stdio, pty or unix:PATH; -device "
                          "virtio-serial-pci puts that on PCI");
    if (option_is_share_device(value, len))
        return option_share_device(value, e);
    return err_set(e,
                   "%.*s is not there; virtio-blk-pci,drive=ID, virtio-net-pci,netdev=ID, "
                   "virtio-rng-pci and virtio-balloon-pci are, also with -device for -pci",
                   (int)len, value);
}

bool option_object(struct options *o, const char *value, struct err *e)
{
    size_t len = strcspn(value, ",");

    (void)o;
    if ((len == 10 && memcmp(value, "rng-random", len) == 0) ||
        (len == 11 && memcmp(value, "rng-builtin", len) == 0))
        return true;
    return err_set(e,
                   "%.*s is not there; rng-random and rng-builtin are, and both are the host's "
                   "random numbers",
                   (int)len, value);
}

/* What people give QEMU to have what is here anyway. */
bool option_global(struct options *o, const char *value, struct err *e)
{
    (void)o;
    return option_is(value, "virtio-mmio.force-legacy=false") ||
           option_is(value, "virtio-mmio.force-legacy=off") ||
           err_set(e, "%s: only virtio-mmio.force-legacy=false is, and needs not be said", value);
}

/* ---- All of them together
 * ------------------------------------------------------------------------ */

static bool attach(struct options *o, unsigned i, struct err *e)
{
    struct drive_config *to = &o->machine.virtio[i].drive;
    struct cli_drive *d = find_drive(o, o->backend_of[i].id);
    char serial[DRIVE_SERIAL_ROOM];

    if (!d)
        return err_set(e, "-device virtio-blk-%s,drive=%s: there is no -drive with id=%s",
                       o->machine.virtio[i].on_pci ? "pci" : "device", o->backend_of[i].id,
                       o->backend_of[i].id);
    if (!d->loose)
        return err_set(e, "-drive id=%s is a device already; leave out the -device, or add if=none",
                       d->id);
    if (d->used)
        return err_set(e, "-drive id=%s is given to two devices", d->id);
    d->used = true;
    option_set_text(serial, to->serial);
    *to = d->config;
    if (serial[0] != '\0')
        option_set_text(to->serial, serial);
    return true;
}

bool option_attach_drives(struct options *o, struct err *e)
{
    for (unsigned i = 0; i < o->machine.n_virtio; i++)
        if (o->machine.virtio[i].kind == VIRTIO_KIND_BLK && o->backend_of[i].id[0] != '\0' &&
            !attach(o, i, e))
            return false;
    for (unsigned i = 0; i < o->n_drives; i++)
        if (o->drive[i].loose && !o->drive[i].used)
            return err_set(e,
                           "-drive if=none,id=%s is given to no device; leave out if=none, or add "
                           "-device virtio-blk-device,drive=%s",
                           o->drive[i].id, o->drive[i].id);
    return true;
}
