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
#include "model/policy.h"
#include "model/version.h"

void catalog_entry_done(struct catalog_entry *entry)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        deepsad_model_unref(entry->versions[i].model);
        free(entry->versions[i].card);
    }
    free(entry->versions);
    free(entry->available);
    free(entry->challenger);
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

/* Scores a row, so that the first request finds pages and caches as the second does. */
static int warm_up(const struct deepsad_model *model, struct deepsad_error *error)
{
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    float *row = calloc(deepsad_model_features(model), sizeof *row), score;
    int status = workspace == NULL || row == NULL
                     ? error_no_memory(error, "a model's first score")
                     : deepsad_score(model, workspace, &score, NULL, row, 1, error);
    free(row);
    deepsad_workspace_free(workspace);
    return status;
}

static int read_version(struct catalog_version *out, const char *path,
                        struct deepsad_error *error)
{
    struct deepsad_model *model;
    int status = model_file_read(&model, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = warm_up(model, error);
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(model);
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
        entry->fault_is_memory = error->status == DEEPSAD_NO_MEMORY;
    }
}

/* ---- The live version ---- */

static const struct catalog_version *previous_live(const struct catalog_source *source)
{
    return source->previous != NULL && source->previous->version_count > 0
               ? &source->previous->versions[0]
               : NULL;
}

/* Loads the number as the next of the entry's versions. A version that does not load is
 * the entry's fault, and no failure. */
static int try_version(struct catalog_entry *entry, const struct catalog_source *source,
                       unsigned number, struct deepsad_error *error)
{
    struct deepsad_error fault = {0};
    int status =
        load_version(&entry->versions[entry->version_count], source, number, &fault);
    if (status == DEEPSAD_NO_MEMORY) {
        return error_set(error, DEEPSAD_NO_MEMORY, "%s", fault.message);
    }
    if (status == DEEPSAD_OK) {
        entry->version_count++;
    } else {
        note_fault(entry, &fault);
    }
    return DEEPSAD_OK;
}

/* The version that is to be live; what cannot be told keeps what was live. */
static int choose_live(unsigned *chosen, struct catalog_entry *entry,
                       const struct catalog_source *source, struct deepsad_error *error)
{
    struct deepsad_error fault = {0};
    const struct catalog_version *previous = previous_live(source);
    int status = live_read(&entry->live, source->directory, &fault);
    if (status == DEEPSAD_NO_MEMORY) {
        return error_set(error, DEEPSAD_NO_MEMORY, "%s", fault.message);
    }
    if (status != DEEPSAD_OK) {
        note_fault(entry, &fault);
        if (source->previous != NULL) {
            entry->live = source->previous->live;
        }
        if (previous != NULL) {
            *chosen = previous->number;
            return DEEPSAD_OK;
        }
    }
    *chosen = live_choose(&entry->live, source->directory, entry->available,
                          entry->available_count);
    return DEEPSAD_OK;
}

/* The chosen one does not load: the next newest that may be live and is newer than what
 * was, else what was. Broken versions are looked past, but only so far: a directory of
 * ten thousand broken ones must not be read whole. */
static int load_substitute(struct catalog_entry *entry,
                           const struct catalog_source *source, unsigned chosen,
                           struct deepsad_error *error)
{
    const struct catalog_version *previous = previous_live(source);
    size_t tries = 2 * source->versions_loaded + 1;
    bool held = previous != NULL && entry->live.hold;
    for (size_t i = 0; i < entry->available_count && tries > 0 && !held; i++) {
        unsigned number = entry->available[i];
        if (previous != NULL && number <= previous->number) {
            break;
        }
        if (number == chosen || entry->challenger[i]) {
            continue;
        }
        tries--;
        int status = try_version(entry, source, number, error);
        if (status != DEEPSAD_OK || entry->version_count > 0) {
            return status;
        }
    }
    if (previous == NULL) {
        return DEEPSAD_OK;
    }
    int status = share_version(&entry->versions[0], previous, error);
    entry->version_count += status == DEEPSAD_OK;
    return status;
}

static void note_none(struct catalog_entry *entry, const struct catalog_source *source)
{
    struct deepsad_error fault = {0};
    error_set(&fault, DEEPSAD_NOT_FOUND, "%s: %s", source->directory,
              entry->available_count > 0
                  ? "no version is live, all are challengers; activate one"
                  : "no version of a model in it");
    note_fault(entry, &fault);
}

static int load_live(struct catalog_entry *entry, const struct catalog_source *source,
                     struct deepsad_error *error)
{
    unsigned chosen = 0;
    int status = choose_live(&chosen, entry, source, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (chosen == 0) {
        note_none(entry, source);
    } else {
        status = try_version(entry, source, chosen, error);
        if (status != DEEPSAD_OK || entry->version_count > 0) {
            return status;
        }
    }
    return load_substitute(entry, source, chosen, error);
}

/* Versions beside the live one; not where none is live. */
static int load_others(struct catalog_entry *entry, const struct catalog_source *source,
                       struct deepsad_error *error)
{
    size_t tries = 2 * source->versions_loaded + 2;
    int status = DEEPSAD_OK;
    for (size_t i = 0;
         i < entry->available_count && i < tries && status == DEEPSAD_OK &&
         entry->version_count > 0 && entry->version_count < source->versions_loaded;
         i++) {
        if (entry->available[i] != entry->versions[0].number) {
            status = try_version(entry, source, entry->available[i], error);
        }
    }
    return status;
}

static int load_versions(struct catalog_entry *entry, const struct catalog_source *source,
                         struct deepsad_error *error)
{
    entry->versions = calloc(source->versions_loaded, sizeof *entry->versions);
    if (entry->versions == NULL) {
        return error_no_memory(error, "versions");
    }
    int status = load_live(entry, source, error);
    return status != DEEPSAD_OK ? status : load_others(entry, source, error);
}

/* ---- The whole ---- */

static int apply_policy(struct catalog_entry *entry, const struct catalog_source *source,
                        struct deepsad_error *error)
{
    struct deepsad_error fault = {0};
    int status = policy_read(&entry->policy, source->directory, &fault);
    if (status == DEEPSAD_NO_MEMORY) {
        return error_set(error, DEEPSAD_NO_MEMORY, "%s", fault.message);
    }
    if (status != DEEPSAD_OK) {
        policy_defaults(&entry->policy);
        if (source->previous != NULL) {
            entry->policy = source->previous->policy;
        }
        note_fault(entry, &fault);
    }
    entry->alpha = entry->policy.alpha;
    if (entry->version_count > 0) {
        entry->reachable = deepsad_model_threshold(entry->versions[0].model, entry->alpha,
                                                   &entry->threshold);
    }
    return DEEPSAD_OK;
}

static int64_t load_time(const struct catalog_entry *entry,
                         const struct catalog_entry *previous)
{
    bool unchanged = previous != NULL && previous->version_count > 0 &&
                     entry->version_count > 0 &&
                     previous->versions[0].model == entry->versions[0].model;
    return unchanged ? previous->loaded_at_ms : clock_realtime_ms();
}

/* The version numbers on disk, and which are challengers. */
static int list_versions(struct catalog_entry *entry, const struct catalog_source *source,
                         struct deepsad_error *error)
{
    struct deepsad_error fault = {0};
    int status = version_list(&entry->available, &entry->available_count,
                              source->directory, &fault);
    if (status == DEEPSAD_NO_MEMORY) {
        return error_set(error, DEEPSAD_NO_MEMORY, "%s", fault.message);
    }
    if (status != DEEPSAD_OK) {
        note_fault(entry, &fault);
    }
    entry->challenger = calloc(entry->available_count + 1, sizeof *entry->challenger);
    if (entry->challenger == NULL) {
        return error_no_memory(error, "versions");
    }
    for (size_t i = 0; i < entry->available_count; i++) {
        entry->challenger[i] = live_is_challenger(source->directory, entry->available[i]);
    }
    return DEEPSAD_OK;
}

int catalog_entry_build(struct catalog_entry *entry, const struct catalog_source *source,
                        struct deepsad_error *error)
{
    *entry = (struct catalog_entry){.name = strdup(source->name)};
    if (entry->name == NULL) {
        return error_no_memory(error, "a model's entry");
    }
    entry->unloaded = source->unloaded;
    int status = list_versions(entry, source, error);
    if (status == DEEPSAD_OK && !source->unloaded) {
        status = load_versions(entry, source, error);
    }
    if (status == DEEPSAD_OK) {
        status = apply_policy(entry, source, error);
    }
    if (status == DEEPSAD_OK) {
        entry->loaded_at_ms = load_time(entry, source->previous);
    }
    return status;
}
