/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/learner_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static bool add_watch(struct learner *learner, const struct watch *watch)
{
    if (learner->count == learner->capacity) {
        size_t capacity = learner->capacity == 0 ? 8 : 2 * learner->capacity;
        struct watch *larger =
            reallocarray(learner->watches, capacity, sizeof *learner->watches);
        if (larger == NULL) {
            return false;
        }
        learner->watches = larger;
        learner->capacity = capacity;
    }
    learner->watches[learner->count++] = *watch;
    return true;
}

void learner_watch_models(struct learner *learner, const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++) {
        const char *model = catalog->entries[i].name;
        learner_lock(learner);
        bool known = learner_find_watch(learner, model) != NULL;
        learner_unlock(learner);
        struct watch watch;
        if (known ||
            watch_load(&watch, learner->options.store, model, NULL) != DEEPSAD_OK) {
            continue;
        }
        learner_lock(learner);
        if (learner_find_watch(learner, model) == NULL) {
            add_watch(learner, &watch);
        }
        learner_unlock(learner);
    }
}

bool learner_take_asked(struct watch *watch, struct record *record)
{
    if (watch->asked[0] == '\0') {
        return false;
    }
    record_init(record, watch->model, watch->asked, "hand", watch->asked_by);
    record->job.created_at_ms = watch->asked_at_ms;
    watch->asked[0] = '\0';
    return true;
}

bool learner_dequeue(struct learner *learner, const char *job, struct record *record)
{
    bool found = false;
    learner_lock(learner);
    for (size_t i = 0; i < learner->count && !found; i++) {
        struct watch *watch = &learner->watches[i];
        found = strcmp(watch->asked, job) == 0 && learner_take_asked(watch, record);
    }
    learner_unlock(learner);
    return found;
}

void learner_start_record(struct learner *learner, struct record *record,
                          const char *model, const char *trigger)
{
    char id[UUID_SIZE + 1];
    uuid_make(&learner->ids, clock_realtime_ms(), id);
    id[UUID_SIZE] = '\0';
    record_init(record, model, id, trigger, NULL);
}
