/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of a model is live. By default the newest that is not a challenger: a
 * version that the gate stopped, or that waits for somebody to activate it, holds an
 * empty file CHALLENGER beside its model.safetensors. MODELS/NAME/live.yaml, written by
 * `activate`, overrides that:
 *
 *     version: 2     # live
 *     newest: 5      # the newest version when this was written
 *     hold: true     # nothing is promoted by itself until released
 *
 * While `hold` is true, `version` is live whatever else comes. Once released, a version
 * above `newest` that is no challenger goes live as usual; until then `version` stays.
 */
#ifndef MODEL_LIVE_H
#define MODEL_LIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define LIVE_FILE "live.yaml"
#define LIVE_CHALLENGER "challenger"

struct live {
    unsigned version; /* 0 = no live.yaml: the default rule */
    unsigned newest;
    bool hold;
};

/* All zero where there is no live.yaml. */
int live_read(struct live *out, const char *directory, struct deepsad_error *error);
int live_write(const struct live *live, const char *directory,
               struct deepsad_error *error);

/* Whether MODELS/NAME/<number> is a challenger. */
bool live_is_challenger(const char *directory, unsigned number);

/* The live one of `numbers` (count, newest first); 0 = none. */
unsigned live_choose(const struct live *live, const char *directory,
                     const unsigned *numbers, size_t count);

#endif
