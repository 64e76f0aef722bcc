/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_JOURNAL_EXPORT_H
#define TOOL_JOURNAL_EXPORT_H

#include "tool/journal_place.h"

/* Writes the model's labels with their samples' features, oldest first: those in force,
 * or the whole journal. `path`: FILE.csv or FILE.jsonl, replaced as a whole; NULL = CSV
 * on stdout. *count: labels. */
int journal_export(size_t *count, const struct journal_place *place, const char *path,
                   bool all, struct deepsad_error *error);

#endif
