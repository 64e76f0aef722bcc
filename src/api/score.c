/* SPDX-License-Identifier: Apache-2.0 */
#include "api/score.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/csv_rows.h"
#include "api/explanation.h"
#include "api/json_rows.h"
#include "api/keep.h"
#include "api/model_columns.h"
#include "api/models.h"
#include "api/npy_rows.h"
#include "base/clock.h"
#include "base/number.h"

enum { KEPT_BYTES_MAX = 4 << 20 }; /* of buffers that an idle state keeps */

/* One request under way. */
struct scoring {
    struct app *app;
    const struct catalog *catalog;
    const struct catalog_entry *entry;
    const struct catalog_version *version;
    struct rows rows;
    struct json_rows json;
    struct csv_rows csv;
    struct npy_rows npy;
    float *scores; /* (capacity), behind them as many p-values */
    size_t capacity;
    struct explanation explanation;
    struct scoring *next; /* in the worker's list of idle ones */
};

/* ---- States ------------------------------------------------------------------------ */

static void scoring_free(struct scoring *scoring)
{
    rows_done(&scoring->rows);
    csv_rows_done(&scoring->csv);
    npy_rows_done(&scoring->npy);
    explanation_done(&scoring->explanation);
    free(scoring->scores);
    free(scoring);
}

void scoring_free_idle(struct worker *worker)
{
    while (worker->idle != NULL) {
        struct scoring *scoring = worker->idle;
        worker->idle = scoring->next;
        scoring_free(scoring);
    }
}

static struct scoring *scoring_take(struct worker *worker)
{
    struct scoring *scoring = worker == NULL ? NULL : worker->idle;
    if (scoring == NULL) {
        return calloc(1, sizeof *scoring);
    }
    worker->idle = scoring->next;
    return scoring;
}

static void scoring_give(struct worker *worker, struct scoring *scoring)
{
    rows_trim(&scoring->rows, KEPT_BYTES_MAX);
    npy_rows_trim(&scoring->npy, KEPT_BYTES_MAX);
    if (scoring->capacity * 2 * sizeof(float) > KEPT_BYTES_MAX) {
        free(scoring->scores);
        scoring->scores = NULL;
        scoring->capacity = 0;
    }
    scoring->next = worker->idle;
    worker->idle = scoring;
}

/* ---- The request ------------------------------------------------------------------- */

static bool start_decoder(struct scoring *scoring, const struct request *request)
{
    const struct deepsad_model *model = scoring->version->model;
    struct rows_columns columns = model_columns(model);
    struct rows_limits limits = {
        .rows = atomic_load_explicit(&scoring->app->max_rows, memory_order_relaxed),
        .bytes = atomic_load_explicit(&scoring->app->max_decoded, memory_order_relaxed),
    };
    if (!rows_reset(&scoring->rows, &columns, &limits)) {
        return false;
    }
    if (request->body_type == BODY_CSV) {
        return csv_rows_start(&scoring->csv, &scoring->rows);
    }
    if (request->body_type == BODY_NPY) {
        npy_rows_start(&scoring->npy, &scoring->rows);
    } else {
        json_rows_start(&scoring->json, &scoring->rows);
    }
    return true;
}

bool score_begin(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    struct scoring *scoring = scoring_take(request->worker);
    if (scoring == NULL) {
        reply_problem(request, reply, 500, "out of memory for the request");
        return false;
    }
    request->state = scoring;
    scoring->app = app;
    scoring->catalog = registry_acquire(app->registry);
    scoring->version =
        models_find_version(scoring->catalog, request, reply, &scoring->entry);
    if (scoring->version == NULL) {
        return false;
    }
    start_decoder(scoring, request); /* a fault is reported with the body's */
    return true;
}

void score_body(void *closure, struct request *request, const char *bytes, size_t size)
{
    struct scoring *scoring = request->state;
    (void)closure;
    if (scoring->rows.fault.status != 0) {
        return;
    }
    if (request->body_type == BODY_CSV) {
        csv_rows_feed(&scoring->csv, bytes, size);
    } else if (request->body_type == BODY_NPY) {
        npy_rows_feed(&scoring->npy, bytes, size);
    } else {
        json_rows_feed(&scoring->json, bytes, size);
    }
}

void score_end(void *closure, struct request *request)
{
    struct app *app = closure;
    struct scoring *scoring = request->state;
    if (scoring == NULL) {
        return;
    }
    if (scoring->catalog != NULL) {
        registry_release(app->registry, scoring->catalog);
        scoring->catalog = NULL;
    }
    request->state = NULL;
    scoring_give(request->worker, scoring);
}

/* ---- The answer -------------------------------------------------------------------- */

static bool reserve_scores(struct scoring *scoring, size_t rows)
{
    if (rows <= scoring->capacity) {
        return true;
    }
    size_t capacity = 64;
    while (capacity < rows) {
        capacity *= 2;
    }
    free(scoring->scores);
    scoring->scores = malloc(capacity * 2 * sizeof *scoring->scores);
    scoring->capacity = scoring->scores == NULL ? 0 : capacity;
    return scoring->scores != NULL;
}

static char *put(char *out, const char *text, size_t length)
{
    memcpy(out, text, length);
    return out + length;
}
#define PUT(out, literal) put((out), (literal), sizeof(literal) - 1)

/* The longest result: {"id":"<64>","score":<16>,"p_value":<16>,"anomalous":false}, */
enum { RESULT_MAX = 64 + 2 * NUMBER_FLOAT_MAX + 64 };

/* The numbers of so many rows are written at once. */
enum { RESULTS_BLOCK = NUMBER_BLOCK / 2 };

static void format_block(struct number_texts *texts, const float *scores,
                         const float *p_values, size_t rows)
{
    float values[NUMBER_BLOCK];
    memcpy(values, scores, rows * sizeof *scores);
    memcpy(values + rows, p_values, rows * sizeof *p_values);
    number_format_floats(texts, values, 2 * rows);
}

/* Always the same number of bytes is copied, which is a load and a store. */
static char *put_number(char *out, const struct number_texts *texts, size_t index)
{
    memcpy(out, texts->text[index], NUMBER_FLOAT_MAX);
    return out + texts->length[index];
}

/* The parts of an answer that depend on the row only in their numbers are copied as they
 * are: thousands of rows leave here. */
static char *put_result(char *out, const struct number_texts *texts, size_t score,
                        size_t p_value, bool anomalous)
{
    out = PUT(out, "\",\"score\":");
    out = put_number(out, texts, score);
    out = PUT(out, ",\"p_value\":");
    out = put_number(out, texts, p_value);
    return anomalous ? PUT(out, ",\"anomalous\":true}")
                     : PUT(out, ",\"anomalous\":false}");
}

static char *put_id(char *out, const struct rows *rows, size_t row)
{
    return put(out, rows->id_text.data + rows->ids[row].offset, rows->ids[row].length);
}

static char *put_count(char *out, unsigned value)
{
    char digits[10];
    size_t used = sizeof digits;
    do {
        digits[--used] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(out, digits + used, sizeof digits - used);
}

enum { HEAD_MAX = 128 + 2 * NUMBER_FLOAT_MAX }; /* without the model's name */

/* By hand, as printf would cost as much as scoring a dozen rows. */
static void append_head(struct buffer *out, const struct scoring *scoring)
{
    const struct catalog_entry *entry = scoring->entry;
    size_t name_length = strlen(entry->name);
    float threshold = entry->threshold;
    bool reachable = entry->reachable;
    if (scoring->version != entry->versions) {
        reachable =
            deepsad_model_threshold(scoring->version->model, entry->alpha, &threshold);
    }
    char *start = buffer_reserve(out, HEAD_MAX + name_length);
    if (start == NULL) {
        return;
    }
    char *at = PUT(start, "{\"model\":\""); /* a name has nothing to escape */
    at = put(at, entry->name, name_length);
    at = PUT(at, "\",\"version\":\"");
    at = put_count(at, scoring->version->number);
    at = PUT(at, "\",\"threshold\":");
    if (reachable) {
        at += number_format_float(at, threshold);
    } else {
        at = PUT(at, "null");
    }
    at = PUT(at, ",\"alpha\":");
    at += number_format_float(at, (float)entry->alpha);
    at = PUT(at, ",\"results\":[");
    out->length += (size_t)(at - start);
}

/* Returns how many rows are anomalous. */
static size_t append_results(struct buffer *out, const struct scoring *scoring,
                             struct uuid_source *source)
{
    const struct rows *rows = &scoring->rows;
    const float *p_values = scoring->scores + scoring->capacity;
    char *at = buffer_reserve(out, rows->count * RESULT_MAX + 2);
    if (at == NULL) {
        return 0;
    }
    int64_t now = rows->has_ids ? 0 : clock_realtime_ms();
    double alpha = scoring->entry->alpha; /* as the threshold compares it */
    size_t anomalies = 0;
    char *start = at;
    struct number_texts texts;
    for (size_t i = 0; i < rows->count; i++) {
        size_t first = i / RESULTS_BLOCK * RESULTS_BLOCK;
        size_t block =
            rows->count - first < RESULTS_BLOCK ? rows->count - first : RESULTS_BLOCK;
        if (i == first) {
            format_block(&texts, scoring->scores + i, p_values + i, block);
        }
        bool anomalous = (double)p_values[i] <= alpha;
        anomalies += anomalous;
        at = i > 0 ? PUT(at, ",{\"id\":\"") : PUT(at, "{\"id\":\"");
        if (rows->has_ids) {
            at = put_id(at, rows, i);
        } else {
            uuid_make(source, now, at);
            at += UUID_SIZE;
        }
        at = put_result(at, &texts, i - first, i - first + block, anomalous);
    }
    at = PUT(at, "]}");
    out->length += (size_t)(at - start);
    return anomalies;
}

/* The same, each with an explanation of so many features; the rows have ids. */
static size_t append_explained(struct buffer *out, struct scoring *scoring,
                               struct deepsad_workspace *workspace, size_t explained)
{
    const struct deepsad_model *model = scoring->version->model;
    const struct rows *rows = &scoring->rows;
    const float *p_values = scoring->scores + scoring->capacity;
    double alpha = scoring->entry->alpha;
    size_t anomalies = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct number_texts texts;
        char *start = buffer_reserve(out, RESULT_MAX);
        if (start == NULL) {
            return 0;
        }
        format_block(&texts, scoring->scores + i, p_values + i, 1);
        bool anomalous = (double)p_values[i] <= alpha;
        anomalies += anomalous;
        char *at = i > 0 ? PUT(start, ",{\"id\":\"") : PUT(start, "{\"id\":\"");
        at = put_id(at, rows, i);
        at = put_result(at, &texts, 0, 1, anomalous);
        out->length += (size_t)(at - start) - 1; /* its brace closes later */
        if (!explanation_append(&scoring->explanation, out, model, workspace,
                                rows->x + i * rows->columns.count, explained)) {
            out->failed = true;
            return 0;
        }
        buffer_append(out, "}", 1);
    }
    buffer_append(out, "]}", 2);
    return anomalies;
}

static void append_kept(struct buffer *out, bool kept)
{
    if (!out->failed) {
        out->length--; /* the brace that ends the answer */
        buffer_append_text(out, kept ? ",\"kept\":true}" : ",\"kept\":false}");
    }
}

/* ---- Options of the request -------------------------------------------------------- */

struct options {
    size_t explained; /* features of each row */
    bool asked_to_keep;
    bool keep; /* by the policy too, and there is a store */
};

/* Fills the reply where too much is to be explained. */
static bool read_options(struct options *out, const struct scoring *scoring,
                         const struct request *request, struct reply *reply)
{
    size_t rows = scoring->rows.count, features = scoring->rows.columns.count;
    bool json = request->body_type == BODY_JSON;
    double wanted = json ? scoring->json.grammar.explain : 0;
    size_t explained = wanted < (double)features ? (size_t)wanted : features;
    if (explained > 0 &&
        (rows > EXPLANATION_ROWS_MAX || rows > EXPLANATION_FEATURES_MAX / explained)) {
        char detail[192];
        snprintf(detail, sizeof detail,
                 "explain: %zu features of %zu rows; an answer explains at most %d rows "
                 "and %d features in all; send the rows in several requests",
                 explained, rows, EXPLANATION_ROWS_MAX, EXPLANATION_FEATURES_MAX);
        reply_problem_at(request, reply, 413, detail, "#/explain");
        return false;
    }
    bool asked = json && scoring->json.grammar.keep;
    out->explained = explained;
    out->asked_to_keep = asked;
    out->keep =
        scoring->app->store != NULL && keep_wanted(&scoring->entry->policy, asked);
    return true;
}

/* Ids of our own where the request brings none, so that all that names a row has the same
 * one. False: out of memory. */
static bool name_rows(struct rows *rows, struct uuid_source *source)
{
    int64_t now = clock_realtime_ms();
    for (size_t i = 0; !rows->has_ids && i < rows->count; i++) {
        char id[UUID_SIZE];
        uuid_make(source, now, id);
        if (!rows_add_id(rows, id, sizeof id)) {
            return false;
        }
    }
    rows->has_ids = true;
    return true;
}

static bool keep(const struct scoring *scoring)
{
    const struct store_keep what = {.model = scoring->entry->name,
                                    .version = scoring->version->number,
                                    .scored_at_ms = clock_realtime_ms(),
                                    .scores = scoring->scores,
                                    .p_values = scoring->scores + scoring->capacity};
    return keep_rows(scoring->app->store, &what, &scoring->rows);
}

/* ---- The whole --------------------------------------------------------------------- */

static void count_rows(struct app *app, struct worker *worker, const char *model,
                       size_t rows, size_t anomalies)
{
    if (strcmp(worker->model, model) != 0) {
        strncpy(worker->model, model, sizeof worker->model - 1);
        worker->counted = metrics_of_model(app->metrics, model);
    }
    counter_add(worker->counted.rows, rows);
    if (anomalies > 0) {
        counter_add(worker->counted.anomalous, anomalies);
    }
}

static bool decoded(struct scoring *scoring, const struct request *request)
{
    if (scoring->rows.fault.status != 0) {
        return false;
    }
    return request->body_type == BODY_CSV   ? csv_rows_finish(&scoring->csv)
           : request->body_type == BODY_NPY ? npy_rows_finish(&scoring->npy)
                                            : json_rows_finish(&scoring->json);
}

/* Scores and, if `wanted`, keeps; then writes the answer. False: out of memory. */
static bool answer(struct scoring *scoring, struct worker *worker, struct reply *reply,
                   const struct options *options)
{
    struct rows *rows = &scoring->rows;
    if (worker == NULL || !reserve_scores(scoring, rows->count) ||
        deepsad_score(scoring->version->model, worker->workspace, scoring->scores,
                      scoring->scores + scoring->capacity, rows->x, rows->count,
                      NULL) != DEEPSAD_OK) {
        return false;
    }
    if ((options->keep || options->explained > 0) && !name_rows(rows, &worker->ids)) {
        return false;
    }
    bool kept = options->keep && keep(scoring);
    append_head(&reply->body, scoring);
    size_t anomalies = options->explained > 0
                           ? append_explained(&reply->body, scoring, worker->workspace,
                                              options->explained)
                           : append_results(&reply->body, scoring, &worker->ids);
    if (options->asked_to_keep) {
        append_kept(&reply->body, kept);
    }
    count_rows(scoring->app, worker, scoring->entry->name, rows->count, anomalies);
    return true;
}

void score_handle(void *closure, struct request *request, struct reply *reply)
{
    struct scoring *scoring = request->state;
    struct options options;
    (void)closure;
    if (!decoded(scoring, request)) {
        const struct rows_fault *fault = &scoring->rows.fault;
        reply_problem_at(request, reply, fault->status, fault->detail,
                         fault->pointer[0] == '\0' ? NULL : fault->pointer);
        return;
    }
    if (!read_options(&options, scoring, request, reply)) {
        return;
    }
    if (!answer(scoring, request->worker, reply, &options)) {
        reply_problem(request, reply, 500, "out of memory for scoring");
        return;
    }
    reply->status = 200;
    reply->content_type = "application/json";
}
