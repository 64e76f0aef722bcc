/* SPDX-License-Identifier: Apache-2.0 */
#include "api/review_page.h"

#include <math.h>
#include <stdlib.h>

#include "api/endpoint.h"
#include "api/label_view.h"
#include "api/models.h"
#include "api/values.h"
#include "base/json.h"

enum { REVIEW_LIMIT = 20, EXPLAINED_MAX = 10 /* features of a row */ };

/* What all rows of an answer are shown with. */
struct page {
    struct app *app;
    struct worker *worker;
    const struct catalog_entry *entry;
    const struct catalog_version *version;
    size_t features;
    float *contributions; /* (features) */
    bool *shown;          /* (features): has been listed */
    struct review_list list;
};

/* ---- Explanation ------------------------------------------------------------------- */

/* The one of the largest size that was not shown yet; SIZE_MAX: none, or only zeros. */
static size_t next_feature(struct page *page)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < page->features; i++) {
        bool larger = best == SIZE_MAX ? page->contributions[i] != 0.0F
                                       : fabsf(page->contributions[i]) >
                                             fabsf(page->contributions[best]);
        if (!page->shown[i] && larger) {
            best = i;
        }
    }
    return best;
}

static json_t *show_explanation(struct page *page, const float *x)
{
    json_t *list = json_array();
    for (size_t i = 0; i < page->features; i++) {
        page->shown[i] = false;
    }
    for (size_t k = 0; k < EXPLAINED_MAX; k++) {
        size_t i = next_feature(page);
        if (i == SIZE_MAX) {
            break;
        }
        page->shown[i] = true;
        json_array_append_new(
            list, json_pack("{ss so so}", "feature",
                            deepsad_model_feature_name(page->version->model, i), "value",
                            value_float(x[i]), "contribution",
                            value_float(page->contributions[i])));
    }
    return list;
}

/* ---- Rows -------------------------------------------------------------------------- */

/* Of samples that come back because of their labels. */
static bool has_labels(enum review_why reason)
{
    return reason == REVIEW_WHY_QUARANTINE || reason == REVIEW_WHY_CONFLICT ||
           reason == REVIEW_WHY_DISAGREES;
}

static int read_labels(json_t **out, struct page *page, const struct review_row *row,
                       struct deepsad_error *error)
{
    struct store_labels labels = {.count = 0};
    struct store_label_filter filter = {.sample_id = row->sample.id, .in_force = true};
    if (!has_labels(row->reason)) {
        *out = json_array();
        return DEEPSAD_OK;
    }
    int status =
        store_labels_list(page->app->store, &labels, page->entry->name, &filter, error);
    if (status == DEEPSAD_OK) {
        *out = label_view_list(&labels);
        store_labels_done(&labels);
    }
    return status;
}

static int show_row(json_t **out, struct page *page, size_t index,
                    struct deepsad_error *error)
{
    const struct review_row *row = &page->list.rows[index];
    const float *x = page->list.x + index * page->features;
    float base;
    int status = deepsad_explain(page->version->model, page->worker->workspace, &base,
                                 page->contributions, x, error);
    json_t *labels = NULL;
    if (status == DEEPSAD_OK) {
        status = read_labels(&labels, page, row, error);
    }
    if (status == DEEPSAD_OK) {
        *out =
            json_pack("{ss so so so sb ss ss so so so so}", "sample_id", row->sample.id,
                      "scored_at", json_time(row->sample.scored_at_ms), "score",
                      value_float(row->score), "p_value", value_float(row->p_value),
                      "anomalous", (double)row->p_value <= page->entry->alpha, "reason",
                      review_why_names[row->reason], "why", row->why, "features",
                      value_features(page->version->model, x), "base", value_float(base),
                      "explanation", show_explanation(page, x), "labels", labels);
    }
    return status;
}

static void show_list(struct page *page, const struct review_query *query,
                      const struct request *request, struct reply *reply)
{
    struct deepsad_error error = {0};
    json_t *rows = json_array();
    for (size_t i = 0; i < page->list.count; i++) {
        json_t *row;
        if (show_row(&row, page, i, &error) != DEEPSAD_OK) {
            json_decref(rows);
            endpoint_fail(request, reply, &error);
            return;
        }
        json_array_append_new(rows, row);
    }
    reply_json(request, reply, 200,
               json_pack("{ss so ss so so so}", "model", page->entry->name, "version",
                         value_version(page->version->number), "strategy",
                         review_strategy_names[query->strategy], "alpha",
                         value_number(page->entry->alpha), "analyst",
                         value_text(query->analyst), "samples", rows));
}

/* ---- The request ------------------------------------------------------------------- */

static bool read_query(struct review_query *out, const struct app *app,
                       const struct query *query, const struct request *request,
                       struct reply *reply)
{
    size_t strategy = REVIEW_MIXED;
    out->limit = REVIEW_LIMIT;
    if (!query_choice(&strategy, query, "strategy", review_strategy_names, request,
                      reply) ||
        !endpoint_text(&out->analyst, app, query, "analyst", request, reply) ||
        !endpoint_limit(&out->limit, app, query, request, reply)) {
        return false;
    }
    out->strategy = (enum review_strategy)strategy;
    return true;
}

static void make_page(struct page *page, const struct review_query *query,
                      const struct request *request, struct reply *reply)
{
    struct deepsad_error error = {0};
    page->features = deepsad_model_features(page->version->model);
    page->contributions = calloc(page->features, sizeof *page->contributions);
    page->shown = calloc(page->features, sizeof *page->shown);
    if (page->contributions == NULL || page->shown == NULL || page->worker == NULL) {
        reply_problem(request, reply, 500, "out of memory for the review list");
    } else if (review_make(&page->list, page->app->review, page->app->store, page->entry,
                           page->version, page->worker->workspace, query,
                           &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
    } else {
        show_list(page, query, request, reply);
        review_list_done(&page->list);
    }
    free(page->contributions);
    free(page->shown);
}

void handle_review(void *closure, struct request *request, struct reply *reply)
{
    static const char *const names[] = {"limit", "strategy", "analyst", NULL};
    struct app *app = closure;
    struct page page = {.app = app, .worker = request->worker};
    struct review_query review;
    struct query query;
    if (!query_read(&query, request, names, reply)) {
        return;
    }
    const struct catalog *catalog = registry_acquire(app->registry);
    page.version = models_find_version(catalog, request, reply, &page.entry);
    if (page.version != NULL && endpoint_has_store(app, request, reply) &&
        read_query(&review, app, &query, request, reply) &&
        endpoint_analyst(&review.analyst, page.entry->name, request, reply, NULL)) {
        make_page(&page, &review, request, reply);
    }
    registry_release(app->registry, catalog);
    query_done(&query);
}
