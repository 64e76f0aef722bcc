/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks: the bearer token of a request (RFC 6750) against the tokens there are, and
 * whether it has a role that the route takes, for the model that the path names.
 *
 * Lock: guards the pointer to the set; a leaf.
 */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include <stdbool.h>

#include "access/tokens.h"
#include "http/head.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/router.h"

struct auth;

/* NULL: out of memory. At first without tokens: nobody is asked. */
struct auth *auth_new(void);
void auth_free(struct auth *auth);

/* Takes over the reference; NULL: nobody is asked. At any time. */
void auth_set(struct auth *auth, struct tokens *tokens);

/* Finds the token of a request and keeps it there, with a reference that auth_end() gives
 * back. Where there is none that is good, request->refusal says why. */
void auth_begin(struct auth *auth, struct request *request, const struct head *head);
/* Whether the request may use the route. False: the reply is the problem, 401 or 403. */
bool auth_check(struct request *request, const struct route *route, struct reply *reply);
void auth_end(struct request *request);

/* For handlers, of requests that were let in: whether one of `roles` is the client's for
 * the model. True where nobody is asked. */
bool auth_allows(const struct request *request, unsigned roles, const char *model);
/* The name of the token; NULL where nobody is asked. */
const char *auth_name(const struct request *request);

#endif
