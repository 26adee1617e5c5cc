/* Our own mistakes: CHECK in every build, DCHECK in debug and sanitizer builds.
 * A guest or a user can never be the cause; see err.h for those. */
#pragma once

#include <stdnoreturn.h>

#define EXIT_BUG 70 /* the exit status of a failed CHECK */

noreturn void check_failed(const char *what, const char *file, int line);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))
#ifdef DBT_DEBUG
#define DCHECK(x) CHECK(x)
#else
#define DCHECK(x) ((void)sizeof(x))
#endif

#define MUST_CHECK __attribute__((warn_unused_result))
