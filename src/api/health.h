/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v2/health/live: the process answers. GET /v2/health/ready: it has loaded its
 * models, at least one of them can score, and it is not shutting down. A store that
 * cannot be written is told in the answer and does not change its status: scoring goes
 * on.
 */
#ifndef API_HEALTH_H
#define API_HEALTH_H

#include "http/router.h"

void handle_live(void *app, struct request *request, struct reply *reply);
void handle_ready(void *closure, struct request *request, struct reply *reply);

#endif
