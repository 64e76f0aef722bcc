/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/prune.h"

#include <stdlib.h>

#include "model/version.h"

enum { PRUNE_MOST = 8 }; /* at a time */

static bool made_by_retraining(const struct catalog_entry *entry, unsigned number,
                               struct store *store)
{
    struct store_version version;
    if (store_version_get(store, &version, entry->name, number, NULL) != DEEPSAD_OK) {
        return false;
    }
    free(version.detail);
    return true;
}

size_t prune_versions(const struct catalog_entry *entry, const char *directory,
                      struct store *store)
{
    size_t keep = entry->policy.retraining.versions, left = entry->available_count;
    size_t gone = 0;
    for (size_t i = entry->available_count; keep > 0 && i-- > 0;) {
        unsigned number = entry->available[i];
        if (left <= keep || gone == PRUNE_MOST) {
            break;
        }
        if (catalog_version(entry, number) == NULL &&
            made_by_retraining(entry, number, store) &&
            version_remove(directory, number, NULL) == DEEPSAD_OK) {
            gone++;
            left--;
        }
    }
    return gone;
}
