/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work beside a server that must not feel it: in a thread of its own with the lowest
 * priority, which the threads that it starts inherit. A thread of that priority may be
 * left standing for long where all cores are busy, so it must not hold a lock that
 * scoring takes, too.
 */
#ifndef LEARN_QUIET_H
#define LEARN_QUIET_H

#include "base/error.h"

/* SCHED_IDLE: runs when nothing else wants to; SCHED_OTHER with nice 10; as the rest. */
enum quiet_priority { QUIET_IDLE, QUIET_NICE, QUIET_NORMAL };

/* Calls work(closure) in such a thread and waits for its end. */
int quiet_run(int priority, void (*work)(void *closure), void *closure,
              struct deepsad_error *error);

#endif
