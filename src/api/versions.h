/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/models/{model}/versions[/{version}]: lineage. POST .../versions/{version}/
 * activate makes any version live, which is also how a promotion is undone; POST
 * /v1/models/{model}/release lets the gate promote again.
 */
#ifndef API_VERSIONS_H
#define API_VERSIONS_H

#include "http/router.h"

void handle_versions(void *closure, struct request *request, struct reply *reply);
void handle_version(void *closure, struct request *request, struct reply *reply);
void handle_activate(void *closure, struct request *request, struct reply *reply);
void handle_release(void *closure, struct request *request, struct reply *reply);

#endif
