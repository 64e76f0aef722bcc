/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of settings: defaults, keys and the environment, on top of what setting_value
 * knows of one value.
 */
#include "base/setting.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/setting_value.h"

size_t settings_find(struct setting_table table, const char *key)
{
    for (size_t i = 0; i < table.count; i++) {
        if (strcmp(table.settings[i].key, key) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

int settings_unknown_key(struct deepsad_error *error, struct setting_table table,
                         const char *key)
{
    struct nearest nearest = nearest_to(key);
    for (size_t i = 0; i < table.count; i++) {
        nearest_try(&nearest, table.settings[i].key);
    }
    if (nearest.best == NULL) {
        return error_set(error, DEEPSAD_INVALID, "unknown key \"%.80s\"", key);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "unknown key \"%.80s\"; did you mean \"%s\"?", key, nearest.best);
}

int settings_init(void *values, struct setting_table table, enum setting_source *sources,
                  struct deepsad_error *error)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct setting *setting = &table.settings[i];
        if (setting->type == SETTING_TEXT) {
            *(char **)((char *)values + setting->offset) = NULL;
        }
    }
    for (size_t i = 0; i < table.count; i++) {
        const struct setting *setting = &table.settings[i];
        int status = setting->fallback == NULL
                         ? DEEPSAD_OK
                         : setting_value_set(values, setting, setting->fallback, error);
        if (status != DEEPSAD_OK) {
            settings_done(values, table);
            return status;
        }
        if (sources != NULL) {
            sources[i] = SETTING_DEFAULT;
        }
    }
    return DEEPSAD_OK;
}

void settings_done(void *values, struct setting_table table)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct setting *setting = &table.settings[i];
        if (setting->type == SETTING_TEXT) {
            char **member = (char **)((char *)values + setting->offset);
            free(*member);
            *member = NULL;
        }
    }
}

int settings_set_at(void *values, struct setting_table table, size_t index,
                    const char *text, enum setting_source source,
                    enum setting_source *sources, struct deepsad_error *error)
{
    int status = setting_value_set(values, &table.settings[index], text, error);
    if (status == DEEPSAD_OK && sources != NULL) {
        sources[index] = source;
    }
    return status;
}

int settings_set(void *values, struct setting_table table, const char *key,
                 const char *text, enum setting_source source,
                 enum setting_source *sources, struct deepsad_error *error)
{
    size_t index = settings_find(table, key);
    if (index == SIZE_MAX) {
        return settings_unknown_key(error, table, key);
    }
    return settings_set_at(values, table, index, text, source, sources, error);
}

/* ---- Environment ---- */

enum { VARIABLE_MAX = 128 };

/* PREFIX_SECTION_KEY */
static void variable_name(char out[static VARIABLE_MAX], const char *prefix,
                          const char *key)
{
    snprintf(out, VARIABLE_MAX, "%s_%s", prefix, key);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '.' || *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    }
}

static int unknown_variable(struct deepsad_error *error, struct setting_table table,
                            const char *prefix, const char *variable)
{
    char best[VARIABLE_MAX] = "", name[VARIABLE_MAX];
    struct nearest nearest = nearest_to(variable);
    for (size_t i = 0; i < table.count; i++) {
        variable_name(name, prefix, table.settings[i].key);
        const char *before = nearest.best;
        size_t distance = nearest.distance;
        nearest_try(&nearest, name);
        if (nearest.best != NULL && (before == NULL || nearest.distance < distance)) {
            memcpy(best, name, sizeof best);
            nearest.best = best;
        }
    }
    if (nearest.best == NULL) {
        return error_set(error, DEEPSAD_INVALID,
                         "environment variable %s: no such setting; unset it", variable);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "environment variable %s: no such setting; did you mean %s?",
                     variable, best);
}

static int load_variable(void *values, struct setting_table table, const char *prefix,
                         const char *variable, const char *text,
                         enum setting_source *sources, struct deepsad_error *error)
{
    char name[VARIABLE_MAX];
    for (size_t i = 0; i < table.count; i++) {
        variable_name(name, prefix, table.settings[i].key);
        if (strcmp(name, variable) == 0) {
            int status = settings_set_at(values, table, i, text, SETTING_ENVIRONMENT,
                                         sources, error);
            if (status != DEEPSAD_OK) {
                error_prefix(error, "environment variable %s", variable);
            }
            return status;
        }
    }
    return unknown_variable(error, table, prefix, variable);
}

int settings_load_environment(void *values, struct setting_table table,
                              const char *prefix, char *const *environment,
                              enum setting_source *sources, struct deepsad_error *error)
{
    size_t length = strlen(prefix);
    for (; *environment != NULL; environment++) {
        const char *entry = *environment, *equals = strchr(entry, '=');
        if (strncmp(entry, prefix, length) != 0 || entry[length] != '_' ||
            equals == NULL) {
            continue;
        }
        char variable[VARIABLE_MAX];
        snprintf(variable, sizeof variable, "%.*s", (int)(equals - entry), entry);
        int status =
            load_variable(values, table, prefix, variable, equals + 1, sources, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return DEEPSAD_OK;
}

void setting_print(struct buffer *out, const void *values, struct setting_table table,
                   size_t index)
{
    setting_value_print(out, values, &table.settings[index]);
}
