/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What did not change on disk is shared with the entry as it was, by reference; what
 * fails to load leaves a fault and, where there was one, the version that was live.
 */
#include "model/catalog_entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "model/model.h"
#include "model/model_file.h"
#include "model/version.h"

void catalog_entry_done(struct catalog_entry *entry)
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

static bool same_file(const struct catalog_file *a, const struct catalog_file *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

static int identify(struct catalog_file *out, const char *path,
                    struct deepsad_error *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return error_system(error, errno, "%s: cannot read", path);
    }
    *out = (struct catalog_file){.device = status.st_dev,
                                 .inode = status.st_ino,
                                 .size = status.st_size,
                                 .modified = status.st_mtim};
    return DEEPSAD_OK;
}

/* Takes over what `from` has, by reference. */
static int share_version(struct catalog_version *out, const struct catalog_version *from,
                         struct deepsad_error *error)
{
    char *card = strdup(from->card);
    if (card == NULL) {
        return error_no_memory(error, "a model's card");
    }
    *out = *from;
    out->model = deepsad_model_ref(from->model);
    out->card = card;
    return DEEPSAD_OK;
}

static int read_version(struct catalog_version *out, const char *path,
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
    out->model = model;
    out->card = card;
    return DEEPSAD_OK;
}

static int load_version(struct catalog_version *out, const struct catalog_source *source,
                        unsigned number, struct deepsad_error *error)
{
    struct catalog_version version = {.number = number};
    char *path;
    if (asprintf(&path, "%s/%u/%s", source->directory, number, VERSION_FILE) < 0) {
        return error_no_memory(error, "a path");
    }
    int status = identify(&version.file, path, error);
    if (status == DEEPSAD_OK) {
        const struct catalog_version *previous =
            source->previous != NULL ? catalog_version(source->previous, number) : NULL;
        status = previous != NULL && same_file(&previous->file, &version.file)
                     ? share_version(&version, previous, error)
                     : read_version(&version, path, error);
    }
    free(path);
    if (status == DEEPSAD_OK) {
        *out = version;
    }
    return status;
}

/* The first fault found is the one that is told. */
static void note_fault(struct catalog_entry *entry, const struct deepsad_error *error)
{
    if (entry->fault == NULL) {
        entry->fault = strdup(error->message);
    }
}

/* Where nothing as new on disk loads, what was live stays live. */
static int keep_live(struct catalog_entry *entry, const struct catalog_source *source,
                     struct deepsad_error *error)
{
    if (source->previous == NULL || source->previous->version_count == 0) {
        return DEEPSAD_OK;
    }
    const struct catalog_version *live = &source->previous->versions[0];
    for (size_t i = 0; i < entry->version_count; i++) {
        if (entry->versions[i].number >= live->number) {
            return DEEPSAD_OK;
        }
    }
    struct catalog_version kept;
    int status = share_version(&kept, live, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    /* Older versions that loaded come after it. */
    memmove(&entry->versions[1], &entry->versions[0],
            entry->version_count * sizeof *entry->versions);
    entry->versions[0] = kept;
    entry->version_count++;
    return DEEPSAD_OK;
}

static int load_versions(struct catalog_entry *entry, const struct catalog_source *source,
                         struct deepsad_error *error)
{
    /* One more than are loaded: the one that keep_live may put first. */
    entry->versions = calloc(source->versions_loaded + 1, sizeof *entry->versions);
    if (entry->versions == NULL) {
        return error_no_memory(error, "versions");
    }
    /* Broken versions are looked past, but only so far: a directory of ten thousand
     * broken ones must not be read whole. */
    size_t tries = 2 * source->versions_loaded + 2;
    for (size_t i = 0; i < entry->available_count && i < tries &&
                       entry->version_count < source->versions_loaded;
         i++) {
        struct deepsad_error fault = {0};
        int status = load_version(&entry->versions[entry->version_count], source,
                                  entry->available[i], &fault);
        if (status == DEEPSAD_NO_MEMORY) {
            return error_set(error, DEEPSAD_NO_MEMORY, "%s", fault.message);
        }
        if (status != DEEPSAD_OK) {
            note_fault(entry, &fault);
        } else {
            entry->version_count++;
        }
    }
    if (entry->fault == NULL && entry->version_count == 0) {
        struct deepsad_error fault = {0};
        error_set(&fault, DEEPSAD_NOT_FOUND, "%s: no version of a model in it",
                  source->directory);
        note_fault(entry, &fault);
    }
    return entry->fault == NULL ? DEEPSAD_OK : keep_live(entry, source, error);
}

static void apply_policy(struct catalog_entry *entry, const struct catalog_source *source)
{
    struct deepsad_error fault = {0};
    struct policy policy = {.alpha = MODEL_ALPHA_DEFAULT};
    if (policy_read(&policy, source->directory, &fault) != DEEPSAD_OK) {
        policy = source->previous != NULL ? source->previous->policy : policy;
        note_fault(entry, &fault);
    }
    entry->policy = policy;
    entry->alpha = policy.alpha;
    if (entry->version_count > 0) {
        entry->reachable = deepsad_model_threshold(entry->versions[0].model, entry->alpha,
                                                   &entry->threshold);
    }
}

static int64_t load_time(const struct catalog_entry *entry,
                         const struct catalog_entry *previous)
{
    bool unchanged = previous != NULL && previous->version_count > 0 &&
                     entry->version_count > 0 &&
                     previous->versions[0].model == entry->versions[0].model;
    return unchanged ? previous->loaded_at_ms : clock_realtime_ms();
}

int catalog_entry_build(struct catalog_entry *entry, const struct catalog_source *source,
                        struct deepsad_error *error)
{
    struct deepsad_error fault = {0};
    *entry = (struct catalog_entry){.name = strdup(source->name)};
    if (entry->name == NULL) {
        return error_no_memory(error, "a model's entry");
    }
    if (version_list(&entry->available, &entry->available_count, source->directory,
                     &fault) != DEEPSAD_OK) {
        note_fault(entry, &fault);
    }
    int status = load_versions(entry, source, error);
    if (status == DEEPSAD_OK) {
        apply_policy(entry, source);
        entry->loaded_at_ms = load_time(entry, source->previous);
    }
    return status;
}
