/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One daemon a state directory: two would both retrain and both publish. A lock on a file
 * in it, which ends with the process however that ends. Tools that read the database or
 * import labels need no lock.
 */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include "base/error.h"

#define INSTANCE_FILE "deepsadd.lock"

/* *descriptor is to be closed at the end. DEEPSAD_INVALID where another daemon has it;
 * the message names its process. */
int instance_lock(int *descriptor, const char *directory, struct deepsad_error *error);

#endif
