/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parser and one printer per type, found by the setting's type. Numbers are read and
 * written as in the C locale, whatever the program's is, so that a file means the same
 * everywhere.
 */
#include "base/setting_value.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};
static const struct unit sizes[] = {
    {"GiB", 1073741824}, {"MiB", 1048576}, {"KiB", 1024}, {"B", 1}, {"", 1}, {NULL, 0}};
static const struct unit durations[] = {{"d", 86400}, {"h", 3600},   {"m", 60},
                                        {"s", 1},     {"ms", 0.001}, {NULL, 0}};

/* ---- Numbers ---- */

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

/* Without an exponent, which no unit may follow; to a millionth. */
static void print_decimal(struct buffer *out, double value)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
    char text[DBL_MAX_10_EXP + 16];
    int length = snprintf(text, sizeof text, "%.6f", value);
    if (c != (locale_t)0) {
        uselocale(old);
        freelocale(c);
    }
    while (text[length - 1] == '0') {
        length--;
    }
    length -= text[length - 1] == '.';
    buffer_append(out, text, (size_t)length);
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

/* ---- From text ---- */

static bool in_range(const struct setting *setting, double value)
{
    return (setting->min == 0 && setting->max == 0) ||
           (value >= setting->min && value <= setting->max);
}

const char *setting_type_text(enum setting_type type)
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
    buffer_printf(&out, "%s: expected %s", setting->key,
                  setting_type_text(setting->type));
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

static bool find_choice(int *out, const struct setting *setting, const char *text)
{
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(text, setting->choices[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* Where on and off are among the choices, so are the other words for them. */
static bool set_choice(int *out, const struct setting *setting, const char *text)
{
    static const char *const words[][2] = {
        {"true", "on"}, {"yes", "on"}, {"false", "off"}, {"no", "off"}};
    bool found = find_choice(out, setting, text);
    for (size_t i = 0; i < sizeof words / sizeof words[0] && !found; i++) {
        found = strcmp(text, words[i][0]) == 0 && find_choice(out, setting, words[i][1]);
    }
    return found;
}

static int set_text(char **out, const struct setting *setting, const char *text,
                    struct deepsad_error *error)
{
    int status = setting->check != NULL ? setting->check(text, error) : DEEPSAD_OK;
    if (status != DEEPSAD_OK) {
        return status;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return error_no_memory(error, setting->key);
    }
    free(*out);
    *out = copy;
    return DEEPSAD_OK;
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

int setting_value_set(void *values, const struct setting *setting, const char *text,
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
    case SETTING_TEXT:
        return set_text(member, setting, text, error);
    }
    return good ? DEEPSAD_OK : value_error(error, setting, text);
}

/* ---- To text ---- */

/* In the largest unit in which it is a whole number; times to the nanosecond. */
static void print_unit(struct buffer *out, double value, const struct unit *units)
{
    value = value == floor(value) ? value : round(value * 1e9) / 1e9;
    const struct unit *unit = units;
    while (unit[1].name != NULL && (value == 0 || fmod(value, unit->factor) != 0) &&
           !(value == 0 && unit->factor == 1)) {
        unit++;
    }
    print_decimal(out, value / unit->factor);
    buffer_append_text(out, unit->name);
}

static void print_counts(struct buffer *out, const struct setting_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++) {
        buffer_printf(out, "%s%zu", i > 0 ? "," : "", counts->values[i]);
    }
}

void setting_value_print(struct buffer *out, const void *values,
                         const struct setting *setting)
{
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
