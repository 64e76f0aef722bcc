/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An immutable, reference-counted picture of the model directory: one entry for each
 * MODELS/NAME, sorted by name.
 */
#ifndef MODEL_CATALOG_H
#define MODEL_CATALOG_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"
#include "model/catalog_entry.h"

struct catalog {
    size_t count;
    struct catalog_entry *entries; /* by name */
    atomic_size_t references;
};

/* A model that is to be loaded or unloaded; the others stay what they are. */
struct catalog_wish {
    const char *model; /* NULL: none */
    bool unload;
};

/* Reads the directory; what is unchanged since `previous` (or NULL) is taken from there,
 * and what is unloaded there stays so. The caller holds the one reference. Fails when the
 * directory cannot be read, or out of memory. */
int catalog_build(struct catalog **out, const char *directory, size_t versions_loaded,
                  const struct catalog *previous, const struct catalog_wish *wish,
                  struct deepsad_error *error);

struct catalog *catalog_ref(struct catalog *catalog);
/* NULL is allowed. Const, because those who read a catalog also let go of it. */
void catalog_unref(const struct catalog *catalog);

/* NULL when there is none of that name. */
const struct catalog_entry *catalog_find(const struct catalog *catalog, const char *name);

#endif
