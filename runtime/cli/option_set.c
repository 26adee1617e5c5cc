#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"
#include "runtime/cli/option_list.h"
#include "runtime/system/signature.h"

#define MIB (UINT64_C(1) << 20)

/* ---- Values ------------------------------------------------------------------------- */

bool option_number(const char *text, uint64_t *n)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false; /* strtoull would take a sign and blanks */
    errno = 0;
    *n = strtoull(text, &end, 0);
    return errno == 0 && *end == '\0';
}

bool option_size(const char *text, uint64_t unit, uint64_t *bytes)
{
    static const char suffix[] = "bkmgt";
    size_t len = strlen(text);
    const char *found;
    char digits[32];

    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, text, len + 1);
    found = strchr(suffix, digits[len - 1] | 0x20);
    if (found && (digits[len - 1] < '0' || digits[len - 1] > '9')) {
        unit = UINT64_C(1) << (10 * (found - suffix));
        digits[len - 1] = '\0';
    }
    return option_number(digits, bytes) && !__builtin_mul_overflow(*bytes, unit, bytes);
}

/* The index of `value` in the comma list `words`, or -1. */
static int word_index(const char *value, const char *words)
{
    size_t len = strlen(value);
    int i = 0;

    for (const char *p = words;; i++) {
        size_t n = strcspn(p, ",");

        if (n == len && memcmp(p, value, n) == 0)
            return i;
        if (p[n] == '\0')
            return -1;
        p += n + 1;
    }
}

/* *i: the index of `value` in `words`. known: the same words, for the line that says that it is not
 * there. */
static bool choose(int *i, const char *option, const char *value, const char *words,
                   const char *known, struct err *e)
{
    *i = word_index(value, words);
    return *i >= 0 || err_set(e, "%s %s: not known; %s", option, value, known);
}

/* ---- What to run ---------------------------------------------------------------------- */

static bool set_firmware_file(struct options *o, const char *path, struct err *e)
{
    if (*path == '\0')
        return err_set(e, "--firmware: an empty file name; builtin, opensbi, none or a file");
    o->machine.firmware = FIRMWARE_FILE;
    o->machine.firmware_path = path;
    return true;
}

static bool set_firmware(struct options *o, const char *value, struct err *e)
{
    static const enum firmware kinds[] = {FIRMWARE_BUILTIN, FIRMWARE_OPENSBI, FIRMWARE_NONE};
    int i = word_index(value, "builtin,opensbi,none");

    if (i < 0)
        return set_firmware_file(o, value, e);
    o->machine.firmware = kinds[i];
    return true;
}

/* QEMU's default is a firmware that is there; so is ours. */
static bool set_bios(struct options *o, const char *value, struct err *e)
{
    if (!option_is(value, "default") && !option_is(value, "none"))
        return set_firmware_file(o, value, e);
    o->machine.firmware = option_is(value, "none") ? FIRMWARE_NONE : FIRMWARE_AUTO;
    return true;
}

static bool set_as(struct options *o, const char *value, struct err *e)
{
    int i;

    if (option_is(value, "user"))
        return err_set(e, "--as user: user mode is not there yet");
    if (!choose(&i, "--as", value, "machine,supervisor", "machine or supervisor", e))
        return false;
    o->machine.as = i == 0 ? AS_MACHINE : AS_SUPERVISOR;
    return true;
}

/* ---- The machine ------------------------------------------------------------------------ */

static bool set_memory(struct options *o, const char *value, struct err *e)
{
    const char *text = strncmp(value, "size=", 5) == 0 ? value + 5 : value;
    uint64_t bytes;

    if (!option_size(text, MIB, &bytes))
        return err_set(e, "-m %s: not a size; 512M, 2G, or a number of MiB", value);
    if (bytes < MIB || bytes > MIB * MIB)
        return err_set(e, "-m %s: between 1M and 1T", value);
    o->machine.ram_len = align_up(bytes, 4096);
    return true;
}

/* A count in -smp. */
static bool smp_count(unsigned *to, const char *name, const char *value, struct err *e)
{
    uint64_t n;

    if (!value || !option_number(value, &n) || n == 0)
        return err_set(e, "%s%s: not a number of harts", name, value ? value : "");
    if (n > RV_MAX_HARTS)
        return err_set(e, "%s%s: at most %d harts", name, value, RV_MAX_HARTS);
    *to = (unsigned)n;
    return true;
}

/* QEMU's words for how the harts are grouped, which this board does not tell: their product is a
 * number of harts, too. Index 0 is how many there are when the machine starts, 1 how many there may
 * be. */
static const char *const smp_words[] = {"cpus", "maxcpus",  "drawers", "books", "sockets",
                                        "dies", "clusters", "modules", "cores", "threads"};
enum {
    SMP_CPUS,
    SMP_MAXCPUS,
    SMP_FIRST_GROUP,
    N_SMP_WORDS = sizeof smp_words / sizeof smp_words[0]
};

static bool smp_item(unsigned counts[], const struct option_item *it, bool first, struct err *e)
{
    if (first && !it->value)
        return smp_count(&counts[SMP_CPUS], "", it->name, e);
    for (unsigned i = 0; i < N_SMP_WORDS; i++) {
        char name[16];

        if (!option_is(it->name, smp_words[i]))
            continue;
        snprintf(name, sizeof name, "%s=", it->name);
        return smp_count(&counts[i], name, it->value, e);
    }
    return err_set(e, "%.64s: not known; a number of harts, or cpus=N", it->name);
}

static bool smp_settle(struct options *o, const unsigned counts[], struct err *e)
{
    unsigned cpus = counts[SMP_CPUS], product = 1;
    bool grouped = false;

    for (unsigned i = SMP_FIRST_GROUP; i < N_SMP_WORDS; i++) {
        grouped |= counts[i] != 0;
        product *= counts[i] ? counts[i] : 1;
        if (product > RV_MAX_HARTS)
            return err_set(e, "at most %d harts", RV_MAX_HARTS);
    }
    if (!cpus)
        cpus = counts[SMP_MAXCPUS] ? counts[SMP_MAXCPUS] : product;
    if (counts[SMP_MAXCPUS] && counts[SMP_MAXCPUS] != cpus)
        return err_set(e, "no hart is added while the machine runs; leave out maxcpus=%u",
                       counts[SMP_MAXCPUS]);
    if (grouped && cpus % product != 0)
        return err_set(e, "%u harts are not so many groups of %u", cpus, product);
    o->machine.n_harts = cpus;
    return true;
}

static bool set_smp(struct options *o, const char *value, struct err *e)
{
    unsigned counts[N_SMP_WORDS] = {0};
    const char *list = value;
    struct option_item it;

    for (bool first = true; option_next(&list, &it, e); first = false)
        if (!smp_item(counts, &it, first, e))
            return err_prefix(e, "-smp");
    if (e->text[0] != '\0' || !smp_settle(o, counts, e))
        return err_prefix(e, "-smp");
    return true;
}

static bool set_cpu(struct options *o, const char *value, struct err *e)
{
    if (option_is(value, "help") || option_is(value, "?")) {
        help_cpu();
        o->shown = "--cpu help";
        return true;
    }
    return rv_model_parse(&o->machine.model, value, e) || err_prefix(e, "--cpu");
}

static bool set_serial(struct options *o, const char *value, struct err *e)
{
    if (o->serial_given)
        return err_set(e, "-serial %s: the machine has one serial line, and it is -serial %s",
                       value, o->machine.serial);
    o->serial_given = true;
    o->machine.serial = value;
    return true;
}

/* Without words behind the path, it listens there and waits for nobody. */
static bool set_monitor(struct options *o, const char *value, struct err *e)
{
    const char *words = strchr(value, ',') ? "" : ",server,nowait";

    if (o->machine.monitor)
        return err_set(e, "--monitor %s: there is one monitor, and it is at %s", value,
                       o->machine.monitor);
    if (option_is(value, "none"))
        return true;
    if (strncmp(value, "unix:", 5) != 0)
        return err_set(
            e,
            "--monitor %s: use unix:PATH; at the serial line's terminal, Ctrl-A c is the monitor",
            value);
    int n = snprintf(o->monitor, sizeof o->monitor, "%s%s", value, words);

    if (n < 0 || (size_t)n >= sizeof o->monitor)
        return err_set(e, "--monitor %s: the path is too long for a socket", value);
    o->machine.monitor = o->monitor;
    return true;
}

static bool set_time(struct options *o, const char *value, struct err *e)
{
    int i;

    if (!choose(&i, "--time", value, "host,virtual", "host or virtual", e))
        return false;
    o->host_time_given = i == 0;
    o->virtual_time = i == 1;
    return true;
}

static bool set_machine(struct options *o, const char *value, struct err *e)
{
    const char *name = strncmp(value, "type=", 5) == 0 ? value + 5 : value;
    size_t len = strcspn(name, ",");

    if (len != 4 || memcmp(name, "virt", 4) != 0)
        return err_set(e, "-M %s: the board is virt, the only one", value);
    name += len;
    if (strncmp(name, ",dumpdtb=", 9) == 0 && name[9] != '\0') {
        o->dump_dtb = name + 9;
        return true;
    }
    return *name == '\0' || err_set(e, "-M %s: virt takes no settings but dumpdtb=FILE", value);
}

static bool set_accel(struct options *o, const char *value, struct err *e)
{
    (void)o;
    if (strcspn(value, ",") == 3 && memcmp(value, "tcg", 3) == 0)
        return true;
    return err_set(e, "-accel %s: guests are translated, which QEMU calls tcg; leave it out",
                   value);
}

/* ---- The translator ----------------------------------------------------------------------- */

static bool set_engine(struct options *o, const char *value, struct err *e)
{
    int i;

    if (!choose(&i, "--engine", value, "jit,interp,check", "jit, interp or check", e))
        return false;
    o->engine = (enum engine)i;
    return true;
}

static bool set_tier(struct options *o, const char *value, struct err *e)
{
    int i;

    if (!choose(&i, "--tier", value, "auto,1", "auto or 1", e))
        return false;
    o->tier = i == 0 ? TIER_AUTO : TIER_1;
    return true;
}

static bool set_window(struct options *o, const char *value, struct err *e)
{
    int i;

    if (!choose(&i, "--window", value, "off,auto,always", "auto, off or always", e))
        return false;
    o->windows = (enum window_policy)i;
    return true;
}

static bool set_huge_pages(struct options *o, const char *value, struct err *e)
{
    int i;

    if (!choose(&i, "--huge-pages", value, "auto,off", "auto or off", e))
        return false;
    o->huge_pages = i == 0;
    return true;
}

static bool set_lrsc(struct options *o, const char *value, struct err *e)
{
    int i;

    if (!choose(&i, "--lrsc", value, "value,strict", "value or strict", e))
        return false;
    o->strict_lrsc = i == 1;
    return true;
}

static bool set_cache_size(struct options *o, const char *value, struct err *e)
{
    uint64_t bytes;

    if (!option_size(value, MIB, &bytes))
        return err_set(e, "--cache-size %s: not a size; 64M, 1G, or a number of MiB", value);
    if (bytes < MIB || bytes > 2048 * MIB)
        return err_set(e, "--cache-size %s: between 1M and 2G", value);
    o->cache_size = align_up(bytes, 4096);
    return true;
}

static bool stress_word(struct options *o, const char *word, size_t len, struct err *e)
{
    char text[32];
    int i;

    if (len >= sizeof text)
        len = sizeof text - 1;
    memcpy(text, word, len);
    text[len] = '\0';
    if (strncmp(text, "seed=", 5) == 0 && option_number(text + 5, &o->stress_seed))
        return true;
    i = word_index(text, "regs,cache,table,links,irq");
    if (i < 0)
        return err_set(e, "--stress %s: not known; regs, cache, table, links, irq, seed=N", text);
    o->stress |= 1u << i;
    return true;
}

static bool set_stress(struct options *o, const char *value, struct err *e)
{
    for (const char *p = value;;) {
        size_t len = strcspn(p, ",");

        if (!stress_word(o, p, len, e))
            return false;
        if (p[len] == '\0')
            return true;
        p += len + 1;
    }
}

static bool set_hart_threads(struct options *o, const char *value, struct err *e)
{
    uint64_t n;

    if (option_is(value, "auto"))
        o->hart_threads = 0;
    else if (option_is(value, "each"))
        o->hart_threads = MAX_HARTS;
    else if (option_number(value, &n) && n > 0 && n <= MAX_HARTS)
        o->hart_threads = (unsigned)n;
    else
        return err_set(e, "--hart-threads %s: use auto, each or a number from 1 to %d", value,
                       MAX_HARTS);
    return true;
}

static bool set_max_insns(struct options *o, const char *value, struct err *e)
{
    if (option_number(value, &o->max_insns) && o->max_insns > 0)
        return true;
    return err_set(e, "--max-insns %s: not a number of instructions", value);
}

/* ---- Looking inside ------------------------------------------------------------------------- */

static bool set_log(struct options *o, const char *value, struct err *e)
{
    if (option_is(value, "help") || option_is(value, "?")) {
        help_log();
        o->shown = "-d help";
        return true;
    }
    return log_parse(value, e);
}

/* START, START+LENGTH or START-END, END being the first address outside. */
static bool parse_range(const char *text, uint64_t *first, uint64_t *last)
{
    size_t len = strcspn(text, "+-");
    char start[32];
    uint64_t n;

    if (len >= sizeof start)
        return false;
    memcpy(start, text, len);
    start[len] = '\0';
    if (!option_number(start, first))
        return false;
    *last = *first;
    if (text[len] == '\0')
        return true;
    if (!option_number(text + len + 1, &n))
        return false;
    *last = (text[len] == '+' ? *first + n : n) - 1;
    return *last >= *first && *last != UINT64_MAX;
}

static bool set_filter(struct options *o, const char *value, struct err *e)
{
    if (parse_range(value, &o->filter_first, &o->filter_last))
        return true;
    return err_set(e, "--filter %s: not a range; 0x80000000+0x40 or 0x80000000-0x80000040", value);
}

static bool set_stats(struct options *o, const char *value, struct err *e)
{
    if (value && *value == '\0')
        return err_set(e, "--stats=: an empty file name");
    o->stats = true;
    o->stats_file = value;
    return true;
}

static bool set_signature(struct options *o, const char *value, struct err *e)
{
    struct signature s;

    o->machine.signature = value;
    return signature_parse(&s, value, e);
}

static bool show_help(struct options *o, const char *value, struct err *e)
{
    (void)value, (void)e;
    help_print();
    o->shown = "--help";
    return true;
}

static bool show_version(struct options *o, const char *value, struct err *e)
{
    (void)value, (void)e;
    help_version();
    o->shown = "--version";
    return true;
}

/* ---- QEMU's habits --------------------------------------------------------------- */

static bool accept(struct options *o, const char *value, struct err *e)
{
    (void)o, (void)value, (void)e;
    return true;
}

static bool accept_any(struct options *o, const char *value, struct err *e)
{
    return accept(o, value, e);
}

static bool accept_none(struct options *o, const char *value, struct err *e)
{
    (void)o;
    return option_is(value, "none") ||
           err_set(e, "%s: it is not there yet; only `none` is taken", value);
}

/* ---- The table ------------------------------------------------------------------- */

const struct option_row option_rows[] = {
#define CALL(f)     .call = f
#define TEXT(field) .text = offsetof(struct options, field)
#define FLAG(field) .flag = offsetof(struct options, field) + 1
#define OPT(names_, arg_, group_, help_, action)                                                   \
    {.names = names_, .arg = arg_, .group = GROUP_##group_, .help = help_, action},
#define REFUSED(names_, arg_, help_)                                                               \
    {.names = names_, .arg = arg_, .group = GROUP_COMPAT, .help = help_, .refused = true},
#include "runtime/cli/options.def"
#undef OPT
#undef REFUSED
#undef CALL
#undef TEXT
#undef FLAG
};
const unsigned option_n_rows = sizeof option_rows / sizeof option_rows[0];
