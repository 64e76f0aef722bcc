/* SPDX-License-Identifier: Apache-2.0 */
#include "api/keep.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

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

bool keep_wanted_of(const struct scoring *scoring, bool asked)
{
    return scoring->app->store != NULL && keep_wanted(&scoring->entry->policy, asked);
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

bool keep_name_rows(struct rows *rows, struct uuid_source *source)
{
    int64_t now = clock_realtime_ms();
    for (size_t i = 0; !rows->has_ids && i < rows->count; i++) {
        char id[UUID_SIZE];
        uuid_make(source, now, id);
        if (!rows_add_id(rows, id, sizeof id)) {
            return false;
        }
    }
    rows->has_ids = true;
    return true;
}

bool keep_scored(const struct scoring *scoring)
{
    const struct store_keep what = {.model = scoring->entry->name,
                                    .version = scoring->version->number,
                                    .scored_at_ms = clock_realtime_ms(),
                                    .scores = scoring->scores,
                                    .p_values = scoring->p_values};
    return keep_rows(scoring->app->store, &what, &scoring->rows);
}
