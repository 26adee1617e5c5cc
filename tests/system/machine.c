#define _GNU_SOURCE /* asprintf */
#include "tests/system/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dbt/base/check.h"

enum { MAX_ARGS = 64 };

struct args {
    const char *v[MAX_ARGS];
    unsigned n;
};

static void add(struct args *a, const char *word)
{
    CHECK(a->n + 1 < MAX_ARGS);
    a->v[a->n++] = word;
}

/* In the child: the words stay allocated until it becomes another program. */
static void add_words(struct args *a, const char *words)
{
    for (char *w = strtok(strdup(words), " "); w; w = strtok(NULL, " "))
        add(a, w);
}

static void make_args(struct args *a, const struct sys_machine *m, const char *image)
{
    char *seconds;

    CHECK(asprintf(&seconds, "%u", m->seconds) > 0);
    add(a, "timeout");
    add(a, seconds);
    add(a, m->program);
    if (strcmp(m->kind, "qemu") == 0) {
        /* Of one instruction each, blocks see a store into the code and a changed entry at once, as
         * ours do. */
        add_words(a, "-singlestep -M virt -m 64M -bios none -display none -monitor none");
        add_words(a, "-serial stdio -cpu");
        add(a, "rv64,svnapot=on,h=off,zbc=off"); /* SYS_QEMU_CPU of ours */
        add(a, "-kernel");
    } else {
        add_words(a, "-m 64M --firmware none -serial stdio --tier 1 --engine");
        add(a, m->kind);
        add(a, "--cpu");
        add(a, m->cpu);
        if (strcmp(m->kind, "check") == 0)
            add_words(a, "--time virtual");
        if (m->options)
            add_words(a, m->options);
        if (m->max_insns) {
            char *n;

            CHECK(asprintf(&n, "%u", m->max_insns) > 0);
            add(a, "--max-insns");
            add(a, n);
        }
    }
    add(a, image);
    a->v[a->n] = NULL;
}

int sys_machine_start(const struct sys_machine *m, const char *image, const char *path)
{
    int pid = fork();

    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct args a = {.n = 0};

    prctl(PR_SET_PDEATHSIG, SIGTERM); /* timeout hands it on */
    if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    make_args(&a, m, image);
    execvp(a.v[0], (char **)(uintptr_t)a.v);
    _exit(127);
}

static void split(struct sys_output *out)
{
    size_t room = 1;

    for (const char *p = out->text; *p; p++)
        room += *p == '\n';
    out->line = calloc(room, sizeof(out->line[0]));
    CHECK(out->line);
    for (char *p = out->text; *p;) {
        char *end = strchr(p, '\n');

        if (!end)
            break;
        *end = 0;
        /* What else there is is a machine's last words. */
        if ((unsigned char)p[0] > 127 || strchr("PHRTGNS", *p))
            out->line[out->n++] = p;
        else
            out->last_words = p;
        p = end + 1;
    }
}

bool sys_machine_wait(int pid, const char *path, struct sys_output *out, struct err *e)
{
    int status;
    FILE *f;
    long len;

    *out = (struct sys_output){.n = 0};
    if (waitpid(pid, &status, 0) != pid)
        return err_set(e, "a machine was lost: %s", strerror(errno));
    out->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0) {
        err_set(e, "%s: cannot be read: %s", path, strerror(errno));
        goto close;
    }
    rewind(f);
    out->text = calloc(1, (size_t)len + 1);
    CHECK(out->text);
    /* A NUL that a machine printed would hide the rest. */
    len = (long)fread(out->text, 1, (size_t)len, f);
    for (long i = 0; i < len; i++)
        if (out->text[i] == 0)
            out->text[i] = '?';
    fclose(f);
    split(out);
    return true;

close:
    if (f)
        fclose(f);
    return false;
}

void sys_output_free(struct sys_output *out)
{
    free(out->text);
    free(out->line);
    *out = (struct sys_output){.n = 0};
}
