/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told by WATCHDOG=1: not that some thread runs, but that
 * rows can be scored. Each time a row goes through a live model as a request's would, and
 * no thread that serves requests may be stuck in one. A database that fails is no reason:
 * scoring goes on without it, and a new process would find the same disk.
 */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include <stdbool.h>

#include "api/app.h"

struct watchdog;

/* NULL: out of memory. */
struct watchdog *watchdog_new(void);
void watchdog_free(struct watchdog *watchdog);

/* Whether scoring works; if not, the log says why, once. */
bool watchdog_check(struct watchdog *watchdog, struct app *app);

#endif
