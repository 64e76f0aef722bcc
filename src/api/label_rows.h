/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of POST labels, from JSON to plain values:
 *
 *     {"labels": [{"sample_id": "t-1" | "features": [0.1, null] or {"hour": 3},
 *                  "verdict": "normal" | "anomalous" | "unsure",
 *                  "analyst": "kim", "reason": "fraud", "note": "..."}]}
 *
 * Features that are an image may be an array of arrays, as in scoring requests.
 * Strict: what is not in this form is 422 with a pointer to the place. Knows no store and
 * no model.
 */
#ifndef API_LABEL_ROWS_H
#define API_LABEL_ROWS_H

#include <jansson.h>

#include "api/rows.h"
#include "store/store.h"

struct label_limits {
    size_t labels; /* of a request */
    size_t text;   /* bytes of analyst, reason, note, each */
    size_t bytes;  /* of all features as floats */
};

struct label_row {
    const char *sample_id; /* NULL: x is what it is about */
    const float *x;        /* (features), NaN = missing; NULL with sample_id */
    enum store_verdict verdict;
    const char *analyst, *reason, *note; /* NULL = none */
};

/* Plain value; texts and rows live as long as it does. */
struct label_rows {
    size_t count;
    struct label_row *rows;
    size_t featured; /* rows that bring their features */
    float *x;        /* (featured, features): those, in their order */
    json_t *json;
};
void label_rows_done(struct label_rows *rows);

struct label_fault {
    unsigned status;                /* 413, 422 or 500 */
    char detail[ROWS_DETAIL_MAX];   /* "label 3: ..." */
    char pointer[ROWS_POINTER_MAX]; /* "#/labels/3/verdict" */
};

/* Takes over the reference to `json`. False: *fault says why, *out is left alone. */
bool label_rows_read(struct label_rows *out, json_t *json,
                     const struct rows_columns *columns,
                     const struct label_limits *limits, struct label_fault *fault);

/* "normal", "anomalous", "unsure": NULL-terminated, and what they stand for. */
extern const char *const label_verdict_names[];
extern const enum store_verdict label_verdicts[];
const char *label_verdict_name(enum store_verdict verdict);

#endif
