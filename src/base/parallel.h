/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include <stddef.h>

/* Cores this process may run on, at least 1. */
size_t parallel_cores(void);

/* Calls task(closure, i) for i in 0..count-1 on at most `threads` threads, the caller's
 * among them, and returns when all are done. Which thread runs which i is not fixed:
 * tasks must not depend on it. Runs with fewer threads where the system gives no more. */
void parallel_for(size_t count, size_t threads, void (*task)(void *closure, size_t i),
                  void *closure);

#endif
