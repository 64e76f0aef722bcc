/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told by WATCHDOG=1: not that some thread runs, but that
 * rows can be scored. Each time a row goes through a live model as a request's would, and
 * no thread that serves requests may be stuck in one. A database that fails is no reason:
 * scoring goes on without it, and a new process would find the same disk. Nor is a crowd:
 * nothing is asked through the listener, where a question could wait behind others.
 */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include <stdbool.h>

#include "api/app.h"

struct watchdog;

/* `stuck_after`: seconds that a thread may be busy with one step of a request. Scoring
 * the rows of a part of a body takes milliseconds; an answer that explains, seconds.
 * NULL: out of memory. */
struct watchdog *watchdog_new(double stuck_after);
void watchdog_free(struct watchdog *watchdog);

/* Whether scoring works; if not, the log says why, once. */
bool watchdog_check(struct watchdog *watchdog, struct app *app);

#endif
