/* Threads that do a host side's work. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "devices/host/pool.h"

enum { LIMIT_S = 10 };

/* Jobs that wait for each other: each is done when all have begun. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t came;
    unsigned n, wanted;
    bool late;
};

static void meet(void *arg, struct pool_job *job)
{
    struct meeting *m = arg;
    struct timespec until;

    (void)job;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LIMIT_S;
    pthread_mutex_lock(&m->lock);
    m->n++;
    pthread_cond_broadcast(&m->came);
    while (m->n < m->wanted && !m->late)
        m->late = pthread_cond_timedwait(&m->came, &m->lock, &until) != 0;
    pthread_mutex_unlock(&m->lock);
}

static unsigned n_waiting(struct pool *p)
{
    unsigned n;

    pthread_mutex_lock(&p->lock);
    n = p->n_waiting;
    pthread_mutex_unlock(&p->lock);
    return n;
}

/* Jobs that come at once while one thread waits: a thread that was waked for a job and does not run
 * yet is not there for the next one. */
static void a_slow_job_holds_up_no_other(void **state)
{
    (void)state;
    for (unsigned n = 2; n <= POOL_MAX_THREADS; n++) {
        struct meeting m = {
            .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER, .wanted = n};
        struct pool_job job[POOL_MAX_THREADS];
        struct pool pool;
        struct err e;

        assert_true(pool_init(&pool, meet, &m, false, &e));
        while (n_waiting(&pool) == 0)
            sched_yield();
        for (unsigned i = 0; i < n; i++)
            pool_submit(&pool, &job[i]);
        pool_wait(&pool);
        assert_false(m.late);
        assert_int_equal(pool.n_threads, n);
        pool_fini(&pool);
    }
}

/* Done jobs come back in a row, each once. */
static void done_jobs_come_back(void **state)
{
    struct meeting m = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER, .wanted = 1};
    struct pool_job job[50];
    struct pool pool;
    struct err e;
    unsigned n = 0;

    (void)state;
    assert_true(pool_init(&pool, meet, &m, false, &e));
    for (unsigned i = 0; i < 50; i++)
        pool_submit(&pool, &job[i]);
    pool_wait(&pool);
    for (const struct pool_job *j = pool_done(&pool); j; j = j->next)
        n++;
    assert_int_equal(n, 50);
    assert_null(pool_done(&pool));
    assert_true(pool.n_threads <= POOL_MAX_THREADS);
    pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_job_holds_up_no_other),
        cmocka_unit_test(done_jobs_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
