/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of a file into a store. A label whose label_id is in the store already is passed
 * over, so that a file may be imported again. A label names a kept sample by sample_id,
 * or brings features; with both, the sample is made under that id where it is not kept.
 * One that was withdrawn is written and withdrawn, so that what it superseded stays so.
 * All are written in one commit, or none.
 */
#ifndef TOOL_JOURNAL_IMPORT_H
#define TOOL_JOURNAL_IMPORT_H

#include "tool/journal_place.h"
#include "tool/journal_rows.h"

struct journal_import_counts {
    size_t rows, added, skipped, withdrawn;
    size_t normal, anomalous, unsure; /* of those added */
};

/* `analyst`: of rows that name none; NULL = none either. */
int journal_import(struct journal_import_counts *out, const struct journal_place *place,
                   const struct journal_rows *rows, const char *analyst,
                   struct deepsad_error *error);

#endif
