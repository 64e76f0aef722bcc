/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models[/{model}] and how a request names a model and a version of it. */
#ifndef API_MODELS_H
#define API_MODELS_H

#include "api/app.h"
#include "http/router.h"

/* The entry that the request's first parameter, {model}, names. NULL: the reply is the
 * problem, 404; `reply` may be NULL. */
const struct catalog_entry *models_find(const struct catalog *catalog,
                                        const struct request *request,
                                        struct reply *reply);

/* A version's number in decimal without leading zeros; 0 when it is something else. */
unsigned models_parse_version(struct http_text text);

/* Whether there is such a version, loaded or not. */
bool models_has_version(const struct catalog_entry *entry, unsigned number);

/* The problem of a {version} that cannot be used: 404, or 503 where the live one is
 * meant. */
void models_refuse_version(const struct request *request, struct reply *reply,
                           const struct catalog_entry *entry, unsigned number);

/* The version that the request's parameters name: {model} and, where the pattern has it,
 * {version}; else the live one. NULL: the reply is the problem. */
const struct catalog_version *models_find_version(const struct catalog *catalog,
                                                  const struct request *request,
                                                  struct reply *reply,
                                                  const struct catalog_entry **entry);

/* The card of a loaded version, parsed. */
json_t *models_card(const struct catalog_version *version);

void handle_models(void *closure, struct request *request, struct reply *reply);
void handle_model(void *closure, struct request *request, struct reply *reply);

#endif
