/* SPDX-License-Identifier: Apache-2.0 */
#include "api/samples.h"

#include "api/endpoint.h"
#include "api/label_view.h"
#include "api/models.h"
#include "api/values.h"
#include "base/json.h"

/* By name where the sample has the form of the model's live version, else an array. */
static json_t *show_features(struct app *app, const struct request *request,
                             const struct store_samples *samples)
{
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_entry *entry = models_find(catalog, request, NULL);
    const struct catalog_version *live = entry == NULL ? NULL : catalog_version(entry, 0);
    bool fits = live != NULL && deepsad_model_features(live->model) == samples->features;
    json_t *features = fits ? value_features(live->model, samples->x)
                            : value_row(samples->x, samples->features);
    registry_release(app->registry, catalog);
    return features;
}

static bool in_conflict(const struct store_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->labels[i].in_force && labels->labels[i].conflict) {
            return true;
        }
    }
    return false;
}

static void show(struct app *app, const char *model, const struct store_samples *samples,
                 const struct request *request, struct reply *reply)
{
    const struct store_sample *sample = &samples->samples[0];
    struct store_label_filter filter = {.sample_id = sample->id};
    struct store_labels labels = {.count = 0};
    struct deepsad_error error = {0};
    if (store_labels_list(app->store, &labels, model, &filter, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    reply_json(request, reply, 200,
               json_pack("{ss ss so so so so so sb so}", "model", model, "sample_id",
                         sample->id, "scored_at", json_time(sample->scored_at_ms),
                         "version", value_version(sample->version), "score",
                         value_float(sample->score), "p_value",
                         value_float(sample->p_value), "features",
                         show_features(app, request, samples), "conflict",
                         in_conflict(&labels), "labels", label_view_list(&labels)));
    store_labels_done(&labels);
}

void handle_sample(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1], id[STORE_ID_MAX + 1];
    struct store_samples samples = {.count = 0};
    struct deepsad_error error = {0};
    if (!endpoint_model(model, app, request, reply) || !query_none(request, reply) ||
        !endpoint_has_store(app, request, reply) ||
        !endpoint_id(id, 1, "sample", request, reply)) {
        return;
    }
    if (store_sample_get(app->store, &samples, model, id, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    show(app, model, &samples, request, reply);
    store_samples_done(&samples);
}
