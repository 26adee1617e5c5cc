/* What a firmware finds on the board: flash memory (--drive if=pflash, -pflash) and -fw_cfg. */
#include <string.h>

#include "runtime/cli/option_list.h"

/* ---- Flash -------------------------------------------------------------------------------- */

bool option_flash(struct options *o, const struct cli_drive *d, struct err *e)
{
    struct flash_config *bank = o->machine.flash;
    unsigned n = d->unit_given ? d->unit : bank[0].given ? 1 : 0;

    if (bank[n].given)
        return err_set(e, "if=pflash: bank %u is %s already; there are two, unit=0 and unit=1", n,
                       bank[n].file.path);
    bank[n] = (struct flash_config){.given = true, .file = d->config};
    return true;
}

bool option_pflash(struct options *o, const char *value, struct err *e)
{
    struct cli_drive d = {.flash = true};
    const struct option_item path = {.name = "file", .value = value};

    return option_copy(d.config.path, sizeof d.config.path, &path, e) && option_flash(o, &d, e);
}

/* ---- fw_cfg ------------------------------------------------------------------------------- */

static bool take_setting(struct fw_file_config *f, const struct option_item *it, bool first,
                         struct err *e)
{
    const struct option_item name = {.name = "name", .value = it->text};

    if (first && !it->value)
        return option_copy(f->name, sizeof f->name, &name, e);
    if (option_is(it->name, "name"))
        return option_copy(f->name, sizeof f->name, it, e);
    if (option_is(it->name, "file"))
        return option_copy(f->path, sizeof f->path, it, e);
    if (option_is(it->name, "string"))
        return option_copy(f->text, sizeof f->text, it, e);
    return err_set(e, "%s is not known; name=opt/N, file=F or string=S", it->name);
}

static bool check(const struct options *o, const struct fw_file_config *f, struct err *e)
{
    const struct machine_config *m = &o->machine;

    if (f->name[0] == '\0')
        return err_set(e, "which name? name=opt/N,file=F or string=S");
    if ((f->path[0] != '\0') == (f->text[0] != '\0'))
        return err_set(e, "name=%s needs file=F or string=S, one of them", f->name);
    for (unsigned i = 0; i < m->n_fw_files; i++)
        if (option_is(m->fw_file[i].name, f->name))
            return err_set(e, "name=%s is given twice", f->name);
    return m->n_fw_files < CONFIG_MAX_FW_FILES ||
           err_set(e, "more than %d of them", CONFIG_MAX_FW_FILES);
}

bool option_fw_cfg(struct options *o, const char *value, struct err *e)
{
    struct fw_file_config f = {.name = ""};
    struct option_item it;
    bool first = true;

    for (; option_next(&value, &it, e); first = false)
        if (!take_setting(&f, &it, first, e))
            return false;
    if (e->text[0] != '\0' || !check(o, &f, e))
        return false;
    o->machine.fw_file[o->machine.n_fw_files++] = f;
    return true;
}
