/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds in seconds: a request for one row takes microseconds, a slow upload as
 * long as the body's time limit. */
static const double bounds[] = {25e-6,  50e-6, 100e-6, 250e-6, 500e-6, 1e-3,
                                2.5e-3, 5e-3,  10e-3,  25e-3,  50e-3,  0.1,
                                0.25,   0.5,   1.0,    2.5,    5.0,    10.0};
enum { BOUND_COUNT = sizeof bounds / sizeof bounds[0] };

struct counter {
    struct counter *_Atomic next; /* of the family; append-only */
    char *labels;                 /* `a="x",b="y"`, or NULL; what a series is told by */
    _Atomic uint64_t total;       /* totals and histograms: events */
    _Atomic uint64_t bits;        /* a value that was set: the double's bits */
    atomic_bool has_value;
    _Atomic uint64_t nanoseconds;          /* histograms: sum */
    _Atomic uint64_t buckets[BOUND_COUNT]; /* histograms: not cumulative */
};

struct counter_set {
    const struct counter_family *families;
    size_t count;
    pthread_mutex_t mutex; /* guards appending; a leaf */
    struct counter *_Atomic first[];
};

int counter_set_new(struct counter_set **out, const struct counter_family *families,
                    size_t count, struct deepsad_error *error)
{
    struct counter_set *set = calloc(1, sizeof *set + count * sizeof set->first[0]);
    if (set == NULL) {
        return error_no_memory(error, "the counters");
    }
    set->families = families;
    set->count = count;
    pthread_mutex_init(&set->mutex, NULL);
    *out = set;
    return DEEPSAD_OK;
}

void counter_set_free(struct counter_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        struct counter *next;
        for (struct counter *series = set->first[i]; series != NULL; series = next) {
            next = series->next;
            free(series->labels);
            free(series);
        }
    }
    pthread_mutex_destroy(&set->mutex);
    free(set);
}

/* Label values escape backslash, quote and newline. */
static void append_label_value(struct buffer *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            buffer_append(out, "\\n", 2);
        } else {
            if (*value == '\\' || *value == '"') {
                buffer_append(out, "\\", 1);
            }
            buffer_append(out, value, 1);
        }
    }
}

static char *format_labels(const struct counter_family *family, const char *const *values)
{
    struct buffer text = {0};
    for (size_t i = 0; i < COUNTER_LABELS_MAX && family->labels[i] != NULL; i++) {
        buffer_printf(&text, "%s%s=\"", i == 0 ? "" : ",", family->labels[i]);
        append_label_value(&text, values[i]);
        buffer_append(&text, "\"", 1);
    }
    return buffer_take_string(&text);
}

static struct counter *find(struct counter_set *set, size_t family, const char *labels)
{
    struct counter *series = atomic_load(&set->first[family]);
    while (series != NULL && strcmp(series->labels, labels) != 0) {
        series = atomic_load(&series->next);
    }
    return series;
}

static struct counter *append(struct counter_set *set, size_t family, char *labels)
{
    struct counter *series = calloc(1, sizeof *series);
    if (series == NULL) {
        free(labels);
        return NULL;
    }
    series->labels = labels;
    struct counter *_Atomic *end = &set->first[family];
    while (atomic_load(end) != NULL) {
        end = &atomic_load(end)->next;
    }
    atomic_store(end, series);
    return series;
}

struct counter *counter_series(struct counter_set *set, size_t family,
                               const char *const *values)
{
    char *labels = format_labels(&set->families[family], values);
    if (labels == NULL) {
        return NULL;
    }
    struct counter *series = find(set, family, labels);
    if (series != NULL) {
        free(labels);
        return series;
    }
    pthread_mutex_lock(&set->mutex);
    series = find(set, family, labels);
    if (series == NULL) {
        series = append(set, family, labels);
    } else {
        free(labels);
    }
    pthread_mutex_unlock(&set->mutex);
    return series;
}

void counter_add(struct counter *counter, uint64_t amount)
{
    if (counter != NULL) {
        atomic_fetch_add_explicit(&counter->total, amount, memory_order_relaxed);
    }
}

void counter_set_value(struct counter *counter, double value)
{
    if (counter != NULL) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        atomic_store(&counter->bits, bits);
        atomic_store(&counter->has_value, true);
    }
}

double counter_value(const struct counter *counter)
{
    if (counter == NULL) {
        return 0.0;
    }
    if (!atomic_load(&counter->has_value)) {
        return (double)atomic_load(&counter->total);
    }
    uint64_t bits = atomic_load(&counter->bits);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void counter_observe(struct counter *counter, double seconds)
{
    if (counter == NULL) {
        return;
    }
    size_t i = 0;
    while (i < BOUND_COUNT && seconds > bounds[i]) {
        i++;
    }
    if (i < BOUND_COUNT) {
        atomic_fetch_add_explicit(&counter->buckets[i], 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&counter->nanoseconds, (uint64_t)(seconds * 1e9),
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->total, 1, memory_order_relaxed);
}

/* The total is read first and raised to what the buckets hold, so that a scrape amid
 * updates still shows cumulative buckets that end at the count. */
static void render_histogram(struct buffer *out, const char *name,
                             const struct counter *series)
{
    const char *comma = series->labels[0] == '\0' ? "" : ",";
    uint64_t total = atomic_load(&series->total);
    uint64_t sum = 0;
    for (size_t i = 0; i < BOUND_COUNT; i++) {
        sum += atomic_load(&series->buckets[i]);
        buffer_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, series->labels, comma,
                      bounds[i], (unsigned long long)sum);
    }
    total = total > sum ? total : sum;
    buffer_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, series->labels, comma,
                  (unsigned long long)total);
    const char *open = series->labels[0] == '\0' ? "" : "{";
    const char *close = series->labels[0] == '\0' ? "" : "}";
    buffer_printf(out, "%s_sum%s%s%s %.9g\n", name, open, series->labels, close,
                  1e-9 * (double)atomic_load(&series->nanoseconds));
    buffer_printf(out, "%s_count%s%s%s %llu\n", name, open, series->labels, close,
                  (unsigned long long)total);
}

static void render_value(struct buffer *out, const char *name,
                         const struct counter *series)
{
    const char *open = series->labels[0] == '\0' ? "" : "{";
    const char *close = series->labels[0] == '\0' ? "" : "}";
    buffer_printf(out, "%s%s%s%s %.15g\n", name, open, series->labels, close,
                  counter_value(series));
}

void counter_render(struct counter_set *set, struct buffer *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (size_t i = 0; i < set->count; i++) {
        const struct counter_family *family = &set->families[i];
        struct counter *series = atomic_load(&set->first[i]);
        if (series == NULL) {
            continue;
        }
        buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                      family->name, kinds[family->kind]);
        for (; series != NULL; series = atomic_load(&series->next)) {
            if (family->kind == COUNTER_HISTOGRAM) {
                render_histogram(out, family->name, series);
            } else {
                render_value(out, family->name, series);
            }
        }
    }
}
