/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings are tables: one `static const struct setting[]` describes the members of a
 * plain struct (key, type, range, help), and serves YAML files, environment, command
 * line, printing and documentation alike. Strict: an unknown key, a wrong type, a value
 * out of range or a duplicate is an error that names file, line and column, and the
 * nearest key there is. One value as text is setting_value.h; files are setting_yaml.h.
 */
#ifndef BASE_SETTING_H
#define BASE_SETTING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum setting_type {
    SETTING_BOOL,     /* bool: true|false|yes|no|on|off */
    SETTING_COUNT,    /* size_t */
    SETTING_SIZE,     /* size_t bytes: 64KiB, 8MiB, 1GiB; a plain number is bytes */
    SETTING_DURATION, /* double seconds: 500ms, 30s, 5m, 2h, 7d; a plain number is wrong
                       */
    SETTING_NUMBER,   /* double */
    SETTING_TEXT,     /* char *, malloced; a YAML sequence too where `sequence` is set */
    SETTING_CHOICE,   /* int: index into `choices`; on|off there: true|yes|false|no too */
    SETTING_COUNTS,   /* struct setting_counts: comma-separated or a YAML sequence */
};

enum { SETTING_COUNTS_MAX = 8 };
struct setting_counts {
    size_t count;
    size_t values[SETTING_COUNTS_MAX];
};

struct setting {
    const char *key; /* "section.key" for a YAML mapping one deep, or "key" */
    enum setting_type type;
    size_t offset;              /* of the member in the struct that the table describes */
    double min, max;            /* of numbers, sizes and durations; both 0 = no limit */
    const char *const *choices; /* NULL-terminated */
    const char *fallback;       /* the default, as text; of a SETTING_TEXT also NULL */
    /* Of a SETTING_TEXT, or NULL: what the text must be. Messages start with the key. */
    int (*check)(const char *text, struct deepsad_error *error);
    bool sequence;    /* of a SETTING_TEXT: [a, b: c] in a file is the text "a,b:c" */
    const char *help; /* one sentence; units where there are any */
    bool secret;      /* never printed */
};

/* Where a value came from, for --print-config. */
enum setting_source { SETTING_DEFAULT, SETTING_FILE, SETTING_ENVIRONMENT, SETTING_FLAG };

struct setting_table {
    const struct setting *settings;
    size_t count;
};

/* All defaults. `sources` ([table.count]) may be NULL, here and below. */
int settings_init(void *values, struct setting_table table, enum setting_source *sources,
                  struct deepsad_error *error);
/* Frees the texts. */
void settings_done(void *values, struct setting_table table);

int settings_set(void *values, struct setting_table table, const char *key,
                 const char *text, enum setting_source source,
                 enum setting_source *sources, struct deepsad_error *error);

/* The parts of settings_set, for what loads many: the index of a key, or SIZE_MAX ... */
size_t settings_find(struct setting_table table, const char *key);
/* ... the error that says so, with the nearest key there is ... */
int settings_unknown_key(struct deepsad_error *error, struct setting_table table,
                         const char *key);
/* ... and the value of the setting at an index. */
int settings_set_at(void *values, struct setting_table table, size_t index,
                    const char *text, enum setting_source source,
                    enum setting_source *sources, struct deepsad_error *error);

/* Variables PREFIX_SECTION_KEY (`prefix` is without the underscore) in upper case, dots
 * and dashes as underscores. A variable that starts with the prefix and names no setting
 * is an error. */
int settings_load_environment(void *values, struct setting_table table,
                              const char *prefix, char *const *environment,
                              enum setting_source *sources, struct deepsad_error *error);

/* The value of setting `index` as text, in the form that settings_set takes; of a secret
 * only "(secret)". */
void setting_print(struct buffer *out, const void *values, struct setting_table table,
                   size_t index);

#endif
