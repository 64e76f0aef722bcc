/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the daemon put together: start, reload, drain. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/config.h"

/* Serves until SIGTERM or SIGINT. Takes over `config`. */
int daemon_run(struct config *config, const struct config_sources *sources,
               struct deepsad_error *error);

/* Loads all models and reports those that do not load on stderr (--check). */
int daemon_check_models(const struct config *config, struct deepsad_error *error);

#endif
