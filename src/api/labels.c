/* SPDX-License-Identifier: Apache-2.0 */
#include "api/labels.h"

#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/audit.h"
#include "api/body.h"
#include "api/cursor.h"
#include "api/endpoint.h"
#include "api/label_rows.h"
#include "api/label_view.h"
#include "api/model_columns.h"
#include "api/models.h"
#include "api/values.h"
#include "base/clock.h"
#include "base/json.h"
#include "http/auth.h"

/* ---- Adding ------------------------------------------------------------------------ */

/* One request under way. */
struct adding {
    struct app *app;
    struct worker *worker;
    const struct catalog_entry *entry;
    const struct catalog_version *version; /* live */
    struct label_rows rows;
    struct store_verdict_new *verdicts; /* (rows.count) */
    char (*ids)[2][UUID_SIZE + 1];      /* (rows.count): label, new sample */
    float *scores;                      /* (2 * rows.featured) */
    struct store_labels stored;
};

/* Where clients have tokens, theirs are the names. */
static bool name_analysts(struct adding *adding, const struct request *request,
                          struct reply *reply)
{
    char pointer[64];
    for (size_t i = 0; i < adding->rows.count; i++) {
        snprintf(pointer, sizeof pointer, "#/labels/%zu/analyst", i);
        if (!endpoint_analyst(&adding->rows.rows[i].analyst, adding->entry->name, request,
                              reply, pointer)) {
            return false;
        }
    }
    return true;
}

static bool read_rows(struct adding *adding, const struct request *request,
                      struct reply *reply)
{
    const struct app *app = adding->app;
    struct rows_columns columns = model_columns(adding->version->model);
    struct label_limits limits = {
        .labels = atomic_load(&app->max_labels),
        .text = atomic_load(&app->max_label_text),
        .bytes = atomic_load(&app->max_decoded),
    };
    struct label_fault fault;
    json_t *json = body_parse(request, reply);
    if (json == NULL) {
        return false;
    }
    if (!label_rows_read(&adding->rows, json, &columns, &limits, &fault)) {
        reply_problem_at(request, reply, fault.status, fault.detail, fault.pointer);
        return false;
    }
    return name_analysts(adding, request, reply);
}

/* Features that came along are scored, so that the sample says how it stood when it was
 * labelled. */
static bool score_rows(struct adding *adding, const struct request *request,
                       struct reply *reply)
{
    size_t count = adding->rows.featured;
    adding->scores = calloc(2 * count + 1, sizeof *adding->scores);
    struct deepsad_error error = {0};
    if (adding->scores == NULL || adding->worker == NULL ||
        (count > 0 && deepsad_score(adding->version->model, adding->worker->workspace,
                                    adding->scores, adding->scores + count,
                                    adding->rows.x, count, &error) != DEEPSAD_OK)) {
        reply_problem(request, reply, 500, "out of memory for scoring");
        return false;
    }
    return true;
}

static bool name_rows(struct adding *adding, int64_t now, const struct request *request,
                      struct reply *reply)
{
    size_t count = adding->rows.count;
    adding->verdicts = calloc(count, sizeof *adding->verdicts);
    adding->ids = calloc(count, sizeof *adding->ids);
    if (adding->verdicts == NULL || adding->ids == NULL) {
        reply_problem(request, reply, 500, "out of memory for the labels");
        return false;
    }
    for (size_t i = 0, featured = 0; i < count; i++) {
        const struct label_row *row = &adding->rows.rows[i];
        uuid_make(&adding->worker->ids, now, adding->ids[i][0]);
        struct store_verdict_new *verdict = &adding->verdicts[i];
        *verdict = (struct store_verdict_new){
            .label_id = adding->ids[i][0],
            .sample_id = row->sample_id,
            .x = row->x,
            .verdict = row->verdict,
            .analyst = row->analyst,
            .reason = row->reason,
            .note = row->note,
        };
        if (row->x != NULL) {
            uuid_make(&adding->worker->ids, now, adding->ids[i][1]);
            verdict->sample_new = adding->ids[i][1];
            verdict->score = adding->scores[featured];
            verdict->p_value = adding->scores[adding->rows.featured + featured];
            featured++;
        }
    }
    return true;
}

/* Of the model, who asks, and the body: what the client's key stands for. */
static void digest_request(unsigned char digest[static STORE_DIGEST_SIZE],
                           const char *model, const struct request *request)
{
    struct sha256_ctx context;
    size_t length;
    const char *text = body_text(request, &length);
    sha256_init(&context);
    sha256_update(&context, strlen(model) + 1, (const uint8_t *)model);
    if (auth_name(request) != NULL) {
        sha256_update(&context, strlen(auth_name(request)) + 1,
                      (const uint8_t *)auth_name(request));
    }
    sha256_update(&context, length, (const uint8_t *)text);
    sha256_digest(&context, STORE_DIGEST_SIZE, digest);
}

static void refuse_store(const struct request *request, struct reply *reply, size_t wrong,
                         const struct deepsad_error *error)
{
    char pointer[64];
    bool missing = error->status == DEEPSAD_NOT_FOUND;
    bool placed = wrong != SIZE_MAX && (missing || error->status == DEEPSAD_INVALID);
    if (!placed) {
        endpoint_fail(request, reply, error);
        return;
    }
    snprintf(pointer, sizeof pointer, "#/labels/%zu%s", wrong,
             missing ? "/sample_id" : "");
    reply_problem_at(request, reply, missing ? 404 : 422, error->message, pointer);
}

static bool store_rows(struct adding *adding, int64_t now, bool *replayed,
                       const struct request *request, struct reply *reply)
{
    struct store_labels_new labels = {
        .model = adding->entry->name,
        .features = deepsad_model_features(adding->version->model),
        .version = adding->version->number,
        .created_at_ms = now,
        .idempotency_key = request->idempotency_key,
        .count = adding->rows.count,
        .verdicts = adding->verdicts,
    };
    struct deepsad_error error = {0};
    size_t wrong = SIZE_MAX;
    if (labels.idempotency_key != NULL) {
        digest_request(labels.digest, labels.model, request);
    }
    if (store_labels_add(adding->app->store, &adding->stored, replayed, &labels, &wrong,
                         &error) != DEEPSAD_OK) {
        refuse_store(request, reply, wrong, &error);
        return false;
    }
    return true;
}

static json_t *show_added(const struct store_labels *labels)
{
    json_t *list = json_array();
    for (size_t i = 0; i < labels->count; i++) {
        const struct store_label *label = &labels->labels[i];
        json_t *one = json_pack(
            "{ss ss ss so so}", "label_id", label->id, "sample_id", label->sample_id,
            "verdict", label_verdict_name(label->verdict), "supersedes",
            value_id(label->supersedes), "created_at", json_time(label->created_at_ms));
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{so}", "labels", list);
}

static void audit_labels(const struct adding *adding, const struct request *request)
{
    for (size_t i = 0; i < adding->stored.count; i++) {
        const struct store_label *label = &adding->stored.labels[i];
        const char *analyst = adding->verdicts[i].analyst;
        audit_event(adding->app->audit, request, "label.record",
                    LOG_TEXT("model", adding->entry->name),
                    LOG_TEXT("label_id", label->id),
                    LOG_TEXT("sample_id", label->sample_id),
                    LOG_TEXT("verdict", label_verdict_name(label->verdict)),
                    LOG_TEXT("analyst", analyst == NULL ? "" : analyst));
    }
}

static void add(struct adding *adding, struct request *request, struct reply *reply)
{
    int64_t now = clock_realtime_ms();
    bool replayed = false;
    if (!read_rows(adding, request, reply) || !score_rows(adding, request, reply) ||
        !name_rows(adding, now, request, reply) ||
        !store_rows(adding, now, &replayed, request, reply)) {
        return;
    }
    if (!replayed) {
        audit_labels(adding, request);
        metrics_count_labels(adding->app->metrics, adding->entry->name, &adding->stored);
    }
    if (!replayed && adding->app->learner != NULL) {
        learner_notice(adding->app->learner, adding->entry->name);
    }
    reply_json(request, reply, 201, show_added(&adding->stored));
}

void handle_labels_add(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    struct adding adding = {.app = app, .worker = request->worker};
    if (!query_none(request, reply) || !endpoint_has_store(app, request, reply)) {
        return;
    }
    const struct catalog *catalog = registry_acquire(app->registry);
    adding.version = models_find_version(catalog, request, reply, &adding.entry);
    if (adding.version != NULL) {
        add(&adding, request, reply);
    }
    registry_release(app->registry, catalog);
    store_labels_done(&adding.stored);
    label_rows_done(&adding.rows);
    free(adding.verdicts);
    free(adding.ids);
    free(adding.scores);
}

/* ---- Listing ----------------------------------------------------------------------- */

enum { LIST_NAME_MAX = 96 };

static bool read_filter(struct store_label_filter *filter, const struct query *query,
                        const struct app *app, const char *list,
                        const struct request *request, struct reply *reply)
{
    static const char *const states[] = {"in_force", NULL};
    size_t verdict = SIZE_MAX, state = SIZE_MAX;
    char key[STORE_ID_MAX + 1];
    if (!query_choice(&verdict, query, "verdict", label_verdict_names, request, reply) ||
        !query_choice(&state, query, "state", states, request, reply) ||
        !endpoint_text(&filter->analyst, app, query, "analyst", request, reply) ||
        !endpoint_text(&filter->sample_id, app, query, "sample_id", request, reply) ||
        !endpoint_limit(&filter->limit, app, query, request, reply) ||
        !endpoint_cursor(key, query, list, request, reply)) {
        return false;
    }
    filter->has_verdict = verdict != SIZE_MAX;
    filter->verdict = filter->has_verdict ? label_verdicts[verdict] : STORE_UNSURE;
    filter->in_force = state != SIZE_MAX;
    filter->before = key[0] == '\0' ? 0 : strtoll(key, NULL, 10);
    return true;
}

static json_t *next_cursor(const struct store_labels *labels, const char *list)
{
    char key[CURSOR_KEY_MAX + 1], cursor[CURSOR_SIZE];
    if (!labels->more || labels->count == 0) {
        return json_null();
    }
    snprintf(key, sizeof key, "%" PRId64, labels->labels[labels->count - 1].seq);
    cursor_write(cursor, list, key);
    return json_string(cursor);
}

static void list_labels(struct app *app, const char *model, const struct query *query,
                        const struct request *request, struct reply *reply)
{
    char list[LIST_NAME_MAX];
    struct store_label_filter filter = {.limit = ENDPOINT_PAGE};
    struct store_labels labels = {.count = 0};
    struct deepsad_error error = {0};
    snprintf(list, sizeof list, "labels of %s", model);
    if (!read_filter(&filter, query, app, list, request, reply)) {
        return;
    }
    if (store_labels_list(app->store, &labels, model, &filter, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    reply_json(request, reply, 200,
               json_pack("{ss so so}", "model", model, "labels", label_view_list(&labels),
                         "next_cursor", next_cursor(&labels, list)));
    store_labels_done(&labels);
}

void handle_labels(void *closure, struct request *request, struct reply *reply)
{
    static const char *const names[] = {"verdict", "analyst", "sample_id", "state",
                                        "limit",   "cursor",  NULL};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1];
    struct query query;
    if (!endpoint_list(model, &query, names, app, request, reply)) {
        return;
    }
    list_labels(app, model, &query, request, reply);
    query_done(&query);
}

/* ---- Withdrawing ------------------------------------------------------------------- */

/* Whether the label is the client's to withdraw: its own, or anybody's for an admin. */
static bool may_withdraw(struct app *app, const char *model, const char *label_id,
                         const struct request *request, struct reply *reply)
{
    struct store_label_filter filter = {.label_id = label_id, .limit = 1};
    struct store_labels found = {.count = 0};
    struct deepsad_error error = {0};
    if (auth_allows(request, ROLE_ADMIN, model)) {
        return true;
    }
    if (store_labels_list(app->store, &found, model, &filter, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return false;
    }
    const char *whose = found.count == 0 ? NULL : found.labels[0].analyst;
    bool own =
        found.count == 0 || (whose != NULL && strcmp(whose, auth_name(request)) == 0);
    if (!own) {
        reply_problem(request, reply, 403,
                      "label %s is %s; to withdraw those of others takes role admin",
                      label_id, whose == NULL ? "nobody's" : whose);
    }
    store_labels_done(&found);
    return own;
}

static void withdraw(struct app *app, const char *model, const char *label_id,
                     const char *analyst, const struct request *request,
                     struct reply *reply)
{
    struct store_label label = {.seq = 0};
    struct deepsad_error error = {0};
    if (!may_withdraw(app, model, label_id, request, reply)) {
        return;
    }
    if (store_label_withdraw(app->store, &label, model, label_id, analyst,
                             clock_realtime_ms(), &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    audit_event(app->audit, request, "label.withdraw", LOG_TEXT("model", model),
                LOG_TEXT("label_id", label_id),
                LOG_TEXT("analyst", analyst == NULL ? "" : analyst));
    if (app->learner != NULL) {
        learner_notice(app->learner, model);
    }
    reply_json(request, reply, 200, label_view(&label));
    free(label.analyst);
    free(label.reason);
    free(label.note);
    free(label.quarantine);
}

void handle_label_withdraw(void *closure, struct request *request, struct reply *reply)
{
    static const char *const names[] = {"analyst", NULL};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1], id[STORE_ID_MAX + 1];
    const char *analyst;
    struct query query;
    if (!endpoint_model(model, app, request, reply) ||
        !endpoint_has_store(app, request, reply) ||
        !endpoint_id(id, 1, "label", request, reply) ||
        !query_read(&query, request, names, reply)) {
        return;
    }
    if (endpoint_text(&analyst, app, &query, "analyst", request, reply) &&
        endpoint_analyst(&analyst, model, request, reply, NULL)) {
        withdraw(app, model, id, analyst, request, reply);
    }
    query_done(&query);
}

static void withdraw_all(struct app *app, const char *model, const struct query *query,
                         const struct request *request, struct reply *reply)
{
    const char *analyst = query_text(query, "analyst");
    struct deepsad_error error = {0};
    size_t count = 0;
    if (analyst == NULL) {
        reply_problem(request, reply, 422,
                      "parameter analyst is missing: whose labels are to be withdrawn; "
                      "empty (analyst=) are those without one");
        return;
    }
    if (!endpoint_analyst(&analyst, model, request, reply, NULL)) {
        return;
    }
    if (store_labels_withdraw_by(app->store, &count, model,
                                 analyst[0] == '\0' ? NULL : analyst, clock_realtime_ms(),
                                 &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    audit_event(app->audit, request, "label.withdraw_all", LOG_TEXT("model", model),
                LOG_TEXT("analyst", analyst), LOG_INTEGER("count", count));
    if (app->learner != NULL) {
        learner_notice(app->learner, model);
    }
    reply_json(request, reply, 200,
               json_pack("{ss sI}", "model", model, "withdrawn", (json_int_t)count));
}

void handle_labels_withdraw(void *closure, struct request *request, struct reply *reply)
{
    static const char *const names[] = {"analyst", NULL};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1];
    struct query query;
    if (!endpoint_list(model, &query, names, app, request, reply)) {
        return;
    }
    withdraw_all(app, model, &query, request, reply);
    query_done(&query);
}
