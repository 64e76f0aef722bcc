/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that stay: for work that comes in many short parts, thousands a second, where
 * starting threads each time (base/parallel.h) would cost more than it gains. They sleep
 * between the parts, inherit the scheduling policy of the thread that makes the crew, and
 * are the caller's alone: one caller at a time.
 */
#ifndef BASE_CREW_H
#define BASE_CREW_H

#include <stddef.h>

#include "base/error.h"

struct crew;

/* `threads` in all, the caller's among them: 1 starts none. Fewer where the system gives
 * no more. */
int crew_new(struct crew **out, size_t threads, struct deepsad_error *error);
void crew_free(struct crew *crew);
/* Threads in all, at least 1; of NULL 1. */
size_t crew_threads(const struct crew *crew);

/* Calls task(closure, i, thread) for i in 0..count-1 and returns when all are done;
 * `thread` (below crew_threads()) is who runs it, for scratch memory. Which thread runs
 * which i is not fixed: results must not depend on it. A crew of NULL is the caller
 * alone. */
void crew_run(struct crew *crew, size_t count,
              void (*task)(void *closure, size_t i, size_t thread), void *closure);

#endif
