#include "runtime/cli/option_list.h"

#include <stdio.h>
#include <string.h>

bool option_is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

void option_set_text(char *to, const char *from)
{
    memcpy(to, from, strlen(from) + 1);
}

bool option_next(const char **list, struct option_item *it, struct err *e)
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

bool option_copy(char *to, size_t room, const struct option_item *it, struct err *e)
{
    if (!it->value || *it->value == '\0')
        return err_set(e, "%s= needs a value", it->name);
    if (strlen(it->value) >= room)
        return err_set(e, "%s=%.64s: at most %zu characters", it->name, it->value, room - 1);
    option_set_text(to, it->value);
    return true;
}

bool option_on_off(bool *to, const struct option_item *it, struct err *e)
{
    const char *value = it->value ? it->value : "on";

    if (!option_is(value, "on") && !option_is(value, "off"))
        return err_set(e, "%s=%s: on or off", it->name, value);
    *to = option_is(value, "on");
    return true;
}

bool option_is_habit(const struct option_habit *rows, unsigned n, const struct option_item *it,
                     bool *ok, struct err *e)
{
    const char *value = it->value ? it->value : "";
    char word[64];

    for (unsigned i = 0; i < n; i++) {
        if (!option_is(it->name, rows[i].name))
            continue;
        snprintf(word, sizeof word, " %.60s ", value);
        *ok =
            strstr(rows[i].taken, word) || err_set(e, "%s=%s: %s", it->name, value, rows[i].advice);
        return true;
    }
    return false;
}

bool option_is_virtio(const char *name, size_t len, const char *base, struct option_bus *bus)
{
    static const char *const suffixes[] = {"-device", "-pci", "-pci-non-transitional", ""};
    const size_t base_len = strlen(base);

    if (len >= sizeof bus->name || len < base_len || memcmp(name, base, base_len) != 0)
        return false;
    *bus = (struct option_bus){.on_pci = false};
    memcpy(bus->name, name, len);
    for (unsigned i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        bus->on_pci = i > 0;
        if (option_is(bus->name + base_len, suffixes[i]))
            return true;
    }
    return false;
}

bool option_is_of_bus(const struct option_bus *bus, const struct option_item *it, bool *ok,
                      struct err *e)
{
    static const struct option_habit habits[] = {
        {"romfile", "  ", "there are no ROMs on PCI; leave it out"},
        {"rombar", " 0 ", "there are no ROMs on PCI; leave it out"},
        {"bus", " pcie.0 ", "there is one bus, pcie.0; leave it out"},
        {"addr", "",
         "functions take the slots from 1 up in the order of their -device; leave it out"},
        {"disable-legacy", " on true ", "devices are of virtio 1.0 and later; leave it out"},
        {"disable-modern", " off false ", "devices are of virtio 1.0 and later; leave it out"},
        {"vectors", " 0 ", "the PLIC takes no MSI: interrupts are INTx; leave it out"},
        {"bootindex", "", "firmware tries disks in the order of the command line; leave it out"},
    };

    return bus->on_pci && option_is_habit(habits, sizeof habits / sizeof habits[0], it, ok, e);
}

bool option_add_virtio(struct options *o, enum virtio_kind kind, bool on_pci, struct err *e)
{
    struct machine_config *m = &o->machine;

    if (!config_has_room(m, on_pci))
        return on_pci ? err_set(e, "one device too many: PCI has %d slots", CONFIG_PCI_SLOTS - 1)
                      : err_set(e,
                                "one device too many: the board has %d virtio slots; more go on "
                                "PCI, as -device virtio-blk-pci,drive=ID",
                                CONFIG_VIRTIO_SLOTS);
    o->backend_of[m->n_virtio] = (struct cli_backend_name){""};
    m->virtio[m->n_virtio++] = (struct virtio_config){.kind = kind, .on_pci = on_pci};
    return true;
}
