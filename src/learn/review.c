/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is made in three steps: candidates (the newest unlabeled samples, scored by
 * the live version, without those leased to others), second looks, and the strategy's
 * choice among the candidates.
 */
#include "learn/review.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "learn/lease.h"
#include "learn/select.h"
#include "model/model.h"

const char *const review_strategy_names[] = {"mixed",  "top",    "uncertain",
                                             "random", "second", NULL};

const char *const review_why_names[] = {
    [REVIEW_WHY_HIGHEST] = "highest",   [REVIEW_WHY_DIFFERENT] = "different",
    [REVIEW_WHY_BOUNDARY] = "boundary", [REVIEW_WHY_THRESHOLD] = "threshold",
    [REVIEW_WHY_RANDOM] = "random",     [REVIEW_WHY_QUARANTINE] = "quarantine",
    [REVIEW_WHY_CONFLICT] = "conflict", [REVIEW_WHY_DISAGREES] = "disagrees"};

struct review {
    pthread_mutex_t mutex; /* guards all below; a leaf */
    struct leases leases;
    double lease;
    size_t pool;
};

static void lock(struct review *review)
{
    int failed = pthread_mutex_lock(&review->mutex);
    assert(failed == 0);
    (void)failed;
}

static void unlock(struct review *review)
{
    int failed = pthread_mutex_unlock(&review->mutex);
    assert(failed == 0);
    (void)failed;
}

struct review *review_new(double lease, size_t pool)
{
    struct review *review = calloc(1, sizeof *review);
    if (review != NULL) {
        pthread_mutex_init(&review->mutex, NULL);
        review->lease = lease;
        review->pool = pool;
    }
    return review;
}

void review_free(struct review *review)
{
    if (review != NULL) {
        pthread_mutex_destroy(&review->mutex);
        leases_done(&review->leases);
        free(review);
    }
}

void review_set(struct review *review, double lease, size_t pool)
{
    lock(review);
    review->lease = lease;
    review->pool = pool;
    unlock(review);
}

void review_list_done(struct review_list *list)
{
    free(list->rows);
    free(list->x);
    *list = (struct review_list){0};
}

/* ---- One request ------------------------------------------------------------------- */

struct making {
    struct review *review;
    struct store *store;
    const struct catalog_entry *entry;
    const struct catalog_version *version;
    struct deepsad_workspace *workspace;
    const struct review_query *query;
    size_t features;
    struct store_labels labels; /* in force */
    struct review_list list;    /* room for query->limit rows */
};

static struct review_row *add_row(struct making *making, const float *x,
                                  enum review_why reason)
{
    struct review_list *list = &making->list;
    struct review_row *row = &list->rows[list->count];
    *row = (struct review_row){.reason = reason};
    memcpy(list->x + list->count * making->features, x, making->features * sizeof *x);
    list->count++;
    return row;
}

__attribute__((format(printf, 2, 3))) static void explain(struct review_row *row,
                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->why, sizeof row->why, format, arguments);
    va_end(arguments);
}

static bool leased(struct making *making, const char *sample)
{
    lock(making->review);
    bool taken = leases_taken(&making->review->leases, making->entry->name, sample,
                              making->query->analyst);
    unlock(making->review);
    return taken;
}

static void take_leases(struct making *making)
{
    struct review *review = making->review;
    if (making->query->analyst == NULL) {
        return;
    }
    lock(review);
    double until = clock_monotonic() + review->lease;
    for (size_t i = 0; i < making->list.count; i++) {
        leases_take(&review->leases, making->entry->name, making->list.rows[i].sample.id,
                    making->query->analyst, until);
    }
    unlock(review);
}

/* ---- Second looks ------------------------------------------------------------------ */

/* Ids that the live version's manifest names: its labels that disagree most with it. */
static bool disagrees(const json_t *looks, const char *label)
{
    for (size_t i = 0; i < json_array_size(looks); i++) {
        const char *id = json_string_value(json_array_get(looks, i));
        if (id != NULL && strcmp(id, label) == 0) {
            return true;
        }
    }
    return false;
}

static bool listed(const struct review_list *list, const char *sample)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->rows[i].sample.id, sample) == 0) {
            return true;
        }
    }
    return false;
}

static const char *verdict_text(enum store_verdict verdict)
{
    return verdict == STORE_NORMAL ? "normal" : "anomalous";
}

/* Whether the label is to be looked at again for that reason. Who gave it is not asked
 * about what waits for somebody else's verdict. */
static bool wants_look(const struct making *making, const struct store_label *label,
                       enum review_why reason, const json_t *looks)
{
    const char *analyst = making->query->analyst;
    bool own =
        analyst != NULL && label->analyst != NULL && strcmp(analyst, label->analyst) == 0;
    if (reason == REVIEW_WHY_QUARANTINE) {
        return label->quarantine != NULL && !own;
    }
    if (reason == REVIEW_WHY_CONFLICT) {
        return label->conflict;
    }
    return label->quarantine == NULL && !label->conflict &&
           label->supersedes[0] == '\0' && disagrees(looks, label->id);
}

static void add_look(struct making *making, const struct store_label *label,
                     enum review_why reason, const float *x)
{
    const char *who = label->analyst == NULL ? "somebody" : label->analyst;
    const char *verdict = verdict_text(label->verdict);
    struct review_row *row = add_row(making, x, reason);
    if (reason == REVIEW_WHY_QUARANTINE) {
        explain(row, "%.60s called it %s; waits for a second verdict", who, verdict);
    } else if (reason == REVIEW_WHY_CONFLICT) {
        explain(row, "analysts disagree about it; it teaches nothing until they agree");
    } else {
        explain(row, "%.60s called it %s, and models that never saw that disagree most",
                who, verdict);
    }
    memcpy(row->sample.id, label->sample_id, sizeof row->sample.id);
}

static void add_looks(struct making *making, const json_t *looks, size_t most)
{
    const struct store_labels *labels = &making->labels;
    static const enum review_why reasons[] = {REVIEW_WHY_QUARANTINE, REVIEW_WHY_CONFLICT,
                                              REVIEW_WHY_DISAGREES};
    for (size_t r = 0; r < sizeof reasons / sizeof reasons[0]; r++) {
        for (size_t i = 0; i < labels->count && making->list.count < most; i++) {
            const struct store_label *label = &labels->labels[i];
            if (label->verdict != STORE_UNSURE &&
                wants_look(making, label, reasons[r], looks) &&
                !listed(&making->list, label->sample_id) &&
                !leased(making, label->sample_id)) {
                add_look(making, label, reasons[r], labels->x + i * making->features);
            }
        }
    }
}

/* When it was scored first, and by whom. */
static int complete_sample(struct making *making, struct review_row *row,
                           struct deepsad_error *error)
{
    struct store_samples samples = {0};
    int status = store_sample_get(making->store, &samples, making->entry->name,
                                  row->sample.id, error);
    if (status == DEEPSAD_OK) {
        row->sample = samples.samples[0];
    }
    store_samples_done(&samples);
    return status;
}

static int score_looks(struct making *making, struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < making->list.count && status == DEEPSAD_OK; i++) {
        struct review_row *row = &making->list.rows[i];
        status = complete_sample(making, row, error);
        if (status == DEEPSAD_OK) {
            status = deepsad_score(making->version->model, making->workspace, &row->score,
                                   &row->p_value, making->list.x + i * making->features,
                                   1, error);
        }
    }
    return status;
}

static int add_second_looks(struct making *making, size_t most,
                            struct deepsad_error *error)
{
    json_t *card = json_read(making->version->card);
    add_looks(making, json_object_get(card, "second_looks"), most);
    json_decref(card);
    return score_looks(making, error);
}

/* ---- Rows judged before ------------------------------------------------------------ */

/* Both (labels.count): the rows that somebody judged normal or anomalous, and nobody
 * otherwise, as the live version scores them. */
static int score_judged(struct select_label *judged, size_t *count, struct making *making,
                        struct deepsad_error *error)
{
    const struct store_labels *labels = &making->labels;
    float *scores = calloc(labels->count + 1, sizeof *scores);
    int status = scores == NULL
                     ? error_no_memory(error, "the review list")
                     : deepsad_score(making->version->model, making->workspace, scores,
                                     NULL, labels->x, labels->count, error);
    *count = 0;
    for (size_t i = 0; i < labels->count && status == DEEPSAD_OK; i++) {
        const struct store_label *label = &labels->labels[i];
        if (label->verdict != STORE_UNSURE && !label->conflict) {
            judged[(*count)++] =
                (struct select_label){scores[i], label->verdict == STORE_ANOMALOUS};
        }
    }
    free(scores);
    return status;
}

/* ---- Candidates -------------------------------------------------------------------- */

/* Leaves out what is leased to others; scores what stays. */
static int score_candidates(struct making *making, struct store_samples *samples,
                            struct deepsad_error *error)
{
    size_t kept = 0, features = making->features;
    lock(making->review);
    for (size_t i = 0; i < samples->count; i++) {
        if (!leases_taken(&making->review->leases, making->entry->name,
                          samples->samples[i].id, making->query->analyst)) {
            samples->samples[kept] = samples->samples[i];
            memmove(samples->x + kept * features, samples->x + i * features,
                    features * sizeof *samples->x);
            kept++;
        }
    }
    unlock(making->review);
    samples->count = kept;
    float *scores = calloc(2 * kept + 1, sizeof *scores);
    int status = scores == NULL
                     ? error_no_memory(error, "the review list")
                     : deepsad_score(making->version->model, making->workspace, scores,
                                     scores + kept, samples->x, kept, error);
    for (size_t i = 0; i < kept && status == DEEPSAD_OK; i++) {
        samples->samples[i].score = scores[i];
        samples->samples[i].p_value = scores[kept + i];
    }
    free(scores);
    return status;
}

static void add_choice(struct making *making, const struct store_samples *samples,
                       const struct select_choice *choice, double alpha)
{
    static const enum review_why reasons[] = {
        [SELECT_HIGHEST] = REVIEW_WHY_HIGHEST,
        [SELECT_DIFFERENT] = REVIEW_WHY_DIFFERENT,
        [SELECT_BOUNDARY] = REVIEW_WHY_BOUNDARY,
        [SELECT_THRESHOLD] = REVIEW_WHY_THRESHOLD,
        [SELECT_RANDOM] = REVIEW_WHY_RANDOM,
    };
    const struct store_sample *sample = &samples->samples[choice->at];
    const float *x = samples->x + choice->at * making->features;
    double p = (double)sample->p_value;
    struct review_row *row = add_row(making, x, reasons[choice->why]);
    switch (choice->why) {
    case SELECT_HIGHEST:
        explain(row, "number %zu of %zu unlabeled samples by score", choice->rank + 1,
                samples->count);
        break;
    case SELECT_DIFFERENT:
        explain(row, "number %zu of %zu by score, and unlike the rows before it",
                choice->rank + 1, samples->count);
        break;
    case SELECT_BOUNDARY:
        explain(row,
                "number %zu of %zu by score, between rows judged anomalous and rows "
                "judged normal: shows where alarms should begin",
                choice->rank + 1, samples->count);
        break;
    case SELECT_THRESHOLD:
        explain(row, "p-value %.3g is near alpha %.3g: it could be either", p, alpha);
        break;
    case SELECT_RANDOM:
        explain(row, "drawn at random: shows how many anomalies there are in all");
        break;
    }
    row->sample = *sample;
    row->score = sample->score;
    row->p_value = sample->p_value;
}

/* The strategy's choice among the candidates, whatever of the list is still free. */
static int choose(struct making *making, const struct store_samples *samples,
                  const struct select_label *judged, size_t judged_count,
                  struct deepsad_error *error)
{
    static const enum select_strategy strategies[] = {
        [REVIEW_MIXED] = SELECT_MIXED,
        [REVIEW_TOP] = SELECT_TOP,
        [REVIEW_UNCERTAIN] = SELECT_UNCERTAIN,
        [REVIEW_RANDOM] = SELECT_ANY,
    };
    size_t wanted = making->query->limit - making->list.count, count = 0;
    struct select_choice *choices = calloc(wanted + 1, sizeof *choices);
    struct select_rows rows = {.count = samples->count,
                               .features = making->features,
                               .samples = samples->samples,
                               .x = samples->x,
                               .scaler = &making->version->model->scaler,
                               .alpha = making->entry->alpha,
                               .label_count = judged_count,
                               .labels = judged,
                               .seed = (uint64_t)clock_realtime_ms()};
    int status = choices == NULL
                     ? error_no_memory(error, "the review list")
                     : select_choose(choices, &count, wanted,
                                     strategies[making->query->strategy], &rows, error);
    for (size_t i = 0; i < count; i++) {
        add_choice(making, samples, &choices[i], making->entry->alpha);
    }
    free(choices);
    return status;
}

static int add_candidates(struct making *making, struct deepsad_error *error)
{
    struct store_samples samples = {0};
    struct select_label *judged = calloc(making->labels.count + 1, sizeof *judged);
    size_t judged_count = 0;
    lock(making->review);
    size_t pool = making->review->pool;
    unlock(making->review);
    int status = judged == NULL ? error_no_memory(error, "the review list")
                                : score_judged(judged, &judged_count, making, error);
    if (status == DEEPSAD_OK) {
        status = store_samples_list(making->store, &samples, making->entry->name,
                                    making->features, STORE_UNLABELED, pool, error);
    }
    if (status == DEEPSAD_OK) {
        status = score_candidates(making, &samples, error);
    }
    if (status == DEEPSAD_OK) {
        status = choose(making, &samples, judged, judged_count, error);
    }
    store_samples_done(&samples);
    free(judged);
    return status;
}

static int fill(struct making *making, struct deepsad_error *error)
{
    size_t limit = making->query->limit;
    int status = store_labels_in_force(making->store, &making->labels,
                                       making->entry->name, making->features, error);
    if (status == DEEPSAD_OK && making->query->strategy == REVIEW_SECOND) {
        return add_second_looks(making, limit, error);
    }
    if (status == DEEPSAD_OK && making->query->strategy == REVIEW_MIXED) {
        status = add_second_looks(making, limit / 2, error);
    }
    return status == DEEPSAD_OK ? add_candidates(making, error) : status;
}

int review_make(struct review_list *out, struct review *review, struct store *store,
                const struct catalog_entry *entry, const struct catalog_version *version,
                struct deepsad_workspace *workspace, const struct review_query *query,
                struct deepsad_error *error)
{
    struct making making = {.review = review,
                            .store = store,
                            .entry = entry,
                            .version = version,
                            .workspace = workspace,
                            .query = query,
                            .features = deepsad_model_features(version->model)};
    making.list.features = making.features;
    making.list.rows = calloc(query->limit + 1, sizeof *making.list.rows);
    making.list.x = calloc((query->limit + 1) * making.features, sizeof(float));
    lock(review);
    leases_expire(&review->leases, clock_monotonic());
    unlock(review);
    int status = making.list.rows == NULL || making.list.x == NULL
                     ? error_no_memory(error, "the review list")
                     : fill(&making, error);
    store_labels_done(&making.labels);
    if (status != DEEPSAD_OK) {
        review_list_done(&making.list);
        return status;
    }
    take_leases(&making);
    *out = making.list;
    return DEEPSAD_OK;
}
