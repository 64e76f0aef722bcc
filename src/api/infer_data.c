/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer_data.h"

#include <math.h>

#include "api/json_plain.h"

size_t infer_data_count(const struct infer_grammar *grammar)
{
    const struct rows *rows = grammar->base.rows;
    return rows->count * rows->columns.count + (grammar->in_row ? rows->filled : 0);
}

/* A value may come at the depth of the open array. */
static bool allow_value(struct infer_grammar *grammar)
{
    if (grammar->value_depth == 0) {
        grammar->value_depth = grammar->data_depth;
    }
    return grammar->value_depth == grammar->data_depth ||
           infer_fail_at(grammar, "numbers and arrays side by side");
}

static bool begin_row(struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    if (!grammar->in_row) {
        grammar->in_row = rows_begin_row(rows);
        rows->filled = 0;
    }
    return grammar->in_row;
}

static void end_row_if_full(struct infer_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    if (rows->filled == rows->columns.count) {
        rows->count++;
        grammar->in_row = false;
    }
}

static bool add_value(struct infer_grammar *grammar, float value)
{
    if (!allow_value(grammar) || !begin_row(grammar)) {
        return false;
    }
    struct rows *rows = grammar->base.rows;
    rows->row[rows->filled++] = value;
    end_row_if_full(grammar);
    grammar->elements[grammar->data_depth]++;
    return true;
}

bool infer_data_value(struct infer_grammar *grammar, const struct json_token *token)
{
    switch (token->kind) {
    case JSON_TOKEN_NUMBER:
        return isfinite(token->number)
                   ? add_value(grammar, token->number)
                   : infer_fail_at(grammar,
                                   "a number out of the range of a float (3.4e38)");
    case JSON_TOKEN_NULL:
        return add_value(grammar, NAN);
    case JSON_TOKEN_TRUE:
    case JSON_TOKEN_FALSE:
        grammar->has_booleans = true;
        return add_value(grammar, token->kind == JSON_TOKEN_TRUE ? 1.0F : 0.0F);
    case JSON_TOKEN_NOT_FINITE:
        return infer_fail_at(grammar,
                             "NaN and Infinity are not numbers of JSON; send null for "
                             "a missing value");
    case JSON_TOKEN_STRING:
    case JSON_TOKEN_PUNCTUATION:
    default:
        return infer_fail_type(grammar, token, "a number");
    }
}

bool infer_data_open(struct infer_grammar *grammar)
{
    if (grammar->data_depth == INFER_RANK_MAX) {
        return infer_fail_at(grammar,
                             "more arrays in arrays than a shape has dimensions");
    }
    if (grammar->value_depth > 0 && grammar->data_depth >= grammar->value_depth) {
        return infer_fail_at(grammar, "numbers and arrays side by side");
    }
    grammar->data_depth++;
    grammar->elements[grammar->data_depth] = 0;
    return true;
}

bool infer_data_close(struct infer_grammar *grammar)
{
    unsigned depth = grammar->data_depth--;
    size_t length = grammar->elements[depth];
    if (grammar->data_depth == 0) {
        grammar->has_data = true;
        grammar->lengths[depth] = length;
        return true;
    }
    if (grammar->lengths[depth] == 0) {
        grammar->lengths[depth] = length;
    }
    grammar->elements[grammar->data_depth]++;
    return (length > 0 && length == grammar->lengths[depth]) ||
           infer_fail_at(grammar, length == 0
                                      ? "an empty array"
                                      : "arrays of different lengths side by side");
}

/* Whether inner arrays are rows, so far. */
static bool are_rows(const struct infer_grammar *grammar)
{
    size_t columns = grammar->base.rows->columns.count;
    return grammar->data_depth == 2 &&
           (grammar->lengths[2] == 0 || grammar->lengths[2] == columns) &&
           grammar->elements[2] == (grammar->in_row ? grammar->base.rows->filled : 0);
}

/* Flat values, or rows as arrays, by the vector code. */
static const char *take_plain(struct infer_grammar *grammar, bool *first, const char *at,
                              const char *end)
{
    struct rows *rows = grammar->base.rows;
    bool flat = grammar->data_depth == 1;
    size_t columns = rows->columns.count, before = infer_data_count(grammar);
    if (!flat && !are_rows(grammar)) {
        return at;
    }
    rows->nest.line = rows->nest.full = flat ? SIZE_MAX : columns;
    if (!json_plain_is_worth(rows, at, end)) {
        return at;
    }
    const char *reached = json_plain_take(rows, at, end);
    if (reached == at) {
        return at;
    }
    size_t taken = infer_data_count(grammar) - before;
    if (flat) {
        grammar->elements[1] += taken;
    } else {
        size_t closed = rows->count - before / columns;
        grammar->elements[1] += closed;
        grammar->elements[2] = rows->filled;
        grammar->lengths[2] = closed > 0 ? columns : grammar->lengths[2];
    }
    *first = !flat && rows->filled == 0;
    return reached;
}

static bool may_begin_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-';
}

const char *infer_data_take(struct infer_grammar *grammar, bool *value_next, bool *first,
                            const char *at, const char *end)
{
    struct rows *rows = grammar->base.rows;
    if (!may_begin_number(*at) || !allow_value(grammar) || !begin_row(grammar)) {
        return at;
    }
    const char *from = at;
    at = take_plain(grammar, first, at, end);
    *value_next |= at != from;
    if (rows->fault.status != 0) {
        return at;
    }
    size_t before = rows->filled;
    at = json_take_values(rows->row, &rows->filled, rows->columns.count, value_next, at,
                          end);
    if (rows->filled > before) {
        grammar->elements[grammar->data_depth] += rows->filled - before;
        *first = false;
        end_row_if_full(grammar);
    }
    return at;
}
