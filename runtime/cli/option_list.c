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

bool option_add_virtio(struct options *o, enum virtio_kind kind, struct err *e)
{
    struct machine_config *m = &o->machine;

    if (m->n_virtio == CONFIG_MAX_VIRTIO)
        return err_set(e, "one device too many: the board has %d virtio slots", CONFIG_MAX_VIRTIO);
    o->backend_of[m->n_virtio] = (struct cli_backend_name){""};
    m->virtio[m->n_virtio++] = (struct virtio_config){.kind = kind};
    return true;
}
