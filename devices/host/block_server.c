/* qemu-nbd as a child of ours. It gets its socket ready-made, as from systemd (LISTEN_FDS): we
 * listen, connect, and take the socket's name away again before it runs. So there is nothing to
 * wait for, nobody else can connect, and a kill -9 leaves nothing behind. It ends when its last
 * client is gone, and is told to when we are (PR_SET_PDEATHSIG): also while it still opens the
 * image. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/host/block_private.h"
#include "devices/host/pool.h"

enum { LISTEN_FD = 3, NUMBER_ROOM = 24, PATH_ROOM = 4096 };

/* ---- Before it runs -------------------------------------------------------------------------- */

static bool is_program(const char *folder, size_t len, const char *name, char *path)
{
    int n = snprintf(path, PATH_ROOM, "%.*s/%s", (int)len, folder, name);

    return len > 0 && n > 0 && n < PATH_ROOM && access(path, X_OK) == 0;
}

static bool find_program(const char *name, char *path)
{
    const char *folders = getenv("PATH");

    for (const char *at = folders ? folders : "/usr/bin"; *at;) {
        size_t len = strcspn(at, ":");

        if (is_program(at, len, name, path))
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

/* A socket that listens, in a folder that is ours alone, with n connections to it. The folder is
 * gone again afterwards. Returns the socket, or -1. */
static int listen_and_connect(int *fd, unsigned n)
{
    const char *tmp = getenv("TMPDIR");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char folder[sizeof name.sun_path - 8];
    int listener = -1, made = 0;
    bool ok;

    /* The name of a socket is short; /tmp always is. */
    if (!tmp || strlen(tmp) > sizeof folder - sizeof "/dbt-XXXXXX")
        tmp = "/tmp";
    snprintf(folder, sizeof folder, "%s/dbt-XXXXXX", tmp);
    if (!mkdtemp(folder)) /* of mode 0700 */
        return -1;
    snprintf(name.sun_path, sizeof name.sun_path, "%s/nbd", folder);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ok = listener >= 0 && bind(listener, (const struct sockaddr *)&name, sizeof name) == 0 &&
         listen(listener, (int)n) == 0;
    for (; ok && made < (int)n; made += ok) {
        fd[made] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ok = fd[made] >= 0 && connect(fd[made], (const struct sockaddr *)&name, sizeof name) == 0;
        if (!ok && fd[made] >= 0)
            close(fd[made]);
    }
    int error = errno;

    unlink(name.sun_path);
    rmdir(folder);
    if (ok)
        return listener;
    while (made > 0)
        close(fd[--made]);
    if (listener >= 0)
        close(listener);
    errno = error;
    return -1;
}

/* The environment, with what systemd's protocol says, and room for the child's number. */
static char **make_environment(char *listen_pid)
{
    size_t n = 0, out = 0;
    char **env;

    while (environ[n])
        n++;
    env = calloc(n + 3, sizeof *env);
    CHECK(env && "memory for the environment");
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "LISTEN_", 7) != 0)
            env[out++] = environ[i];
    env[out++] = "LISTEN_FDS=1";
    env[out] = listen_pid;
    return env;
}

/* ---- The child: between fork and exec only what a signal handler may call ---------------------
 */

static void write_number(char *at, unsigned long number)
{
    char digits[NUMBER_ROOM];
    unsigned n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n > 0)
        *at++ = digits[--n];
    *at = '\0';
}

/* Ctrl-C at the terminal is for us: it is taken out of our process group, so that it can end
 * cleanly. */
_Noreturn static void become_server(const char *program, char *const *argv, char **env,
                                    char *listen_pid, int listener, int said, pid_t parent)
{
    int null = open("/dev/null", O_RDWR);
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || null < 0)
        _exit(1); /* We were too late: the parent was gone already. */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    /* All of them lie above the standard ones (main.c), and `listener` may be 3 itself. */
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    if (listener == LISTEN_FD)
        fcntl(listener, F_SETFD, 0);
    else
        dup2(listener, LISTEN_FD);
    write_number(listen_pid + strlen(listen_pid), (unsigned long)getpid());
    execve(program, argv, env);
    _exit(1);
}

/* ---- Life ---------------------------------------------------------------------------------- */

bool block_server_start(struct block_server *s, const char *path, const char *format, bool writable,
                        int *fd, unsigned n, struct err *e)
{
    char program[PATH_ROOM], image[PATH_ROOM + 2], f[32], shared[NUMBER_ROOM + 16];
    char listen_pid[16 + NUMBER_ROOM] = "LISTEN_PID=";
    char *argv[] = {"qemu-nbd", f,   shared, "--discard=unmap", writable ? image : "--read-only",
                    image,      NULL};
    int said[2], listener;
    pid_t parent = getpid();
    char **env;

    if (writable)
        argv[5] = NULL;
    /* A name like fat:x would be something else to it than a file. */
    snprintf(image, sizeof image, "%s%s", path[0] == '/' ? "" : "./", path);
    snprintf(f, sizeof f, "--format=%s", format);
    snprintf(shared, sizeof shared, "--shared=%u", n);
    if (!find_program("qemu-nbd", program))
        return err_set(e,
                       "%s: format %s needs qemu-nbd; install the package qemu-utils "
                       "(scripts/deps.sh formats)",
                       path, format);
    listener = listen_and_connect(fd, n);
    if (listener < 0)
        return err_set(e, "%s: no socket for qemu-nbd: %s; TMPDIR names another folder for it",
                       path, strerror(errno));
    /* It must never wait for us to read what it says. */
    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0) {
        err_set(e, "%s: no pipe for qemu-nbd: %s", path, strerror(errno));
        goto fail;
    }
    env = make_environment(listen_pid);
    *s = (struct block_server){.pid = fork(), .said = said[0]};
    if (s->pid == 0)
        become_server(program, argv, env, listen_pid, listener, said[1], parent);
    free(env);
    close(said[1]);
    if (s->pid > 0) {
        close(listener);
        return true;
    }
    err_set(e, "%s: cannot start qemu-nbd: %s", path, strerror(errno));
    close(said[0]);

fail:
    close(listener);
    for (unsigned i = 0; i < n; i++)
        close(fd[i]);
    return false;
}

/* The first line of what it said: what follows that is advice about QEMU. */
static void first_line(int said, char *text, size_t room)
{
    ssize_t n = read(said, text, room - 1);

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

void block_server_end(struct block_server *s, char *text, size_t room)
{
    int status = 0;
    pid_t got;

    kill(s->pid, SIGTERM); /* of no effect on one that has ended: we have not waited for it */
    do
        got = waitpid(s->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    first_line(s->said, text, room);
    close(s->said);
    if (text[0] != '\0' || got < 0)
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM)
        snprintf(text, room, "it was killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, room, "it has ended");
}
