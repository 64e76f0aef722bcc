/* SPDX-License-Identifier: Apache-2.0 */
#include "api/models.h"

#include <string.h>

#include "api/learning_view.h"
#include "api/values.h"
#include "base/clock.h"
#include "base/json.h"
#include "http/auth.h"

enum { MODEL_NAME_MAX = 64, VERSION_DIGITS_MAX = 9 };

/* ---- Finding ----------------------------------------------------------------------- */

const struct catalog_entry *models_find(const struct catalog *catalog,
                                        const struct request *request,
                                        struct reply *reply)
{
    struct http_text text = request->parameters[0];
    char name[MODEL_NAME_MAX + 1];
    const struct catalog_entry *entry = NULL;
    if (text.length <= MODEL_NAME_MAX) {
        memcpy(name, text.data, text.length);
        name[text.length] = '\0';
        entry = catalog_find(catalog, name);
    }
    if (entry == NULL && reply != NULL) {
        int shown = (int)(text.length < 80 ? text.length : 80);
        reply_problem(request, reply, 404,
                      "there is no model \"%.*s\"; GET /v1/models lists them", shown,
                      text.data);
    }
    return entry;
}

unsigned models_parse_version(struct http_text text)
{
    unsigned number = 0;
    if (text.length == 0 || text.length > VERSION_DIGITS_MAX || text.data[0] == '0') {
        return 0;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
        number = number * 10 + (unsigned)(text.data[i] - '0');
    }
    return number;
}

bool models_has_version(const struct catalog_entry *entry, unsigned number)
{
    for (size_t i = 0; i < entry->available_count; i++) {
        if (entry->available[i] == number) {
            return true;
        }
    }
    return false;
}

void models_refuse_version(const struct request *request, struct reply *reply,
                           const struct catalog_entry *entry, unsigned number)
{
    struct http_text text = request->parameters[1];
    if (entry->unloaded) {
        reply_problem(request, reply, 404,
                      "model %s is unloaded; POST /v2/repository/models/%s/load loads it",
                      entry->name, entry->name);
    } else if (text.data == NULL) {
        reply_problem(request, reply, 503, "model %s has no version that loads: %s",
                      entry->name, entry->fault == NULL ? "none is there" : entry->fault);
        reply->retry_after = 5;
    } else if (models_has_version(entry, number)) {
        reply_problem(
            request, reply, 404,
            "version %u of model %s is not loaded (models.versions_loaded, or it "
            "is damaged)",
            number, entry->name);
    } else {
        int shown = (int)(text.length < 20 ? text.length : 20);
        reply_problem(
            request, reply, 404,
            "model %s has no version \"%.*s\"; GET /v1/models/%s/versions lists "
            "them",
            entry->name, shown, text.data, entry->name);
    }
}

const struct catalog_version *models_find_version(const struct catalog *catalog,
                                                  const struct request *request,
                                                  struct reply *reply,
                                                  const struct catalog_entry **entry)
{
    const struct catalog_entry *found = models_find(catalog, request, reply);
    if (found == NULL) {
        return NULL;
    }
    bool live = request->parameters[1].data == NULL;
    unsigned number = live ? 0 : models_parse_version(request->parameters[1]);
    const struct catalog_version *version =
        live || number > 0 ? catalog_version(found, number) : NULL;
    if (version == NULL) {
        models_refuse_version(request, reply, found, number);
        return NULL;
    }
    *entry = found;
    return version;
}

/* ---- Showing ----------------------------------------------------------------------- */

static const char *state_of(const struct catalog_entry *entry)
{
    if (entry->version_count == 0) {
        return entry->unloaded ? "unloaded" : "failed";
    }
    return entry->fault == NULL ? "live" : "degraded";
}

static json_t *describe_entry(const struct catalog_entry *entry)
{
    bool live = entry->version_count > 0;
    char loaded_at[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(loaded_at, entry->loaded_at_ms);
    json_t *features =
        live ? json_integer((json_int_t)deepsad_model_features(entry->versions[0].model))
             : json_null();
    return json_pack(
        "{ss ss so so so so so ss}", "name", entry->name, "state", state_of(entry),
        "fault", value_text(entry->fault), "version",
        live ? value_version(entry->versions[0].number) : json_null(), "features",
        features, "alpha", value_number(entry->alpha), "threshold",
        live && entry->reachable ? value_float(entry->threshold) : json_null(),
        "loaded_at", loaded_at);
}

static json_t *feature_names(const struct deepsad_model *model)
{
    json_t *names = json_array();
    for (size_t i = 0; i < deepsad_model_features(model); i++) {
        const char *name = deepsad_model_feature_name(model, i);
        if (json_array_append_new(names, json_string(name)) != 0) {
            json_decref(names);
            return NULL;
        }
    }
    return names;
}

json_t *models_card(const struct catalog_version *version)
{
    json_t *card = version->card == NULL ? NULL : json_read(version->card);
    return card == NULL ? json_null() : card;
}

void handle_models(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    json_t *models = json_array();
    for (size_t i = 0; i < catalog->count; i++) {
        if (!auth_allows(request, ROLE_ANY, catalog->entries[i].name)) {
            continue;
        }
        json_t *model = describe_entry(&catalog->entries[i]);
        learning_view_add(model, app, &catalog->entries[i]);
        json_array_append_new(models, model);
    }
    registry_release(app->registry, catalog);
    reply_json(request, reply, 200,
               json_pack("{so so}", "models", models, "store", store_view(app)));
}

static json_t *describe_model(const struct catalog_entry *entry)
{
    json_t *model = describe_entry(entry);
    if (model != NULL && entry->version_count > 0) {
        const struct catalog_version *live = &entry->versions[0];
        double alpha_min = deepsad_model_alpha_min(live->model);
        json_object_set_new(model, "alpha_min", value_number(alpha_min));
        json_object_set_new(model, "feature_names", feature_names(live->model));
        json_object_set_new(model, "card", models_card(live));
    }
    return model;
}

void handle_model(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, reply);
    if (entry != NULL) {
        json_t *model = describe_model(entry);
        learning_view_add(model, app, entry);
        reply_json(request, reply, 200, model);
    }
    registry_release(app->registry, catalog);
}
