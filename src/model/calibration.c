/* SPDX-License-Identifier: Apache-2.0 */
#include "model/calibration.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/simd.h"
#include "model/order.h"

enum { CALIBRATION_PSEUDO_NORMALS = 20 };

/* How many of the high-scored rows are anomalous, labels tell only where people looked at
 * both kinds there: so many normals that were reviewed, or at least labelled normals in
 * the top tenth. With anomalies alone labelled, the regression would call the whole top
 * of clean data anomalous and false alarms would be 2 to 5 times alpha; bound_hidden()
 * holds it then. */
enum { CALIBRATION_NORMALS_MIN = 5 };
static const double calibration_top = 0.9;

/* Weight of a pseudo-normal beside reviewed labels, which say themselves what is normal:
 * with full weight, and two of them in the top tenth, false alarms at alpha = 1 % were
 * half of alpha after 50 verdicts. */
static const double pseudo_reviewed = 0.3;

int calibration_new(struct calibration *out, size_t count, struct deepsad_error *error)
{
    struct calibration calibration = {.count = count};
    calibration.scores = calloc(count + 1, sizeof *calibration.scores);
    calibration.p_values = calloc(count + 1, sizeof *calibration.p_values);
    if (calibration.scores == NULL || calibration.p_values == NULL) {
        calibration_done(&calibration);
        return error_no_memory(error, "calibration");
    }
    *out = calibration;
    return DEEPSAD_OK;
}

void calibration_done(struct calibration *calibration)
{
    free(calibration->scores);
    free(calibration->p_values);
    *calibration = (struct calibration){0};
}

int calibration_make(struct calibration *out, const float *scores, const float *weights,
                     size_t count, struct deepsad_error *error)
{
    uint32_t *order;
    int status = order_ascending(&order, scores, count, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct calibration calibration;
    status = calibration_new(&calibration, count, error);
    if (status == DEEPSAD_OK) {
        double total = 0;
        for (size_t i = 0; i < count; i++) {
            total += (double)weights[i];
        }
        double above = 0;
        calibration.p_values[count] = (float)(1 / (1 + total));
        for (size_t i = count; i-- > 0;) {
            calibration.scores[i] = scores[order[i]];
            above += (double)weights[order[i]];
            calibration.p_values[i] = (float)fmin((1 + above) / (1 + total), 1);
        }
        *out = calibration;
    }
    free(order);
    return status;
}

bool calibration_valid(const struct calibration *calibration)
{
    const float *scores = calibration->scores, *p = calibration->p_values;
    bool valid = p[0] <= 1 && p[calibration->count] > 0;
    for (size_t i = 0; i < calibration->count; i++) {
        valid = valid && isfinite(scores[i]) && p[i] >= p[i + 1] &&
                (i == 0 || scores[i - 1] <= scores[i]);
    }
    return valid;
}

/* How many of the sorted scores are below `score`: halving without branches, so that the
 * processor overlaps the searches of several rows. */
static size_t count_below(const float *scores, size_t count, float score)
{
    const float *base = scores;
    size_t length = count;
    while (length > 1) {
        size_t half = length / 2;
        base += base[half - 1] < score ? half : 0;
        length -= half;
    }
    return (size_t)(base - scores) + (length == 1 && base[0] < score);
}

/* The same of a block: all searches take the same steps, so one step of all becomes
 * vector code, where one search after the other would wait for memory at each. */
enum { SEARCHES = 16 };

SIMD_CLONES
static void count_below_block(uint64_t below[static SEARCHES], const float *scores,
                              size_t count, const float wanted[static SEARCHES])
{
    for (size_t i = 0; i < SEARCHES; i++) {
        below[i] = 0;
    }
    size_t length = count;
    while (length > 1) {
        size_t half = length / 2;
        const float *middle = scores + half - 1;
        for (size_t i = 0; i < SEARCHES; i++) {
            below[i] += middle[below[i]] < wanted[i] ? half : 0;
        }
        length -= half;
    }
    for (size_t i = 0; i < SEARCHES && length == 1; i++) {
        below[i] += scores[below[i]] < wanted[i] ? 1 : 0;
    }
}

void calibration_p_values(const struct calibration *calibration, float *p_values,
                          const float *scores, size_t rows)
{
    const float *sorted = calibration->scores, *p = calibration->p_values;
    size_t count = calibration->count, i = 0;
    for (; i + SEARCHES <= rows; i += SEARCHES) {
        uint64_t below[SEARCHES] = {0};
        count_below_block(below, sorted, count, scores + i);
        for (size_t j = 0; j < SEARCHES; j++) {
            p_values[i + j] = p[below[j]];
        }
    }
    for (; i < rows; i++) {
        p_values[i] = p[count_below(sorted, count, scores[i])];
    }
}

double calibration_alpha_min(const struct calibration *calibration)
{
    return (double)calibration->p_values[calibration->count];
}

bool calibration_threshold(const struct calibration *calibration, double alpha,
                           float *threshold)
{
    size_t low = 0, high = calibration->count; /* the first p-value <= alpha */
    if ((double)calibration->p_values[high] > alpha) {
        return false;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((double)calibration->p_values[middle] <= alpha) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *threshold = low == 0 ? -FLT_MAX : nextafterf(calibration->scores[low - 1], FLT_MAX);
    return true;
}

static int compare_points(const void *a, const void *b)
{
    const struct isotonic_point *left = a, *right = b;
    return (left->u > right->u) - (left->u < right->u);
}

/* b, at the same u as a, or not above it though it should be, joins a. */
static void merge_point(struct isotonic_point *a, const struct isotonic_point *b)
{
    double weight = a->weight + b->weight;
    a->y = (a->y * a->weight + b->y * b->weight) / weight;
    a->weight = weight;
}

static size_t merge_equal(struct isotonic_point *points, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && points[kept - 1].u >= points[i].u) {
            merge_point(&points[kept - 1], &points[i]);
        } else {
            points[kept++] = points[i];
        }
    }
    return kept;
}

/* Pool adjacent violators, the pools in front of the points still to come. */
size_t isotonic_fit(struct isotonic_point *points, size_t count)
{
    qsort(points, count, sizeof *points, compare_points);
    count = merge_equal(points, count);
    size_t pools = 0;
    for (size_t i = 0; i < count; i++) {
        points[pools++] = points[i];
        while (pools > 1 && points[pools - 2].y >= points[pools - 1].y) {
            merge_point(&points[pools - 2], &points[pools - 1]);
            pools--;
        }
    }
    return pools;
}

double isotonic_at(const struct isotonic_point *points, size_t count, double u)
{
    if (u <= points[0].u) {
        return points[0].y;
    }
    size_t low = 0, high = count; /* points[low].u < u */
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (points[middle].u < u) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high < count && points[high].u <= u ? points[high].y : points[low].y;
}

static bool was_reviewed(const struct calibration_labels *labels, size_t label)
{
    return labels->reviewed != NULL && labels->reviewed[label];
}

static bool has_review(const struct calibration_labels *labels)
{
    size_t normals = 0;
    for (size_t i = 0; i < labels->count; i++) {
        normals += labels->labels[i] > 0 && was_reviewed(labels, i);
    }
    return normals >= CALIBRATION_NORMALS_MIN;
}

/* The labels (those reviewed only, if `review`) and the pseudo-normals over u; sorted
 * (rows): the reference scores. */
static size_t collect_points(struct isotonic_point *points, const float *sorted,
                             size_t rows, const struct calibration_labels *labels,
                             bool review)
{
    size_t count = 0;
    for (size_t i = 0; i < labels->count; i++) {
        if (review && !was_reviewed(labels, i)) {
            continue;
        }
        size_t below = count_below(sorted, rows, labels->scores[i]);
        points[count++] = (struct isotonic_point){(double)below / (double)rows,
                                                  labels->labels[i] < 0 ? 1 : 0, 1};
    }
    for (size_t i = 0; i < CALIBRATION_PSEUDO_NORMALS; i++) {
        double u = ((double)i + 0.5) / CALIBRATION_PSEUDO_NORMALS;
        points[count++] = (struct isotonic_point){u, 0, review ? pseudo_reviewed : 1};
    }
    return count;
}

/* Whether labelled normals stand among the highest-scored tenth of the rows. */
static bool top_was_reviewed(const float *sorted, size_t rows,
                             const struct calibration_labels *labels)
{
    size_t normals = 0;
    for (size_t i = 0; i < labels->count; i++) {
        size_t below = count_below(sorted, rows, labels->scores[i]);
        normals +=
            labels->labels[i] > 0 && (double)below >= calibration_top * (double)rows;
    }
    return normals >= CALIBRATION_NORMALS_MIN;
}

static int compare_floats_falling(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left < right) - (left > right);
}

/* At most how many of the rows are hidden anomalies. With a share pi of anomalies that
 * score as the labelled ones do, pi (share of labelled anomalies >= t) of the rows must
 * score >= t, for any t; so pi is at most the least ratio of rows to anomalies above any
 * t. The few highest anomalies are left out: their ratio is noise. */
static int bound_hidden(double *bound, const float *sorted, size_t rows,
                        const struct calibration_labels *labels,
                        struct deepsad_error *error)
{
    float *scores = malloc((labels->count + 1) * sizeof *scores);
    if (scores == NULL) {
        return error_no_memory(error, "calibration");
    }
    size_t count = 0;
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->labels[i] < 0) {
            scores[count++] = labels->scores[i];
        }
    }
    qsort(scores, count, sizeof *scores, compare_floats_falling);
    size_t first = (size_t)ceil(sqrt((double)count));
    first = first < 2 ? 2 : first;
    double least = count < first ? 0 : (double)rows;
    for (size_t i = first; i <= count; i++) {
        size_t above = rows - count_below(sorted, rows, scores[i - 1]);
        least = fmin(least, (double)above * (double)count / (double)i);
    }
    free(scores);
    *bound = least;
    return DEEPSAD_OK;
}

/* From the highest row down, until so many as `bound` are taken out in sum. */
static void take_out(float *weights, const uint32_t *order, const float *sorted,
                     size_t rows, const struct isotonic_point *points, size_t count,
                     double bound)
{
    double taken = 0;
    for (size_t i = rows; i-- > 0;) {
        size_t below = i == 0 || sorted[i] > sorted[i - 1]
                           ? i
                           : count_below(sorted, rows, sorted[i]); /* ties share */
        double share = isotonic_at(points, count, (double)below / (double)rows);
        taken += share;
        weights[order[i]] = taken <= bound ? (float)(1 - share) : 1;
    }
}

int calibration_weigh(float *weights, const float *reference, size_t rows,
                      const struct calibration_labels *labels, double hidden_max,
                      struct deepsad_error *error)
{
    if (rows == 0) {
        return DEEPSAD_OK;
    }
    struct isotonic_point *points =
        calloc(labels->count + CALIBRATION_PSEUDO_NORMALS, sizeof *points);
    float *sorted = malloc(rows * sizeof *sorted);
    uint32_t *order = NULL;
    double bound = 0;
    bool review = has_review(labels);
    int status = points == NULL || sorted == NULL
                     ? error_no_memory(error, "calibration")
                     : order_ascending(&order, reference, rows, error);
    if (status == DEEPSAD_OK) {
        for (size_t i = 0; i < rows; i++) {
            sorted[i] = reference[order[i]];
        }
        bound = (double)rows;
        if (!review && !top_was_reviewed(sorted, rows, labels)) {
            status = bound_hidden(&bound, sorted, rows, labels, error);
        }
    }
    if (status == DEEPSAD_OK) {
        size_t count = collect_points(points, sorted, rows, labels, review);
        count = isotonic_fit(points, count);
        bound = fmin(bound, hidden_max * (double)rows);
        take_out(weights, order, sorted, rows, points, count, bound);
    }
    free(order);
    free(sorted);
    free(points);
    return status;
}
