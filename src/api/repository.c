/* SPDX-License-Identifier: Apache-2.0 */
#include "api/repository.h"

#include <string.h>

#include "api/app.h"
#include "api/audit.h"
#include "api/body.h"
#include "api/values.h"
#include "base/log.h"
#include "http/auth.h"
#include "model/version.h"

/* ---- The body ---------------------------------------------------------------------- */

/* The body's object, an empty one where there is none; NULL: the reply is the problem. */
static json_t *read_object(const struct request *request, struct reply *reply)
{
    if (body_is_empty(request)) {
        return json_object();
    }
    json_t *body = body_parse(request, reply);
    if (body != NULL && !json_is_object(body)) {
        reply_problem_at(request, reply, 400, "the body: expected an object", "#");
        json_decref(body);
        return NULL;
    }
    return body;
}

/* Members of `object` that are not among `names` (NULL-terminated). */
static bool check_members(const json_t *object, const char *const *names,
                          const char *pointer, const struct request *request,
                          struct reply *reply)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], name) != 0) {
            i++;
        }
        if (names[i] == NULL) {
            char detail[160];
            snprintf(detail, sizeof detail, "\"%.64s\" is not known here%s", name,
                     strcmp(name, "config") == 0
                         ? ": a model's settings are in its model.yaml"
                         : "");
            reply_problem_at(request, reply, 400, detail, pointer);
            return false;
        }
    }
    return true;
}

/* Of load and unload: {"parameters": {...}}, of which only `allowed` may be there. */
static bool check_parameters(const char *const *allowed, const struct request *request,
                             struct reply *reply)
{
    static const char *const names[] = {"parameters", NULL};
    json_t *body = read_object(request, reply);
    if (body == NULL) {
        return false;
    }
    const json_t *parameters = json_object_get(body, "parameters");
    bool fine = check_members(body, names, "#", request, reply);
    if (fine && parameters != NULL && !json_is_object(parameters)) {
        reply_problem_at(request, reply, 400, "parameters: expected an object",
                         "#/parameters");
        fine = false;
    }
    fine = fine && (parameters == NULL ||
                    check_members(parameters, allowed, "#/parameters", request, reply));
    json_decref(body);
    return fine;
}

/* ---- Index ------------------------------------------------------------------------- */

static const char *reason_of(const struct catalog_entry *entry, unsigned number)
{
    if (entry->unloaded) {
        return "unloaded";
    }
    if (entry->version_count == 0 || entry->available[0] == number) {
        return entry->fault == NULL ? "not loaded" : entry->fault;
    }
    return "not among the versions that are kept in memory (models.versions_loaded)";
}

static void list_versions(json_t *list, const struct catalog_entry *entry,
                          bool only_ready)
{
    for (size_t i = 0; i < entry->available_count; i++) {
        unsigned number = entry->available[i];
        bool ready = catalog_version(entry, number) != NULL;
        if (ready || !only_ready) {
            json_array_append_new(list,
                                  json_pack("{ss so ss ss}", "name", entry->name,
                                            "version", value_version(number), "state",
                                            ready ? "READY" : "UNAVAILABLE", "reason",
                                            ready ? "" : reason_of(entry, number)));
        }
    }
    if (entry->available_count == 0 && !only_ready) {
        json_array_append_new(
            list,
            json_pack("{ss ss ss}", "name", entry->name, "state", "UNAVAILABLE", "reason",
                      entry->fault == NULL ? "no version is there" : entry->fault));
    }
}

/* {"ready": true}: false where there is none. */
static bool read_ready(bool *ready, const struct request *request, struct reply *reply)
{
    static const char *const names[] = {"ready", "repository_name", NULL};
    json_t *body = read_object(request, reply);
    if (body == NULL) {
        return false;
    }
    const json_t *value = json_object_get(body, "ready");
    bool fine = check_members(body, names, "#", request, reply);
    if (fine && value != NULL && !json_is_boolean(value)) {
        reply_problem_at(request, reply, 400, "ready: expected true or false", "#/ready");
        fine = false;
    }
    *ready = json_is_true(value);
    json_decref(body);
    return fine;
}

void handle_repository_index(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    bool ready;
    if (!read_ready(&ready, request, reply)) {
        return;
    }
    const struct catalog *catalog = registry_acquire(app->registry);
    json_t *list = json_array();
    for (size_t i = 0; i < catalog->count; i++) {
        if (auth_allows(request, ROLE_ANY, catalog->entries[i].name)) {
            list_versions(list, &catalog->entries[i], ready);
        }
    }
    registry_release(app->registry, catalog);
    reply_json(request, reply, 200, list);
}

/* ---- Load and unload --------------------------------------------------------------- */

static bool read_model(char name[static STORE_MODEL_MAX + 1], const struct app *app,
                       const struct request *request, struct reply *reply)
{
    struct http_text text = request->parameters[0];
    if (!atomic_load(&app->model_control)) {
        reply_problem(request, reply, 403,
                      "loading and unloading are switched off (models.control: none)");
        return false;
    }
    size_t length = text.length < STORE_MODEL_MAX ? text.length : STORE_MODEL_MAX;
    memcpy(name, text.data, length);
    name[length] = '\0';
    if (text.length > STORE_MODEL_MAX || !version_name_valid(name)) {
        reply_problem(request, reply, 404, "there is no model \"%s\"", name);
        return false;
    }
    return true;
}

static void finish(struct app *app, const struct request *request, struct reply *reply,
                   const char *what, const char *name, int status,
                   const struct deepsad_error *error)
{
    bool good = status == DEEPSAD_OK;
    if (good) {
        audit_event(app->audit, request, what, LOG_TEXT("model", name));
    }
    log_event(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "model control by request",
              LOG_TEXT("what", what), LOG_TEXT("model", name),
              LOG_TEXT("request_id", request->id),
              LOG_TEXT("outcome", good ? "done" : error->message));
    if (good) {
        reply->status = 200;
        reply->content_type = "application/json";
        return;
    }
    reply_problem(request, reply,
                  status == DEEPSAD_NOT_FOUND   ? 404
                  : status == DEEPSAD_NO_MEMORY ? 500
                                                : 400,
                  "%s", error->message);
}

void handle_repository_load(void *closure, struct request *request, struct reply *reply)
{
    static const char *const allowed[] = {NULL};
    struct app *app = closure;
    char name[STORE_MODEL_MAX + 1];
    struct deepsad_error error = {0};
    if (read_model(name, app, request, reply) &&
        check_parameters(allowed, request, reply)) {
        int status = registry_load(app->registry, name, &error);
        finish(app, request, reply, "model.load", name, status, &error);
    }
}

void handle_repository_unload(void *closure, struct request *request, struct reply *reply)
{
    static const char *const allowed[] = {"unload_dependents", NULL};
    struct app *app = closure;
    char name[STORE_MODEL_MAX + 1];
    struct deepsad_error error = {0};
    if (read_model(name, app, request, reply) &&
        check_parameters(allowed, request, reply)) {
        int status = registry_unload(app->registry, name, &error);
        finish(app, request, reply, "model.unload", name, status, &error);
    }
}
