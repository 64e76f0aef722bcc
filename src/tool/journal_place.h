/* SPDX-License-Identifier: Apache-2.0 */
/* What both ways of `deepsad labels` work on: a model and the state directory's store. */
#ifndef TOOL_JOURNAL_PLACE_H
#define TOOL_JOURNAL_PLACE_H

#include <limits.h>

#include "deepsad.h"
#include "store/store.h"

/* Plain value. */
struct journal_place {
    struct deepsad_model *model;
    char name[STORE_MODEL_MAX + 1];
    unsigned version; /* of `model` */
    struct store *store;
};

/* `path`: MODELS/NAME. `make`: whether an empty database may be made where there is none.
 * A daemon may be running on the state directory. */
int journal_place_open(struct journal_place *out, const char *path, const char *state,
                       bool make, struct deepsad_error *error);
void journal_place_close(struct journal_place *place);

#endif
