/* Options of virtio devices: lists of name=value, QEMU's and ours. */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/options.h"

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---- Lists ------------------------------------------------------------------------------ */

/* One piece of `name=value,...`. Two commas stand for one, as in QEMU's file names. */
struct item {
    char text[DRIVE_PATH_ROOM + 16];
    const char *name;
    const char *value; /* NULL: no '=' */
};

/* The next piece of *list, which is moved on; false at the end. A piece that is too long is an
 * error. */
static bool next_item(const char **list, struct item *it, struct err *e)
{
    const char *p = *list;
    size_t len = 0;
    char *equals;

    e->text[0] = '\0';
    if (!p)
        return false;
    for (; *p != '\0' && (*p != ',' || p[1] == ','); p++) {
        if (len + 1 == sizeof it->text)
            return err_set(e, "%.64s...: too long", it->text);
        p += *p == ',';
        it->text[len++] = *p;
    }
    it->text[len] = '\0';
    *list = *p == ',' ? p + 1 : NULL;
    equals = strchr(it->text, '=');
    it->name = it->text;
    it->value = equals ? equals + 1 : NULL;
    if (equals)
        *equals = '\0';
    return true;
}

/* The caller knows that it fits. */
static void set_text(char *to, const char *from)
{
    memcpy(to, from, strlen(from) + 1);
}

static bool copy(char *to, size_t room, const struct item *it, struct err *e)
{
    if (!it->value || *it->value == '\0')
        return err_set(e, "%s= needs a value", it->name);
    if (strlen(it->value) >= room)
        return err_set(e, "%s=%.64s: at most %zu characters", it->name, it->value, room - 1);
    set_text(to, it->value);
    return true;
}

static bool on_off(bool *to, const struct item *it, struct err *e)
{
    const char *value = it->value ? it->value : "on";

    if (!is(value, "on") && !is(value, "off"))
        return err_set(e, "%s=%s: on or off", it->name, value);
    *to = is(value, "on");
    return true;
}

/* ---- --drive ------------------------------------------------------------------------------ */

/* Settings of QEMU's that change nothing here, and what to say to other values. */
static const struct {
    const char *name;
    const char *taken; /* values, a blank before and behind each */
    const char *advice;
} habits[] = {
    {"if", " virtio none ",
     "disks are virtio: leave it out, or if=none and -device "
     "virtio-blk-device,drive=ID"},
    {"cache", " writeback none ", "writes are safe once the guest flushes; leave it out"},
    {"aio", " threads native io_uring ", "leave it out"},
    {"discard", " unmap on ", "discarded ranges are given back; leave it out"},
    {"detect-zeroes", " off ", "leave it out"},
    {"media", " disk ", "for a CD image write readonly=on"},
    {"werror", " report ", "errors are reported to the guest; leave it out"},
    {"rerror", " report ", "errors are reported to the guest; leave it out"},
};

static bool take_habit(const struct item *it, struct err *e)
{
    for (unsigned i = 0; i < sizeof habits / sizeof habits[0]; i++) {
        char word[32];

        if (!is(it->name, habits[i].name))
            continue;
        snprintf(word, sizeof word, " %.28s ", it->value ? it->value : "");
        return strstr(habits[i].taken, word) ||
               err_set(e, "%s=%s: %s", it->name, it->value ? it->value : "", habits[i].advice);
    }
    if (is(it->name, "index") || is(it->name, "bus") || is(it->name, "unit"))
        return err_set(e, "%s=: disks are numbered in the order in which they are given", it->name);
    return err_set(
        e, "%s is not known; file=, format=raw, readonly=on, snapshot=on, serial=, id=", it->name);
}

static bool take_format(struct drive_config *c, const struct item *it, struct err *e)
{
    const char *format = it->value ? it->value : "";

    c->raw = is(format, "raw");
    return c->raw || err_set(e,
                             "format=%s: an unknown format, only raw is read; make one with "
                             "qemu-img convert -O raw FILE NEW",
                             format);
}

static bool take_setting(struct cli_drive *d, const struct item *it, bool first, struct err *e)
{
    struct drive_config *c = &d->config;

    if (first && !it->value) {
        const struct item path = {.name = "file", .value = it->text};

        return copy(c->path, sizeof c->path, &path, e);
    }
    if (is(it->name, "file"))
        return copy(c->path, sizeof c->path, it, e);
    if (is(it->name, "id"))
        return copy(d->id, sizeof d->id, it, e);
    if (is(it->name, "serial"))
        return copy(c->serial, sizeof c->serial, it, e);
    if (is(it->name, "format") || is(it->name, "driver"))
        return take_format(c, it, e);
    if (is(it->name, "readonly") || is(it->name, "read-only") || is(it->name, "ro"))
        return on_off(&c->read_only, it, e);
    if (is(it->name, "snapshot"))
        return on_off(&c->snapshot, it, e);
    if (is(it->name, "if") && it->value && is(it->value, "none"))
        d->loose = true;
    return take_habit(it, e);
}

static bool add_virtio(struct options *o, enum virtio_kind kind, struct err *e)
{
    struct machine_config *m = &o->machine;

    if (m->n_virtio == CONFIG_MAX_VIRTIO)
        return err_set(e, "one device too many: the board has %d virtio slots", CONFIG_MAX_VIRTIO);
    o->drive_of[m->n_virtio] = (struct cli_drive_name){""};
    m->virtio[m->n_virtio++] = (struct virtio_config){.kind = kind};
    return true;
}

static struct cli_drive *find_drive(struct options *o, const char *id)
{
    for (unsigned i = 0; i < o->n_drives; i++)
        if (is(o->drive[i].id, id))
            return &o->drive[i];
    return NULL;
}

bool option_drive(struct options *o, const char *value, struct err *e)
{
    struct cli_drive d = {0};
    struct item it;
    bool first = true;

    for (; next_item(&value, &it, e); first = false)
        if (!take_setting(&d, &it, first, e))
            return false;
    if (e->text[0] != '\0')
        return false;
    if (d.config.path[0] == '\0')
        return err_set(e, "which file? --drive file=PATH");
    if (d.loose && d.id[0] == '\0')
        return err_set(e, "if=none needs an id=, for -device virtio-blk-device,drive=ID");
    if (d.id[0] != '\0' && find_drive(o, d.id))
        return err_set(e, "id=%s is taken by another drive", d.id);
    if (o->n_drives == CONFIG_MAX_VIRTIO)
        return err_set(e, "one drive too many: the board has %d virtio slots", CONFIG_MAX_VIRTIO);
    if (!d.loose) {
        if (!add_virtio(o, VIRTIO_KIND_BLK, e))
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
    return add_virtio(o, VIRTIO_KIND_CONSOLE, e);
}

static bool is_stdio(const char *words)
{
    return words && (is(words, "stdio") || is(words, "mon:stdio"));
}

bool option_settle_console(struct options *o, struct err *e)
{
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

static bool device_blk(struct options *o, const char *rest, struct err *e)
{
    struct item it;
    char drive[DRIVE_ID_ROOM] = "", serial[DRIVE_SERIAL_ROOM] = "";

    while (next_item(&rest, &it, e)) {
        bool ok = true;

        if (is(it.name, "drive"))
            ok = copy(drive, sizeof drive, &it, e);
        else if (is(it.name, "serial"))
            ok = copy(serial, sizeof serial, &it, e);
        else if (!is(it.name, "id"))
            ok = err_set(e, "virtio-blk-device: %s is not known; drive=ID, serial=", it.name);
        if (!ok)
            return false;
    }
    if (e->text[0] != '\0')
        return false;
    if (drive[0] == '\0')
        return err_set(e, "virtio-blk-device needs drive=ID; or write --drive file=PATH for both");
    if (!add_virtio(o, VIRTIO_KIND_BLK, e))
        return false;
    set_text(o->drive_of[o->machine.n_virtio - 1].id, drive);
    set_text(o->machine.virtio[o->machine.n_virtio - 1].drive.serial, serial);
    return true;
}

static bool device_rng(struct options *o, const char *rest, struct err *e)
{
    (void)rest; /* rng=ID, max-bytes=: the host's random numbers are all the same */
    return add_virtio(o, VIRTIO_KIND_RNG, e);
}

bool option_device(struct options *o, const char *value, struct err *e)
{
    size_t len = strcspn(value, ",");
    const char *rest = value[len] == ',' ? value + len + 1 : NULL;

    if (len == 17 && memcmp(value, "virtio-blk-device", len) == 0)
        return device_blk(o, rest, e);
    if (len == 17 && memcmp(value, "virtio-rng-device", len) == 0)
        return device_rng(o, rest, e);
    if ((len == 20 && memcmp(value, "virtio-serial-device", len) == 0) ||
        (len == 11 && memcmp(value, "virtconsole", len) == 0))
        return err_set(e, "%.*s: write --console stdio, pty or unix:PATH", (int)len, value);
    if (len > 4 && strncmp(value, "virtio-", 7) == 0 && memcmp(value + len - 4, "-pci", 4) == 0)
        return err_set(e, "%.*s: there is no PCI yet; write %.*s-device", (int)len, value,
                       (int)len - 4, value);
    return err_set(e, "%.*s is not there; virtio-blk-device,drive=ID and virtio-rng-device are",
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
    return is(value, "virtio-mmio.force-legacy=false") ||
           is(value, "virtio-mmio.force-legacy=off") ||
           err_set(e, "%s: only virtio-mmio.force-legacy=false is, and needs not be said", value);
}

/* ---- All of them together
 * ------------------------------------------------------------------------ */

static bool attach(struct options *o, unsigned i, struct err *e)
{
    struct drive_config *to = &o->machine.virtio[i].drive;
    struct cli_drive *d = find_drive(o, o->drive_of[i].id);
    char serial[DRIVE_SERIAL_ROOM];

    if (!d)
        return err_set(e, "-device virtio-blk-device,drive=%s: there is no -drive with id=%s",
                       o->drive_of[i].id, o->drive_of[i].id);
    if (!d->loose)
        return err_set(e, "-drive id=%s is a device already; leave out the -device, or add if=none",
                       d->id);
    if (d->used)
        return err_set(e, "-drive id=%s is given to two devices", d->id);
    d->used = true;
    set_text(serial, to->serial);
    *to = d->config;
    if (serial[0] != '\0')
        set_text(to->serial, serial);
    return true;
}

bool option_attach_drives(struct options *o, struct err *e)
{
    for (unsigned i = 0; i < o->machine.n_virtio; i++)
        if (o->drive_of[i].id[0] != '\0' && !attach(o, i, e))
            return false;
    for (unsigned i = 0; i < o->n_drives; i++)
        if (o->drive[i].loose && !o->drive[i].used)
            return err_set(e,
                           "-drive if=none,id=%s is given to no device; leave out if=none, or add "
                           "-device virtio-blk-device,drive=%s",
                           o->drive[i].id, o->drive[i].id);
    return true;
}
