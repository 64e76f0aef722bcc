/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload builds a whole new catalog beside the current one, then swaps the pointer.
 * Requests hold the old catalog until they are done.
 */
#include "model/registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct registry {
    pthread_mutex_t mutex; /* guards `current`, the pointer; a leaf */
    struct catalog *current;
    pthread_mutex_t reloading; /* held over a reload; outside `mutex` */
    char *directory;
    size_t versions_loaded;
};

static void lock(pthread_mutex_t *mutex)
{
    int failed = pthread_mutex_lock(mutex);
    assert(failed == 0);
    (void)failed;
}

static void unlock(pthread_mutex_t *mutex)
{
    int failed = pthread_mutex_unlock(mutex);
    assert(failed == 0);
    (void)failed;
}

int registry_open(struct registry **out, const struct registry_options *options,
                  struct deepsad_error *error)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL) {
        return error_no_memory(error, "the registry of models");
    }
    pthread_mutex_init(&registry->mutex, NULL);
    pthread_mutex_init(&registry->reloading, NULL);
    int status = registry_reload(registry, options, error);
    if (status != DEEPSAD_OK) {
        registry_close(registry);
        return status;
    }
    *out = registry;
    return DEEPSAD_OK;
}

void registry_close(struct registry *registry)
{
    if (registry != NULL) {
        catalog_unref(registry->current);
        pthread_mutex_destroy(&registry->mutex);
        pthread_mutex_destroy(&registry->reloading);
        free(registry->directory);
        free(registry);
    }
}

static void swap(struct registry *registry, struct catalog *next)
{
    lock(&registry->mutex);
    struct catalog *old = registry->current;
    registry->current = next;
    unlock(&registry->mutex);
    catalog_unref(old);
}

static int reload(struct registry *registry, const char *directory,
                  size_t versions_loaded, const struct catalog_wish *wish,
                  struct deepsad_error *error)
{
    versions_loaded = versions_loaded > 0 ? versions_loaded : 1;
    struct catalog *next;
    char *copy = strdup(directory);
    if (copy == NULL) {
        return error_no_memory(error, "a path");
    }
    /* Only a reload changes `current`, and this is the one. */
    int status =
        catalog_build(&next, directory, versions_loaded, registry->current, wish, error);
    if (status != DEEPSAD_OK) {
        free(copy);
        return status;
    }
    swap(registry, next);
    free(registry->directory);
    registry->directory = copy;
    registry->versions_loaded = versions_loaded;
    return DEEPSAD_OK;
}

int registry_reload(struct registry *registry, const struct registry_options *options,
                    struct deepsad_error *error)
{
    lock(&registry->reloading);
    int status =
        reload(registry, options != NULL ? options->directory : registry->directory,
               options != NULL ? options->versions_loaded : registry->versions_loaded,
               NULL, error);
    unlock(&registry->reloading);
    return status;
}

/* Rebuilds with the wish; afterwards, under the same lock, says what has come of it. */
static int reload_for(struct registry *registry, const struct catalog_wish *wish,
                      struct deepsad_error *error)
{
    lock(&registry->reloading);
    int status =
        reload(registry, registry->directory, registry->versions_loaded, wish, error);
    const struct catalog_entry *entry =
        status == DEEPSAD_OK ? catalog_find(registry->current, wish->model) : NULL;
    if (status == DEEPSAD_OK && entry == NULL) {
        status = error_set(error, DEEPSAD_NOT_FOUND, "there is no directory %s/%s",
                           registry->directory, wish->model);
    } else if (status == DEEPSAD_OK && entry->fault != NULL && !wish->unload) {
        status =
            error_set(error, entry->fault_is_memory ? DEEPSAD_NO_MEMORY : DEEPSAD_CORRUPT,
                      "%s", entry->fault);
    }
    unlock(&registry->reloading);
    return status;
}

int registry_load(struct registry *registry, const char *model,
                  struct deepsad_error *error)
{
    return reload_for(registry, &(struct catalog_wish){model, false}, error);
}

int registry_unload(struct registry *registry, const char *model,
                    struct deepsad_error *error)
{
    return reload_for(registry, &(struct catalog_wish){model, true}, error);
}

int registry_prepare(struct registry *registry, struct catalog **next,
                     const struct catalog **base, struct deepsad_error *error)
{
    const struct catalog *current = registry_acquire(registry);
    lock(&registry->reloading);
    char *directory = strdup(registry->directory);
    size_t versions_loaded = registry->versions_loaded;
    unlock(&registry->reloading);
    int status = directory == NULL ? error_no_memory(error, "a path")
                                   : catalog_build(next, directory, versions_loaded,
                                                   current, NULL, error);
    free(directory);
    if (status != DEEPSAD_OK) {
        registry_release(registry, current);
        return status;
    }
    *base = current;
    return DEEPSAD_OK;
}

bool registry_commit(struct registry *registry, struct catalog *next,
                     const struct catalog *base)
{
    lock(&registry->reloading);
    bool first = registry->current == base; /* nobody else changes it meanwhile */
    if (first) {
        swap(registry, next);
    }
    unlock(&registry->reloading);
    if (!first) {
        catalog_unref(next);
    }
    registry_release(registry, base);
    return first;
}

const struct catalog *registry_acquire(struct registry *registry)
{
    lock(&registry->mutex);
    const struct catalog *catalog = catalog_ref(registry->current);
    unlock(&registry->mutex);
    return catalog;
}

void registry_release(struct registry *registry, const struct catalog *catalog)
{
    (void)registry;
    catalog_unref(catalog);
}
