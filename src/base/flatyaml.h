/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML file of settings, entry by entry: a mapping of keys to scalars, sequences of
 * scalars and of mappings of one entry, or one further mapping (a section). Everything
 * else that YAML can do (anchors, tags, several documents, deeper nesting) is an error
 * that names its line and column.
 */
#ifndef BASE_FLATYAML_H
#define BASE_FLATYAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct flatyaml_place {
    size_t line, column; /* from 1 */
};

enum flatyaml_kind {
    FLATYAML_END,
    FLATYAML_SECTION,  /* `section:` with a mapping below it; its entries follow */
    FLATYAML_SCALAR,   /* `key: value` */
    FLATYAML_SEQUENCE, /* `key: [a, b: c]`; the value is "a,b:c" */
};

/* Texts are valid until the next call. */
struct flatyaml_entry {
    enum flatyaml_kind kind;
    const char *key; /* "key", or "section.key" in a section */
    struct flatyaml_place key_place;
    const char *value;
    struct flatyaml_place value_place;
    bool quoted; /* the scalar stood in quotes (or as a block) */
};

struct flatyaml;

/* Reads `length` bytes of `text`, which must stay; `path` names it in messages. */
int flatyaml_open(struct flatyaml **out, const char *path, const char *text,
                  size_t length, struct deepsad_error *error);
void flatyaml_close(struct flatyaml *yaml);

int flatyaml_next(struct flatyaml *yaml, struct flatyaml_entry *entry,
                  struct deepsad_error *error);

#endif
