/* Shared folders: --share, and QEMU's spellings, which are of another protocol. */
#include <string.h>

#include "runtime/cli/option_list.h"

/* ---- --share ------------------------------------------------------------------------------ */

static bool take_setting(struct config_share *s, const struct option_item *it, bool first,
                         struct err *e)
{
    const struct option_item path = {.name = "path", .value = it->text};

    if (first && !it->value)
        return option_copy(s->path, sizeof s->path, &path, e);
    if (option_is(it->name, "path"))
        return option_copy(s->path, sizeof s->path, it, e);
    if (option_is(it->name, "tag"))
        return option_copy(s->tag, sizeof s->tag, it, e);
    if (option_is(it->name, "ro") || option_is(it->name, "readonly"))
        return option_on_off(&s->read_only, it, e);
    return err_set(e,
                   "%s is not known; --share FOLDER,tag=T,ro; two commas stand for one in a name",
                   it->name);
}

/* Linux takes no tag with a line's end in it, and nobody wants to type the others. */
static bool check_tag(const struct options *o, const char *tag, struct err *e)
{
    const struct machine_config *m = &o->machine;

    for (const char *p = tag; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 127)
            return err_set(e, "tag=: letters, digits and signs only, no blanks");
    for (unsigned i = 0; i < m->n_virtio; i++)
        if (m->virtio[i].kind == VIRTIO_KIND_FS && option_is(m->virtio[i].share.tag, tag))
            return err_set(e, "tag=%s is %s already; give this folder another one with tag=", tag,
                           m->virtio[i].share.path);
    return true;
}

bool option_share(struct options *o, const char *value, struct err *e)
{
    struct config_share s = {.tag = "share"};
    struct option_item it;
    bool first = true;

    for (; option_next(&value, &it, e); first = false)
        if (!take_setting(&s, &it, first, e))
            return false;
    if (e->text[0] != '\0')
        return false;
    if (s.path[0] == '\0')
        return err_set(e, "which folder? --share FOLDER");
    if (!check_tag(o, s.tag, e) || !option_add_virtio(o, VIRTIO_KIND_FS, false, e))
        return false;
    o->machine.virtio[o->machine.n_virtio - 1].share = s;
    return true;
}

/* ---- QEMU's ------------------------------------------------------------------------------------
 */

/* A guest would look for 9p and not find it: so they are not taken, but written anew. */
static bool advise(const char *list, struct err *e)
{
    struct config_share s = {.path = "FOLDER", .tag = "share"};
    struct option_item it;
    bool ok = true;

    while (ok && option_next(&list, &it, e)) {
        if (option_is(it.name, "path"))
            ok = option_copy(s.path, sizeof s.path, &it, e);
        else if (option_is(it.name, "mount_tag") || option_is(it.name, "tag"))
            ok = option_copy(s.tag, sizeof s.tag, &it, e);
        else if (option_is(it.name, "readonly"))
            ok = option_on_off(&s.read_only, &it, e);
    }
    if (!ok || e->text[0] != '\0')
        return false;
    return err_set(e,
                   "folders are shared by virtiofs, without 9p or a daemon: write --share "
                   "%.200s,tag=%s%s, and in the guest mount -t virtiofs %s /mnt",
                   s.path, s.tag, s.read_only ? ",ro" : "", s.tag);
}

bool option_virtfs(struct options *o, const char *value, struct err *e)
{
    (void)o;
    return advise(value, e);
}

bool option_is_share_device(const char *value, size_t len)
{
    static const char *const names[] = {"virtio-9p-device", "virtio-9p-pci", "vhost-user-fs-device",
                                        "vhost-user-fs-pci"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], value, len) == 0)
            return true;
    return false;
}

bool option_share_device(const char *value, struct err *e)
{
    return advise(value, e);
}
