/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models[/{model}[/versions[/{version}]]] and how a request names a model. */
#ifndef API_MODELS_H
#define API_MODELS_H

#include "api/app.h"
#include "http/router.h"

/* The version that the request's parameters name: {model} and, where the pattern has it,
 * {version}; else the live one. NULL: the reply is the problem. */
const struct catalog_version *models_find_version(const struct catalog *catalog,
                                                  const struct request *request,
                                                  struct reply *reply,
                                                  const struct catalog_entry **entry);

void handle_models(void *closure, struct request *request, struct reply *reply);
void handle_model(void *closure, struct request *request, struct reply *reply);
void handle_versions(void *closure, struct request *request, struct reply *reply);
void handle_version(void *closure, struct request *request, struct reply *reply);

#endif
