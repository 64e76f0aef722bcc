/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deepsadd --health: asks the daemon that runs with the same configuration whether it is
 * live, for a container's health check, which then needs no shell and no HTTP client.
 */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "daemon/config.h"

/* By the listener for health and metrics, or where there is none by the one for clients,
 * which then must not have TLS (DEEPSAD_INVALID). An error says why it is not live. */
int probe_health(const struct config *config, struct deepsad_error *error);

#endif
