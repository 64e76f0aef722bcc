/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts as JSON lines: each line an object with the members of the labels API,
 * features as an array in the model's order or as an object by name. */
#ifndef TOOL_JOURNAL_JSON_H
#define TOOL_JOURNAL_JSON_H

#include <stdio.h>

#include "base/buffer.h"
#include "tool/journal_rows.h"

/* Appends to `rows`; empty lines are passed over. */
int journal_json_read(struct journal_rows *rows, FILE *file, struct deepsad_error *error);

/* One label with its features (features of the model), as an array, and a line's end. */
void journal_json_append(struct buffer *out, const struct store_label *label,
                         const float *x, size_t features);

#endif
