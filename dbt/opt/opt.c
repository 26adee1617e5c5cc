/* The list of passes, and running it. */
#include <stdio.h>
#include <string.h>

#include "dbt/opt/opt_int.h"

static const struct {
    const char *name, *help;
    void (*run)(struct ir_block *b);
} passes[OPT_COUNT] = {
#define OPT_PASS(name, help) {#name, help, opt_##name},
#include "dbt/opt/opt_pass.def"
#undef OPT_PASS
};

void opt_run(struct ir_block *b, uint32_t enabled, opt_dump *dump, void *arg)
{
    struct err e;

    if (!(enabled & OPT_calls))
        opt_forget_calls(b);
    if (enabled & OPT_demand) /* which drops more than dce does */
        enabled &= ~(uint32_t)OPT_dce;
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (!(enabled >> i & 1))
            continue;
        passes[i].run(b);
        DCHECK(ir_verify(b, &e) && "a pass leaves a valid block");
        if (dump)
            dump(arg, b, passes[i].name);
    }
}

const char *opt_name(unsigned i)
{
    return passes[i].name;
}

const char *opt_help(unsigned i)
{
    return passes[i].help;
}

/* The bits that a word of the list stands for; 0 when it is no pass. */
static uint32_t bits_of(const char *word, size_t len)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (strlen(passes[i].name) == len && memcmp(passes[i].name, word, len) == 0)
            return 1u << i;
    }
    return len == 3 && memcmp(word, "all", 3) == 0 ? OPT_ALL : 0;
}

bool opt_parse(const char *list, uint32_t *enabled, struct err *e)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        bool sign = *list == '-' || *list == '+';
        uint32_t bits = bits_of(list + sign, len - sign);

        if (len == 4 && memcmp(list, "none", 4) == 0)
            *enabled = 0;
        else if (bits == 0)
            return err_set(
                e,
                "--opt: no pass is called '%.*s'; there are state, fold, join, cse, demand, calls, "
                "dce, pair, share, cells, all, none",
                (int)len, list);
        else if (*list == '-')
            *enabled &= ~bits;
        else
            *enabled |= bits;
        list += len + (list[len] == ',');
    }
    return true;
}
