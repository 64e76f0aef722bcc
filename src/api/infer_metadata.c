/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer_metadata.h"

#include "api/app.h"
#include "api/infer_grammar.h"
#include "api/models.h"
#include "api/values.h"

void handle_server_metadata(void *closure, struct request *request, struct reply *reply)
{
    (void)closure;
    reply_json(request, reply, 200,
               json_pack("{ss ss s[sss]}", "name", "deepsadd", "version", DEEPSAD_VERSION,
                         "extensions", "binary_tensor_data", "model_repository",
                         "statistics"));
}

/* -1: any number of rows. */
static json_t *describe_tensor(const char *name, json_t *shape)
{
    return json_pack("{ss ss so}", "name", name, "datatype", "FP32", "shape", shape);
}

static json_t *list_versions(const struct catalog_entry *entry)
{
    json_t *versions = json_array();
    for (size_t i = 0; i < entry->version_count; i++) {
        json_array_append_new(versions, value_version(entry->versions[i].number));
    }
    return versions;
}

static json_t *describe_model(const struct catalog_entry *entry,
                              const struct catalog_version *version)
{
    json_int_t features = (json_int_t)deepsad_model_features(version->model);
    return json_pack(
        "{ss so ss s[o] s[oo]}", "name", entry->name, "versions", list_versions(entry),
        "platform", "deepsad", "inputs",
        describe_tensor(INFER_INPUT, json_pack("[iI]", -1, features)), "outputs",
        describe_tensor(infer_output_names[INFER_SCORE], json_pack("[i]", -1)),
        describe_tensor(infer_output_names[INFER_P_VALUE], json_pack("[i]", -1)));
}

void handle_model_metadata(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry;
    const struct catalog_version *version =
        models_find_version(catalog, request, reply, &entry);
    if (version != NULL) {
        reply_json(request, reply, 200, describe_model(entry, version));
    }
    registry_release(app->registry, catalog);
}

void handle_model_ready(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry;
    const struct catalog_version *version =
        models_find_version(catalog, request, reply, &entry);
    if (version != NULL) {
        reply_json(request, reply, 200,
                   json_pack("{ss sb}", "name", entry->name, "ready", 1));
    } else if (reply->status == 503) {
        entry = models_find(catalog, request, NULL);
        reply->retry_after = 0;
        reply_problem(request, reply, 400, "model %s is not ready: %s", entry->name,
                      entry->fault == NULL ? "no version of it is there" : entry->fault);
    }
    registry_release(app->registry, catalog);
}
