/* SPDX-License-Identifier: Apache-2.0 */
#include "api/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "api/cursor.h"
#include "api/models.h"
#include "base/identifier.h"
#include "http/auth.h"

bool endpoint_model(char name[static STORE_MODEL_MAX + 1], struct app *app,
                    const struct request *request, struct reply *reply)
{
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, reply);
    if (entry != NULL) {
        strncpy(name, entry->name, STORE_MODEL_MAX);
        name[STORE_MODEL_MAX] = '\0';
    }
    registry_release(app->registry, catalog);
    return entry != NULL;
}

bool endpoint_id(char id[static STORE_ID_MAX + 1], size_t parameter, const char *what,
                 const struct request *request, struct reply *reply)
{
    struct http_text text = request->parameters[parameter];
    if (!identifier_valid(text.data, text.length, STORE_ID_MAX)) {
        int shown = (int)(text.length < STORE_ID_MAX ? text.length : STORE_ID_MAX);
        reply_problem(request, reply, 404, "there is no %s \"%.*s\"", what, shown,
                      text.data);
        return false;
    }
    memcpy(id, text.data, text.length);
    id[text.length] = '\0';
    return true;
}

bool endpoint_has_store(const struct app *app, const struct request *request,
                        struct reply *reply)
{
    if (app->store == NULL) {
        reply_problem(request, reply, 503, "the store of labels is not open");
        reply->retry_after = ENDPOINT_RETRY_AFTER;
    }
    return app->store != NULL;
}

bool endpoint_has_learner(const struct app *app, const struct request *request,
                          struct reply *reply)
{
    if (app->learner == NULL) {
        reply_problem(request, reply, 503, "the retraining worker does not run");
        reply->retry_after = ENDPOINT_RETRY_AFTER;
    }
    return app->learner != NULL;
}

static unsigned status_of(enum deepsad_status status)
{
    switch (status) {
    case DEEPSAD_NOT_FOUND:
        return 404;
    case DEEPSAD_INVALID:
    case DEEPSAD_CORRUPT:
    case DEEPSAD_UNSUPPORTED:
        return 422;
    case DEEPSAD_IO:
        return 503;
    case DEEPSAD_OK:
    case DEEPSAD_NO_MEMORY:
    case DEEPSAD_CANCELLED:
    default:
        return 500;
    }
}

void endpoint_fail(const struct request *request, struct reply *reply,
                   const struct deepsad_error *error)
{
    unsigned status = status_of(error->status);
    reply_problem(request, reply, status, "%s", error->message);
    reply->retry_after = status == 503 ? ENDPOINT_RETRY_AFTER : 0;
}

bool endpoint_limit(size_t *limit, const struct app *app, const struct query *query,
                    const struct request *request, struct reply *reply)
{
    size_t max = atomic_load(&app->max_page);
    if (*limit > max) {
        *limit = max;
    }
    return query_count(limit, query, "limit", max, request, reply);
}

bool endpoint_cursor(char key[static STORE_ID_MAX + 1], const struct query *query,
                     const char *list, const struct request *request, struct reply *reply)
{
    const char *text = query_text(query, "cursor");
    key[0] = '\0';
    if (text != NULL && !cursor_read(key, list, text)) {
        reply_problem(request, reply, 422,
                      "parameter cursor: \"%.80s\" is not the next_cursor of an answer "
                      "to this list",
                      text);
        return false;
    }
    return true;
}

bool endpoint_text(const char **out, const struct app *app, const struct query *query,
                   const char *name, const struct request *request, struct reply *reply)
{
    const char *text = query_text(query, name);
    size_t max = atomic_load(&app->max_label_text);
    if (text != NULL && (text[0] == '\0' || strlen(text) > max)) {
        reply_problem(request, reply, 422, "parameter %s has %zu bytes, not 1 to %zu",
                      name, strlen(text), max);
        return false;
    }
    *out = text;
    return true;
}

bool endpoint_list(char model[static STORE_MODEL_MAX + 1], struct query *query,
                   const char *const *names, struct app *app,
                   const struct request *request, struct reply *reply)
{
    return endpoint_model(model, app, request, reply) &&
           endpoint_has_store(app, request, reply) &&
           query_read(query, request, names, reply);
}

bool endpoint_analyst(const char **analyst, const char *model,
                      const struct request *request, struct reply *reply,
                      const char *pointer)
{
    char detail[2 * TOKEN_NAME_MAX + 128];
    const char *name = auth_name(request);
    if (name == NULL || (*analyst != NULL && auth_allows(request, ROLE_ADMIN, model))) {
        return true;
    }
    if (*analyst == NULL || strcmp(*analyst, name) == 0) {
        *analyst = name;
        return true;
    }
    snprintf(detail, sizeof detail,
             "analyst \"%.128s\": the token is %s's; to act in the name of others takes "
             "role admin",
             *analyst, name);
    reply_problem_at(request, reply, 403, detail, pointer);
    return false;
}
