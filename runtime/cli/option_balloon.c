/* The balloon: --balloon, and QEMU's -device virtio-balloon-pci. */
#include "runtime/cli/option_list.h"

static bool add(struct options *o, const struct virtio_balloon_config *config, bool on_pci,
                struct err *e)
{
    const struct machine_config *m = &o->machine;

    for (unsigned i = 0; i < m->n_virtio; i++)
        if (m->virtio[i].kind == VIRTIO_KIND_BALLOON)
            return err_set(e, "there is a balloon already; one takes all that the guest gives");
    if (!option_add_virtio(o, VIRTIO_KIND_BALLOON, on_pci, e))
        return false;
    o->machine.virtio[m->n_virtio - 1].balloon = *config;
    return true;
}

bool option_balloon(struct options *o, const char *value, struct err *e)
{
    const struct virtio_balloon_config config = {0};

    (void)value;
    return add(o, &config, false, e);
}

bool option_device_balloon(struct options *o, const struct option_bus *bus, const char *rest,
                           struct err *e)
{
    struct virtio_balloon_config config = {0};
    struct option_item it;
    bool reporting = true;

    while (option_next(&rest, &it, e)) {
        bool ok = true;

        if (option_is(it.name, "deflate-on-oom"))
            ok = option_on_off(&config.deflate_on_oom, &it, e);
        else if (option_is(it.name, "free-page-reporting"))
            ok = option_on_off(&reporting, &it, e);
        else if (!option_is_of_bus(bus, &it, &ok, e) && !option_is(it.name, "id"))
            ok = err_set(e, "%s: %s is not known; deflate-on-oom=on, free-page-reporting=off",
                         bus->name, it.name);
        if (!ok)
            return false;
    }
    config.no_reporting = !reporting;
    return e->text[0] == '\0' && add(o, &config, bus->on_pci, e);
}
