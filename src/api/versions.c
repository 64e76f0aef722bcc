/* SPDX-License-Identifier: Apache-2.0 */
#include "api/versions.h"

#include <stdlib.h>

#include "api/audit.h"
#include "api/endpoint.h"
#include "api/models.h"
#include "api/options.h"
#include "api/values.h"
#include "base/json.h"

/* ---- Showing ----------------------------------------------------------------------- */

/* What the learner wrote when it made the version; null of one that came otherwise. */
static json_t *show_record(const struct app *app, const char *model, unsigned number)
{
    struct store_version record = {.detail = NULL};
    if (app->store == NULL ||
        store_version_get(app->store, &record, model, number, NULL) != DEEPSAD_OK) {
        return json_null();
    }
    json_t *shown =
        json_pack("{so so so}", "parent", value_version(record.parent), "job",
                  value_id(record.job), "created_at", json_time(record.created_at_ms));
    json_t *detail = record.detail == NULL ? NULL : json_read(record.detail);
    if (json_is_object(detail)) {
        json_object_update_missing(shown, detail);
    }
    json_decref(detail);
    free(record.detail);
    return shown;
}

static bool is_challenger(const struct catalog_entry *entry, unsigned number)
{
    for (size_t i = 0; i < entry->available_count; i++) {
        if (entry->available[i] == number) {
            return entry->challenger[i];
        }
    }
    return false;
}

static json_t *show_version(const struct app *app, const struct catalog_entry *entry,
                            unsigned number)
{
    const struct catalog_version *version = catalog_version(entry, number);
    bool live = version != NULL && version == catalog_version(entry, 0);
    const char *state = live ? "live" : version == NULL ? "stored" : "loaded";
    return json_pack("{so ss sb so so}", "version", value_version(number), "state", state,
                     "challenger", !live && is_challenger(entry, number), "card",
                     version == NULL ? json_null() : models_card(version), "record",
                     show_record(app, entry->name, number));
}

static json_t *show_versions(const struct app *app, const struct catalog_entry *entry)
{
    json_t *versions = json_array();
    for (size_t i = 0; i < entry->available_count; i++) {
        json_array_append_new(versions, show_version(app, entry, entry->available[i]));
    }
    return json_pack("{ss so}", "model", entry->name, "versions", versions);
}

void handle_versions(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, reply);
    if (entry != NULL) {
        reply_json(request, reply, 200, show_versions(app, entry));
    }
    registry_release(app->registry, catalog);
}

void handle_version(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, reply);
    unsigned number = models_parse_version(request->parameters[1]);
    if (entry != NULL && number > 0 && models_has_version(entry, number)) {
        reply_json(request, reply, 200, show_version(app, entry, number));
    } else if (entry != NULL) {
        models_refuse_version(request, reply, entry, number);
    }
    registry_release(app->registry, catalog);
}

/* ---- Which one is live ------------------------------------------------------------- */

/* The number of the live version, 0 = none, and of the one that the path names. False:
 * the reply is the problem. */
static bool find_versions(unsigned *live, unsigned *named, struct app *app,
                          const struct request *request, struct reply *reply)
{
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, reply);
    unsigned number = models_parse_version(request->parameters[1]);
    bool found = entry != NULL && number > 0 && models_has_version(entry, number);
    if (found) {
        const struct catalog_version *version = catalog_version(entry, 0);
        *live = version == NULL ? 0 : version->number;
        *named = number;
    } else if (entry != NULL) {
        models_refuse_version(request, reply, entry, number);
    }
    registry_release(app->registry, catalog);
    return found;
}

static void activate(struct app *app, const char *model, const json_t *options,
                     const struct request *request, struct reply *reply)
{
    unsigned live, named;
    struct deepsad_error error = {0};
    if (!find_versions(&live, &named, app, request, reply)) {
        return;
    }
    const json_t *given = json_object_get(options, "hold");
    bool hold = given == NULL ? named < live : json_is_true(given);
    if (learner_activate(app->learner, model, named, hold, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    audit_event(app->audit, request, "version.activate", LOG_TEXT("model", model),
                LOG_INTEGER("version", named), LOG_INTEGER("previous", live),
                LOG_TEXT("hold", hold ? "yes" : "no"));
    reply_json(request, reply, 200,
               json_pack("{ss so so sb}", "model", model, "version", value_version(named),
                         "previous", value_version(live), "hold", hold));
}

void handle_activate(void *closure, struct request *request, struct reply *reply)
{
    static const struct option_member members[] = {{"hold", OPTION_BOOL}, {NULL, 0}};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1];
    json_t *options;
    if (endpoint_model(model, app, request, reply) && query_none(request, reply) &&
        endpoint_has_learner(app, request, reply) &&
        options_read(&options, app, members, request, reply)) {
        activate(app, model, options, request, reply);
        json_decref(options);
    }
}

void handle_release(void *closure, struct request *request, struct reply *reply)
{
    static const struct option_member members[] = {{NULL, 0}};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1];
    struct deepsad_error error = {0};
    json_t *options;
    if (!endpoint_model(model, app, request, reply) || !query_none(request, reply) ||
        !endpoint_has_learner(app, request, reply) ||
        !options_read(&options, app, members, request, reply)) {
        return;
    }
    json_decref(options);
    if (learner_release(app->learner, model, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    audit_event(app->audit, request, "version.release", LOG_TEXT("model", model));
    reply_json(request, reply, 200, json_pack("{ss sb}", "model", model, "hold", false));
}
