/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/known.h"

#include <stdlib.h>
#include <string.h>

bool known_is_first(const struct training_set *set, size_t label)
{
    return set->ids[label] == NULL || set->ids[label][0] == '\0';
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct known_id *)a)->id, ((const struct known_id *)b)->id);
}

int known_list(struct known *out, const struct training_set *set,
               struct deepsad_error *error)
{
    struct known known = {.set = set, .ids = calloc(set->labels + 1, sizeof *known.ids)};
    if (known.ids == NULL) {
        return error_no_memory(error, "labels");
    }
    for (size_t i = 0; i < set->labels; i++) {
        if (!known_is_first(set, i)) {
            known.ids[known.count++] = (struct known_id){set->ids[i], i};
        }
    }
    qsort(known.ids, known.count, sizeof *known.ids, by_id);
    *out = known;
    return DEEPSAD_OK;
}

void known_done(struct known *known)
{
    free(known->ids);
    *known = (struct known){0};
}

static size_t find(const struct known *known, const char *id)
{
    const struct known_id wanted = {.id = id};
    const struct known_id *found =
        known->count == 0
            ? NULL
            : bsearch(&wanted, known->ids, known->count, sizeof wanted, by_id);
    return found == NULL ? SIZE_MAX : found->label;
}

size_t known_find(const struct known *known, const struct store_label *label)
{
    size_t found = find(known, label->id);
    if (found == SIZE_MAX && label->supersedes[0] != '\0') {
        found = find(known, label->supersedes);
        if (found != SIZE_MAX && known->set->y[found] != (signed char)label->verdict) {
            found = SIZE_MAX;
        }
    }
    return found;
}
