/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One model directory as it is served: the live version and the newest ones that load,
 * the policy, and what is wrong with it. Built anew for each catalog; immutable then.
 */
#ifndef MODEL_CATALOG_ENTRY_H
#define MODEL_CATALOG_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "deepsad.h"
#include "model/live.h"
#include "model/policy.h"

/* Which file a version was loaded from; the same in all = unchanged. */
struct catalog_file {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

/* One loaded version. */
struct catalog_version {
    unsigned number;
    struct deepsad_model *model;
    char *card; /* JSON text, deepsad_model_card() */
    struct catalog_file file;
};

/* One directory MODELS/NAME. */
struct catalog_entry {
    char *name;
    double alpha;         /* policy.alpha */
    struct policy policy; /* of model.yaml, else the defaults */
    struct live live;     /* of live.yaml, else all zero */
    float threshold;      /* of the live version at alpha; valid if */
    bool reachable;       /* alpha can be reached */
    /* loaded versions: the live one, then the newest others, newest first */
    size_t version_count;
    struct catalog_version *versions;
    size_t available_count; /* all version numbers on disk, newest first */
    unsigned *available;
    bool *challenger; /* (available_count): never live by itself */
    /* why the live version (or the whole entry) did not load; NULL = none */
    char *fault;
    bool fault_is_memory; /* that ran out, and nothing on the disk */
    bool unloaded;        /* by request: no version is held, until it is loaded again */
    int64_t loaded_at_ms;
};

/* What an entry is built from. */
struct catalog_source {
    const char *directory; /* MODELS/NAME */
    const char *name;
    size_t versions_loaded;               /* at least 1; the live one is of them */
    const struct catalog_entry *previous; /* of the same name, or NULL */
    bool unloaded;                        /* it is to hold no version */
};

/* What is wrong on disk becomes the entry's fault; only running out of memory fails. The
 * entry wants catalog_entry_done also then. */
int catalog_entry_build(struct catalog_entry *entry, const struct catalog_source *source,
                        struct deepsad_error *error);
void catalog_entry_done(struct catalog_entry *entry);

/* The loaded version of that number, 0 = the live one; NULL when it is not loaded. */
const struct catalog_version *catalog_version(const struct catalog_entry *entry,
                                              unsigned number);

#endif
