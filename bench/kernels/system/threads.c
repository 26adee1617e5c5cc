/* Two threads on one processor that take turns by a mutex and conditions. */
#define _GNU_SOURCE
#include <pthread.h>

#include "bench.h"
#include "one_cpu.h"

enum { ROUNDS = 30000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static uint64_t turn, sum;

static void play(uint64_t self)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        while (turn != self)
            pthread_cond_wait(&changed[self], &lock);
        sum = bench_mix(sum, self);
        turn = !self;
        pthread_cond_signal(&changed[turn]);
        pthread_mutex_unlock(&lock);
    }
}

static void *play_second(void *unused)
{
    play(1);
    return unused;
}

int main(void)
{
    pthread_t second;

    one_cpu();
    if (pthread_create(&second, NULL, play_second, NULL))
        return 1;
    play(0);
    pthread_join(second, NULL);
    return bench_done("threads", sum);
}
