/* SPDX-License-Identifier: Apache-2.0 */
#include "data/column.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "base/number.h"
#include "base/utf8.h"

void columns_done(struct columns *columns)
{
    for (size_t j = 0; j < columns->count; j++) {
        free(columns->cells[j].text);
    }
    free(columns->cells);
    free(columns->uses);
    *columns = (struct columns){0};
}

int columns_take_names(struct columns *columns, char ***names,
                       struct deepsad_error *error)
{
    char **taken = calloc(columns->features, sizeof *taken);
    if (taken == NULL) {
        return error_no_memory(error, columns->path);
    }
    size_t feature = 0;
    for (size_t j = 0; j < columns->count; j++) {
        if (columns->uses[j] == COLUMN_FEATURE) {
            taken[feature++] = columns->cells[j].text;
            columns->cells[j].text = NULL;
        }
    }
    *names = taken;
    return DEEPSAD_OK;
}

/* ---- Cells ---- */

static bool is_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static bool is_infinity(const char *text, size_t length)
{
    size_t sign = length > 0 && (*text == '-' || *text == '+');
    return is_word(text + sign, length - sign, "inf") ||
           is_word(text + sign, length - sign, "infinity");
}

/* A number, possibly out of range, or missing. */
bool column_parse_value(float *value, const char *text, size_t length)
{
    if (length == 0 || is_word(text, length, "nan")) {
        *value = NAN;
        return true;
    }
    if (is_infinity(text, length)) {
        *value = INFINITY;
        return true;
    }
    return number_parse_decimal(value, text, text + length) == text + length;
}

/* "column 3 (`age`)"; nothing in parentheses without a header. */
static const char *describe_column(const struct columns *columns, size_t column,
                                   char out[static 96])
{
    char name[FIELD_EXCERPT];
    if (columns->header) {
        field_excerpt(name, columns->cells[column].text,
                      strlen(columns->cells[column].text));
        snprintf(out, 96, "column %zu (`%s`)", column + 1, name);
    } else {
        snprintf(out, 96, "column %zu", column + 1);
    }
    return out;
}

int column_value_fault(const struct columns *columns, size_t column,
                       const struct field *field, struct deepsad_error *error)
{
    char where[96];
    char text[FIELD_EXCERPT];
    float value;
    describe_column(columns, column, where);
    field_excerpt(text, field->text, field->length);
    bool number = column_parse_value(&value, field->text, field->length);
    if (number && is_infinity(field->text, field->length)) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s:%zu:%zu: `%s` in %s is infinite; leave the cell empty if the "
            "value is missing",
            columns->path, field->line, field->column, text, where);
    }
    if (number) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s:%zu:%zu: `%s` in %s is beyond the range of a float (3.4e38); "
            "rescale the column",
            columns->path, field->line, field->column, text, where);
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:%zu: `%s` in %s is not a number; encode the column as "
                     "numbers or leave it out (--ignore COLUMN); a missing value is an "
                     "empty cell or nan",
                     columns->path, field->line, field->column, text, where);
}

/* ---- Labels ---- */

static bool is_exactly(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

static bool parse_class(signed char *label, const char *text, size_t length)
{
    static const struct {
        const char *name;
        signed char label;
    } classes[] = {{"normal", 1}, {"anomalous", -1}, {"unlabeled", 0}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (is_exactly(text, length, classes[i].name)) {
            *label = classes[i].label;
            return true;
        }
    }
    return false;
}

/* The next "spelling=class" of the map at *map; false at its end. */
static bool next_spelling(const char **map, const char **spelling, size_t *length,
                          const char **class, size_t *class_length)
{
    if (**map == '\0') {
        return false;
    }
    size_t all = strcspn(*map, ",");
    size_t before = strcspn(*map, "=");
    *spelling = *map;
    *length = before < all ? before : all;
    *class = *map + (before < all ? before + 1 : all);
    *class_length = before < all ? all - before - 1 : 0;
    *map += all + ((*map)[all] == ',');
    return true;
}

static int check_label_map(const char *map, struct deepsad_error *error)
{
    const char *spelling, *class;
    size_t length, class_length;
    signed char label;
    while (map != NULL &&
           next_spelling(&map, &spelling, &length, &class, &class_length)) {
        if (!parse_class(&label, class, class_length)) {
            return error_set(error, DEEPSAD_INVALID,
                             "label map: `%.*s` is not SPELLING=CLASS where CLASS is "
                             "normal, anomalous or unlabeled",
                             (int)(class + class_length - spelling), spelling);
        }
        const char *rest = map, *other;
        size_t other_length;
        while (next_spelling(&rest, &other, &other_length, &class, &class_length)) {
            if (length == other_length && memcmp(spelling, other, length) == 0) {
                return error_set(error, DEEPSAD_INVALID,
                                 "label map: `%.*s` stands in it twice", (int)length,
                                 spelling);
            }
        }
    }
    return DEEPSAD_OK;
}

int column_parse_label(const struct columns *columns, signed char *label,
                       const struct field *field, struct deepsad_error *error)
{
    if (field->length == 0 || is_exactly(field->text, field->length, "normal") ||
        is_exactly(field->text, field->length, "anomalous")) {
        *label = 0;
        parse_class(label, field->text, field->length);
        return DEEPSAD_OK;
    }
    const char *map = columns->options->label_map;
    const char *spelling, *class;
    size_t length, class_length;
    while (map != NULL &&
           next_spelling(&map, &spelling, &length, &class, &class_length)) {
        if (length == field->length && memcmp(spelling, field->text, length) == 0) {
            parse_class(label, class, class_length);
            return DEEPSAD_OK;
        }
    }
    char text[FIELD_EXCERPT];
    field_excerpt(text, field->text, field->length);
    return error_set(error, DEEPSAD_INVALID,
                     "%s:%zu:%zu: label `%s` is neither normal, anomalous nor empty "
                     "(unlabeled); say what it means: --label-map %s=normal, "
                     "or =anomalous, or =unlabeled",
                     columns->path, field->line, field->column, text, text);
}

/* ---- The header ---- */

static int name_fault(const struct columns *columns, const struct cell *cell,
                      const char *what, struct deepsad_error *error)
{
    char name[FIELD_EXCERPT];
    field_excerpt(name, cell->text, strlen(cell->text));
    return error_set(error, DEEPSAD_INVALID, "%s:%zu:%zu: the name `%s` %s",
                     columns->path, cell->line, cell->column, name, what);
}

static bool is_utf8(const char *text)
{
    for (size_t left = strlen(text), size; left > 0; text += size, left -= size) {
        size = utf8_length(text, left);
        if (size == 0) {
            return false;
        }
    }
    return true;
}

static size_t find_column(const struct columns *columns, const char *name)
{
    size_t column = 0;
    while (column < columns->count && strcmp(columns->cells[column].text, name) != 0) {
        column++;
    }
    return column;
}

static int no_such_column(const struct columns *columns, const char *name,
                          const char *purpose, struct deepsad_error *error)
{
    if (!columns->header) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:1:1: there is no header row, hence no column `%s` %s; add a "
                         "header",
                         columns->path, name, purpose);
    }
    struct nearest nearest = nearest_to(name);
    for (size_t j = 0; j < columns->count; j++) {
        nearest_try(&nearest, columns->cells[j].text);
    }
    const char *shown = nearest.best != NULL ? nearest.best : columns->cells[0].text;
    char excerpt[FIELD_EXCERPT];
    field_excerpt(excerpt, shown, strlen(shown));
    return error_set(
        error, DEEPSAD_INVALID, "%s:1:1: there is no column `%s` %s; %s `%s`%s",
        columns->path, name, purpose,
        nearest.best != NULL ? "did you mean" : "the first of the columns is", excerpt,
        nearest.best != NULL ? "?" : "");
}

static int choose_ignored(struct columns *columns, struct deepsad_error *error)
{
    const char *const *name = columns->options->ignore;
    for (; name != NULL && *name != NULL; name++) {
        bool found = false;
        for (size_t j = 0; columns->header && j < columns->count; j++) {
            if (strcmp(columns->cells[j].text, *name) == 0) {
                columns->uses[j] = COLUMN_IGNORED;
                found = true;
            }
        }
        if (!found) {
            return no_such_column(columns, *name, "to ignore", error);
        }
    }
    return DEEPSAD_OK;
}

static int choose_label(struct columns *columns, struct deepsad_error *error)
{
    const char *wanted = columns->options->label_column;
    const char *name = wanted != NULL ? wanted : "label";
    size_t column = columns->header ? find_column(columns, name) : columns->count;
    if (column == columns->count) {
        return wanted != NULL || columns->options->label_map != NULL
                   ? no_such_column(columns, name, "of labels", error)
                   : DEEPSAD_OK;
    }
    if (columns->uses[column] == COLUMN_IGNORED && wanted != NULL) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s:1:1: column `%s` is both ignored and named as the labels",
                         columns->path, wanted);
    }
    if (columns->uses[column] == COLUMN_FEATURE) {
        columns->uses[column] = COLUMN_LABEL;
    }
    return DEEPSAD_OK;
}

static int compare_cells(const void *a, const void *b)
{
    const struct cell *one = *(const struct cell *const *)a;
    const struct cell *other = *(const struct cell *const *)b;
    int order = strcmp(one->text, other->text);
    return order != 0 ? order : (one > other) - (one < other);
}

static int check_duplicates(const struct columns *columns, struct deepsad_error *error)
{
    const struct cell **cells = calloc(columns->count, sizeof *cells);
    if (cells == NULL) {
        return error_no_memory(error, columns->path);
    }
    size_t count = 0;
    for (size_t j = 0; j < columns->count; j++) {
        if (columns->uses[j] != COLUMN_IGNORED) {
            cells[count++] = &columns->cells[j];
        }
    }
    qsort(cells, count, sizeof *cells, compare_cells);
    int status = DEEPSAD_OK;
    for (size_t i = 1; i < count && status == DEEPSAD_OK; i++) {
        if (strcmp(cells[i - 1]->text, cells[i]->text) == 0) {
            status = name_fault(columns, cells[i],
                                "is there twice; rename one of the columns", error);
        }
    }
    free(cells);
    return status;
}

static int check_name(const struct columns *columns, const struct cell *cell,
                      struct deepsad_error *error)
{
    if (*cell->text == '\0') {
        return name_fault(columns, cell,
                          "is empty (a row number?); name the column in the header, or "
                          "leave it out (--ignore \"\")",
                          error);
    }
    return is_utf8(cell->text)
               ? DEEPSAD_OK
               : name_fault(columns, cell, "is not UTF-8; save the file as UTF-8", error);
}

/* Names must be told apart and readable. A header of numbers and class names is a row of
 * data without a header. */
static int check_names(const struct columns *columns, struct deepsad_error *error)
{
    const struct cell *class = NULL;
    bool numbers = true;
    for (size_t j = 0; j < columns->count; j++) {
        const struct cell *cell = &columns->cells[j];
        size_t length = strlen(cell->text);
        float value;
        signed char label;
        bool is_class = parse_class(&label, cell->text, length);
        class = is_class ? cell : class;
        numbers &= is_class || column_parse_value(&value, cell->text, length);
        int status = columns->uses[j] == COLUMN_IGNORED
                         ? DEEPSAD_OK
                         : check_name(columns, cell, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return numbers && class != NULL
               ? name_fault(
                     columns, class,
                     "is a label among numbers: the file has no header; add one that "
                     "names the columns",
                     error)
               : check_duplicates(columns, error);
}

int columns_choose(struct columns *columns, struct deepsad_error *error)
{
    columns->uses = calloc(columns->count, 1); /* COLUMN_FEATURE */
    if (columns->uses == NULL) {
        return error_no_memory(error, columns->path);
    }
    int status = check_label_map(columns->options->label_map, error);
    if (status == DEEPSAD_OK) {
        status = choose_ignored(columns, error);
    }
    if (status == DEEPSAD_OK) {
        status = choose_label(columns, error);
    }
    if (status == DEEPSAD_OK && columns->header) {
        status = check_names(columns, error);
    }
    for (size_t j = 0; j < columns->count; j++) {
        columns->features += columns->uses[j] == COLUMN_FEATURE;
    }
    if (status == DEEPSAD_OK && columns->features == 0) {
        return error_set(error, DEEPSAD_INVALID, "%s:1:1: no column is left as a feature",
                         columns->path);
    }
    return status;
}
