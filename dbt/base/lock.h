/* Mutexes that are held for a microsecond or less. */
#pragma once

#include <pthread.h>

/* Who finds the mutex taken spins before it sleeps: to sleep and to be woken costs ten times what
 * the holder has left to do. For what harts take many thousand times a second; elsewhere
 * pthread_mutex_init() does. Needs _GNU_SOURCE. */
static inline void lock_init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(mutex, &attr);
    pthread_mutexattr_destroy(&attr);
}
