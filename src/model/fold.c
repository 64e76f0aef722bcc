/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fold.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *fold_basis_name(enum fold_basis basis)
{
    static const char *const names[] = {"out-of-fold", "held-out", "in-sample",
                                        "out-of-bag"};
    return names[basis];
}

/* The finaliser of splitmix64. */
static uint64_t mix(uint64_t value)
{
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9U;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

uint64_t fold_hash(const float *row, size_t features)
{
    uint64_t hash = 0x9e3779b97f4a7c15U;
    for (size_t j = 0; j < features; j++) {
        float value = isnan(row[j]) ? NAN : row[j] + 0.0F; /* -0 + 0 = 0 */
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = isnan(value) ? 0x7fc00000U : bits;
        hash = (hash ^ bits) * 0x9fb21c651e98df25U;
        hash ^= hash >> 32;
    }
    return mix(hash);
}

static uint64_t row_hash(const struct fold_rows *rows, size_t i, bool with_index)
{
    uint64_t hash = fold_hash(rows->x + rows->order[i] * rows->features, rows->features);
    return with_index ? mix(hash ^ mix(i + 1)) : hash;
}

static bool balanced(const size_t *counts, size_t members, size_t rows)
{
    for (size_t k = 0; k < members; k++) {
        if (counts[k] * 2 * members < rows || counts[k] * members > 2 * rows) {
            return false;
        }
    }
    return true;
}

/* Folds of the first `count` rows by content, then by content and index, and where even
 * that is uneven (a handful of rows) by index alone. */
static void assign_unlabeled(unsigned char *of, const struct fold_rows *rows,
                             size_t members)
{
    enum { BY_CONTENT, BY_CONTENT_AND_INDEX, BY_INDEX };
    for (int way = BY_CONTENT; way <= BY_INDEX; way++) {
        size_t counts[FOLD_NONE] = {0};
        for (size_t i = 0; i < rows->unlabeled; i++) {
            uint64_t hash =
                way == BY_INDEX ? i : row_hash(rows, i, way == BY_CONTENT_AND_INDEX);
            of[i] = (unsigned char)(hash % members);
            counts[of[i]]++;
        }
        if (balanced(counts, members, rows->unlabeled)) {
            return;
        }
    }
}

/* Round-robin. first: of the class among the labels. */
static void assign_labels(unsigned char *of, const struct fold_rows *rows, size_t first,
                          size_t count, size_t members)
{
    for (size_t i = 0; i < count; i++) {
        size_t ordinal = rows->ordinals != NULL ? rows->ordinals[first + i] : i;
        of[rows->unlabeled + first + i] = (unsigned char)(ordinal % members);
    }
}

static void assign_members(struct folds *folds, const struct fold_rows *rows,
                           size_t members)
{
    size_t least = rows->anomalies_min > 0 ? rows->anomalies_min : FOLD_ANOMALIES_MIN;
    assign_unlabeled(folds->of, rows, members);
    assign_labels(folds->of, rows, 0, rows->normals, members);
    if (rows->anomalies >= least) {
        assign_labels(folds->of, rows, rows->normals, rows->anomalies, members);
    }
}

/* Returns the number of rows held out. */
static size_t hold_out(struct folds *folds, const struct fold_rows *rows, double share,
                       bool with_index)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->references; i++) {
        double u = (double)(row_hash(rows, i, with_index) >> 11) * 0x1p-53;
        folds->of[i] = u < share ? 0 : FOLD_NONE;
        count += u < share;
    }
    return count;
}

static bool assign_held_out(struct folds *folds, const struct fold_rows *rows,
                            double share)
{
    double wanted = share * (double)rows->references;
    if (wanted < FOLD_HELD_OUT_MIN) {
        return false;
    }
    for (int with_index = 0; with_index <= 1; with_index++) {
        double count = (double)hold_out(folds, rows, share, with_index);
        if (count >= wanted / 2 && count <= wanted * 2) {
            return true;
        }
    }
    return false;
}

int folds_make(struct folds *out, const struct fold_rows *rows, size_t members,
               double held_out, struct deepsad_error *error)
{
    size_t count = rows->unlabeled + rows->normals + rows->anomalies;
    struct folds folds = {.basis = FOLD_IN_SAMPLE, .of = malloc(count + 1)};
    if (folds.of == NULL) {
        return error_no_memory(error, "folds");
    }
    memset(folds.of, FOLD_NONE, count);
    if (members > 1 && rows->references >= FOLD_ROWS_MIN * members) {
        assign_members(&folds, rows, members);
        folds.basis = FOLD_OUT_OF_FOLD;
    } else if (members == 1 && assign_held_out(&folds, rows, held_out)) {
        folds.basis = FOLD_HELD_OUT;
    } else {
        memset(folds.of, FOLD_NONE, count);
    }
    *out = folds;
    return DEEPSAD_OK;
}

void folds_done(struct folds *folds)
{
    free(folds->of);
    *folds = (struct folds){0};
}
