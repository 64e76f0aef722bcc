/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models that a daemon serves. A catalog is an immutable, reference-counted picture
 * of the model directory; reloading builds the next one aside, then swaps the pointer. A
 * request acquires the catalog once, so no answer mixes models or versions. Locks: the
 * registry's mutex guards only the pointer to the current catalog; it is a leaf.
 */
#ifndef MODEL_REGISTRY_H
#define MODEL_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "deepsad.h"

/* One loaded version. */
struct catalog_version {
    unsigned number;
    struct deepsad_model *model;
    char *card; /* JSON text, deepsad_model_card() */
};

/* One directory MODELS/NAME. */
struct catalog_entry {
    char *name;
    double alpha;         /* from model.yaml, else the default */
    float threshold;      /* of the live version at alpha; valid if */
    bool reachable;       /* alpha can be reached */
    size_t version_count; /* loaded versions, newest first; the first is live */
    struct catalog_version *versions;
    size_t available_count; /* all version numbers on disk, newest first */
    unsigned *available;
    char *
        fault; /* why the newest version (or the whole entry) did not load; NULL = none */
    int64_t loaded_at_ms;
};

struct catalog {
    size_t count;
    struct catalog_entry *entries; /* by name */
    /* reference count behind it: see registry.c */
};

struct registry_options {
    const char *directory;
    size_t versions_loaded; /* newest versions of each model kept in memory, at least 1 */
};

struct registry;

/* Loads every MODELS/NAME there is. A model that fails to load is an entry with a fault,
 * not a failure; a missing directory is one. */
int registry_open(struct registry **out, const struct registry_options *options,
                  struct deepsad_error *error);
void registry_close(struct registry *registry);

/* Builds the next catalog and swaps. Versions whose file is unchanged (device, inode,
 * size, mtime) are taken over, not read again. Where the newest version of a model does
 * not load, the one that was live stays live and the entry's fault says why. On failure
 * (directory gone, out of memory) the current catalog stays. `options` may be NULL: as
 * before. */
int registry_reload(struct registry *registry, const struct registry_options *options,
                    struct deepsad_error *error);

/* lock, ref, unlock. Never NULL. */
const struct catalog *registry_acquire(struct registry *registry);
void registry_release(struct registry *registry, const struct catalog *catalog);

/* NULL when there is none of that name. */
const struct catalog_entry *catalog_find(const struct catalog *catalog, const char *name);
/* The loaded version of that number, 0 = the live one; NULL when it is not loaded. */
const struct catalog_version *catalog_version(const struct catalog_entry *entry,
                                              unsigned number);

#endif
