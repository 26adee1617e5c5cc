/* The monitor: lines as they are typed, what is done with them, a machine that stands still. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/system/monitor.h"

enum { LIMIT_S = 20 };

/* A machine that notes what it is asked. */
struct world {
    struct monitor *monitor;
    char text[MONITOR_PORTS][8192];
    size_t len[MONITOR_PORTS];
    unsigned quits, resets, stops, conts, wakes, hurries, shown;
    _Atomic bool over, held;
};

static void put(void *arg, enum monitor_port port, const char *text, size_t n)
{
    struct world *w = arg;

    assert_true(w->len[port] + n < sizeof w->text[port]);
    memcpy(w->text[port] + w->len[port], text, n);
    w->len[port] += n;
    w->text[port][w->len[port]] = '\0';
}

static void quit(void *arg)
{
    struct world *w = arg;

    w->quits++;
    w->over = true;
}

static void reset(void *arg)
{
    ((struct world *)arg)->resets++;
}

static void stopped(void *arg)
{
    ((struct world *)arg)->stops++;
}

static void continued(void *arg)
{
    ((struct world *)arg)->conts++;
}

static bool is_over(void *arg)
{
    return ((struct world *)arg)->over;
}

static void wake(void *arg)
{
    ((struct world *)arg)->wakes++;
}

static void hurry(void *arg)
{
    ((struct world *)arg)->hurries++;
}

static void hold(void *arg)
{
    struct world *w = arg;

    assert_false(w->held);
    w->held = true;
}

static void release(void *arg)
{
    struct world *w = arg;

    assert_true(w->held);
    w->held = false;
}

static void show(void *arg, const char *rest, FILE *out)
{
    struct world *w = arg;

    assert_true(w->held);
    w->shown++;
    fprintf(out, "blue%s\n", rest);
}

static const struct monitor_info infos[] = {{"colour", "its colour", show}, {0}};

static void order(void *arg, const char *rest, FILE *out)
{
    ((struct world *)arg)->shown++;
    fprintf(out, "paints it '%s'\n", rest);
}

static const struct monitor_order orders[] = {{"paint", "another colour", order}, {0}};

static void set_up(struct world *w)
{
    const struct monitor_host host = {.info = infos,
                                      .order = orders,
                                      .hold = hold,
                                      .release = release,
                                      .quit = quit,
                                      .reset = reset,
                                      .stopped = stopped,
                                      .continued = continued,
                                      .is_over = is_over,
                                      .wake = wake,
                                      .hurry = hurry,
                                      .put = put,
                                      .arg = w};

    alarm(LIMIT_S);
    memset(w, 0, sizeof *w);
    w->monitor = monitor_create(&host);
}

static void tear_down(struct world *w)
{
    monitor_destroy(w->monitor);
    alarm(0);
}

static void type(struct world *w, enum monitor_port port, const char *keys)
{
    monitor_feed(w->monitor, port, (const uint8_t *)keys, strlen(keys));
}

/* What is said at the socket to this line. */
static const char *ask(struct world *w, const char *line)
{
    w->len[MONITOR_SOCKET] = 0;
    w->text[MONITOR_SOCKET][0] = '\0';
    type(w, MONITOR_SOCKET, line);
    type(w, MONITOR_SOCKET, "\n");
    monitor_serve(w->monitor);
    return w->text[MONITOR_SOCKET];
}

static void commands_are_done_and_answered(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    assert_string_equal(ask(&w, "info colour"), "blue\n(dbt) ");
    assert_string_equal(ask(&w, "  info   colour"), "blue\n(dbt) ");
    assert_int_equal(w.shown, 2);
    assert_string_equal(ask(&w, "info colour  of it"), "blueof it\n(dbt) ");
    assert_non_null(strstr(ask(&w, "info colours"), "not known"));
    assert_int_equal(w.shown--, 3);
    assert_false(w.held);
    assert_string_equal(ask(&w, "info status"), "running\n(dbt) ");
    assert_string_equal(ask(&w, ""), "(dbt) ");
    assert_non_null(strstr(ask(&w, "help"), "info colour"));
    assert_non_null(strstr(ask(&w, "help"), "another colour"));
    assert_string_equal(ask(&w, "paint  light green"), "paints it 'light green'\n(dbt) ");
    assert_non_null(strstr(ask(&w, "paints"), "not known"));
    assert_int_equal(w.shown, 3);
    assert_non_null(strstr(ask(&w, "?"), "system_reset"));
    assert_non_null(strstr(ask(&w, "info"), "its colour"));
    assert_non_null(strstr(ask(&w, "info size"), "info size: not known"));
    assert_non_null(strstr(ask(&w, "dance"), "dance: not known"));
    assert_non_null(strstr(ask(&w, "qui"), "not known"));
    assert_int_equal(w.quits, 0);
    ask(&w, "system_reset");
    assert_int_equal(w.resets, 1);
    ask(&w, "q");
    assert_int_equal(w.quits, 1);
    tear_down(&w);
}

/* A line's answer goes where it was typed, and one port's half line is none of the other's. */
/* The hart may be waiting for somebody who does not read, and would never come to the queue. */
static void quit_hurries_at_once(void **state)
{
    static const char *const others[] = {"", "info quit", "quits", "qu", "x"};
    struct world w;

    (void)state;
    set_up(&w);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        ask(&w, others[i]);
    assert_int_equal(w.hurries, 0);
    type(&w, MONITOR_SOCKET, "info colour\n  quit \n");
    assert_int_equal(w.hurries, 1);
    assert_int_equal(w.shown + w.quits, 0);
    type(&w, MONITOR_SERIAL, "q\r");
    assert_int_equal(w.hurries, 2);
    monitor_serve(w.monitor); /* in the order in which they were typed */
    assert_int_equal(w.shown, 1);
    assert_int_equal(w.quits, 1);
    tear_down(&w);
}

static void ports_are_apart(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    type(&w, MONITOR_SERIAL, "info col");
    type(&w, MONITOR_SOCKET, "info status\r\n");
    type(&w, MONITOR_SERIAL, "our\r");
    assert_int_equal(w.wakes, 2);
    monitor_serve(w.monitor);
    assert_string_equal(w.text[MONITOR_SOCKET], "running\n(dbt) ");
    assert_string_equal(w.text[MONITOR_SERIAL], "info colour\nblue\n(dbt) ");
    tear_down(&w);
}

static void a_new_client_begins_a_new_line(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    type(&w, MONITOR_SOCKET, "system_reset of whom the network was lost");
    type(&w, MONITOR_SERIAL, "info ");
    monitor_greet(w.monitor, MONITOR_SOCKET);
    w.len[MONITOR_SOCKET] = 0;
    type(&w, MONITOR_SOCKET, "info status\n");
    type(&w, MONITOR_SERIAL, "colour\r");
    monitor_serve(w.monitor);
    assert_string_equal(w.text[MONITOR_SOCKET], "running\n(dbt) ");
    assert_int_equal(w.resets, 0);
    assert_int_equal(w.shown, 1); /* the other port's line is as it was */
    tear_down(&w);
}

static void a_line_can_be_edited(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    type(&w, MONITOR_SERIAL, "quit\x15info coxy\x7f\blour\x1b\r");
    monitor_serve(w.monitor);
    assert_int_equal(w.quits, 0);
    assert_int_equal(w.shown, 1);
    type(&w, MONITOR_SERIAL, "\x1b[1;1R\x1b[Ainfo colour\x1b[2\r"); /* a terminal's answer, a key */
    monitor_serve(w.monitor);
    assert_int_equal(w.shown, 2);
    type(&w, MONITOR_SERIAL, "\b\b\x15\r"); /* nothing is there to erase */
    monitor_serve(w.monitor);
    assert_int_equal(w.shown, 2);
    tear_down(&w);
}

static void too_much_is_refused(void **state)
{
    char line[2 * MONITOR_LINE];
    struct world w;

    (void)state;
    set_up(&w);
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    assert_non_null(strstr(ask(&w, line), "of this length"));
    line[MONITOR_LINE - 1] = '\0'; /* the longest that is taken */
    assert_non_null(strstr(ask(&w, line), "not known"));
    assert_string_equal(ask(&w, "info colour"), "blue\n(dbt) ");
    for (unsigned i = 0; i < MONITOR_QUEUE; i++)
        type(&w, MONITOR_SOCKET, "info colour\n");
    assert_null(strstr(w.text[MONITOR_SOCKET], "dropped"));
    type(&w, MONITOR_SOCKET, "quit\n");
    assert_non_null(strstr(w.text[MONITOR_SOCKET], "dropped"));
    monitor_serve(w.monitor);
    assert_int_equal(w.shown, 1 + MONITOR_QUEUE);
    assert_int_equal(w.quits, 0);
    tear_down(&w);
}

/* ---- A hart that stands still ---------------------------------------------------------------- */

static void *serve(void *arg)
{
    monitor_serve(((struct world *)arg)->monitor);
    return NULL;
}

static void stop_holds_the_hart_until_cont(void **state)
{
    struct world w;
    pthread_t hart;

    (void)state;
    set_up(&w);
    type(&w, MONITOR_SOCKET, "stop\nstop\n");
    pthread_create(&hart, NULL, serve, &w);
    type(&w, MONITOR_SOCKET, "info status\n");
    usleep(20000);
    assert_int_equal(pthread_tryjoin_np(hart, NULL), EBUSY);
    assert_true(w.held);
    type(&w, MONITOR_SOCKET, "c\n");
    pthread_join(hart, NULL);
    assert_non_null(strstr(w.text[MONITOR_SOCKET], "stopped\n"));
    assert_false(w.held);
    assert_string_equal(ask(&w, "cont"), "(dbt) ");
    assert_int_equal(w.stops, 1);
    assert_int_equal(w.conts, 1);
    assert_string_equal(ask(&w, "info status"), "running\n(dbt) ");
    tear_down(&w);
}

static void the_runs_end_ends_a_stop(void **state)
{
    struct world w;
    pthread_t hart;

    (void)state;
    set_up(&w);
    type(&w, MONITOR_SOCKET, "stop\n");
    pthread_create(&hart, NULL, serve, &w);
    usleep(20000);
    w.over = true;
    monitor_wake(w.monitor);
    pthread_join(hart, NULL);
    assert_int_equal(w.conts, 0);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_done_and_answered),
        cmocka_unit_test(quit_hurries_at_once),
        cmocka_unit_test(ports_are_apart),
        cmocka_unit_test(a_new_client_begins_a_new_line),
        cmocka_unit_test(a_line_can_be_edited),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(stop_holds_the_hart_until_cont),
        cmocka_unit_test(the_runs_end_ends_a_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
