/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels of the journal that a version was trained on, found by their ids. Those that
 * came with its first data set have no id.
 */
#ifndef LEARN_KNOWN_H
#define LEARN_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/training_set.h"
#include "store/store.h"

struct known_id {
    const char *id;
    size_t label; /* in the set */
};

struct known {
    const struct training_set *set; /* borrowed */
    size_t count;
    struct known_id *ids; /* (count) by id */
};

/* Whether the set's label came with the first data set. */
bool known_is_first(const struct training_set *set, size_t label);

int known_list(struct known *out, const struct training_set *set,
               struct deepsad_error *error);
void known_done(struct known *known);

/* The set's label that this one is, or that it says again: the label it supersedes, with
 * the same verdict. SIZE_MAX: neither. */
size_t known_find(const struct known *known, const struct store_label *label);

#endif
