/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models that a daemon serves: a pointer to the current catalog. Reloading builds the
 * next one aside, then swaps the pointer. A request acquires the catalog once, so no
 * answer mixes models or versions. Locks: the registry's mutex guards only the pointer to
 * the current catalog; it is a leaf.
 */
#ifndef MODEL_REGISTRY_H
#define MODEL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/catalog.h"

struct registry_options {
    const char *directory;
    size_t versions_loaded; /* of each model kept in memory, at least 1: the live one and
                               the newest others */
};

struct registry;

/* Loads every MODELS/NAME there is. A model that fails to load is an entry with a fault,
 * not a failure; a missing directory is one. */
int registry_open(struct registry **out, const struct registry_options *options,
                  struct deepsad_error *error);
void registry_close(struct registry *registry);

/* Builds the next catalog and swaps. Versions whose file is unchanged (device, inode,
 * size, mtime) are taken over, not read again. Where the version that is to be live does
 * not load, the one that was live stays live and the entry's fault says why. On failure
 * (directory gone, out of memory) the current catalog stays. `options` may be NULL: as
 * before. */
int registry_reload(struct registry *registry, const struct registry_options *options,
                    struct deepsad_error *error);

/* The same for who wants a model loaded again, or no longer held in memory: requests that
 * have it finish with it. DEEPSAD_NOT_FOUND: there is no such directory. Where it does
 * not load the fault is the error, and what was live stays live. */
int registry_load(struct registry *registry, const char *model,
                  struct deepsad_error *error);
int registry_unload(struct registry *registry, const char *model,
                    struct deepsad_error *error);

/* A reload in two steps, for who may build a catalog only at a low priority, at which the
 * registry's lock must not be taken for long: the next catalog built from `base`, the
 * current one, which is released by ... */
int registry_prepare(struct registry *registry, struct catalog **next,
                     const struct catalog **base, struct deepsad_error *error);
/* ... the swap. Takes over both. False: another reload was first, nothing is changed. */
bool registry_commit(struct registry *registry, struct catalog *next,
                     const struct catalog *base);

/* lock, ref, unlock. Never NULL. */
const struct catalog *registry_acquire(struct registry *registry);
void registry_release(struct registry *registry, const struct catalog *catalog);

#endif
