/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that systemd opened for the daemon (sd_listen_fds(3)) and passes on from one
 * process to the next, so that no connection is refused while it restarts. Which is which
 * say their names: FileDescriptorName=http, the one for clients, and =operations; a lone
 * socket without one of these names is the one for clients.
 */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

#include "base/error.h"

/* Descriptors, -1 where there is none. */
struct activation {
    int clients, operations;
};

/* Takes what the environment says over; not inherited by processes that we start. Sockets
 * that have no place here are DEEPSAD_INVALID. */
int activation_take(struct activation *out, struct deepsad_error *error);

#endif
