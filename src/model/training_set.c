/* SPDX-License-Identifier: Apache-2.0 */
#include "model/training_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/digest.h"
#include "model/fold.h"

static size_t unlabeled_of(const struct training_set *set)
{
    return set->base + set->traffic;
}

static size_t rows_of(const struct training_set *set)
{
    return set->base + set->traffic + set->labels;
}

static size_t stored_of(const struct training_set *set)
{
    return rows_of(set) + set->aside;
}

static const char *id_of(const struct training_set *set, size_t label)
{
    return set->ids[label] != NULL ? set->ids[label] : "";
}

/* ---- Memory ---- */

int training_set_new(struct training_set *out, size_t features, size_t base,
                     size_t traffic, size_t labels, size_t aside,
                     struct deepsad_error *error)
{
    struct training_set set = {.features = features,
                               .base = base,
                               .traffic = traffic,
                               .labels = labels,
                               .aside = aside};
    size_t rows, values;
    if (__builtin_add_overflow(base, traffic, &rows) ||
        __builtin_add_overflow(rows, labels, &rows) ||
        __builtin_add_overflow(rows, aside, &rows) ||
        __builtin_mul_overflow(rows, features, &values) ||
        values >= SIZE_MAX / sizeof *set.x) {
        return error_no_memory(error, "training rows");
    }
    set.x = calloc(values + 1, sizeof *set.x);
    set.y = calloc(labels + 1, sizeof *set.y);
    set.ordinal = calloc(labels + 1, sizeof *set.ordinal);
    set.ids = calloc(labels + 1, sizeof *set.ids);
    if (set.x == NULL || set.y == NULL || set.ordinal == NULL || set.ids == NULL) {
        set.labels = set.ids == NULL ? 0 : labels;
        training_set_done(&set);
        return error_no_memory(error, "training rows");
    }
    *out = set;
    return DEEPSAD_OK;
}

void training_set_done(struct training_set *set)
{
    for (size_t i = 0; set->ids != NULL && i < set->labels; i++) {
        free(set->ids[i]);
    }
    free(set->ids);
    free(set->x);
    free(set->y);
    free(set->ordinal);
    *set = (struct training_set){0};
}

static int copy_ids(struct training_set *out, const struct training_set *set)
{
    for (size_t i = 0; i < set->labels; i++) {
        const char *id = id_of(set, i);
        if (id[0] != '\0' && (out->ids[i] = strdup(id)) == NULL) {
            return -1;
        }
    }
    return 0;
}

int training_set_copy(struct training_set *out, const struct training_set *set,
                      struct deepsad_error *error)
{
    struct training_set copy;
    int status = training_set_new(&copy, set->features, set->base, set->traffic,
                                  set->labels, set->aside, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (stored_of(set) > 0) {
        memcpy(copy.x, set->x, stored_of(set) * set->features * sizeof *set->x);
    }
    if (set->labels > 0) {
        memcpy(copy.y, set->y, set->labels);
        memcpy(copy.ordinal, set->ordinal, set->labels * sizeof *set->ordinal);
    }
    copy.complete = set->complete;
    if (copy_ids(&copy, set) != 0) {
        training_set_done(&copy);
        return error_no_memory(error, "training rows");
    }
    *out = copy;
    return DEEPSAD_OK;
}

/* ---- From a data set ---- */

static signed char label_of(const struct deepsad_dataset *dataset, size_t row)
{
    return dataset->labels == NULL ? (signed char)0 : dataset->labels[row];
}

/* A row's lot. The index takes part, so that rows of equal content are drawn evenly. */
static uint64_t lot_of(const struct deepsad_dataset *dataset, size_t row)
{
    uint64_t hash = fold_hash(dataset->x + row * dataset->features, dataset->features);
    hash ^= (row + 1) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 31;
    hash *= 0x94d049bb133111ebU;
    return hash ^ (hash >> 29);
}

static int compare_lots(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Marks `kept` of the rows of one class, those with the lowest lots: at most `most`. */
static int draw(bool *kept, size_t *count, const struct deepsad_dataset *dataset,
                signed char label, size_t most, struct deepsad_error *error)
{
    uint64_t *lots = calloc(dataset->rows + 1, sizeof *lots);
    if (lots == NULL) {
        return error_no_memory(error, "a sample of the training rows");
    }
    size_t found = 0, taken = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        if (label_of(dataset, i) == label) {
            lots[found++] = lot_of(dataset, i);
        }
    }
    qsort(lots, found, sizeof *lots, compare_lots);
    uint64_t limit = found > most ? lots[most] : UINT64_MAX;
    for (size_t i = 0; i < dataset->rows; i++) {
        if (label_of(dataset, i) == label) {
            kept[i] = found <= most || (taken < most && lot_of(dataset, i) < limit);
            taken += kept[i];
        }
    }
    free(lots);
    *count += taken;
    return DEEPSAD_OK;
}

/* The rows kept, each in its place: unlabeled ones first. */
static void fill(struct training_set *set, const struct deepsad_dataset *dataset,
                 const bool *kept)
{
    size_t row_of[2] = {0, set->base}; /* next place of an unlabeled, a labelled row */
    uint32_t ordinals[2] = {0};        /* of normals, of anomalies */
    size_t size = dataset->features * sizeof *dataset->x;
    for (size_t i = 0; i < dataset->rows; i++) {
        signed char label = label_of(dataset, i);
        uint32_t ordinal = label == 0 ? 0 : ordinals[label < 0]++;
        if (!kept[i]) {
            continue;
        }
        size_t place = row_of[label != 0]++;
        memcpy(set->x + place * set->features, dataset->x + i * set->features, size);
        if (label != 0) {
            set->y[place - set->base] = (signed char)(label > 0 ? 1 : -1);
            set->ordinal[place - set->base] = ordinal;
        }
    }
}

int training_set_from_dataset(struct training_set *out,
                              const struct deepsad_dataset *dataset, size_t unlabeled_max,
                              struct deepsad_error *error)
{
    if (unlabeled_max == 0 || dataset->rows == 0) {
        return training_set_new(out, dataset->features, 0, 0, 0, 0, error);
    }
    size_t row_size = dataset->features * sizeof *dataset->x;
    size_t bound = TRAINING_SET_BYTES_MAX / (row_size > 0 ? row_size : 1) + 1;
    bool *kept = calloc(dataset->rows, sizeof *kept);
    if (kept == NULL) {
        return error_no_memory(error, "a sample of the training rows");
    }
    struct training_set set;
    size_t base = 0, labels = 0;
    int status = draw(kept, &base, dataset, 0,
                      unlabeled_max < bound ? unlabeled_max : bound, error);
    if (status == DEEPSAD_OK) {
        status = draw(kept, &labels, dataset, 1, bound, error);
    }
    if (status == DEEPSAD_OK) {
        status = draw(kept, &labels, dataset, -1, SIZE_MAX, error);
    }
    if (status == DEEPSAD_OK) {
        status = training_set_new(&set, dataset->features, base, 0, labels, 0, error);
    }
    if (status == DEEPSAD_OK) {
        fill(&set, dataset, kept);
        set.complete = base + labels == dataset->rows;
        *out = set;
    }
    free(kept);
    return status;
}

/* ---- Digests ---- */

static void add_labels(struct digest *digest, const struct training_set *set)
{
    digest_add(digest, set->y, set->labels);
    digest_add(digest, set->ordinal, set->labels * sizeof *set->ordinal);
    for (size_t i = 0; i < set->labels; i++) {
        digest_add(digest, id_of(set, i), strlen(id_of(set, i)) + 1);
    }
}

void training_set_digest(char text[static TRAINING_SET_DIGEST],
                         const struct training_set *set)
{
    struct digest digest;
    uint64_t sizes[] = {set->features, set->base,  set->traffic,
                        set->labels,   set->aside, set->complete};
    digest_init(&digest);
    digest_add(&digest, sizes, sizeof sizes);
    add_labels(&digest, set);
    digest_add(&digest, set->x, stored_of(set) * set->features * sizeof *set->x);
    digest_finish(&digest, text);
}

void training_set_labels_digest(char text[static TRAINING_SET_DIGEST],
                                const struct training_set *set)
{
    struct digest digest;
    digest_init(&digest);
    add_labels(&digest, set);
    digest_add(&digest, set->x + unlabeled_of(set) * set->features,
               set->labels * set->features * sizeof *set->x);
    digest_finish(&digest, text);
}
