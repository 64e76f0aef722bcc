/* SPDX-License-Identifier: Apache-2.0 */
#include "data/split.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "data/dataset.h"
#include "nn/rng.h"

/* Ratios times counts come out a hair beside the integer they mean. */
static const double HAIR = 1e-9;

enum part { PART_NONE, PART_TEST, PART_UNLABELED, PART_NORMAL, PART_ANOMALOUS };

/* Rows of one class in random order: first those for the test part. */
struct class_rows {
    size_t *rows;
    size_t count, test;
};

/* How many rows of the training part are which. */
struct counts {
    size_t labeled_normals, labeled_anomalies, unlabeled_anomalies;
};

/* ---- Arguments ---- */

static int check_amount(double amount, const char *name, struct deepsad_error *error)
{
    if (!(amount >= 0) || (amount >= 1 && amount != floor(amount)) || amount > 1e15) {
        return error_set(error, DEEPSAD_INVALID,
                         "split: %s is %g; it must be a ratio from 0 to below 1, or a "
                         "whole count from 1 on",
                         name, amount);
    }
    return DEEPSAD_OK;
}

static int check_options(const struct deepsad_split_options *options, bool has_test,
                         struct deepsad_error *error)
{
    if (!(options->test >= 0 && options->test < 1)) {
        return error_set(error, DEEPSAD_INVALID,
                         "split: the test share is %g; it must be from 0 to below 1",
                         options->test);
    }
    if (options->test > 0 && !has_test) {
        return error_set(error, DEEPSAD_INVALID,
                         "split: a test share without a place for the test part");
    }
    bool natural = !(options->pollution < DEEPSAD_POLLUTION_NATURAL) &&
                   !(options->pollution > DEEPSAD_POLLUTION_NATURAL);
    if (!natural && !(options->pollution >= 0 && options->pollution < 1)) {
        return error_set(error, DEEPSAD_INVALID,
                         "split: pollution is %g; it must be a ratio from 0 to below 1, "
                         "or natural",
                         options->pollution);
    }
    int status = check_amount(options->labeled_anomalies, "labeled anomalies", error);
    return status == DEEPSAD_OK
               ? check_amount(options->labeled_normals, "labeled normals", error)
               : status;
}

/* ---- Classes ---- */

static int gather_class(struct class_rows *out, const struct deepsad_dataset *dataset,
                        int label, double test, uint64_t seed,
                        struct deepsad_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        count += dataset->labels[i] == label;
    }
    size_t *rows = calloc(count + 1, sizeof *rows);
    if (rows == NULL) {
        return error_no_memory(error, "a split");
    }
    size_t filled = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        if (dataset->labels[i] == label) {
            rows[filled++] = i;
        }
    }
    struct rng rng;
    rng_init(&rng, seed, label > 0 ? 0 : 1);
    rng_shuffle(&rng, rows, count);
    *out = (struct class_rows){rows, count, (size_t)ceil(test * (double)count - HAIR)};
    return DEEPSAD_OK;
}

/* ---- Counts ---- */

/*
 * Let r, s be the ratios of labelled anomalies and normals (with a count a, b in place of
 * either), q = gamma_p / (1 - gamma_p), B all normal and given unlabeled rows. Then
 *
 *     N = B + q (B - (s N + b)) + (r N + a)
 *
 * (B, unlabeled anomalies, labelled anomalies) is solved for N.
 */
struct demand {
    double ratio_anomalies, count_anomalies, ratio_normals, count_normals, q;
    double base; /* B */
};

static struct demand make_demand(const struct deepsad_split_options *options, size_t base)
{
    bool count_a = options->labeled_anomalies >= 1;
    bool count_n = options->labeled_normals >= 1;
    double pollution = options->pollution < 0 ? 0 : options->pollution;
    return (struct demand){
        .ratio_anomalies = count_a ? 0 : options->labeled_anomalies,
        .count_anomalies = count_a ? options->labeled_anomalies : 0,
        .ratio_normals = count_n ? 0 : options->labeled_normals,
        .count_normals = count_n ? options->labeled_normals : 0,
        .q = pollution / (1 - pollution),
        .base = (double)base,
    };
}

static int too_few_normals(size_t wanted, size_t there, double total,
                           struct deepsad_error *error)
{
    return error_set(error, DEEPSAD_INVALID,
                     "split: %zu labelled normals are wanted, the training part has %zu "
                     "normal rows; at most a ratio of %.4g or a count of %zu can be "
                     "labelled",
                     wanted, there, floor((double)there / total * 1e4) / 1e4, there);
}

/* Says the largest ratio that the anomalies allow: with all of them in use,
 * N = B + anomalies. */
static int too_few_anomalies(const struct demand *demand, double labeled,
                             double unlabeled, size_t there, struct deepsad_error *error)
{
    double total = demand->base + (double)there;
    double normals = demand->ratio_normals * total + demand->count_normals;
    double most = (double)there - demand->q * (demand->base - normals);
    if (unlabeled < 1 || (labeled >= 1 && most >= 1)) {
        return error_set(
            error, DEEPSAD_INVALID,
            "split: %.0f labelled and %.0f unlabeled anomalies are wanted, the training "
            "part has %zu; the largest ratio of labelled anomalies is %.4g, a count "
            "of %.0f",
            labeled, unlabeled, there, floor(most / total * 1e4) / 1e4, floor(most));
    }
    double left = fmax((double)there - labeled, 0);
    return error_set(
        error, DEEPSAD_INVALID,
        "split: %.0f labelled and %.0f unlabeled anomalies are wanted, the training part "
        "has %zu; the largest pollution is %.4g",
        labeled, unlabeled, there,
        floor(left / (left + demand->base - normals) * 1e4) / 1e4);
}

static int count_rows(struct counts *out, const struct deepsad_split_options *options,
                      size_t normals, size_t anomalies, size_t unlabeled,
                      struct deepsad_error *error)
{
    const struct demand demand = make_demand(options, normals + unlabeled);
    bool natural = options->pollution < 0;
    double total =
        natural ? demand.base + (double)anomalies
                : (demand.base + demand.q * (demand.base - demand.count_normals) +
                   demand.count_anomalies) /
                      (1 - demand.ratio_anomalies + demand.q * demand.ratio_normals);
    double labeled_normals =
        floor(demand.ratio_normals * total + demand.count_normals + HAIR);
    double labeled =
        floor(demand.ratio_anomalies * total + demand.count_anomalies + HAIR);
    if (labeled_normals > (double)normals) {
        return too_few_normals((size_t)labeled_normals, normals, total, error);
    }
    double hidden = natural
                        ? fmax((double)anomalies - labeled, 0)
                        : floor(demand.q * (demand.base - demand.ratio_normals * total -
                                            demand.count_normals) +
                                HAIR);
    if (labeled + hidden > (double)anomalies) {
        return too_few_anomalies(&demand, labeled, hidden, anomalies, error);
    }
    *out = (struct counts){(size_t)labeled_normals, (size_t)labeled, (size_t)hidden};
    return DEEPSAD_OK;
}

/* ---- Parts ---- */

/* Of the class's training rows the first `labeled` become `label`, the next `hidden`
 * unlabeled, the others none. */
static void assign_class(char *parts, const struct class_rows *class, enum part label,
                         size_t labeled, size_t hidden)
{
    for (size_t i = 0; i < class->count; i++) {
        enum part part = PART_NONE;
        if (i < class->test) {
            part = PART_TEST;
        } else if (i - class->test < labeled) {
            part = label;
        } else if (i - class->test - labeled < hidden) {
            part = PART_UNLABELED;
        }
        parts[class->rows[i]] = (char)part;
    }
}

static signed char label_in_part(enum part part, signed char truth)
{
    return part == PART_UNLABELED ? 0 : truth;
}

/* The rows of the test part, or those of the training part, in the order of the file. */
static int copy_part(struct deepsad_dataset *out, const struct deepsad_dataset *dataset,
                     const char *parts, bool test, struct deepsad_error *error)
{
    size_t *rows = calloc(dataset->rows + 1, sizeof *rows);
    if (rows == NULL) {
        return error_no_memory(error, "a split");
    }
    size_t count = 0;
    for (size_t i = 0; i < dataset->rows; i++) {
        if (parts[i] != PART_NONE && (parts[i] == PART_TEST) == test) {
            rows[count++] = i;
        }
    }
    int status = dataset_select(out, dataset, rows, count, error);
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        out->labels[i] =
            label_in_part((enum part)parts[rows[i]], dataset->labels[rows[i]]);
    }
    free(rows);
    return status;
}

static int assign_parts(char *parts, const struct deepsad_dataset *dataset,
                        const struct deepsad_split_options *options,
                        struct deepsad_error *error)
{
    struct class_rows normal = {0};
    struct class_rows anomalous = {0};
    struct counts counts = {0};
    int status = gather_class(&normal, dataset, 1, options->test, options->seed, error);
    if (status == DEEPSAD_OK) {
        status =
            gather_class(&anomalous, dataset, -1, options->test, options->seed, error);
    }
    if (status == DEEPSAD_OK) {
        size_t unlabeled = dataset->rows - normal.count - anomalous.count;
        status = count_rows(&counts, options, normal.count - normal.test,
                            anomalous.count - anomalous.test, unlabeled, error);
    }
    if (status == DEEPSAD_OK) {
        for (size_t i = 0; i < dataset->rows; i++) {
            parts[i] = PART_UNLABELED;
        }
        assign_class(parts, &normal, PART_NORMAL, counts.labeled_normals, normal.count);
        assign_class(parts, &anomalous, PART_ANOMALOUS, counts.labeled_anomalies,
                     counts.unlabeled_anomalies);
    }
    free(normal.rows);
    free(anomalous.rows);
    return status;
}

int deepsad_split(struct deepsad_dataset *train, struct deepsad_dataset *test,
                  const struct deepsad_dataset *dataset,
                  const struct deepsad_split_options *options,
                  struct deepsad_error *error)
{
    int status = check_options(options, test != NULL, error);
    if (status == DEEPSAD_OK && dataset->labels == NULL) {
        status = error_set(error, DEEPSAD_INVALID, "split: the rows have no labels");
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    char *parts = calloc(dataset->rows + 1, 1);
    if (parts == NULL) {
        return error_no_memory(error, "a split");
    }
    struct deepsad_dataset train_part = {0};
    struct deepsad_dataset test_part = {0};
    status = assign_parts(parts, dataset, options, error);
    if (status == DEEPSAD_OK) {
        status = copy_part(&train_part, dataset, parts, false, error);
    }
    if (status == DEEPSAD_OK && test != NULL) {
        status = copy_part(&test_part, dataset, parts, true, error);
    }
    if (status == DEEPSAD_OK && train_part.rows == 0) {
        status = error_set(error, DEEPSAD_INVALID,
                           "split: no row is left for training; lower the test share");
    }
    free(parts);
    if (status != DEEPSAD_OK) {
        deepsad_dataset_clear(&train_part);
        deepsad_dataset_clear(&test_part);
        return status;
    }
    *train = train_part;
    if (test != NULL) {
        *test = test_part;
    }
    return DEEPSAD_OK;
}
