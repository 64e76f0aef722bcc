/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints on top of the store and the learner have in common. */
#ifndef API_ENDPOINT_H
#define API_ENDPOINT_H

#include "api/app.h"
#include "http/query.h"

enum { ENDPOINT_RETRY_AFTER = 5 /* seconds */, ENDPOINT_PAGE = 50 };

/* The model that the first parameter of the path names, in the current catalog. False:
 * the reply is the problem, 404. */
bool endpoint_model(char name[static STORE_MODEL_MAX + 1], struct app *app,
                    const struct request *request, struct reply *reply);

/* What a list of a model's needs: its name, the store, the query with no other names.
 * False: the reply is the problem; else query_done() it. */
bool endpoint_list(char model[static STORE_MODEL_MAX + 1], struct query *query,
                   const char *const *names, struct app *app,
                   const struct request *request, struct reply *reply);

/* A parameter of the path that is an identifier (of a sample, a label, a job). False: the
 * reply is the problem, 404, since nothing can have such a name. `what`: "sample". */
bool endpoint_id(char id[static STORE_ID_MAX + 1], size_t parameter, const char *what,
                 const struct request *request, struct reply *reply);

/* False: the reply is the problem, 503. */
bool endpoint_has_store(const struct app *app, const struct request *request,
                        struct reply *reply);
bool endpoint_has_learner(const struct app *app, const struct request *request,
                          struct reply *reply);

/* The problem for an error of the store, the learner, or scoring: 404 not found, 422
 * wrong, 503 with Retry-After where a disk does not do what it should, else 500. */
void endpoint_fail(const struct request *request, struct reply *reply,
                   const struct deepsad_error *error);

/* In whose name a request acts: *analyst is who the client says (NULL = it does not), and
 * becomes the name of its token where there is one. Only an admin of the model may act in
 * the name of others. False: the reply is the problem, 403, at `pointer` (may be NULL).
 */
bool endpoint_analyst(const char **analyst, const char *model,
                      const struct request *request, struct reply *reply,
                      const char *pointer);

/* `limit` of the query, at most limits.page. */
bool endpoint_limit(size_t *limit, const struct app *app, const struct query *query,
                    const struct request *request, struct reply *reply);

/* `cursor` of the query, "" where there is none. `list`: what it is of. False: the reply
 * is the problem, 422. */
bool endpoint_cursor(char key[static STORE_ID_MAX + 1], const struct query *query,
                     const char *list, const struct request *request,
                     struct reply *reply);

/* The text of a parameter that may not be empty; NULL = not given. */
bool endpoint_text(const char **out, const struct app *app, const struct query *query,
                   const char *name, const struct request *request, struct reply *reply);

#endif
