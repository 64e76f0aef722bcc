/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C while something is made that must not stay half-written: from stop_catch() on,
 * SIGINT and SIGTERM only raise a flag, which whoever works asks for; a second one ends
 * the program at once.
 */
#ifndef TOOL_STOP_H
#define TOOL_STOP_H

#include <stdbool.h>

void stop_catch(void);
bool stop_wanted(void);

#endif
