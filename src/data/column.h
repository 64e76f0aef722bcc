/* SPDX-License-Identifier: Apache-2.0 */
/* What the columns of a CSV file are: features, the labels, or left out; and what a cell
 * of each may hold. */
#ifndef DATA_COLUMN_H
#define DATA_COLUMN_H

#include "data/field.h"

enum column_use { COLUMN_FEATURE, COLUMN_LABEL, COLUMN_IGNORED };

/* A cell of the first row and where it starts. */
struct cell {
    char *text;
    size_t line, column;
};

/* Zero-initialise, set path and options, fill cells and count from the first row. */
struct columns {
    const char *path;                           /* for messages; borrowed */
    const struct deepsad_read_options *options; /* borrowed */
    size_t count;
    struct cell *cells; /* (count) of the first row: names, or values without a header */
    bool header;        /* some cell of the first row is not a value */
    char *uses;         /* (count) enum column_use */
    size_t features;    /* columns of that use */
};

void columns_done(struct columns *columns);

/* Decides every column's use, and refuses headers that would mislead. */
int columns_choose(struct columns *columns, struct deepsad_error *error);

/* Moves the features' names into a new array of `features`, to be freed like its
 * elements. */
int columns_take_names(struct columns *columns, char ***names,
                       struct deepsad_error *error);

/* A number, or NaN for an empty cell or `nan` in any case. Infinite where the text is an
 * infinity or out of range: column_value_fault then says so. False for other text. */
bool column_parse_value(float *value, const char *text, size_t length);

/* The error for a cell that is not a finite value. */
int column_value_fault(const struct columns *columns, size_t column,
                       const struct field *field, struct deepsad_error *error);

/* Empty, normal, anomalous, or a spelling of the label map. */
int column_parse_label(const struct columns *columns, signed char *label,
                       const struct field *field, struct deepsad_error *error);

#endif
