/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/training_rows.h"

#include <stdlib.h>
#include <string.h>

#include "learn/known.h"
#include "learn/shadow.h"
#include "model/fold.h"

/* With fewer new rows than this share of all unlabeled ones the data has not moved. */
static const double moved_share = 0.05;

/* A row of the first training, wherever the champion keeps it. */
struct base_row {
    uint64_t hash;
    size_t at; /* in champion->x */
};

static int by_hash(const void *a, const void *b)
{
    const struct base_row *one = a, *other = b;
    return one->hash != other->hash
               ? (one->hash > other->hash) - (one->hash < other->hash)
               : (one->at > other->at) - (one->at < other->at);
}

/* All of them in the order of their hashes: where traffic takes their place, those that
 * stay are always a part of those before, and a label taken back leaves no trace. */
static int list_base(struct base_row **out, size_t *count,
                     const struct training_set *champion, struct deepsad_error *error)
{
    size_t first_aside = champion->base + champion->traffic + champion->labels;
    *count = champion->base + champion->aside;
    struct base_row *list = calloc(*count + 1, sizeof *list);
    if (list == NULL) {
        return error_no_memory(error, "the training rows");
    }
    for (size_t i = 0; i < *count; i++) {
        size_t at = i < champion->base ? i : first_aside + i - champion->base;
        list[i].at = at;
        list[i].hash =
            fold_hash(champion->x + at * champion->features, champion->features);
    }
    qsort(list, *count, sizeof *list, by_hash);
    *out = list;
    return DEEPSAD_OK;
}

static void add_row(struct training_set *set, size_t row, const float *x)
{
    memcpy(set->x + row * set->features, x, set->features * sizeof *x);
}

/* At most `most` of the rows that nobody has judged; of the others, `left` (count). */
static void add_base(struct training_set *set, struct base_row *list, size_t count,
                     size_t *left, const struct training_set *champion, size_t most,
                     struct shadow *shadow)
{
    *left = 0;
    for (size_t i = 0; i < count; i++) {
        if (shadow_takes(shadow, list[i].hash) || set->base >= most) {
            list[(*left)++] = list[i];
        } else {
            add_row(set, set->base++, champion->x + list[i].at * champion->features);
        }
    }
}

static void add_aside(struct training_set *set, const struct base_row *list, size_t count,
                      const struct training_set *champion)
{
    size_t first = set->base + set->traffic + set->labels;
    for (size_t i = 0; i < count; i++) {
        add_row(set, first + i, champion->x + list[i].at * champion->features);
    }
    set->aside = count;
}

/* Oldest first, so that a set grows at its end. Samples that were judged are not in the
 * list; what equals a known anomaly stays out as well. */
static void add_traffic(struct training_set *set, const struct store_samples *traffic,
                        const struct shadow *shadow)
{
    for (size_t i = traffic->count; i-- > 0;) {
        const float *x = traffic->x + i * traffic->features;
        if (!shadow_is_anomaly(shadow, fold_hash(x, traffic->features))) {
            add_row(set, set->base + set->traffic++, x);
        }
    }
}

static int add_label(struct training_set *set, const float *x, signed char y,
                     uint32_t ordinal, const char *id, struct deepsad_error *error)
{
    size_t at = set->labels;
    set->ids[at] = strdup(id);
    if (set->ids[at] == NULL) {
        return error_no_memory(error, "labels");
    }
    add_row(set, set->base + set->traffic + at, x);
    set->y[at] = y;
    set->ordinal[at] = ordinal;
    set->labels++;
    return DEEPSAD_OK;
}

/* Labels that came with the first data set; of[2]: how many normal, anomalous. */
static int add_first_labels(struct training_set *set, uint32_t of[static 2],
                            const struct training_set *champion,
                            struct deepsad_error *error)
{
    size_t first = champion->base + champion->traffic;
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < champion->labels && status == DEEPSAD_OK; i++) {
        if (known_is_first(champion, i)) {
            status = add_label(set, champion->x + (first + i) * champion->features,
                               champion->y[i], champion->ordinal[i], "", error);
            of[champion->y[i] < 0]++;
        }
    }
    return status;
}

static int add_labels(struct training_set *set, const struct collected *collected,
                      const struct collected_label *list, size_t count,
                      const uint32_t first[static 2], struct deepsad_error *error)
{
    const struct store_labels *labels = &collected->in_force;
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        const struct store_label *label = &labels->labels[list[i].at];
        bool anomalous = label->verdict == STORE_ANOMALOUS;
        uint32_t ordinal = list[i].known != SIZE_MAX
                               ? collected->champion.ordinal[list[i].known]
                               : first[anomalous] + label->ordinal;
        status = add_label(set, labels->x + list[i].at * labels->features,
                           (signed char)(anomalous ? -1 : 1), ordinal, label->id, error);
    }
    return status;
}

/* The labels of both lists that the set is to hold. */
static int make_shadow(struct shadow *out, const struct collected *collected,
                       size_t fresh, struct deepsad_error *error)
{
    const struct store_labels *labels = &collected->in_force;
    int status = shadow_new(out, collected->old_count + fresh, error);
    for (size_t i = 0; i < collected->old_count + fresh && status == DEEPSAD_OK; i++) {
        size_t at = i < collected->old_count
                        ? collected->old[i].at
                        : collected->fresh[i - collected->old_count].at;
        shadow_add(out, fold_hash(labels->x + at * labels->features, labels->features),
                   labels->labels[at].verdict == STORE_ANOMALOUS);
    }
    if (status == DEEPSAD_OK) {
        shadow_sort(out);
    }
    return status;
}

/* Fills a set that has room for everything. */
static int fill(struct training_set *set, const struct collected *collected, size_t fresh,
                size_t most, struct base_row *list, size_t count, struct shadow *shadow,
                struct deepsad_error *error)
{
    const struct training_set *champion = &collected->champion;
    uint32_t first[2] = {0, 0};
    size_t left;
    add_base(set, list, count, &left, champion, most, shadow);
    add_traffic(set, &collected->traffic, shadow);
    int status = add_first_labels(set, first, champion, error);
    if (status == DEEPSAD_OK) {
        status = add_labels(set, collected, collected->old, collected->old_count, first,
                            error);
    }
    if (status == DEEPSAD_OK) {
        status = add_labels(set, collected, collected->fresh, fresh, first, error);
    }
    add_aside(set, list, left, champion);
    return status;
}

/* Room for `labels`, of which the set has none yet. */
static int make_room(struct training_set *out, size_t features, size_t rows,
                     size_t labels, struct deepsad_error *error)
{
    int status = training_set_new(out, features, rows, 0, labels, 0, error);
    if (status == DEEPSAD_OK) {
        out->base = out->labels = 0;
        out->complete = true;
    }
    return status;
}

int training_rows_make(struct training_set *out, const struct collected *collected,
                       bool fresh, const struct policy *policy,
                       struct deepsad_error *error)
{
    const struct training_set *champion = &collected->champion;
    size_t traffic = collected->traffic.count, rows = policy->retraining.rows;
    size_t most = rows > traffic ? rows - traffic : 0;
    size_t added = fresh ? collected->new_count : 0, count = 0;
    struct training_set set = {0};
    struct shadow shadow = {0};
    struct base_row *list = NULL;
    int status = list_base(&list, &count, champion, error);
    if (status == DEEPSAD_OK) {
        status = make_shadow(&shadow, collected, added, error);
    }
    if (status == DEEPSAD_OK) {
        status = make_room(&set, champion->features, count + traffic,
                           champion->labels + collected->old_count + added, error);
    }
    if (status == DEEPSAD_OK) {
        status = fill(&set, collected, added, most, list, count, &shadow, error);
    }
    free(list);
    shadow_done(&shadow);
    if (status != DEEPSAD_OK) {
        training_set_done(&set);
        return status;
    }
    *out = set;
    return DEEPSAD_OK;
}

/* New rows are told by their hashes. */
int training_rows_moved(bool *out, const struct collected *collected,
                        const struct training_set *set, struct deepsad_error *error)
{
    const struct training_set *champion = &collected->champion;
    size_t features = champion->features, fresh = 0;
    struct shadow before;
    int status = shadow_new(&before, champion->traffic, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    for (size_t i = 0; i < champion->traffic; i++) {
        shadow_add(&before,
                   fold_hash(champion->x + (champion->base + i) * features, features),
                   true);
    }
    shadow_sort(&before);
    for (size_t i = 0; i < set->traffic; i++) {
        fresh += !shadow_is_anomaly(
            &before, fold_hash(set->x + (set->base + i) * features, features));
    }
    shadow_done(&before);
    *out = (double)fresh > moved_share * (double)(set->base + set->traffic);
    return DEEPSAD_OK;
}
