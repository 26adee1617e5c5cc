#define _GNU_SOURCE
#include "devices/host/pool.h"

#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

static void list_init(struct pool_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void append(struct pool_list *l, struct pool_job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct pool_job *take_first(struct pool_list *l)
{
    struct pool_job *job = l->first;

    l->first = job->next;
    if (!l->first)
        l->last = &l->first;
    return job;
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* `done` is called before idle is told: who waits for idle may then take `done` away. */
static void finish(struct pool *p, struct pool_job *job)
{
    void (*done)(void *arg);
    void *done_arg;

    pthread_mutex_lock(&p->lock);
    append(&p->finished, job);
    done = p->done;
    done_arg = p->done_arg;
    pthread_mutex_unlock(&p->lock);
    if (done)
        done(done_arg);
    pthread_mutex_lock(&p->lock);
    if (--p->n_open == 0)
        pthread_cond_broadcast(&p->idle);
    pthread_mutex_unlock(&p->lock);
}

/* The next job, or NULL when there will be none. */
static struct pool_job *next_job(struct pool *p)
{
    struct pool_job *job = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->queued.first && !p->closing) {
        p->n_waiting++;
        pthread_cond_wait(&p->work, &p->lock);
        p->n_waiting--;
    }
    if (p->queued.first) {
        job = take_first(&p->queued);
        p->n_queued--;
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

/* Whoever asks for a file to be made gives all of its mode: the process's umask is not for these
 * threads, which therefore have one of their own. */
static void *work(void *arg)
{
    struct pool *p = arg;

    if (unshare(CLONE_FS) == 0)
        umask(0);
    for (struct pool_job *job = next_job(p); job; job = next_job(p)) {
        p->run(p->arg, job);
        finish(p, job);
    }
    return NULL;
}

/* Signals are for the others: a file too large must be an error here, not the end (SIGXFSZ). */
static int add_thread(struct pool *p)
{
    sigset_t all, old;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&p->thread[p->n_threads], NULL, work, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    p->n_threads += error == 0;
    return error;
}

/* ---- Jobs -------------------------------------------------------------------------------------
 */

void pool_submit(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    p->n_open++;
    p->n_queued++;
    append(&p->queued, job);
    /* One that was waked for an earlier job may be waiting still. */
    if (p->n_waiting < p->n_queued && p->n_threads < POOL_MAX_THREADS && !p->synchronous)
        add_thread(p); /* If it cannot be had, those that are there come to it. */
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (p->synchronous)
        pool_wait(p);
}

struct pool_job *pool_done(struct pool *p)
{
    struct pool_job *first;

    pthread_mutex_lock(&p->lock);
    first = p->finished.first;
    list_init(&p->finished);
    pthread_mutex_unlock(&p->lock);
    return first;
}

void pool_wait(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->n_open > 0)
        pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void pool_on_done(struct pool *p, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&p->lock);
    p->done = done;
    p->done_arg = arg;
    pthread_mutex_unlock(&p->lock);
}

/* ---- Life ----------------------------------------------------------------------------------- */

bool pool_init(struct pool *p, void (*run)(void *arg, struct pool_job *job), void *arg,
               bool synchronous, struct err *e)
{
    int error;

    *p = (struct pool){.run = run, .arg = arg, .synchronous = synchronous};
    list_init(&p->queued);
    list_init(&p->finished);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    error = add_thread(p);
    if (error == 0)
        return true;
    pool_fini(p);
    return err_set(e, "cannot start a thread: %s", strerror(error));
}

void pool_fini(struct pool *p)
{
    pool_wait(p);
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->idle);
    pthread_mutex_destroy(&p->lock);
}
