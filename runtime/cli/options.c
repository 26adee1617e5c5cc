#include "runtime/cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"

/* One argument, taken apart: `--name=value`. */
struct arg {
    const char *name; /* without dashes */
    size_t len;
    const char *value; /* NULL: no '=' */
};

static struct arg split(const char *text)
{
    struct arg a = {.name = text + 1};

    if (*a.name == '-')
        a.name++;
    a.len = strcspn(a.name, "=");
    if (a.name[a.len] == '=')
        a.value = a.name + a.len + 1;
    return a;
}

/* The next name in a row's list, without dashes; NULL at its end. */
static const char *next_name(const char **list, size_t *len)
{
    const char *name = *list + strspn(*list, " -");

    if (*name == '\0')
        return NULL;
    *len = strcspn(name, " ");
    *list = name + *len;
    return name;
}

static const struct option_row *find(const struct arg *a)
{
    for (unsigned i = 0; i < option_n_rows; i++) {
        const char *list = option_rows[i].names, *name;
        size_t len;

        while ((name = next_name(&list, &len)))
            if (len == a->len && memcmp(name, a->name, len) == 0)
                return &option_rows[i];
    }
    return NULL;
}

/* ---- The nearest name, for a slip of the fingers ---------------------------------------- */

enum { NAME_MAX_LEN = 24 };

/* How many letters to insert, drop or change to make one of the other. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[NAME_MAX_LEN + 1];

    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            unsigned one_more = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);

            diagonal = row[j];
            row[j] = change < one_more ? change : one_more;
        }
    }
    return row[b_len];
}

static bool unknown(const char *text, const struct arg *a, struct err *e)
{
    unsigned best = a->len < 4 ? 2 : 3; /* farther is another word */
    const struct option_row *found = NULL;
    const char *name, *found_name = NULL;
    size_t len, found_len = 0;

    for (unsigned i = 0; i < option_n_rows; i++) {
        const char *list = option_rows[i].names;

        while (!option_rows[i].refused && (name = next_name(&list, &len))) {
            unsigned d = distance(a->name, a->len, name, len);

            if (d < best && d < len) {
                best = d;
                found = &option_rows[i];
                found_name = name;
                found_len = len;
            }
        }
    }
    if (!found)
        return err_set(e, "%s: unknown option; see dbt-run --help", text);
    return err_set(e, "%s: unknown option; did you mean %s%.*s?", text,
                   found_name - found->names >= 2 && found_name[-2] == '-' ? "--" : "-",
                   (int)found_len, found_name);
}

/* ---- Parsing -------------------------------------------------------------------------- */

static bool apply(struct options *o, const struct option_row *row, const char *value, struct err *e)
{
    char *base = (char *)o;

    if (row->call)
        return row->call(o, value, e);
    if (row->flag != 0)
        *(bool *)(base + row->flag - 1) = true;
    else
        *(const char **)(void *)(base + row->text) = value;
    return true;
}

/* One option at argv[*i]; moves *i past it. */
static bool parse_option(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *text = argv[(*i)++];
    struct arg a = split(text);
    const struct option_row *row = find(&a);

    if (!row)
        return unknown(text, &a, e);
    if (row->refused)
        return err_set(e, "-%.*s: %s", (int)a.len, a.name, row->help);
    if (row->arg[0] == '\0' && a.value)
        return err_set(e, "-%.*s takes no value", (int)a.len, a.name);
    if (row->arg[0] != '\0' && row->arg[0] != '[' && !a.value) {
        if (*i >= argc)
            return err_set(e, "%s needs a value: %s", text, row->arg);
        a.value = argv[(*i)++];
    }
    if (apply(o, row, a.value, e))
        return true;
    if (row->call && strncmp(e->text, "-", 1) != 0)
        err_prefix(e, text);
    return false;
}

static bool take_image(struct options *o, const char *text, struct err *e)
{
    if (o->machine.image)
        return err_set(e, "%s: the image is %s already; a program's arguments come with user mode",
                       text, o->machine.image);
    if (*text == '\0')
        return err_set(e, "an empty argument where an image is expected");
    o->machine.image = text;
    return true;
}

static bool parse_all(struct options *o, int argc, char **argv, struct err *e)
{
    bool options_end = false;

    for (int i = 1; i < argc && !o->shown;) {
        bool ok;

        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
            i++;
            continue;
        }
        if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0')
            ok = parse_option(o, argc, argv, &i, e);
        else
            ok = take_image(o, argv[i++], e);
        if (!ok)
            return false;
    }
    return true;
}

/* What several options mean together. */
static bool settle(struct options *o, struct err *e)
{
    bool counts = o->engine == ENGINE_CHECK || o->max_insns > 0;

    if (counts && o->host_time_given)
        return err_set(e, "%s counts instructions, which is --time virtual",
                       o->max_insns > 0 ? "--max-insns" : "--engine check");
    o->virtual_time |= counts;
    if (o->tier == TIER_DEFAULT)
        o->tier = o->stress ? TIER_1 : TIER_AUTO;
    o->machine.fixed_seed = o->virtual_time;
    return option_settle_console(o, e) && option_attach_drives(o, e) && option_attach_nets(o, e);
}

uint64_t cli_cache_size(uint64_t host_bytes)
{
    const uint64_t most = UINT64_C(512) << 20, least = UINT64_C(64) << 20, part = host_bytes / 8;

    return part > most ? most : part < least ? least : align_down(part, 4096);
}

/* 0 where the host does not say. */
static uint64_t host_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);

    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : 0;
}

int cli_parse(struct options *o, int argc, char **argv, struct err *e)
{
    *o = (struct options){
        .machine = {.ram_len = UINT64_C(1) << 30, .n_harts = 1, .serial = "mon:stdio"},
        .windows = WINDOWS_AUTO,
        .cache_size = cli_cache_size(host_memory()),
        .filter_last = UINT64_MAX,
    };
    if (!rv_model_parse(&o->machine.model, "default", e))
        return CLI_EXIT_USAGE;
    if (argc <= 1) {
        err_set(e, "nothing to run; `dbt-run --help` shows what can be");
        return CLI_EXIT_USAGE;
    }
    if (!parse_all(o, argc, argv, e))
        return CLI_EXIT_USAGE;
    if (o->shown)
        return CLI_EXIT_OK;
    return settle(o, e) ? CLI_RUN : CLI_EXIT_USAGE;
}

bool cli_open_log(const struct options *o, struct err *e)
{
    log_state.first = o->filter_first;
    log_state.last = o->filter_last;
    log_state.out = stderr;
    if (!o->log_file)
        return true;
    log_state.out = fopen(o->log_file, "w");
    if (!log_state.out) {
        log_state.out = stderr;
        return err_set(e, "-D %s: cannot write there: %s", o->log_file, strerror(errno));
    }
    return true;
}
