/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_import.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/uuid.h"

struct id {
    char text[STORE_ID_MAX + 1];
};

/* Sorted ids of the labels that the store has, and which of them are withdrawn. */
struct known {
    size_t count;
    struct known_label {
        char id[STORE_ID_MAX + 1];
        bool withdrawn;
    } * labels;
};

struct journal_import {
    const struct journal_place *place;
    const struct journal_rows *rows;
    const char *analyst;
    struct known known;
    void *seen;   /* ids of samples that rows were about: a tree of tsearch(3) */
    size_t count; /* of `verdicts` */
    struct store_verdict_new *verdicts; /* (rows) */
    size_t *sources;                    /* (rows): the row that each verdict came of */
    struct id *ids;                     /* (rows): those made here */
    struct id *samples;                 /* (rows): the same */
    float *scores, *p_values;           /* (rows) */
    struct uuid_source source;
    int64_t now_ms;
};

/* ---- What the store has ------------------------------------------------------------ */

static int compare_known(const void *a, const void *b)
{
    const struct known_label *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static int read_known(struct journal_import *import, struct deepsad_error *error)
{
    struct store_labels labels = {0};
    const struct store_label_filter filter = {0};
    int status = store_labels_list(import->place->store, &labels, import->place->name,
                                   &filter, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    import->known.labels = calloc(labels.count + 1, sizeof *import->known.labels);
    for (size_t i = 0; i < labels.count && import->known.labels != NULL; i++) {
        struct known_label *label = &import->known.labels[import->known.count++];
        memcpy(label->id, labels.labels[i].id, sizeof label->id);
        label->withdrawn = labels.labels[i].withdrawn_at_ms != 0;
    }
    store_labels_done(&labels);
    if (import->known.labels == NULL) {
        return error_no_memory(error, "the labels of the store");
    }
    qsort(import->known.labels, import->known.count, sizeof *import->known.labels,
          compare_known);
    return DEEPSAD_OK;
}

static const struct known_label *find_known(const struct known *known, const char *id)
{
    struct known_label key = {.withdrawn = false};
    if (id == NULL) {
        return NULL;
    }
    memccpy(key.id, id, '\0', sizeof key.id);
    return bsearch(&key, known->labels, known->count, sizeof key, compare_known);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Notes the sample's id; *found: an earlier row was about it, so it is kept by then. */
static int note_sample(bool *found, struct journal_import *import, const char *id,
                       struct deepsad_error *error)
{
    *found = tfind(id, &import->seen, compare_ids) != NULL;
    return *found || tsearch(id, &import->seen, compare_ids) != NULL
               ? DEEPSAD_OK
               : error_no_memory(error, import->rows->path);
}

/* Whether the sample is kept, or made by an earlier row of the file. */
static int find_sample(bool *found, struct journal_import *import, const char *id,
                       struct deepsad_error *error)
{
    int status = note_sample(found, import, id, error);
    if (status != DEEPSAD_OK || *found) {
        return status;
    }
    struct store_samples sample = {0};
    struct deepsad_error missing = {0};
    status = store_sample_get(import->place->store, &sample, import->place->name, id,
                              &missing);
    store_samples_done(&sample);
    *found = status == DEEPSAD_OK;
    return *found || status == DEEPSAD_NOT_FOUND
               ? DEEPSAD_OK
               : error_set(error, (enum deepsad_status)status, "%s", missing.message);
}

/* ---- Verdicts ---------------------------------------------------------------------- */

static const char *make_id(struct journal_import *import, struct id *id)
{
    uuid_make(&import->source, import->now_ms, id->text);
    id->text[UUID_SIZE] = '\0';
    return id->text;
}

/* Its sample: one that is kept, or a new one with the row's features. */
static int name_sample(struct journal_import *import, struct store_verdict_new *verdict,
                       size_t row, struct deepsad_error *error)
{
    const struct journal_row *source = &import->rows->rows[row];
    const char *id = source->texts[JOURNAL_SAMPLE_ID];
    bool kept = false;
    int status = id == NULL ? DEEPSAD_OK : find_sample(&kept, import, id, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (kept) {
        verdict->sample_id = id;
        return DEEPSAD_OK;
    }
    if (!source->features) {
        return error_set(error, DEEPSAD_NOT_FOUND,
                         "%s:%zu:1: the sample \"%s\" is not kept, and the row brings no "
                         "features",
                         import->rows->path, source->line, id);
    }
    verdict->sample_new = id != NULL ? id : make_id(import, &import->samples[row]);
    verdict->x = import->rows->x + row * deepsad_model_features(import->place->model);
    verdict->score = import->scores[row];
    verdict->p_value = import->p_values[row];
    return DEEPSAD_OK;
}

static int add_verdict(struct journal_import *import, size_t row,
                       struct deepsad_error *error)
{
    const struct journal_row *source = &import->rows->rows[row];
    const char *id = source->texts[JOURNAL_ID], *analyst = source->texts[JOURNAL_ANALYST];
    struct store_verdict_new verdict = {
        .label_id = id != NULL ? id : make_id(import, &import->ids[row]),
        .verdict = source->verdict,
        .analyst = analyst != NULL ? analyst : import->analyst,
        .reason = source->texts[JOURNAL_REASON],
        .note = source->texts[JOURNAL_NOTE]};
    int status = name_sample(import, &verdict, row, error);
    if (status == DEEPSAD_OK) {
        import->sources[import->count] = row;
        import->verdicts[import->count++] = verdict;
    }
    return status;
}

static void count_verdict(struct journal_import_counts *counts,
                          enum store_verdict verdict)
{
    counts->added++;
    counts->normal += verdict == STORE_NORMAL;
    counts->anomalous += verdict == STORE_ANOMALOUS;
    counts->unsure += verdict == STORE_UNSURE;
}

static int collect(struct journal_import *import, struct journal_import_counts *counts,
                   struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < import->rows->count && status == DEEPSAD_OK; i++) {
        if (find_known(&import->known, import->rows->rows[i].texts[JOURNAL_ID]) != NULL) {
            counts->skipped++;
        } else {
            status = add_verdict(import, i, error);
            count_verdict(counts, import->rows->rows[i].verdict);
        }
    }
    return status;
}

/* ---- Writing ----------------------------------------------------------------------- */

static int write_labels(const struct journal_import *import, struct deepsad_error *error)
{
    const struct store_labels_new labels = {
        .model = import->place->name,
        .features = deepsad_model_features(import->place->model),
        .version = import->place->version,
        .created_at_ms = import->now_ms,
        .count = import->count,
        .verdicts = import->verdicts};
    struct store_labels out = {0};
    bool replayed;
    size_t wrong = SIZE_MAX;
    if (import->count == 0) {
        return DEEPSAD_OK;
    }
    int status =
        store_labels_add(import->place->store, &out, &replayed, &labels, &wrong, error);
    if (status != DEEPSAD_OK && wrong < import->count) {
        error_prefix(error, "%s:%zu:1", import->rows->path,
                     import->rows->rows[import->sources[wrong]].line);
    }
    store_labels_done(&out);
    return status;
}

static int withdraw(const struct journal_import *import, const char *id,
                    struct deepsad_error *error)
{
    struct store_label label = {0};
    int status = store_label_withdraw(import->place->store, &label, import->place->name,
                                      id, NULL, import->now_ms, error);
    free(label.analyst);
    free(label.reason);
    free(label.note);
    free(label.quarantine);
    return status;
}

/* Also of labels that were there: the file may know more of them. */
static int withdraw_labels(const struct journal_import *import,
                           struct journal_import_counts *counts,
                           struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < import->rows->count && status == DEEPSAD_OK; i++) {
        char *const *texts = import->rows->rows[i].texts;
        const struct known_label *known = find_known(&import->known, texts[JOURNAL_ID]);
        if (texts[JOURNAL_ID] != NULL && texts[JOURNAL_WITHDRAWN_AT] != NULL &&
            (known == NULL || !known->withdrawn)) {
            status = withdraw(import, texts[JOURNAL_ID], error);
            counts->withdrawn += status == DEEPSAD_OK;
        }
    }
    return status;
}

/* ---- All --------------------------------------------------------------------------- */

static int allocate(struct journal_import *import, struct deepsad_error *error)
{
    size_t count = import->rows->count + 1;
    import->verdicts = calloc(count, sizeof *import->verdicts);
    import->sources = calloc(count, sizeof *import->sources);
    import->ids = calloc(count, sizeof *import->ids);
    import->samples = calloc(count, sizeof *import->samples);
    import->scores = calloc(count, sizeof *import->scores);
    import->p_values = calloc(count, sizeof *import->p_values);
    return import->verdicts != NULL && import->sources != NULL && import->ids != NULL &&
                   import->samples != NULL && import->scores != NULL &&
                   import->p_values != NULL
               ? DEEPSAD_OK
               : error_no_memory(error, import->rows->path);
}

static void keep_id(void *id)
{
    (void)id; /* the file's row owns it */
}

static void release(struct journal_import *import)
{
    tdestroy(import->seen, keep_id);
    free(import->known.labels);
    free(import->verdicts);
    free(import->sources);
    free(import->ids);
    free(import->samples);
    free(import->scores);
    free(import->p_values);
}

static int score(struct journal_import *import, struct deepsad_error *error)
{
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    if (workspace == NULL) {
        return error_no_memory(error, "scores");
    }
    int status = import->rows->count == 0
                     ? DEEPSAD_OK
                     : deepsad_score(import->place->model, workspace, import->scores,
                                     import->p_values, import->rows->x,
                                     import->rows->count, error);
    deepsad_workspace_free(workspace);
    return status;
}

int journal_import(struct journal_import_counts *out, const struct journal_place *place,
                   const struct journal_rows *rows, const char *analyst,
                   struct deepsad_error *error)
{
    struct journal_import import = {
        .place = place, .rows = rows, .analyst = analyst, .now_ms = clock_realtime_ms()};
    struct journal_import_counts counts = {.rows = rows->count};
    uuid_source_init(&import.source);
    int status = allocate(&import, error);
    if (status == DEEPSAD_OK) {
        status = score(&import, error);
    }
    if (status == DEEPSAD_OK) {
        status = read_known(&import, error);
    }
    if (status == DEEPSAD_OK) {
        status = collect(&import, &counts, error);
    }
    if (status == DEEPSAD_OK) {
        status = write_labels(&import, error);
    }
    if (status == DEEPSAD_OK) {
        status = withdraw_labels(&import, &counts, error);
    }
    release(&import);
    if (status == DEEPSAD_OK) {
        *out = counts;
    }
    return status;
}
