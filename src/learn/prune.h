/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old versions that retraining made do not fill the disk: beyond retraining.versions of
 * model.yaml the oldest go. What is loaded, and so what is live, stays; and so does every
 * version that the store has no record of, which somebody made by hand.
 */
#ifndef LEARN_PRUNE_H
#define LEARN_PRUNE_H

#include "model/catalog_entry.h"
#include "store/store.h"

/* `directory`: MODELS/NAME. Removes a few at a time; what cannot be removed stays and is
 * tried again the next time. Returns how many went. */
size_t prune_versions(const struct catalog_entry *entry, const char *directory,
                      struct store *store);

#endif
