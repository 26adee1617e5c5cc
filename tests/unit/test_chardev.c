/* The host's end of the serial line: backends, escapes, flow control, and the
 * terminal that must be given back. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/host/chardev.h"
#include "devices/host/chardev_private.h"

static char dir[] = "/tmp/test_chardev.XXXXXX";
static struct err e;

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(dir);
}

/* A front that takes `room` bytes and then waits. */
struct front {
    pthread_mutex_t lock;
    uint8_t data[256 * 1024];
    size_t len, room;
    _Atomic int breaks, quits;
};

static size_t receive(void *arg, const uint8_t *data, size_t n)
{
    struct front *f = arg;

    pthread_mutex_lock(&f->lock);
    if (n > f->room)
        n = f->room;
    memcpy(f->data + f->len, data, n);
    f->len += n;
    f->room -= n;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void on_break(void *arg)
{
    ((struct front *)arg)->breaks++;
}

static void on_quit(void *arg)
{
    ((struct front *)arg)->quits++;
}

static size_t received(struct front *f)
{
    size_t len;

    pthread_mutex_lock(&f->lock);
    len = f->len;
    pthread_mutex_unlock(&f->lock);
    return len;
}

static void give_room(struct front *f, size_t n)
{
    pthread_mutex_lock(&f->lock);
    f->room += n;
    pthread_mutex_unlock(&f->lock);
}

static struct front *make_front(void)
{
    struct front *f = calloc(1, sizeof *f);

    pthread_mutex_init(&f->lock, NULL);
    return f;
}

static struct chardev *start(const char *spec, struct front *f)
{
    struct chardev *c = chardev_open("-serial", spec, &e);
    const struct chardev_front front = {
        .receive = receive, .brk = on_break, .quit = on_quit, .arg = f};

    if (!c || !chardev_start(c, &front, &e))
        fail_msg("%s: %s", spec, e.text);
    return c;
}

/* Waits up to five seconds for the front to have n bytes. */
static void await(struct front *f, size_t n)
{
    for (unsigned i = 0; i < 5000 && received(f) < n; i++)
        usleep(1000);
    assert_int_equal(received(f), n);
}

static void put_all(struct chardev *c, const char *text)
{
    for (; *text; text++)
        chardev_put(c, (uint8_t)*text);
}

/* ---- Escapes ------------------------------------------------------------------------- */

static void escapes(void **state)
{
    static const struct {
        uint8_t in;
        enum escape_action action;
        uint8_t out;
    } steps[] = {
        {'a', ESCAPE_SEND, 'a'}, {1, ESCAPE_NONE, 0},    {1, ESCAPE_SEND, 1},
        {'x', ESCAPE_SEND, 'x'}, {1, ESCAPE_NONE, 0},    {'x', ESCAPE_QUIT, 0},
        {1, ESCAPE_NONE, 0},     {'b', ESCAPE_BREAK, 0}, {1, ESCAPE_NONE, 0},
        {'h', ESCAPE_HELP, 0},   {1, ESCAPE_NONE, 0},    {'c', ESCAPE_MONITOR, 0},
        {1, ESCAPE_NONE, 0},     {'q', ESCAPE_NONE, 0},  {'q', ESCAPE_SEND, 'q'},
    };
    struct escape s = {0};

    (void)state;
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        uint8_t out = 0;

        assert_int_equal(escape_feed(&s, steps[i].in, &out), steps[i].action);
        if (steps[i].action == ESCAPE_SEND)
            assert_int_equal(out, steps[i].out);
    }
}

/* ---- Backends ------------------------------------------------------------------------- */

enum { LONG = 5000000 }; /* more than the ring: it goes round */

static void a_file_gets_every_byte_in_order(void **state)
{
    char spec[128], path[64];
    struct front *front = make_front();
    struct chardev *c;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/out", dir);
    snprintf(spec, sizeof spec, "file:%s", path);
    c = start(spec, front);
    for (unsigned i = 0; i < LONG; i++)
        if (!chardev_put(c, (uint8_t)(i % 251)))
            while (!chardev_has_room(c))
                usleep(100);
    chardev_close(c);
    f = fopen(path, "rb");
    for (unsigned i = 0; i < LONG; i++)
        if (fgetc(f) != (int)(i % 251))
            fail_msg("byte %u", i);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    unlink(path);
    free(front);
}

static void flush_waits_for_the_bytes(void **state)
{
    char spec[128], path[64], text[16] = "";
    struct front *front = make_front();
    struct chardev *c;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/out", dir);
    snprintf(spec, sizeof spec, "file:%s", path);
    c = start(spec, front);
    put_all(c, "prompt # ");
    chardev_flush(c);
    f = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, f));
    assert_string_equal(text, "prompt # ");
    fclose(f);
    chardev_close(c);
    unlink(path);
    free(front);
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(addr.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static void read_exactly(int fd, char *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = read(fd, to + got, n - got);

        assert_true(k > 0);
        got += (size_t)k;
    }
}

static void clients_come_and_go(void **state)
{
    char spec[128], path[64], text[8];
    struct front *front = make_front();
    struct chardev *c, *second;
    int fd;

    (void)state;
    alarm(20); /* for what hangs */
    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", path);
    c = start(spec, front);
    give_room(front, 1000);
    put_all(c, "to nobody");
    chardev_flush(c);
    for (unsigned round = 1; round <= 3; round++) {
        fd = connect_to(path);
        assert_int_equal(write(fd, "\1xhello", 7), 7); /* no escapes here */
        await(front, 7 * round);
        put_all(c, "hi");
        read_exactly(fd, text, 2);
        assert_memory_equal(text, "hi", 2);
        close(fd);
    }
    assert_memory_equal(front->data, "\1xhello\1xhello", 14);
    assert_int_equal(front->quits, 0);
    /* The address is in use; a second server must not steal it. */
    fd = connect_to(path);
    for (unsigned i = 0; i < 5; i++) { /* however many ask while somebody is connected */
        second = chardev_open("-serial", spec, &e);
        assert_null(second);
        assert_non_null(strstr(e.text, "in use"));
    }
    close(fd);
    alarm(0);
    chardev_close(c);
    assert_int_equal(access(path, F_OK), -1);
    free(front);
}

static long cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* While there is no descriptor for him nobody spins; he is served when there is one. */
static void a_client_waits_for_a_descriptor(void **state)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct front *front = make_front();
    struct rlimit old, none;
    struct chardev *c;
    char spec[128];
    long before;

    (void)state;
    alarm(20);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/sock", dir);
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", addr.sun_path);
    c = start(spec, front);
    give_room(front, 1000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){(rlim_t)dup(fd), old.rlim_max}; /* the next that would be free */
    close((int)none.rlim_cur);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    before = cpu_ms();
    usleep(300000);
    before = cpu_ms() - before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(before < 100);
    assert_int_equal(write(fd, "hello", 5), 5);
    await(front, 5);
    close(fd);
    alarm(0);
    chardev_close(c);
    free(front);
}

/* A machine that starts anew: its client stays, and what he typed meanwhile is the new one's. */
static void another_front(void **state)
{
    char spec[128], path[64], text[8];
    struct front *first = make_front(), *second = make_front();
    const struct chardev_front wants = {.receive = receive, .arg = second};
    struct chardev *c;
    int fd;

    (void)state;
    alarm(20); /* for what hangs */
    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", path);
    c = start(spec, first);
    fd = connect_to(path);
    give_room(first, 5);
    assert_int_equal(write(fd, "12345678", 8), 8); /* three find no room */
    await(first, 5);
    chardev_stop(c);
    assert_int_equal(write(fd, "9", 1), 1);
    put_all(c, "bye");
    give_room(second, 1000);
    assert_true(chardev_start(c, &wants, &e));
    await(second, 4);
    assert_memory_equal(second->data, "6789", 4);
    put_all(c, "hi");
    read_exactly(fd, text, 5);
    assert_memory_equal(text, "byehi", 5);
    alarm(0);
    close(fd);
    chardev_close(c);
    free(first);
    free(second);
}

/* Paste more than all rings hold while the front takes nothing: not a byte is lost. */
static void pasted_input_waits(void **state)
{
    enum { TOTAL = 200 * 1024 };
    char spec[128], path[64];
    struct front *front = make_front();
    struct chardev *c;
    uint8_t *data = malloc(TOTAL);
    size_t sent = 0;
    int fd;

    (void)state;
    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(spec, sizeof spec, "unix:%s,server=on,wait=off", path);
    c = start(spec, front);
    fd = connect_to(path);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < TOTAL; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    for (unsigned i = 0; sent < TOTAL && i < 20000; i++) {
        ssize_t n = write(fd, data + sent, TOTAL - sent);

        if (n > 0)
            sent += (size_t)n;
        give_room(front, 16);
        chardev_ready(c);
        if (n < 0)
            usleep(10);
    }
    assert_int_equal(sent, TOTAL);
    give_room(front, TOTAL);
    chardev_ready(c);
    await(front, TOTAL);
    assert_memory_equal(front->data, data, TOTAL);
    close(fd);
    chardev_close(c);
    free(data);
    free(front);
}

enum { SLOW_LEN = 960 << 10, SLOW_STEP = 80 << 10, PIPE_LEN = 64 << 10 };

struct slow_reader {
    char path[64];
    _Atomic size_t n_read;
};

/* Reads some twice a second: in all for longer than a far end that takes nothing is waited for. */
static void *read_slowly(void *arg)
{
    struct slow_reader *r = arg;
    char bytes[4096];
    int fd = open(r->path, O_RDONLY);
    ssize_t n;

    while ((n = read(fd, bytes, sizeof bytes)) > 0) {
        const size_t before = atomic_fetch_add(&r->n_read, (size_t)n);

        if (before / SLOW_STEP != (before + (size_t)n) / SLOW_STEP)
            usleep(500000);
    }
    close(fd);
    return NULL;
}

/* What is not read by then is in the pipe. */
static void who_reads_slowly_is_waited_for(void **state)
{
    struct front *front = make_front();
    struct slow_reader reader = {.n_read = 0};
    char spec[128];
    pthread_t thread;
    struct chardev *c;

    (void)state;
    alarm(60);
    snprintf(reader.path, sizeof reader.path, "%s/fifo", dir);
    snprintf(spec, sizeof spec, "file:%s", reader.path);
    assert_int_equal(mkfifo(reader.path, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    c = start(spec, front);
    for (unsigned i = 0; i < SLOW_LEN; i++)
        chardev_put(c, 'x');
    chardev_close(c);
    assert_in_range(reader.n_read, SLOW_LEN - PIPE_LEN, SLOW_LEN);
    pthread_join(thread, NULL);
    assert_int_equal(reader.n_read, SLOW_LEN);
    alarm(0);
    unlink(reader.path);
    free(front);
}

/* A pty that nobody reads must not stop the guest for ever. */
static void an_unread_pty_drops(void **state)
{
    struct front *front = make_front();
    int err_fd = dup(STDERR_FILENO), null_fd = open("/dev/null", O_WRONLY);
    struct chardev *c;

    (void)state;
    dup2(null_fd, STDERR_FILENO); /* it says its name */
    c = start("pty", front);
    dup2(err_fd, STDERR_FILENO);
    for (unsigned i = 0; i < 200000; i++)
        chardev_put(c, 'x');
    chardev_close(c);
    close(err_fd);
    close(null_fd);
    free(front);
}

/* A server's client that does not read, with bytes for him that fit nowhere. */
static struct chardev *start_unread(struct front *front, bool impatient, int *fd)
{
    char spec[128], path[64];
    const struct chardev_front wants = {.receive = receive, .arg = front, .impatient = impatient};
    struct chardev *c;

    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", path);
    c = chardev_open("--monitor", spec, &e);
    assert_true(c && chardev_start(c, &wants, &e));
    *fd = connect_to(path);
    give_room(front, 1);
    assert_int_equal(write(*fd, "x", 1), 1);
    await(front, 1);
    return c;
}

enum { MUCH = 4 << 20 }; /* more than the ring and a socket of the host's hold together */

/* Has it said that it is crowded? */
static bool put_much(struct chardev *c)
{
    bool crowded = false;

    for (unsigned i = 0; i < MUCH; i++)
        crowded |= !chardev_put(c, 'x');
    return crowded;
}

/* What he does not take is dropped after a while, and then there is room. */
static void who_is_impatient_waits_for_no_client(void **state)
{
    struct front *front = make_front();
    struct chardev *c;
    int fd;

    (void)state;
    alarm(20);
    c = start_unread(front, true, &fd);
    assert_true(put_much(c));
    while (!chardev_has_room(c))
        usleep(1000);
    alarm(0);
    chardev_close(c);
    close(fd);
    free(front);
}

/* Nobody who puts is kept, and he is told that he should wait: until that is for nothing. */
static void hurry_ends_the_waiting(void **state)
{
    struct front *front = make_front();
    struct chardev *c;
    int fd;

    (void)state;
    alarm(20);
    c = start_unread(front, false, &fd);
    assert_true(put_much(c));
    usleep(50000);
    assert_false(chardev_has_room(c));
    chardev_hurry(c);
    assert_true(chardev_has_room(c));
    alarm(0);
    close(fd);
    chardev_close(c);
    free(front);
}

/* Echoes much of each byte. */
static size_t receive_loudly(void *arg, const uint8_t *data, size_t n)
{
    struct chardev **c = arg;

    (void)data;
    put_much(*c);
    __atomic_store_n(c, NULL, __ATOMIC_SEQ_CST);
    return n;
}

static void the_reader_waits_for_no_client(void **state)
{
    char spec[128], path[64];
    struct chardev *c, *echoing;
    const struct chardev_front wants = {.receive = receive_loudly, .arg = &echoing};
    int fd;

    (void)state;
    alarm(20); /* for what hangs */
    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", path);
    echoing = c = chardev_open("-serial", spec, &e);
    assert_true(c && chardev_start(c, &wants, &e));
    fd = connect_to(path);
    assert_int_equal(write(fd, "x", 1), 1);
    while (__atomic_load_n(&echoing, __ATOMIC_SEQ_CST))
        usleep(1000);
    chardev_stop(c);
    alarm(0);
    close(fd);
    chardev_close(c);
}

static void bad_names(void **state)
{
    static const char *const specs[] = {"",
                                        "tty",
                                        "stdiox",
                                        "file:",
                                        "file:/nonexistent/x",
                                        "unix:",
                                        "unix:/nonexistent/x",
                                        "unix:/tmp/x,client",
                                        "unix:/nonexistent/x,server",
                                        "nullx"};

    (void)state;
    for (unsigned i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        assert_null(chardev_open("-serial", specs[i], &e));
        assert_non_null(strstr(e.text, "-serial"));
    }
}

/* ---- The terminal ------------------------------------------------------------------------- */

/* A child on a terminal of its own; it reports 'r' when the line is open. */
static pid_t child_on_terminal(int *master, void (*then)(struct chardev *c, struct front *f))
{
    pid_t pid = forkpty(master, NULL, NULL, NULL);
    struct front *f;
    struct chardev *c;

    if (pid != 0)
        return pid;
    signal(SIGSEGV, SIG_DFL); /* cmocka has handlers of its own */
    f = make_front();
    f->room = 2; /* less than is typed: Ctrl-A must be heard all the same */
    c = start("stdio", f);
    chardev_put(c, 'r');
    then(c, f);
    chardev_close(c);
    _exit(f->quits ? 42 : 1);
}

static void wait_for_quit(struct chardev *c, struct front *f)
{
    (void)c;
    for (unsigned i = 0; i < 10000 && f->quits == 0; i++)
        usleep(1000);
}

/* When the parent has seen the terminal raw, which it says by Ctrl-A x. */
static void crash(struct chardev *c, struct front *f)
{
    wait_for_quit(c, f);
    raise(SIGSEGV);
}

static void leave_by_exit(struct chardev *c, struct front *f)
{
    wait_for_quit(c, f);
    exit(7);
}

static bool is_raw(int master)
{
    struct termios t;

    assert_int_equal(tcgetattr(master, &t), 0); /* the slave's, on Linux */
    return !(t.c_lflag & (ICANON | ECHO | ISIG));
}

static void await_ready(int master)
{
    char c;

    do
        read_exactly(master, &c, 1);
    while (c != 'r');
    assert_true(is_raw(master));
}

static int status_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void ctrl_a_x_ends_and_gives_the_terminal_back(void **state)
{
    int master, status;
    pid_t pid = child_on_terminal(&master, wait_for_quit);

    (void)state;
    await_ready(master);
    assert_int_equal(write(master, "\3ls\1x", 5), 5); /* Ctrl-C is the guest's */
    status = status_of(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    assert_false(is_raw(master));
    close(master);
}

static void signals_give_the_terminal_back(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

    (void)state;
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        int master, status;
        pid_t pid = child_on_terminal(&master, wait_for_quit);

        await_ready(master);
        kill(pid, signals[i]);
        status = status_of(pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        assert_false(is_raw(master));
        close(master);
    }
}

static void crash_and_exit_give_the_terminal_back(void **state)
{
    int master, status;
    pid_t pid = child_on_terminal(&master, crash);

    (void)state;
    await_ready(master);
    assert_int_equal(write(master, "\1x", 2), 2);
    status = status_of(pid);
#ifndef __SANITIZE_ADDRESS__ /* which has a handler of its own */
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_false(is_raw(master));
#endif
    close(master);
    pid = child_on_terminal(&master, leave_by_exit);
    await_ready(master);
    assert_int_equal(write(master, "\1x", 2), 2);
    status = status_of(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_false(is_raw(master));
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(a_file_gets_every_byte_in_order),
        cmocka_unit_test(flush_waits_for_the_bytes),
        cmocka_unit_test(who_reads_slowly_is_waited_for),
        cmocka_unit_test(clients_come_and_go),
        cmocka_unit_test(a_client_waits_for_a_descriptor),
        cmocka_unit_test(another_front),
        cmocka_unit_test(pasted_input_waits),
        cmocka_unit_test(an_unread_pty_drops),
        cmocka_unit_test(who_is_impatient_waits_for_no_client),
        cmocka_unit_test(hurry_ends_the_waiting),
        cmocka_unit_test(the_reader_waits_for_no_client),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(ctrl_a_x_ends_and_gives_the_terminal_back),
        cmocka_unit_test(signals_give_the_terminal_back),
        cmocka_unit_test(crash_and_exit_give_the_terminal_back),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
