/* SPDX-License-Identifier: Apache-2.0 */
/* From classes (digits, kinds of clothes) to labels: one class is normal, given ones or
 * all others are anomalous, rows of any other are left out. */
#ifndef DATA_CLASSES_H
#define DATA_CLASSES_H

#include <stdbool.h>

#include "base/error.h"

enum { CLASSES_MAX = 256 };

struct classes {
    bool chosen; /* false: no normal class is named, every row is unlabeled and kept */
    bool named;  /* the anomalous ones are named */
    bool kept[CLASSES_MAX];
    signed char labels[CLASSES_MAX];
};

/* Classes are numbers from 0 to CLASSES_MAX - 1. */
int classes_init(struct classes *out, const struct deepsad_read_options *options,
                 struct deepsad_error *error);

/* Whether a row of that class is kept, and its label. */
bool classes_label(const struct classes *classes, unsigned char class,
                   signed char *label);

/* The error for a file none of whose rows is kept, or that lacks the normal class. */
int classes_check_counts(const struct classes *classes,
                         const size_t counts[static CLASSES_MAX], const char *path,
                         struct deepsad_error *error);

#endif
