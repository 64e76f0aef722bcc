/* SPDX-License-Identifier: Apache-2.0 */
#include "api/learning_view.h"

#include "api/values.h"
#include "base/json.h"

/* ---- Labels ------------------------------------------------------------------------ */

static json_t *show_counts(const struct store_counts *counts)
{
    return json_pack(
        "{sI sI sI sI sI}", "normal", (json_int_t)counts->normal, "anomalous",
        (json_int_t)counts->anomalous, "unsure", (json_int_t)counts->unsure, "conflicts",
        (json_int_t)counts->conflicts, "quarantined", (json_int_t)counts->quarantined);
}

static void add_counts(json_t *model, struct store *store, const char *name)
{
    struct store_counts counts;
    bool known = store_counts(store, &counts, name, NULL) == DEEPSAD_OK;
    json_object_set_new(model, "labels", known ? show_counts(&counts) : json_null());
    json_object_set_new(model, "samples",
                        known ? json_integer((json_int_t)counts.samples) : json_null());
}

/* ---- Retraining -------------------------------------------------------------------- */

static const char *mode_name(int mode)
{
    return mode == POLICY_AUTO ? "auto" : mode == POLICY_MANUAL ? "manual" : "never";
}

static const char *capture_name(int capture)
{
    return capture == POLICY_CAPTURE_ALL    ? "all"
           : capture == POLICY_CAPTURE_NONE ? "none"
                                            : "requested";
}

/* What would start the next one, in words. */
static json_t *show_trigger(const struct learner_status *status, bool by_itself)
{
    if (!status->can_retrain) {
        return json_null();
    }
    if (status->queued || status->running) {
        return json_string(status->running ? "one is running" : "one is queued");
    }
    if (!by_itself) {
        return json_string("only by hand: POST retrain");
    }
    size_t missing =
        status->min_labels > status->changes ? status->min_labels - status->changes : 0;
    return json_sprintf("%zu more change%s of labels%s", missing, missing == 1 ? "" : "s",
                        status->next_at_ms == 0 ? "" : ", or the interval");
}

static json_t *show_last(const struct learner_status *status)
{
    if (status->last_job[0] == '\0') {
        return json_null();
    }
    return json_pack("{ss so}", "job", status->last_job, "finished_at",
                     json_time(status->last_finished_at_ms));
}

static json_t *show_retraining(const struct learner_status *status, bool by_itself)
{
    bool busy = status->queued || status->running;
    return json_pack(
        "{sb so so so so so so}", "can_retrain", status->can_retrain, "obstacle",
        value_id(status->obstacle), "state",
        busy ? json_string(status->running ? "running" : "queued") : json_null(), "job",
        status->running ? value_id(status->progress.job) : json_null(), "labels",
        json_pack("{sI sI}", "changes", (json_int_t)status->changes, "trigger",
                  (json_int_t)status->min_labels),
        "last", show_last(status), "next",
        json_pack("{so so}", "at", json_time(status->next_at_ms), "trigger",
                  show_trigger(status, by_itself)));
}

static void add_status(json_t *model, struct learner *learner, const char *name,
                       bool by_itself)
{
    struct learner_status status;
    bool known = learner_status(learner, &status, name, NULL) == DEEPSAD_OK;
    json_object_set_new(model, "hold", known ? json_boolean(status.hold) : json_null());
    json_object_set_new(model, "retraining",
                        known ? show_retraining(&status, by_itself) : json_null());
}

static json_t *show_policy(const struct policy *policy)
{
    return json_pack("{ss ss}", "retraining", mode_name(policy->retraining.mode),
                     "capture", capture_name(policy->capture));
}

void learning_view_add(json_t *model, const struct app *app,
                       const struct catalog_entry *entry)
{
    if (model == NULL) {
        return;
    }
    json_object_set_new(model, "policy", show_policy(&entry->policy));
    if (app->store != NULL) {
        add_counts(model, app->store, entry->name);
    }
    if (app->learner != NULL) {
        add_status(model, app->learner, entry->name,
                   entry->policy.retraining.mode != POLICY_NEVER);
    }
}

/* ---- The store --------------------------------------------------------------------- */

json_t *store_view(const struct app *app)
{
    struct deepsad_error error = {0};
    if (app->store == NULL) {
        return json_null();
    }
    bool writable = store_health(app->store, &error) == DEEPSAD_OK;
    return json_pack("{sb so}", "writable", writable, "reason",
                     writable ? json_null() : value_text(error.message));
}
