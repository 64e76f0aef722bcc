/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a flat YAML text become settings one by one, in the order in which they
 * stand, so that the first thing wrong is the one that is told.
 */
#include "base/setting_yaml.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/flatyaml.h"
#include "base/nearest.h"
#include "base/setting_value.h"

enum { SETTING_FILE_MAX = 1 << 20 };

struct loading {
    void *values;
    struct setting_table table;
    enum setting_source *sources;
    const char *path;
    /* (table.count): a setting was set; the section of which it is the first was seen */
    struct {
        bool set, section;
    } * seen;
};

static int at_place(struct deepsad_error *error, const char *path,
                    struct flatyaml_place place)
{
    return error_prefix(error, "%s:%zu:%zu", path, place.line, place.column);
}

/* Index of the first setting of a section, or SIZE_MAX. */
static size_t find_section(struct setting_table table, const char *section)
{
    size_t length = strlen(section);
    for (size_t i = 0; i < table.count; i++) {
        const char *key = table.settings[i].key;
        if (strncmp(key, section, length) == 0 && key[length] == '.') {
            return i;
        }
    }
    return SIZE_MAX;
}

static int unknown_section(struct deepsad_error *error, struct setting_table table,
                           const char *section)
{
    char names[32][NEAREST_LENGTH_MAX + 1];
    size_t count = 0;
    struct nearest nearest = nearest_to(section);
    for (size_t i = 0; i < table.count && count < 32; i++) {
        const char *dot = strchr(table.settings[i].key, '.');
        if (dot != NULL) {
            snprintf(names[count], sizeof names[count], "%.*s",
                     (int)(dot - table.settings[i].key), table.settings[i].key);
            if (count == 0 || strcmp(names[count], names[count - 1]) != 0) {
                nearest_try(&nearest, names[count++]);
            }
        }
    }
    if (nearest.best == NULL) {
        return error_set(error, DEEPSAD_INVALID, "unknown section \"%.80s\"", section);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "unknown section \"%.80s\"; did you mean \"%s\"?", section,
                     nearest.best);
}

static int load_section(struct loading *loading, const struct flatyaml_entry *entry,
                        struct deepsad_error *error)
{
    size_t first = find_section(loading->table, entry->key);
    if (first == SIZE_MAX && settings_find(loading->table, entry->key) != SIZE_MAX) {
        return error_set(error, DEEPSAD_INVALID, "%s: expected a value, not a section",
                         entry->key);
    }
    if (first == SIZE_MAX) {
        return unknown_section(error, loading->table, entry->key);
    }
    if (loading->seen[first].section) {
        return error_set(error, DEEPSAD_INVALID,
                         "section \"%s\" stands here a second time; join the two",
                         entry->key);
    }
    loading->seen[first].section = true;
    return DEEPSAD_OK;
}

static bool is_null(const struct flatyaml_entry *entry)
{
    return entry->kind == FLATYAML_SCALAR && !entry->quoted &&
           (entry->value[0] == '\0' || strcmp(entry->value, "~") == 0 ||
            strcmp(entry->value, "null") == 0);
}

/* What a YAML value may not be although its text would do. */
static int check_form(const struct setting *setting, const struct flatyaml_entry *entry,
                      struct deepsad_error *error)
{
    bool bare = setting->type == SETTING_BOOL || setting->type == SETTING_COUNT ||
                setting->type == SETTING_NUMBER;
    if (is_null(entry)) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: has no value; leave the line out for the default",
                         setting->key);
    }
    if (entry->kind == FLATYAML_SEQUENCE && setting->type != SETTING_COUNTS &&
        !setting->sequence) {
        return error_set(error, DEEPSAD_INVALID, "%s: expected one value, not a sequence",
                         setting->key);
    }
    if (entry->quoted && bare) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: expected %s, not a text; write it without quotes",
                         setting->key, setting_type_text(setting->type));
    }
    return DEEPSAD_OK;
}

static int load_value(struct loading *loading, const struct flatyaml_entry *entry,
                      struct flatyaml_place *place, struct deepsad_error *error)
{
    size_t index = settings_find(loading->table, entry->key);
    *place = entry->key_place;
    if (index == SIZE_MAX && find_section(loading->table, entry->key) != SIZE_MAX) {
        return is_null(entry) ? DEEPSAD_OK
                              : error_set(error, DEEPSAD_INVALID,
                                          "%s: is a section; expected its settings on "
                                          "indented lines below",
                                          entry->key);
    }
    if (index == SIZE_MAX) {
        return settings_unknown_key(error, loading->table, entry->key);
    }
    if (loading->seen[index].set) {
        return error_set(error, DEEPSAD_INVALID, "key \"%s\" stands here a second time",
                         entry->key);
    }
    loading->seen[index].set = true;
    *place = entry->value_place;
    int status = check_form(&loading->table.settings[index], entry, error);
    return status != DEEPSAD_OK
               ? status
               : settings_set_at(loading->values, loading->table, index, entry->value,
                                 SETTING_FILE, loading->sources, error);
}

static int load_entries(struct loading *loading, struct flatyaml *yaml,
                        struct deepsad_error *error)
{
    for (;;) {
        struct flatyaml_entry entry;
        int status = flatyaml_next(yaml, &entry, error);
        if (status != DEEPSAD_OK || entry.kind == FLATYAML_END) {
            return status;
        }
        struct flatyaml_place place = entry.key_place;
        status = entry.kind == FLATYAML_SECTION
                     ? load_section(loading, &entry, error)
                     : load_value(loading, &entry, &place, error);
        if (status != DEEPSAD_OK) {
            at_place(error, loading->path, place);
            return status;
        }
    }
}

int settings_load_yaml_text(void *values, struct setting_table table, const char *path,
                            const char *text, size_t length, enum setting_source *sources,
                            struct deepsad_error *error)
{
    struct loading loading = {.values = values, .table = table, .path = path};
    loading.sources = sources;
    loading.seen = calloc(table.count + 1, sizeof *loading.seen);
    if (loading.seen == NULL) {
        return error_no_memory(error, path);
    }
    struct flatyaml *yaml = NULL;
    int status = flatyaml_open(&yaml, path, text, length, error);
    if (status == DEEPSAD_OK) {
        status = load_entries(&loading, yaml, error);
    }
    flatyaml_close(yaml);
    free(loading.seen);
    return status;
}

int settings_load_yaml(void *values, struct setting_table table, const char *path,
                       enum setting_source *sources, struct deepsad_error *error)
{
    struct buffer text = {0};
    int status = file_read(&text, path, SETTING_FILE_MAX, error);
    if (status == DEEPSAD_OK) {
        status = settings_load_yaml_text(values, table, path,
                                         text.data != NULL ? text.data : "", text.length,
                                         sources, error);
    }
    buffer_done(&text);
    return status;
}
