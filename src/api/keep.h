/* SPDX-License-Identifier: Apache-2.0 */
/* Scored rows handed to the store, so that a verdict can name them later. */
#ifndef API_KEEP_H
#define API_KEEP_H

#include <stdbool.h>

#include "api/scoring.h"
#include "model/policy.h"
#include "store/store.h"

/* Whether the policy has the rows of a request kept, `asked` being its own wish. */
bool keep_wanted(const struct policy *policy, bool asked);

/* The same for a request under way: false, too, where there is no store. */
bool keep_wanted_of(const struct scoring *scoring, bool asked);

/* Ids of our own where the request brings none, so that all that names a row has the same
 * one. False: out of memory, rows->fault says so. */
bool keep_name_rows(struct rows *rows, struct uuid_source *source);

/* The rows of a finished request, which have ids, and their scores. False: as below. */
bool keep_scored(const struct scoring *scoring);

/* The rows' ids, features and number, added to the other members of *keep, then handed
 * over. False: dropped, as the store's queue is full or there is no memory for the ids.
 * Never waits. */
bool keep_rows(struct store *store, const struct store_keep *keep,
               const struct rows *rows);

#endif
