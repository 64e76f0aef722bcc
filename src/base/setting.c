/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parser and one printer per type of setting, found by the table's type; everything
 * else (files, environment, suggestions) is written once on top of settings_set.
 */
#include "base/setting.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/flatyaml.h"
#include "base/nearest.h"

enum { SETTING_FILE_MAX = 1 << 20 };

struct unit {
    const char *name;
    double factor;
};
static const struct unit sizes[] = {
    {"GiB", 1073741824}, {"MiB", 1048576}, {"KiB", 1024}, {"B", 1}, {"", 1}, {NULL, 0}};
static const struct unit durations[] = {{"d", 86400}, {"h", 3600},   {"m", 60},
                                        {"s", 1},     {"ms", 0.001}, {NULL, 0}};

/* ---- Numbers as text, in the C locale whatever the program's is ---- */

static bool is_decimal(const char *text, size_t length)
{
    return length > 0 && isalpha((unsigned char)text[0]) == 0 &&
           strspn(text, "0123456789.+-eE") >= length;
}

/* All `length` bytes are one decimal number. */
static bool parse_double(double *out, const char *text, size_t length)
{
    char copy[64];
    if (length >= sizeof copy || !is_decimal(text, length)) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) {
        return false;
    }
    char *end;
    *out = strtod_l(copy, &end, c);
    freelocale(c);
    return end == copy + length && isfinite(*out);
}

/* The shortest text that reads back as the same double. */
static void print_double(struct buffer *out, double value)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
    char text[64];
    double again = (double)NAN;
    bool whole = fabs(value) < 1e15 && value == floor(value);
    snprintf(text, sizeof text, "%.0f", value);
    for (int precision = 1; !whole && precision <= 17 && again != value; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        parse_double(&again, text, strlen(text));
    }
    if (c != (locale_t)0) {
        uselocale(old);
        freelocale(c);
    }
    buffer_append_text(out, text);
}

static bool parse_count(size_t *out, const char *text, size_t length)
{
    char copy[32];
    if (length == 0 || length >= sizeof copy || strspn(text, "0123456789") < length) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    unsigned long long value = strtoull(copy, NULL, 10);
    *out = (size_t)value;
    return errno == 0 && value <= SIZE_MAX;
}

/* A number and a unit of the list, with nothing but blanks between. */
static bool parse_unit(double *out, const char *text, const struct unit *units)
{
    size_t length = strspn(text, "0123456789.");
    const char *name = text + length + strspn(text + length, " ");
    for (; units->name != NULL; units++) {
        if (strcmp(name, units->name) == 0) {
            *out = 0;
            bool good = parse_double(out, text, length);
            *out *= units->factor;
            return good;
        }
    }
    return false;
}

/* ---- One value ---- */

static bool in_range(const struct setting *setting, double value)
{
    return (setting->min == 0 && setting->max == 0) ||
           (value >= setting->min && value <= setting->max);
}

static const char *type_text(enum setting_type type)
{
    switch (type) {
    case SETTING_BOOL:
        return "on or off";
    case SETTING_COUNT:
        return "a whole number";
    case SETTING_SIZE:
        return "a size such as 4096, 64KiB, 8MiB or 1GiB";
    case SETTING_DURATION:
        return "a time with its unit, such as 500ms, 30s, 5m or 2h";
    case SETTING_NUMBER:
        return "a number";
    case SETTING_TEXT:
        return "a text";
    case SETTING_CHOICE:
        return "one of";
    case SETTING_COUNTS:
        return "whole numbers separated by commas";
    }
    return "";
}

static void print_limit(struct buffer *out, const struct setting *setting, double limit)
{
    print_double(out, limit);
    if (setting->type == SETTING_DURATION) {
        buffer_append_text(out, "s");
    } else if (setting->type == SETTING_SIZE) {
        buffer_append_text(out, " bytes");
    }
}

/* "key: expected <what> from <min> to <max>, not "text"" */
static int value_error(struct deepsad_error *error, const struct setting *setting,
                       const char *text)
{
    struct buffer out = {0};
    buffer_printf(&out, "%s: expected %s", setting->key, type_text(setting->type));
    for (size_t i = 0; setting->type == SETTING_CHOICE && setting->choices[i]; i++) {
        buffer_printf(&out, "%s%s", i > 0 ? ", " : " ", setting->choices[i]);
    }
    if (setting->min != 0 || setting->max != 0) {
        buffer_append_text(&out, " from ");
        print_limit(&out, setting, setting->min);
        buffer_append_text(&out, " to ");
        print_limit(&out, setting, setting->max);
    }
    if (setting->secret) {
        buffer_append_text(&out, "; its value is secret and not shown");
    } else {
        buffer_printf(&out, ", not \"%.80s\"", text);
    }
    char *message = buffer_take_string(&out);
    int status = message == NULL ? error_no_memory(error, setting->key)
                                 : error_set(error, DEEPSAD_INVALID, "%s", message);
    free(message);
    return status;
}

static bool set_bool(bool *out, const char *text)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static bool set_count(size_t *out, const struct setting *setting, const char *text)
{
    size_t value;
    if (!parse_count(&value, text, strlen(text)) || !in_range(setting, (double)value)) {
        return false;
    }
    *out = value;
    return true;
}

static bool set_size(size_t *out, const struct setting *setting, const char *text)
{
    double value;
    if (!parse_unit(&value, text, sizes) || value > 9007199254740992.0 ||
        value != floor(value) || !in_range(setting, value)) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

static bool set_double(double *out, const struct setting *setting, const char *text)
{
    double value;
    bool good = setting->type == SETTING_DURATION
                    ? parse_unit(&value, text, durations)
                    : parse_double(&value, text, strlen(text));
    if (!good || !in_range(setting, value)) {
        return false;
    }
    *out = value;
    return true;
}

static bool set_choice(int *out, const struct setting *setting, const char *text)
{
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(text, setting->choices[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* An empty text is no counts at all. */
static bool set_counts(struct setting_counts *out, const struct setting *setting,
                       const char *text)
{
    struct setting_counts counts = {0};
    for (const char *next = text; *text != '\0' && next != NULL;) {
        next += strspn(next, " ");
        const char *end = next + strcspn(next, ", ");
        size_t *value = &counts.values[counts.count];
        if (counts.count == SETTING_COUNTS_MAX ||
            !parse_count(value, next, (size_t)(end - next)) ||
            !in_range(setting, (double)*value)) {
            return false;
        }
        counts.count++;
        end += strspn(end, " ");
        if (*end != ',' && *end != '\0') {
            return false;
        }
        next = *end == ',' ? end + 1 : NULL;
    }
    *out = counts;
    return true;
}

static int set_value(void *values, const struct setting *setting, const char *text,
                     struct deepsad_error *error)
{
    void *member = (char *)values + setting->offset;
    bool good = false;
    switch (setting->type) {
    case SETTING_BOOL:
        good = set_bool(member, text);
        break;
    case SETTING_COUNT:
        good = set_count(member, setting, text);
        break;
    case SETTING_SIZE:
        good = set_size(member, setting, text);
        break;
    case SETTING_DURATION:
    case SETTING_NUMBER:
        good = set_double(member, setting, text);
        break;
    case SETTING_CHOICE:
        good = set_choice(member, setting, text);
        break;
    case SETTING_COUNTS:
        good = set_counts(member, setting, text);
        break;
    case SETTING_TEXT: {
        char *copy = strdup(text);
        if (copy == NULL) {
            return error_no_memory(error, setting->key);
        }
        free(*(char **)member);
        *(char **)member = copy;
        good = true;
        break;
    }
    }
    return good ? DEEPSAD_OK : value_error(error, setting, text);
}

/* ---- Tables ---- */

static size_t find_setting(struct setting_table table, const char *key)
{
    for (size_t i = 0; i < table.count; i++) {
        if (strcmp(table.settings[i].key, key) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static int unknown_key(struct deepsad_error *error, struct setting_table table,
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
                         : set_value(values, setting, setting->fallback, error);
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

static int set_at(void *values, struct setting_table table, size_t index,
                  const char *text, enum setting_source source,
                  enum setting_source *sources, struct deepsad_error *error)
{
    int status = set_value(values, &table.settings[index], text, error);
    if (status == DEEPSAD_OK && sources != NULL) {
        sources[index] = source;
    }
    return status;
}

int settings_set(void *values, struct setting_table table, const char *key,
                 const char *text, enum setting_source source,
                 enum setting_source *sources, struct deepsad_error *error)
{
    size_t index = find_setting(table, key);
    if (index == SIZE_MAX) {
        return unknown_key(error, table, key);
    }
    return set_at(values, table, index, text, source, sources, error);
}

/* ---- YAML ---- */

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
    if (first == SIZE_MAX && find_setting(loading->table, entry->key) != SIZE_MAX) {
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
    if (entry->kind == FLATYAML_SEQUENCE && setting->type != SETTING_COUNTS) {
        return error_set(error, DEEPSAD_INVALID, "%s: expected one value, not a sequence",
                         setting->key);
    }
    if (entry->quoted && bare) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: expected %s, not a text; write it without quotes",
                         setting->key, type_text(setting->type));
    }
    return DEEPSAD_OK;
}

static int load_value(struct loading *loading, const struct flatyaml_entry *entry,
                      struct flatyaml_place *place, struct deepsad_error *error)
{
    size_t index = find_setting(loading->table, entry->key);
    *place = entry->key_place;
    if (index == SIZE_MAX && find_section(loading->table, entry->key) != SIZE_MAX) {
        return is_null(entry) ? DEEPSAD_OK
                              : error_set(error, DEEPSAD_INVALID,
                                          "%s: is a section; expected its settings on "
                                          "indented lines below",
                                          entry->key);
    }
    if (index == SIZE_MAX) {
        return unknown_key(error, loading->table, entry->key);
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
               : set_at(loading->values, loading->table, index, entry->value,
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
            int status =
                set_at(values, table, i, text, SETTING_ENVIRONMENT, sources, error);
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

/* ---- Printing ---- */

/* In the largest unit in which it is a whole number. */
static void print_unit(struct buffer *out, double value, const struct unit *units)
{
    const struct unit *unit = units;
    while (unit[1].name != NULL && (value == 0 || fmod(value, unit->factor) != 0) &&
           !(value == 0 && unit->factor == 1)) {
        unit++;
    }
    double shown =
        unit->factor < 1 ? round(value / unit->factor * 1e6) / 1e6 : value / unit->factor;
    print_double(out, shown);
    buffer_append_text(out, unit->name);
}

static void print_counts(struct buffer *out, const struct setting_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++) {
        buffer_printf(out, "%s%zu", i > 0 ? "," : "", counts->values[i]);
    }
}

void setting_print(struct buffer *out, const void *values, struct setting_table table,
                   size_t index)
{
    const struct setting *setting = &table.settings[index];
    const void *member = (const char *)values + setting->offset;
    if (setting->secret) {
        buffer_append_text(out, "(secret)");
        return;
    }
    switch (setting->type) {
    case SETTING_BOOL:
        buffer_append_text(out, *(const bool *)member ? "on" : "off");
        break;
    case SETTING_COUNT:
        buffer_printf(out, "%zu", *(const size_t *)member);
        break;
    case SETTING_SIZE:
        print_unit(out, (double)*(const size_t *)member, sizes);
        break;
    case SETTING_DURATION:
        print_unit(out, *(const double *)member, durations);
        break;
    case SETTING_NUMBER:
        print_double(out, *(const double *)member);
        break;
    case SETTING_TEXT: {
        const char *text = *(char *const *)member;
        buffer_append_text(out, text != NULL ? text : "");
        break;
    }
    case SETTING_CHOICE:
        buffer_append_text(out, setting->choices[*(const int *)member]);
        break;
    case SETTING_COUNTS:
        print_counts(out, member);
        break;
    }
}
