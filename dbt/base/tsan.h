/* What ThreadSanitizer cannot see and must be told: it knows our C and libc, not the code that we
 * emit. In other builds all of this is nothing. */
#pragma once

#include <signal.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>

#define NOT_SANITIZED __attribute__((no_sanitize("thread")))

static inline void tsan_release(const void *p)
{
    __tsan_release((void *)(uintptr_t)p);
}

static inline void tsan_acquire(const void *p)
{
    __tsan_acquire((void *)(uintptr_t)p);
}

/* glibc's own, under the name that the sanitizer does not put itself in front of. */
int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

static inline int sigaction_at_once(int number, const struct sigaction *action)
{
    return __sigaction(number, action, NULL);
}
#else

/* A function whose accesses are not looked at: those of the guest's own races, and of handlers that
 * sigaction_at_once() installs. */
#define NOT_SANITIZED

/* All that comes before a release is before what comes after the acquire of the same p, by means
 * that the sanitizer cannot see: say at the call by which. */
static inline void tsan_release(const void *p)
{
    (void)p;
}

static inline void tsan_acquire(const void *p)
{
    (void)p;
}

/* sigaction() for signals that come to a hart while translated code runs. The sanitizer keeps them
 * back until the thread next calls libc, which a hart that loops in the guest never does. The
 * handler is NOT_SANITIZED, and so is all that it calls. */
static inline int sigaction_at_once(int number, const struct sigaction *action)
{
    return sigaction(number, action, NULL);
}
#endif
