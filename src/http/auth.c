/* SPDX-License-Identifier: Apache-2.0 */
#include "http/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum { MODEL_NAME_MAX = 64 };

/* A request without any token: it is told how to show one. */
static const char no_token[] = "no token";

struct auth {
    pthread_mutex_t mutex;
    struct tokens *tokens;
};

struct auth *auth_new(void)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth != NULL) {
        pthread_mutex_init(&auth->mutex, NULL);
    }
    return auth;
}

void auth_free(struct auth *auth)
{
    if (auth != NULL) {
        tokens_unref(auth->tokens);
        pthread_mutex_destroy(&auth->mutex);
        free(auth);
    }
}

void auth_set(struct auth *auth, struct tokens *tokens)
{
    pthread_mutex_lock(&auth->mutex);
    struct tokens *old = auth->tokens;
    auth->tokens = tokens;
    pthread_mutex_unlock(&auth->mutex);
    tokens_unref(old);
}

static struct tokens *acquire(struct auth *auth)
{
    pthread_mutex_lock(&auth->mutex);
    struct tokens *tokens = auth->tokens == NULL ? NULL : tokens_ref(auth->tokens);
    pthread_mutex_unlock(&auth->mutex);
    return tokens;
}

/* What follows "Bearer "; false: the field is something else. */
static bool read_bearer(struct http_text *out, struct http_text field)
{
    static const char scheme[] = "Bearer ";
    size_t skipped = sizeof scheme - 1;
    if (field.length < skipped || strncasecmp(field.data, scheme, skipped) != 0) {
        return false;
    }
    while (skipped < field.length && field.data[skipped] == ' ') {
        skipped++;
    }
    *out = (struct http_text){field.data + skipped, field.length - skipped};
    return true;
}

void auth_begin(struct auth *auth, struct request *request, const struct head *head)
{
    struct http_text text;
    request->tokens = acquire(auth);
    if (request->tokens == NULL) {
        return;
    }
    if (head->authorizations == 0) {
        request->refusal = no_token;
        return;
    }
    if (!read_bearer(&text, head->authorization)) {
        request->refusal = "not a bearer token";
        return;
    }
    switch (tokens_find(&request->token, request->tokens, text.data, text.length,
                        clock_realtime_ms())) {
    case TOKENS_VALID:
        break;
    case TOKENS_UNKNOWN:
        request->refusal = "unknown or revoked token";
        break;
    case TOKENS_EXPIRED:
        request->refusal = "expired token";
        break;
    }
}

void auth_end(struct request *request)
{
    tokens_unref(request->tokens);
    request->tokens = NULL;
    request->token = NULL;
}

static bool refuse(struct request *request, struct reply *reply)
{
    bool none = request->refusal == no_token;
    reply_problem(request, reply, 401,
                  none ? "a token is needed: Authorization: Bearer TOKEN"
                       : "the token is refused: %s",
                  request->refusal);
    reply->authenticate = none ? "Bearer realm=\"deepsad\""
                               : "Bearer realm=\"deepsad\", error=\"invalid_token\"";
    return false;
}

/* The model that the path names, "" where it names none. */
static void copy_model(char model[static MODEL_NAME_MAX + 1], const struct route *route,
                       const struct request *request)
{
    struct http_text text = request->parameters[0];
    bool named = strstr(route->pattern, "/{model}") != NULL;
    size_t length = !named                         ? 0
                    : text.length < MODEL_NAME_MAX ? text.length
                                                   : MODEL_NAME_MAX;
    memcpy(model, length == 0 ? "" : text.data, length);
    model[length] = '\0';
}

bool auth_check(struct request *request, const struct route *route, struct reply *reply)
{
    char model[MODEL_NAME_MAX + 1];
    if (route->roles == 0 || request->tokens == NULL) {
        return true;
    }
    if (request->token == NULL) {
        return refuse(request, reply);
    }
    copy_model(model, route, request);
    if (token_allows(request->token, route->roles, model[0] == '\0' ? NULL : model)) {
        return true;
    }
    request->refusal = "role";
    reply_problem(request, reply, 403, "token %s of %s has no role for this%s%s",
                  request->token->id, request->token->name,
                  model[0] == '\0' ? "" : " with model ", model);
    reply->authenticate = "Bearer realm=\"deepsad\", error=\"insufficient_scope\"";
    return false;
}

bool auth_allows(const struct request *request, unsigned roles, const char *model)
{
    return request->tokens == NULL ||
           (request->token != NULL && token_allows(request->token, roles, model));
}

const char *auth_name(const struct request *request)
{
    return request->token == NULL ? NULL : request->token->name;
}
