/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions into and out of the model directory. A version appears whole (model/version.h)
 * or not at all; which one is live follows from what is on disk (model/live.h), so there
 * is no moment in between.
 */
#ifndef LEARN_PUBLISH_H
#define LEARN_PUBLISH_H

#include <stdbool.h>

#include "base/error.h"
#include "model/catalog_entry.h"

/* MODELS/NAME. */
struct publish_place {
    char *directory;
};

int publish_place_init(struct publish_place *out, const char *models,
                       const struct catalog_entry *entry, struct deepsad_error *error);
void publish_place_done(struct publish_place *place);

/* MODELS/NAME/<number>/model.safetensors, malloced; NULL when out of memory. */
char *publish_version_file(const struct publish_place *place, unsigned number);

/* The version's model read afresh, not shared with anybody. */
int publish_read(struct deepsad_model **out, const struct publish_place *place,
                 unsigned number, struct deepsad_error *error);

/* Writes the next version. */
int publish_version(unsigned *number, const struct publish_place *place,
                    const struct deepsad_model *model, bool challenger,
                    struct deepsad_error *error);

#endif
