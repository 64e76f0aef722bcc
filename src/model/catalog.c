/* SPDX-License-Identifier: Apache-2.0 */
#include "model/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/version.h"

struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->references, 1, memory_order_relaxed);
    return catalog;
}

void catalog_unref(const struct catalog *catalog)
{
    union {
        const struct catalog *shared;
        struct catalog *own; /* once nobody else reads it */
    } view = {.shared = catalog};
    if (catalog == NULL || atomic_fetch_sub(&view.own->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < catalog->count; i++) {
        catalog_entry_done(&catalog->entries[i]);
    }
    free(catalog->entries);
    free(view.own);
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

/* ---- The names of models ---- */

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

/* 0, or the errno of a look that says nothing: a model is not gone because of that. */
static int look_for_model(bool *is, const char *parent, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/%s", parent, name);
    *is = version_name_valid(name) && length > 0 && length < PATH_MAX;
    if (*is && stat(path, &status) != 0) {
        *is = false;
        return errno == ENOENT || errno == EACCES || errno == ELOOP ? 0 : errno;
    }
    *is = *is && S_ISDIR(status.st_mode);
    return 0;
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
        bool is;
        failed = look_for_model(&is, directory, entry->d_name);
        if (failed == 0 && is && add_name(&names, entry->d_name) != 0) {
            failed = ENOMEM;
        }
    }
    closedir(stream);
    if (failed != 0) {
        names_done(&names);
        return failed == ENOMEM
                   ? error_no_memory(error, "the models directory")
                   : error_system(error, failed, "%s: cannot be read", directory);
    }
    if (names.count > 0) {
        qsort(names.list, names.count, sizeof *names.list, compare_names);
    }
    *out = names;
    return DEEPSAD_OK;
}

/* ---- Building ---- */

static struct catalog *catalog_new(size_t capacity)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL) {
        return NULL;
    }
    atomic_init(&catalog->references, 1);
    catalog->entries = calloc(capacity + 1, sizeof *catalog->entries);
    if (catalog->entries == NULL) {
        free(catalog);
        return NULL;
    }
    return catalog;
}

static bool is_unloaded(const struct catalog_entry *previous, const char *name,
                        const struct catalog_wish *wish)
{
    if (wish != NULL && wish->model != NULL && strcmp(wish->model, name) == 0) {
        return wish->unload;
    }
    return previous != NULL && previous->unloaded;
}

static int add_entry(struct catalog *catalog, const char *models, const char *name,
                     size_t versions_loaded, const struct catalog *previous,
                     const struct catalog_wish *wish, struct deepsad_error *error)
{
    char *directory;
    if (asprintf(&directory, "%s/%s", models, name) < 0) {
        return error_no_memory(error, "a model's entry");
    }
    struct catalog_source source = {
        .directory = directory,
        .name = name,
        .versions_loaded = versions_loaded,
        .previous = previous != NULL ? catalog_find(previous, name) : NULL,
    };
    source.unloaded = is_unloaded(source.previous, name, wish);
    int status = catalog_entry_build(&catalog->entries[catalog->count++], &source, error);
    free(directory);
    return status;
}

int catalog_build(struct catalog **out, const char *directory, size_t versions_loaded,
                  const struct catalog *previous, const struct catalog_wish *wish,
                  struct deepsad_error *error)
{
    struct names names = {0};
    int status = list_names(&names, directory, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct catalog *catalog = catalog_new(names.count);
    if (catalog == NULL) {
        status = error_no_memory(error, "the catalog of models");
    }
    for (size_t i = 0; i < names.count && status == DEEPSAD_OK; i++) {
        status = add_entry(catalog, directory, names.list[i], versions_loaded, previous,
                           wish, error);
    }
    names_done(&names);
    if (status != DEEPSAD_OK) {
        catalog_unref(catalog);
        return status;
    }
    *out = catalog;
    return DEEPSAD_OK;
}
