/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/activate.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "model/live.h"
#include "model/model_file.h"
#include "model/version.h"

static bool is_available(const struct catalog_entry *entry, unsigned version)
{
    for (size_t i = 0; i < entry->available_count; i++) {
        if (entry->available[i] == version) {
            return true;
        }
    }
    return false;
}

/* That it loads is found out before it is made live. */
static int check_loads(struct learner *learner, const char *model, unsigned version,
                       struct deepsad_error *error)
{
    char *path;
    struct deepsad_model *loaded;
    if (asprintf(&path, "%s/%s/%u/%s", learner->directory, model, version, VERSION_FILE) <
        0) {
        return error_no_memory(error, "a path");
    }
    int status = model_file_read(&loaded, path, error);
    free(path);
    if (status == DEEPSAD_OK) {
        deepsad_model_unref(loaded);
    }
    return status;
}

/* Writes live.yaml of the model and swaps. */
static int write_live(struct learner *learner, const char *model, const struct live *live,
                      struct deepsad_error *error)
{
    char *directory;
    if (asprintf(&directory, "%s/%s", learner->directory, model) < 0) {
        return error_no_memory(error, "a path");
    }
    int status = live_write(live, directory, error);
    free(directory);
    return status == DEEPSAD_OK ? registry_reload(learner->options.registry, NULL, error)
                                : status;
}

int learner_activate(struct learner *learner, const char *model, unsigned version,
                     bool hold, struct deepsad_error *error)
{
    const struct catalog_entry *entry;
    pthread_mutex_lock(&learner->activating);
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    int status = learner_find_entry(&entry, catalog, model, error);
    if (status == DEEPSAD_OK && !is_available(entry, version)) {
        status = error_set(error, DEEPSAD_NOT_FOUND, "model %s has no version %u", model,
                           version);
    }
    if (status == DEEPSAD_OK) {
        status = check_loads(learner, model, version, error);
    }
    if (status == DEEPSAD_OK) {
        struct live live = {
            .version = version, .newest = entry->available[0], .hold = hold};
        status = write_live(learner, model, &live, error);
    }
    registry_release(learner->options.registry, catalog);
    pthread_mutex_unlock(&learner->activating);
    if (status == DEEPSAD_OK) {
        log_event(LOG_LEVEL_INFO, "version activated", LOG_TEXT("model", model),
                  LOG_INTEGER("version", version), LOG_TEXT("hold", hold ? "yes" : "no"));
    }
    return status;
}

int learner_release(struct learner *learner, const char *model,
                    struct deepsad_error *error)
{
    const struct catalog_entry *entry;
    pthread_mutex_lock(&learner->activating);
    const struct catalog *catalog = registry_acquire(learner->options.registry);
    int status = learner_find_entry(&entry, catalog, model, error);
    if (status == DEEPSAD_OK && entry->live.hold) {
        struct live live = entry->live;
        live.hold = false;
        status = write_live(learner, model, &live, error);
    }
    registry_release(learner->options.registry, catalog);
    pthread_mutex_unlock(&learner->activating);
    if (status == DEEPSAD_OK) {
        learner_notice(learner, model);
        log_event(LOG_LEVEL_INFO, "promotion released", LOG_TEXT("model", model));
    }
    return status;
}
