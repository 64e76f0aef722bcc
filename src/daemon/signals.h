/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals become bits read by the main loop. Handlers, not a mask and sigwait: libraries
 * start threads before main() that inherit no mask, and a signal may be delivered to any
 * thread that does not block it.
 */
#ifndef DAEMON_SIGNALS_H
#define DAEMON_SIGNALS_H

#include "base/error.h"

enum { SIGNAL_STOP = 1, SIGNAL_RELOAD = 2 }; /* SIGTERM and SIGINT; SIGHUP */

int signals_init(struct deepsad_error *error);

/* Waits for signals or `timeout_ms` (-1 = for ever). Returns the bits of those that came
 * since the last call, 0 when the time is over. */
unsigned signals_wait(int timeout_ms);

#endif
