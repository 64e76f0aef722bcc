/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload builds a whole new catalog beside the current one. What did not change on disk
 * is shared by reference; what fails to load leaves a fault in its entry and, where there
 * was one, the version that was live. Requests hold the old catalog until they are done.
 */
#include "model/registry.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/policy.h"
#include "model/version.h"

/* Which file a version was loaded from. */
struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct counted_catalog {
    struct catalog catalog; /* first: what callers see */
    atomic_size_t references;
    struct identity **identities; /* (count)[version_count] beside entries[].versions */
};

struct registry {
    pthread_mutex_t mutex; /* guards `current`, the pointer; a leaf */
    struct counted_catalog *current;
    pthread_mutex_t reloading; /* held over a reload; outside `mutex` */
    char *directory;
    size_t versions_loaded;
};

/* ---- Catalogs ---- */

static void entry_done(struct catalog_entry *entry)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        deepsad_model_unref(entry->versions[i].model);
        free(entry->versions[i].card);
    }
    free(entry->versions);
    free(entry->available);
    free(entry->fault);
    free(entry->name);
}

static void counted_unref(struct counted_catalog *counted)
{
    if (counted == NULL || atomic_fetch_sub(&counted->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < counted->catalog.count; i++) {
        entry_done(&counted->catalog.entries[i]);
        free(counted->identities[i]);
    }
    free(counted->catalog.entries);
    free(counted->identities);
    free(counted);
}

const struct catalog_entry *catalog_find(const struct catalog *catalog, const char *name)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(catalog->entries[middle].name, name);
        if (order == 0) {
            return &catalog->entries[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

const struct catalog_version *catalog_version(const struct catalog_entry *entry,
                                              unsigned number)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        if (number == 0 || entry->versions[i].number == number) {
            return &entry->versions[i];
        }
    }
    return NULL;
}

/* ---- Building ---- */

struct builder {
    const char *directory;
    size_t versions_loaded;
    const struct counted_catalog *previous; /* or NULL */
};

static bool same_file(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

static int identify(struct identity *out, const char *path, struct deepsad_error *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return error_system(error, errno, "%s: cannot read", path);
    }
    *out = (struct identity){.device = status.st_dev,
                             .inode = status.st_ino,
                             .size = status.st_size,
                             .modified = status.st_mtim};
    return DEEPSAD_OK;
}

static const struct catalog_entry *previous_entry(const struct builder *builder,
                                                  const char *name)
{
    return builder->previous == NULL ? NULL
                                     : catalog_find(&builder->previous->catalog, name);
}

/* The loaded version of that number in the previous catalog, and what it was read from.
 */
static const struct catalog_version *previous_version(const struct builder *builder,
                                                      const char *name, unsigned number,
                                                      const struct identity **identity)
{
    const struct catalog_entry *entry = previous_entry(builder, name);
    for (size_t i = 0; entry != NULL && i < entry->version_count; i++) {
        if (entry->versions[i].number == number) {
            size_t place = (size_t)(entry - builder->previous->catalog.entries);
            *identity = &builder->previous->identities[place][i];
            return &entry->versions[i];
        }
    }
    return NULL;
}

/* Takes over what `from` has, by reference. */
static int share_version(struct catalog_version *out, const struct catalog_version *from,
                         struct deepsad_error *error)
{
    char *card = strdup(from->card);
    if (card == NULL) {
        return error_no_memory(error, "a model's card");
    }
    *out = (struct catalog_version){
        .number = from->number, .model = deepsad_model_ref(from->model), .card = card};
    return DEEPSAD_OK;
}

static int read_version(struct catalog_version *out, const char *path, unsigned number,
                        struct deepsad_error *error)
{
    struct deepsad_model *model;
    int status = model_file_read(&model, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    char *card = deepsad_model_card(model);
    if (card == NULL) {
        deepsad_model_unref(model);
        return error_no_memory(error, "a model's card");
    }
    *out = (struct catalog_version){.number = number, .model = model, .card = card};
    return DEEPSAD_OK;
}

static int load_version(struct catalog_version *out, struct identity *identity,
                        const struct builder *builder, const char *name, unsigned number,
                        struct deepsad_error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s/%u/%s", builder->directory, name, number, VERSION_FILE) <
        0) {
        return error_no_memory(error, "a path");
    }
    const struct identity *known = NULL;
    int status = identify(identity, path, error);
    if (status == DEEPSAD_OK) {
        const struct catalog_version *previous =
            previous_version(builder, name, number, &known);
        status = previous != NULL && same_file(known, identity)
                     ? share_version(out, previous, error)
                     : read_version(out, path, number, error);
    }
    free(path);
    return status;
}

/* The first fault found is the one that is told. */
static void note_fault(struct catalog_entry *entry, const struct deepsad_error *error)
{
    if (entry->fault == NULL) {
        entry->fault = strdup(error->message);
    }
}

/* Where nothing on disk loads, what was live stays live. */
static int keep_live(struct catalog_entry *entry, struct identity *identities,
                     const struct builder *builder, struct deepsad_error *error)
{
    const struct catalog_entry *previous = previous_entry(builder, entry->name);
    const struct identity *identity = NULL;
    if (previous == NULL || previous->version_count == 0) {
        return DEEPSAD_OK;
    }
    const struct catalog_version *live = &previous->versions[0];
    for (size_t i = 0; i < entry->version_count; i++) {
        if (entry->versions[i].number >= live->number) {
            return DEEPSAD_OK;
        }
    }
    /* Older versions that loaded come after it. */
    memmove(&entry->versions[1], &entry->versions[0],
            entry->version_count * sizeof *entry->versions);
    memmove(&identities[1], &identities[0], entry->version_count * sizeof *identities);
    previous_version(builder, entry->name, live->number, &identity);
    assert(identity != NULL); /* `live` is one of those looked through */
    int status = share_version(&entry->versions[0], live, error);
    if (status != DEEPSAD_OK) {
        memmove(&entry->versions[0], &entry->versions[1],
                entry->version_count * sizeof *entry->versions);
        return status;
    }
    identities[0] = *identity;
    entry->version_count++;
    return DEEPSAD_OK;
}

static int load_versions(struct catalog_entry *entry, struct identity **identities,
                         const struct builder *builder, struct deepsad_error *error)
{
    entry->versions = calloc(builder->versions_loaded + 1, sizeof *entry->versions);
    *identities = calloc(builder->versions_loaded + 1, sizeof **identities);
    if (entry->versions == NULL || *identities == NULL) {
        return error_no_memory(error, "versions");
    }
    /* Broken versions are looked past, but only so far: a directory of ten thousand
     * broken ones must not be read whole. */
    size_t tries = 2 * builder->versions_loaded + 2;
    for (size_t i = 0; i < entry->available_count && i < tries &&
                       entry->version_count < builder->versions_loaded;
         i++) {
        struct deepsad_error fault = {0};
        int status = load_version(&entry->versions[entry->version_count],
                                  &(*identities)[entry->version_count], builder,
                                  entry->name, entry->available[i], &fault);
        if (status == DEEPSAD_NO_MEMORY) {
            return error_set(error, DEEPSAD_NO_MEMORY, "%s", fault.message);
        }
        if (status != DEEPSAD_OK) {
            note_fault(entry, &fault);
        } else {
            entry->version_count++;
        }
    }
    return entry->fault == NULL ? DEEPSAD_OK
                                : keep_live(entry, *identities, builder, error);
}

static void apply_policy(struct catalog_entry *entry, const struct builder *builder,
                         const char *directory)
{
    struct deepsad_error fault = {0};
    struct policy policy;
    if (policy_read(&policy, directory, &fault) == DEEPSAD_OK) {
        entry->alpha = policy.alpha;
    } else {
        const struct catalog_entry *previous = previous_entry(builder, entry->name);
        entry->alpha = previous != NULL ? previous->alpha : MODEL_ALPHA_DEFAULT;
        note_fault(entry, &fault);
    }
    if (entry->version_count > 0) {
        entry->reachable = deepsad_model_threshold(entry->versions[0].model, entry->alpha,
                                                   &entry->threshold);
    }
}

static int64_t load_time(const struct catalog_entry *entry, const struct builder *builder)
{
    const struct catalog_entry *previous = previous_entry(builder, entry->name);
    bool unchanged = previous != NULL && previous->version_count > 0 &&
                     entry->version_count > 0 &&
                     previous->versions[0].model == entry->versions[0].model;
    return unchanged ? previous->loaded_at_ms : clock_realtime_ms();
}

static int build_entry(struct catalog_entry *entry, struct identity **identities,
                       const struct builder *builder, const char *name,
                       struct deepsad_error *error)
{
    char *directory;
    struct deepsad_error fault = {0};
    *entry = (struct catalog_entry){.name = strdup(name)};
    if (entry->name == NULL ||
        asprintf(&directory, "%s/%s", builder->directory, name) < 0) {
        return error_no_memory(error, "a model's entry");
    }
    if (version_list(&entry->available, &entry->available_count, directory, &fault) !=
        DEEPSAD_OK) {
        note_fault(entry, &fault);
    }
    int status = load_versions(entry, identities, builder, error);
    if (status == DEEPSAD_OK) {
        apply_policy(entry, builder, directory);
        if (entry->version_count == 0) {
            error_set(&fault, DEEPSAD_NOT_FOUND, "%s: no version of a model in it",
                      directory);
            note_fault(entry, &fault);
        }
        entry->loaded_at_ms = load_time(entry, builder);
    }
    free(directory);
    return status;
}

/* ---- The models directory ---- */

struct names {
    size_t count, capacity;
    char **list;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->list[i]);
    }
    free(names->list);
}

static int add_name(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 16 : 2 * names->capacity;
        char **list = reallocarray(names->list, capacity, sizeof *list);
        if (list == NULL) {
            return -1;
        }
        names->list = list;
        names->capacity = capacity;
    }
    names->list[names->count] = strdup(name);
    return names->list[names->count] == NULL ? -1 : (names->count++, 0);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_model_directory(const char *parent, const char *name)
{
    char *path;
    if (!version_name_valid(name) || asprintf(&path, "%s/%s", parent, name) < 0) {
        return false;
    }
    bool result = file_is_directory(path);
    free(path);
    return result;
}

static int list_names(struct names *out, const char *directory,
                      struct deepsad_error *error)
{
    struct names names = {0};
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return error_system(error, errno, "%s: cannot open the models directory",
                            directory);
    }
    int failed = 0;
    for (struct dirent *entry; failed == 0 && (entry = readdir(stream)) != NULL;) {
        if (is_model_directory(directory, entry->d_name)) {
            failed = add_name(&names, entry->d_name);
        }
    }
    closedir(stream);
    if (failed != 0) {
        names_done(&names);
        return error_no_memory(error, "the models directory");
    }
    if (names.count > 0) {
        qsort(names.list, names.count, sizeof *names.list, compare_names);
    }
    *out = names;
    return DEEPSAD_OK;
}

static int build_catalog(struct counted_catalog **out, const struct builder *builder,
                         struct deepsad_error *error)
{
    struct names names = {0};
    int status = list_names(&names, builder->directory, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct counted_catalog *counted = calloc(1, sizeof *counted);
    if (counted != NULL) {
        atomic_init(&counted->references, 1);
        counted->catalog.entries =
            calloc(names.count + 1, sizeof *counted->catalog.entries);
        counted->identities = calloc(names.count + 1, sizeof *counted->identities);
    }
    if (counted == NULL || counted->catalog.entries == NULL ||
        counted->identities == NULL) {
        status = error_no_memory(error, "the catalog of models");
    }
    for (size_t i = 0; i < names.count && status == DEEPSAD_OK; i++) {
        counted->catalog.count++;
        status = build_entry(&counted->catalog.entries[i], &counted->identities[i],
                             builder, names.list[i], error);
    }
    names_done(&names);
    if (status != DEEPSAD_OK) {
        counted_unref(counted);
        return status;
    }
    *out = counted;
    return DEEPSAD_OK;
}

/* ---- The registry ---- */

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
        counted_unref(registry->current);
        pthread_mutex_destroy(&registry->mutex);
        pthread_mutex_destroy(&registry->reloading);
        free(registry->directory);
        free(registry);
    }
}

static void swap(struct registry *registry, struct counted_catalog *next)
{
    lock(&registry->mutex);
    struct counted_catalog *old = registry->current;
    registry->current = next;
    unlock(&registry->mutex);
    counted_unref(old);
}

static int reload(struct registry *registry, const char *directory,
                  size_t versions_loaded, struct deepsad_error *error)
{
    struct builder builder = {
        .directory = directory,
        .versions_loaded = versions_loaded > 0 ? versions_loaded : 1,
        .previous = registry->current, /* only a reload changes it, and this is the one */
    };
    struct counted_catalog *next;
    char *copy = strdup(directory);
    if (copy == NULL) {
        return error_no_memory(error, "a path");
    }
    int status = build_catalog(&next, &builder, error);
    if (status != DEEPSAD_OK) {
        free(copy);
        return status;
    }
    swap(registry, next);
    free(registry->directory);
    registry->directory = copy;
    registry->versions_loaded = builder.versions_loaded;
    return DEEPSAD_OK;
}

int registry_reload(struct registry *registry, const struct registry_options *options,
                    struct deepsad_error *error)
{
    lock(&registry->reloading);
    int status = reload(
        registry, options != NULL ? options->directory : registry->directory,
        options != NULL ? options->versions_loaded : registry->versions_loaded, error);
    unlock(&registry->reloading);
    return status;
}

const struct catalog *registry_acquire(struct registry *registry)
{
    lock(&registry->mutex);
    struct counted_catalog *counted = registry->current;
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    unlock(&registry->mutex);
    return &counted->catalog;
}

void registry_release(struct registry *registry, const struct catalog *catalog)
{
    (void)registry;
    union {
        const struct catalog *catalog;
        struct counted_catalog *counted; /* its first member is the catalog */
    } view = {.catalog = catalog};
    counted_unref(view.counted);
}
