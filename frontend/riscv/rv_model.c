/* CPU models: their names on the command line, and the ISA string of the device tree. */
#include <stdio.h>
#include <string.h>

#include "frontend/riscv/rv.h"

#define EXT(x) (UINT64_C(1) << RV_EXT_##x)

static const struct {
    const char *name; /* in QEMU's property spelling and ours */
    const char *isa;
    bool single;
} exts[] = {
#define RV_EXT(name, text, single, help) {#name, text, single},
#include "frontend/riscv/isa/rv_ext.def"
#undef RV_EXT
};

#define EXT_ALL ((UINT64_C(1) << RV_EXT_COUNT) - 1)
#define EXT_RV64GC                                                                                 \
    (EXT(m) | EXT(a) | EXT(f) | EXT(d) | EXT(c) | EXT(zicntr) | EXT(zicsr) | EXT(zifencei))

static const struct {
    const char *name;
    uint64_t ext;
} models[] = {
    {"rv64gc", EXT_RV64GC},
    {"default", EXT_ALL},
    {"rv64", EXT_ALL}, /* QEMU's word for what it does by default */
    {"max", EXT_ALL},
};

/* `ext` cannot be without `needs`. */
static const struct {
    enum rv_ext ext, needs;
} needs[] = {
    {RV_EXT_f, RV_EXT_zicsr},
    {RV_EXT_d, RV_EXT_f},
    {RV_EXT_zicntr, RV_EXT_zicsr},
    {RV_EXT_zawrs, RV_EXT_a},
};

static bool is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool find_model(struct rv_cpu_model *m, const char *text, size_t len, struct err *e)
{
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (is(text, len, models[i].name)) {
            m->ext = models[i].ext;
            m->misaligned_ok = true;
            return true;
        }
    }
    return err_set(e, "CPU model %.*s: not known; there are rv64gc, default (also rv64) and max",
                   (int)len, text);
}

static bool no_such_extension(const char *name, size_t len, struct err *e)
{
    char known[256];
    size_t at = 0;

    for (unsigned i = 0; i < RV_EXT_COUNT && at < sizeof(known); i++)
        at += (size_t)snprintf(known + at, sizeof(known) - at, " %s", exts[i].name);
    return err_set(e, "CPU model: no extension %.*s; there are%s", (int)len, name, known);
}

/* One of "+name", "-name", "name=on", "name=off" (also true and false). */
static bool apply(struct rv_cpu_model *m, const char *text, size_t len, struct err *e)
{
    const char *equals = memchr(text, '=', len);
    bool sign = len > 0 && (*text == '+' || *text == '-');
    const char *name = sign ? text + 1 : text;
    size_t name_len = (size_t)((!sign && equals ? equals : text + len) - name);
    const char *value = equals ? equals + 1 : text + len;
    size_t value_len = (size_t)(text + len - value);
    bool on = sign ? *text == '+' : is(value, value_len, "on") || is(value, value_len, "true");
    bool off = sign ? !on : is(value, value_len, "off") || is(value, value_len, "false");

    if (name_len == 0)
        return err_set(e, "CPU model: there is a comma with no extension behind it");
    if (!on && !off)
        return err_set(e, "CPU model: %.*s: write %.*s=on or %.*s=off", (int)len, text,
                       (int)name_len, name, (int)name_len, name);
    for (unsigned i = 0; i < RV_EXT_COUNT; i++) {
        if (!is(name, name_len, exts[i].name))
            continue;
        m->ext = on ? m->ext | UINT64_C(1) << i : m->ext & ~(UINT64_C(1) << i);
        return true;
    }
    return no_such_extension(name, name_len, e);
}

static bool check(const struct rv_cpu_model *m, struct err *e)
{
    if (!rv_has(m, RV_EXT_zicsr))
        return err_set(e, "CPU model: zicsr cannot be off: M and S mode are made of it");
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (rv_has(m, needs[i].ext) && !rv_has(m, needs[i].needs))
            return err_set(e, "CPU model: %s needs %s: turn %s off too", exts[needs[i].ext].name,
                           exts[needs[i].needs].name, exts[needs[i].ext].name);
    }
    return true;
}

bool rv_model_parse(struct rv_cpu_model *m, const char *text, struct err *e)
{
    size_t len = strcspn(text, ",");

    if (!find_model(m, text, len, e))
        return false;
    for (const char *p = text + len; *p == ','; p += len) {
        p++;
        len = strcspn(p, ",");
        if (!apply(m, p, len, e))
            return false;
    }
    return check(m, e);
}

char *rv_model_isa(const struct rv_cpu_model *m, char *text, size_t len)
{
    size_t at = (size_t)snprintf(text, len, "rv64i");

    for (unsigned i = 0; i < RV_EXT_COUNT; i++) {
        if (rv_has(m, (enum rv_ext)i) && at < len)
            at += (size_t)snprintf(text + at, len - at, "%s%s", exts[i].single ? "" : "_",
                                   exts[i].isa);
    }
    return text;
}
