/* Threads that do a host side's work, off the hart's thread: jobs go in, and come back done, in any
 * order. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "dbt/base/err.h"

enum { POOL_MAX_THREADS = 4 };

/* Embedded as the first member in whatever the job is; the pool's until pool_done() returns it. */
struct pool_job {
    struct pool_job *next;
};

struct pool_list {
    struct pool_job *first, **last;
};

struct pool {
    void (*run)(void *arg, struct pool_job *job); /* on a thread of the pool's */
    void *arg;
    bool synchronous;

    pthread_mutex_t lock; /* all below; nothing is called under it */
    pthread_cond_t work;  /* queued is not empty, or closing */
    pthread_cond_t idle;  /* n_open is 0 */
    void (*done)(void *arg);
    void *done_arg;
    struct pool_list queued, finished;
    unsigned n_open;   /* submitted and not finished */
    unsigned n_queued; /* of them in queued */
    unsigned n_threads, n_waiting;
    bool closing;
    pthread_t thread[POOL_MAX_THREADS];
};

/* ---- The main thread --------------------------------------------------------------------- */

/* One thread is started at once, so that there is always one; more when there is work for them.
 * synchronous: a job is done when pool_submit() returns. */
bool pool_init(struct pool *p, void (*run)(void *arg, struct pool_job *job), void *arg,
               bool synchronous, struct err *e) MUST_CHECK;

/* Waits for what is in progress. Jobs that are done and were not taken are forgotten. */
void pool_fini(struct pool *p);

/* ---- Any one thread at a time ---------------------------------------------------------------- */

/* `done` is called, on any thread, when pool_done() has something new. */
void pool_on_done(struct pool *p, void (*done)(void *arg), void *arg);

void pool_submit(struct pool *p, struct pool_job *job);

/* The jobs that are done since the last call, linked, oldest first; NULL: none. */
struct pool_job *pool_done(struct pool *p);

/* Returns when no job is in progress: pool_done() has them all. */
void pool_wait(struct pool *p);
