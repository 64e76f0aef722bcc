/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts as CSV with a header: members of a label and the model's feature names, in any
 * order. A row of empty feature cells names its sample by sample_id. */
#ifndef TOOL_JOURNAL_CSV_H
#define TOOL_JOURNAL_CSV_H

#include "base/buffer.h"
#include "data/stream.h"
#include "tool/journal_rows.h"

/* Appends to `rows`. */
int journal_csv_read(struct journal_rows *rows, struct stream *stream,
                     struct deepsad_error *error);

/* DEEPSAD_INVALID where a feature is named as a member of a label: such go as JSON only.
 */
int journal_csv_check_names(const struct deepsad_model *model,
                            struct deepsad_error *error);

/* The header, and one label with its features (features of the model). */
void journal_csv_header(struct buffer *out, const struct deepsad_model *model);
void journal_csv_append(struct buffer *out, const struct store_label *label,
                        const float *x, size_t features);

#endif
