/* SPDX-License-Identifier: Apache-2.0 */
#include "api/keep.h"

#include <stdlib.h>
#include <string.h>

bool keep_wanted(const struct policy *policy, bool asked)
{
    switch ((enum policy_capture)policy->capture) {
    case POLICY_CAPTURE_ALL:
        return true;
    case POLICY_CAPTURE_NONE:
        return false;
    case POLICY_CAPTURE_REQUESTED:
        break;
    }
    return asked;
}

/* The ids as strings, behind their addresses in one block. */
static const char **list_ids(const struct rows *rows)
{
    size_t list = rows->count * sizeof(const char *);
    const char **ids = malloc(list + rows->id_text.length + rows->count);
    if (ids == NULL) {
        return NULL;
    }
    char *text = (char *)ids + list;
    for (size_t i = 0; i < rows->count; i++) {
        struct rows_id id = rows->ids[i];
        ids[i] = text;
        memcpy(text, rows->id_text.data + id.offset, id.length);
        text += id.length;
        *text++ = '\0';
    }
    return ids;
}

bool keep_rows(struct store *store, const struct store_keep *keep,
               const struct rows *rows)
{
    const char **ids = list_ids(rows);
    if (ids == NULL) {
        return false;
    }
    struct store_keep all = *keep;
    all.count = rows->count;
    all.features = rows->columns.count;
    all.ids = ids;
    all.x = rows->x;
    bool kept = store_keep(store, &all);
    free(ids);
    return kept;
}
