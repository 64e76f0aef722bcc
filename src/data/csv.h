/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets as CSV. Reading: comma-separated, quotes, LF or CRLF, a byte order mark. A
 * first row with any cell that is not a number is the header. Empty lines are passed
 * over, empty cells and `nan` are missing values, everything else that is not a number is
 * an error PATH:LINE:COLUMN, COLUMN in bytes from 1. Values go straight to the float
 * array: beside it there is only the window of the field reader.
 */
#ifndef DATA_CSV_H
#define DATA_CSV_H

#include "data/stream.h"

int csv_read(struct deepsad_dataset *out, struct stream *stream,
             const struct deepsad_read_options *options, struct deepsad_error *error);

#endif
