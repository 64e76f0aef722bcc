/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's description says of its labels and of its retraining. */
#ifndef API_LEARNING_VIEW_H
#define API_LEARNING_VIEW_H

#include "api/app.h"

/* Adds to a model's description its policy and, as far as there are a store and a
 * learner, its labels and samples counted, hold, retraining. What cannot be read now is
 * null; `model` may be NULL. May block. */
void learning_view_add(json_t *model, const struct app *app,
                       const struct catalog_entry *entry);

/* {"writable": true, "reason": null}; null where there is no store. Does not block. */
json_t *store_view(const struct app *app);

#endif
