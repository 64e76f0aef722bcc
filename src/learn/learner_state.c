/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner_state.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"

void learner_lock(struct learner *learner)
{
    int failed = pthread_mutex_lock(&learner->mutex);
    assert(failed == 0);
    (void)failed;
}

void learner_unlock(struct learner *learner)
{
    int failed = pthread_mutex_unlock(&learner->mutex);
    assert(failed == 0);
    (void)failed;
}

struct watch *learner_find_watch(struct learner *learner, const char *model)
{
    for (size_t i = 0; i < learner->count; i++) {
        if (strcmp(learner->watches[i].model, model) == 0) {
            return &learner->watches[i];
        }
    }
    return NULL;
}

int learner_find_entry(const struct catalog_entry **entry, const struct catalog *catalog,
                       const char *model, struct deepsad_error *error)
{
    *entry = catalog_find(catalog, model);
    return *entry != NULL
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_NOT_FOUND, "there is no model \"%s\"", model);
}

void learner_log_fault(const char *message, const char *model,
                       const struct deepsad_error *error)
{
    log_event(LOG_LEVEL_ERROR, message, LOG_TEXT("model", model),
              LOG_TEXT("reason", error->message));
}
