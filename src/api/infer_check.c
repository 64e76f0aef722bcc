/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer_check.h"

#include <stdio.h>

#include "api/infer_data.h"
#include "api/rows_nest.h"

bool infer_check_values(struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    size_t columns = rows->columns.count;
    if (!grammar->has_type || grammar->has_binary_size || rows->fault.status != 0 ||
        (tensor_type_is_float(grammar->type) && !grammar->has_booleans)) {
        return rows->fault.status == 0;
    }
    if (grammar->has_booleans && grammar->type != TENSOR_BOOL) {
        return rows_fail(rows, 400, "#/inputs/0/data",
                         "input \"" INFER_INPUT
                         "\": true and false are of type BOOL, not "
                         "%s",
                         tensor_type_name(grammar->type));
    }
    const float *x = rows->x + (grammar->checked - rows->first) * columns;
    size_t values = (rows->count - grammar->checked) * columns;
    size_t good = tensor_type_count_good(grammar->type, x, values);
    if (good < values) {
        return rows_fail(rows, 400, "#/inputs/0/data",
                         "input \"" INFER_INPUT
                         "\": row %zu, column %zu is not of type %s",
                         grammar->checked + good / columns, good % columns,
                         tensor_type_name(grammar->type));
    }
    grammar->checked = rows->count;
    return true;
}

/* "[2, 9]" */
static void print_shape(char *out, size_t size, const struct infer_grammar *grammar)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < grammar->rank && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, i > 0 ? ", %llu" : "%llu",
                                 (unsigned long long)grammar->shape[i]);
    }
    if (used < size) {
        snprintf(out + used, size - used, "]");
    }
}

static bool fits_image(const struct infer_grammar *grammar)
{
    const struct rows_columns *columns = &grammar->base.rows->columns;
    const uint64_t *shape = grammar->shape;
    bool plane = grammar->rank == 3 && columns->channels == 1;
    bool planes = grammar->rank == 4 && shape[1] == columns->channels;
    return (plane || planes) && columns->height > 0 &&
           shape[grammar->rank - 2] == columns->height &&
           shape[grammar->rank - 1] == columns->width;
}

static bool check_shape(const struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    const struct rows_columns *columns = &rows->columns;
    char found[INFER_RANK_MAX * 24], image[ROWS_SHAPE_MAX] = "";
    bool flat = grammar->rank == 2 && grammar->shape[1] == columns->count;
    if (flat || fits_image(grammar)) {
        return true;
    }
    print_shape(found, sizeof found, grammar);
    if (columns->channels > 0) {
        rows_shape_print(image, columns);
    }
    return rows_fail(
        rows, 400, "#/inputs/0/shape",
        "input \"" INFER_INPUT "\": the shape is %s, expected [rows, %zu]%s%s", found,
        columns->count, image[0] == '\0' ? "" : ", or images of ", image);
}

static bool check_limits(const struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    size_t row = rows->columns.count * sizeof(float);
    const char *key = grammar->shape[0] > rows->limits.rows          ? "limits.rows"
                      : grammar->shape[0] > rows->limits.bytes / row ? "limits.decoded"
                                                                     : NULL;
    size_t most =
        key != NULL && key[7] == 'r' ? rows->limits.rows : rows->limits.bytes / row;
    return key == NULL || rows_fail(rows, 413, "#/inputs/0/shape",
                                    "input \"" INFER_INPUT
                                    "\": %llu rows are more than the limit of %zu "
                                    "(%s); send them in several requests",
                                    (unsigned long long)grammar->shape[0], most, key);
}

/* Nested data have the shape's form. */
static bool check_nesting(const struct infer_grammar *grammar)
{
    bool fits = grammar->value_depth == grammar->rank;
    for (size_t i = 0; i < grammar->rank && fits; i++) {
        fits = grammar->lengths[i + 1] == grammar->shape[i];
    }
    return grammar->value_depth <= 1 || fits ||
           rows_fail(grammar->base.rows, 400, "#/inputs/0/data",
                     "input \"" INFER_INPUT "\": the arrays in the data do not have the "
                     "shape's dimensions");
}

static bool check_data(const struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    size_t wanted = grammar->shape[0] * rows->columns.count;
    size_t found = infer_data_count(grammar);
    if (found != wanted) {
        char shape[INFER_RANK_MAX * 24];
        print_shape(shape, sizeof shape, grammar);
        return rows_fail(rows, 400, "#/inputs/0/data",
                         "input \"" INFER_INPUT
                         "\": the data are %zu values, the shape %s "
                         "has %zu",
                         found, shape, wanted);
    }
    return check_nesting(grammar);
}

static bool check_size(const struct infer_grammar *grammar)
{
    uint64_t wanted = grammar->shape[0] * grammar->base.rows->columns.count *
                      tensor_type_size(grammar->type);
    return grammar->binary_size == wanted ||
           rows_fail(
               grammar->base.rows, 400, "#/inputs/0/parameters/binary_data_size",
               "input \"" INFER_INPUT "\": binary_data_size is %llu, %llu rows of %zu "
               "%s are %llu bytes",
               (unsigned long long)grammar->binary_size,
               (unsigned long long)grammar->shape[0], grammar->base.rows->columns.count,
               tensor_type_name(grammar->type), (unsigned long long)wanted);
}

static bool fail_missing(const struct infer_grammar *grammar, const char *member)
{
    char pointer[ROWS_POINTER_MAX];
    snprintf(pointer, sizeof pointer, "#/inputs/0/%s", member);
    return rows_fail(grammar->base.rows, 400, pointer,
                     "input \"" INFER_INPUT "\": \"%s\" is missing", member);
}

bool infer_check_request(struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    if (grammar->inputs == 0) {
        return rows_fail(rows, 400, "#/inputs",
                         "the input tensor \"" INFER_INPUT "\" is missing");
    }
    if (!grammar->named || !grammar->has_shape || !grammar->has_type) {
        return fail_missing(grammar, !grammar->named       ? "name"
                                     : !grammar->has_shape ? "shape"
                                                           : "datatype");
    }
    if (grammar->has_data && grammar->has_binary_size) {
        return rows_fail(rows, 400, "#/inputs/0/data",
                         "input \"" INFER_INPUT "\": both data and binary_data_size");
    }
    if (!check_shape(grammar) || !check_limits(grammar)) {
        return false;
    }
    if (grammar->shape[0] == 0) {
        return rows_fail(rows, 400, "#/inputs/0/shape",
                         "input \"" INFER_INPUT "\": there are no rows");
    }
    if (grammar->has_binary_size) {
        return check_size(grammar);
    }
    return grammar->has_data ? check_data(grammar) && infer_check_values(grammar)
                             : fail_missing(grammar, "data");
}
