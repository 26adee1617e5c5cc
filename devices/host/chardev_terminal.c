#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "devices/host/chardev.h"
#include "devices/host/chardev_private.h"

/* The one terminal of the process and its modes. Global because signal handlers
 * and atexit() have no other way to it; written before `active` is set and only
 * read then. One of the mutable globals that README.md names. */
static struct {
    int fd;
    struct termios saved, raw;
    _Atomic int active;
    _Atomic int wake_fd; /* told of changes of the size; -1: nobody */
} terminal = {.wake_fd = -1};

/* From a background job tcsetattr() would stop us: SIGTTOU is blocked around it.
 * All of it is async-signal-safe. */
static void set_modes(const struct termios *modes)
{
    int keep_errno = errno;
    sigset_t block, old;

    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &block, &old);
    while (tcsetattr(terminal.fd, TCSANOW, modes) != 0 && errno == EINTR)
        continue;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = keep_errno;
}

void chardev_restore_terminal(void)
{
    if (atomic_exchange(&terminal.active, 0) != 0)
        set_modes(&terminal.saved);
}

void chardev_release_terminal(void)
{
    atomic_store(&terminal.wake_fd, -1);
    chardev_restore_terminal();
}

/* The handler is installed with SA_RESETHAND, so the second delivery is the
 * default: the process dies of the signal that it was sent. */
static void die(int signum)
{
    chardev_restore_terminal();
    raise(signum);
}

/* Stopped from outside (kill -TSTP): the shell gets its terminal back until SIGCONT. */
static void on_stop(int signum)
{
    (void)signum;
    if (atomic_load(&terminal.active) != 0)
        set_modes(&terminal.saved);
    raise(SIGSTOP);
}

/* Stopped and continued: the shell has set its own modes meanwhile. In the
 * background they are not ours to change. */
static void on_continue(int signum)
{
    (void)signum;
    if (atomic_load(&terminal.active) != 0 && tcgetpgrp(terminal.fd) == getpgrp())
        set_modes(&terminal.raw);
}

static void on_resize(int signum)
{
    const uint64_t one = 1;
    int keep_errno = errno, fd = atomic_load(&terminal.wake_fd);
    ssize_t n = fd < 0 ? 0 : write(fd, &one, sizeof one);

    (void)signum, (void)n;
    errno = keep_errno;
}

/* A signal that the parent made us ignore (nohup) stays ignored, and one that
 * somebody handles already stays his. */
static void handle(int signum, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

    sigemptyset(&action.sa_mask);
    if (sigaction(signum, NULL, &old) != 0 || (old.sa_flags & SA_SIGINFO) ||
        old.sa_handler != SIG_DFL)
        return;
    sigaction(signum, &action, NULL);
}

void chardev_raw_terminal(int fd, int wake_fd)
{
    static const int deadly[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT,
                                 SIGSEGV, SIGBUS,  SIGILL, SIGFPE,  SIGXCPU, SIGALRM};

    handle(SIGWINCH, on_resize, SA_RESTART);
    atomic_store(&terminal.wake_fd, wake_fd);
    if (atomic_load(&terminal.active) != 0 || tcgetattr(fd, &terminal.saved) != 0)
        return;
    terminal.fd = fd;
    terminal.raw = terminal.saved;
    /* Output processing stays: a bare-metal guest may write plain newlines, and so
     * do our own messages. */
    terminal.raw.c_iflag &=
        ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    terminal.raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    terminal.raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    terminal.raw.c_cflag |= CS8;
    terminal.raw.c_cc[VMIN] = 1;
    terminal.raw.c_cc[VTIME] = 0;
    atomic_store(&terminal.active, 1);
    atexit(chardev_restore_terminal);
    for (unsigned i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        handle(deadly[i], die, SA_RESETHAND | SA_NODEFER);
    handle(SIGTSTP, on_stop, SA_RESTART);
    handle(SIGCONT, on_continue, SA_RESTART);
    if (tcgetpgrp(fd) == getpgrp())
        set_modes(&terminal.raw);
}
