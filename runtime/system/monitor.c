#include "runtime/system/monitor.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"

enum { BACKSPACE = 8, KILL_LINE = 'U' & 0x1f, ESCAPE = 0x1b, DELETE = 127 };

static const char prompt[] = "(dbt) ";

struct line {
    enum monitor_port port;
    char text[MONITOR_LINE];
};

/* What is being typed; the reader's. */
struct typing {
    char text[MONITOR_LINE];
    size_t len;
    bool too_long;
    bool after_cr; /* a line feed behind it is the same line's end */
    enum { TEXT, AFTER_ESCAPE, IN_SEQUENCE } escape;
};

struct monitor {
    struct monitor_host host;
    struct typing typing[MONITOR_PORTS];
    bool stopped; /* hart 0's thread's */

    pthread_mutex_t lock; /* the queue */
    pthread_cond_t changed;
    struct line queue[MONITOR_QUEUE];
    unsigned head, n;
};

/* ---- Talking ---------------------------------------------------------------------------- */

static void put(struct monitor *m, enum monitor_port port, const char *text, size_t n)
{
    m->host.put(m->host.arg, port, text, n);
}

static void say(struct monitor *m, enum monitor_port port, const char *text)
{
    put(m, port, text, strlen(text));
}

/* ---- The reader's side ------------------------------------------------------------------ */

static bool enqueue(struct monitor *m, enum monitor_port port, const char *text)
{
    bool room;

    pthread_mutex_lock(&m->lock);
    room = m->n < MONITOR_QUEUE;
    if (room) {
        struct line *l = &m->queue[(m->head + m->n++) % MONITOR_QUEUE];

        l->port = port;
        memcpy(l->text, text, MONITOR_LINE);
        pthread_cond_signal(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return room;
}

/* The one command that does not wait for its turn; what was typed before it is done first, though.
 */
static bool is_quit(const char *text)
{
    const char *word = text + strspn(text, " ");
    size_t len = strcspn(word, " ");

    return (len == 4 && memcmp(word, "quit", len) == 0) || (len == 1 && *word == 'q');
}

static void end_line(struct monitor *m, enum monitor_port port)
{
    struct typing *t = &m->typing[port];

    t->text[t->len] = '\0';
    if (!t->too_long && is_quit(t->text))
        m->host.hurry(m->host.arg);
    if (t->too_long) {
        say(m, port, "a command of this length is none\n(dbt) ");
    } else if (!enqueue(m, port, t->text)) {
        say(m, port, "too many commands wait; this one is dropped\n(dbt) ");
    } else {
        m->host.wake(m->host.arg);
    }
    t->len = 0;
    t->too_long = false;
}

static void erase(struct monitor *m, enum monitor_port port, size_t n)
{
    struct typing *t = &m->typing[port];

    for (; n > 0 && t->len > 0; n--) {
        t->len--;
        if (port == MONITOR_SERIAL)
            say(m, port, "\b \b");
    }
}

/* Control sequences of terminals (ECMA-48, 5.4): a key that we have no use for, or the answer to
 * what the guest asked the terminal before the user came here. True: the byte is one's. */
static bool is_of_sequence(struct typing *t, char byte)
{
    if (byte == ESCAPE) {
        t->escape = AFTER_ESCAPE;
    } else if (t->escape == AFTER_ESCAPE && byte == '[') {
        t->escape = IN_SEQUENCE;
    } else if (t->escape == IN_SEQUENCE && byte >= ' ' && byte < DELETE) {
        if (byte >= '@')
            t->escape = TEXT;
    } else {
        t->escape = TEXT;
        return false;
    }
    return true;
}

static void take(struct monitor *m, enum monitor_port port, char byte)
{
    struct typing *t = &m->typing[port];
    bool repeated = byte == '\n' && t->after_cr;

    t->after_cr = byte == '\r';
    if (repeated || is_of_sequence(t, byte))
        return;
    if (byte == '\r' || byte == '\n') {
        if (port == MONITOR_SERIAL)
            say(m, port, "\n");
        end_line(m, port);
    } else if (byte == BACKSPACE || byte == DELETE) {
        erase(m, port, 1);
    } else if (byte == KILL_LINE) {
        erase(m, port, MONITOR_LINE);
    } else if (t->len + 1 == MONITOR_LINE) {
        t->too_long = true;
    } else if (byte >= ' ' && byte < DELETE) {
        t->text[t->len++] = byte;
        if (port == MONITOR_SERIAL)
            put(m, port, &byte, 1);
    }
}

void monitor_greet(struct monitor *m, enum monitor_port port)
{
    m->typing[port] = (struct typing){0};
    say(m, port, "\n(dbt) ");
}

void monitor_feed(struct monitor *m, enum monitor_port port, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        take(m, port, (char)data[i]);
}

/* ---- Commands --------------------------------------------------------------------------- */

struct command {
    const char *name, *shorter, *help;
    /* What it has to say goes to out. rest: what stands behind its name. */
    void (*run)(struct monitor *m, const char *rest, FILE *out);
};

static const struct command commands[];

static void list_info(const struct monitor *m, FILE *out)
{
    for (const struct monitor_info *i = m->host.info; i->name; i++)
        fprintf(out, "info %-10s %s\n", i->name, i->help);
    fprintf(out, "info %-10s %s\n", "status", "whether the guest runs");
}

static void show_help(struct monitor *m, const char *rest, FILE *out)
{
    (void)rest;
    for (const struct command *c = commands; c->name; c++)
        fprintf(out, "%-15s %s%s%s\n", c->name, c->help, c->shorter ? "; or " : "",
                c->shorter ? c->shorter : "");
    for (const struct monitor_order *o = m->host.order; o->name; o++)
        fprintf(out, "%-15s %s\n", o->name, o->help);
    list_info(m, out);
}

static void show_info(struct monitor *m, const char *rest, FILE *out)
{
    for (const struct monitor_info *i = m->host.info; i->name; i++) {
        size_t len = strlen(i->name);

        if (strncmp(rest, i->name, len) == 0 && (rest[len] == ' ' || rest[len] == '\0')) {
            i->print(m->host.arg, rest + len + strspn(rest + len, " "), out);
            return;
        }
    }
    if (strcmp(rest, "status") == 0) {
        fprintf(out, "%s\n", m->stopped ? "stopped" : "running");
        return;
    }
    if (*rest)
        fprintf(out, "info %s: not known; there are\n", rest);
    list_info(m, out);
}

static void stop(struct monitor *m, const char *rest, FILE *out)
{
    (void)rest, (void)out;
    if (!m->stopped)
        m->host.stopped(m->host.arg);
    m->stopped = true;
}

static void cont(struct monitor *m, const char *rest, FILE *out)
{
    (void)rest, (void)out;
    if (m->stopped)
        m->host.continued(m->host.arg);
    m->stopped = false;
}

static void reset(struct monitor *m, const char *rest, FILE *out)
{
    (void)rest, (void)out;
    m->host.reset(m->host.arg);
}

static void quit(struct monitor *m, const char *rest, FILE *out)
{
    (void)rest, (void)out;
    m->host.quit(m->host.arg);
}

static const struct command commands[] = {
    {"help", "?", "this list", show_help},
    {"info", NULL, "a part of the machine: info NAME", show_info},
    {"stop", NULL, "the guest stands still, and its time", stop},
    {"cont", "c", "it goes on", cont},
    {"system_reset", NULL, "it starts anew", reset},
    {"quit", "q", "the machine ends, as by Ctrl-A x", quit},
    {0},
};

static void run_line(struct monitor *m, const char *text, FILE *out)
{
    const char *word = text + strspn(text, " ");
    size_t len = strcspn(word, " ");
    const char *rest = word + len + strspn(word + len, " ");

    if (len == 0)
        return;
    for (const struct command *c = commands; c->name; c++) {
        const char *names[] = {c->name, c->shorter};

        for (unsigned k = 0; k < 2 && names[k]; k++) {
            if (strlen(names[k]) == len && memcmp(names[k], word, len) == 0) {
                c->run(m, rest, out);
                return;
            }
        }
    }
    for (const struct monitor_order *o = m->host.order; o->name; o++) {
        if (strlen(o->name) == len && memcmp(o->name, word, len) == 0) {
            o->run(m->host.arg, rest, out);
            return;
        }
    }
    fprintf(out, "%.*s: not known; help lists what is\n", (int)len, word);
}

static void answer(struct monitor *m, const struct line *l)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    CHECK(out && "memory for an answer");
    run_line(m, l->text, out);
    CHECK(fclose(out) == 0 && "memory for an answer");
    put(m, l->port, text, n);
    say(m, l->port, prompt);
    free(text);
}

/* ---- Hart 0's side ---------------------------------------------------------------------- */

static bool dequeue(struct monitor *m, struct line *l)
{
    bool any;

    pthread_mutex_lock(&m->lock);
    while (m->n == 0 && m->stopped && !m->host.is_over(m->host.arg))
        pthread_cond_wait(&m->changed, &m->lock);
    any = m->n > 0;
    if (any) {
        *l = m->queue[m->head];
        m->head = (m->head + 1) % MONITOR_QUEUE;
        m->n--;
    }
    pthread_mutex_unlock(&m->lock);
    return any;
}

void monitor_serve(struct monitor *m)
{
    bool held = false;
    struct line l;

    while (!m->host.is_over(m->host.arg) && dequeue(m, &l)) {
        if (!held)
            m->host.hold(m->host.arg);
        held = true;
        answer(m, &l);
    }
    if (held)
        m->host.release(m->host.arg);
}

void monitor_wake(struct monitor *m)
{
    pthread_mutex_lock(&m->lock);
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* ---- Life ------------------------------------------------------------------------------- */

struct monitor *monitor_create(const struct monitor_host *host)
{
    struct monitor *m = calloc(1, sizeof *m);

    CHECK(m && "memory for the monitor");
    m->host = *host;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    return m;
}

void monitor_destroy(struct monitor *m)
{
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
