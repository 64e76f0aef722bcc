/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, gauges and histograms for Prometheus, described by a table with help text.
 * A family is one row of the table; a series is a family with values for its labels. A
 * series is found once and then updated by relaxed atomics (some nanoseconds, any
 * thread). Series are never removed: label values must come from us (routes, status
 * codes, names of models), never from a client.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum counter_kind { COUNTER_TOTAL, COUNTER_GAUGE, COUNTER_HISTOGRAM };
enum { COUNTER_LABELS_MAX = 3 };

struct counter_family {
    const char *name; /* whole, with prefix, unit and _total */
    enum counter_kind kind;
    const char *labels[COUNTER_LABELS_MAX]; /* names; the rest NULL */
    const char *help;
};

struct counter_set;
struct counter;

/* `families` must outlive the set; a family is named by its index below. */
int counter_set_new(struct counter_set **out, const struct counter_family *families,
                    size_t count, struct deepsad_error *error);
void counter_set_free(struct counter_set *set);

/* The series with these label values (as many as the family has labels; NULL for none),
 * made with value 0 if it is not there yet. NULL when out of memory: the functions below
 * accept that and do nothing. */
struct counter *counter_series(struct counter_set *set, size_t family,
                               const char *const *values);

void counter_add(struct counter *counter, uint64_t amount);
/* Sets a gauge, or a total that somebody else counts. */
void counter_set_value(struct counter *counter, double value);
double counter_value(const struct counter *counter);
/* One observation of a histogram of seconds. */
void counter_observe(struct counter *counter, double seconds);

/* The text format 0.0.4. Families without a series are left out. */
void counter_render(struct counter_set *set, struct buffer *out);

#endif
