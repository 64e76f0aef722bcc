/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_grammar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/rows_nest.h"

enum member { MEMBER_SAMPLES, MEMBER_IDS, MEMBER_EXPLAIN, MEMBER_KEEP, MEMBER_COUNT };
static const char *const member_names[] = {"samples", "ids", "explain", "keep"};

void json_grammar_start(struct json_grammar *grammar, struct rows *rows)
{
    *grammar = (struct json_grammar){.base.rows = rows, .state = JSON_AT_START};
}

/* ---- Faults ---- */

/* A value of the wrong type at `pointer`; what is no value at all is a fault of syntax.
 */
static bool fail_type(struct json_grammar *grammar, const struct json_token *token,
                      const char *pointer, const char *expected)
{
    if (!json_token_is_value(token)) {
        return json_grammar_fail(&grammar->base, "expected %s, found '%c'", expected,
                                 token->punctuation);
    }
    return rows_fail(grammar->base.rows, 422, pointer, "%s: expected %s, found %s",
                     pointer[1] == '\0' ? "the body" : pointer + 2, expected,
                     json_token_describe(token));
}

/* Where the value is that comes next in the row. */
static void point_at_cell(const struct json_grammar *grammar, char *pointer)
{
    const struct rows *rows = grammar->base.rows;
    if (grammar->state == JSON_AT_NAMED_VALUE) {
        const char *name = rows->columns.name(rows->columns.closure, grammar->column);
        rows_pointer_cell(pointer, rows->count, name, strlen(name), 0);
    } else {
        rows_nest_pointer(pointer, rows);
    }
}

/* ---- Tokens in their places ---- */

static bool expect(struct json_grammar *grammar, const struct json_token *token,
                   char mark, enum json_state state)
{
    if (!json_token_is_mark(token, mark)) {
        return json_grammar_fail(&grammar->base, "expected '%c'", mark);
    }
    grammar->state = state;
    return true;
}

/* After an element: a comma leads to `more`, the closing mark to `done`. */
static bool after(struct json_grammar *grammar, const struct json_token *token,
                  char close, enum json_state more, enum json_state done)
{
    if (json_token_is_mark(token, ',')) {
        grammar->state = more;
        return true;
    }
    if (!json_token_is_mark(token, close)) {
        return json_grammar_fail(&grammar->base, "expected ',' or '%c'", close);
    }
    grammar->state = done;
    return true;
}

static bool on_member(struct json_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        return json_grammar_fail(&grammar->base,
                                 "expected the name of a member, in quotes");
    }
    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (token->length == strlen(member_names[i]) &&
            memcmp(token->text, member_names[i], token->length) == 0) {
            char pointer[ROWS_POINTER_MAX];
            snprintf(pointer, sizeof pointer, "#/%s", member_names[i]);
            if ((grammar->members & 1U << i) != 0) {
                return rows_fail(grammar->base.rows, 422, pointer,
                                 "\"%s\" is there twice", member_names[i]);
            }
            grammar->members |= 1U << i;
            grammar->member = i;
            grammar->state = JSON_AT_COLON;
            return true;
        }
    }
    return rows_fail(grammar->base.rows, 422, "#",
                     "\"%.*s\" is not a member of a scoring request; it has samples, "
                     "ids, explain, keep",
                     (int)(token->length < 64 ? token->length : 64), token->text);
}

static bool on_option(struct json_grammar *grammar, const struct json_token *token)
{
    bool boolean = token->kind == JSON_TOKEN_TRUE || token->kind == JSON_TOKEN_FALSE;
    if (grammar->member == MEMBER_KEEP) {
        if (!boolean) {
            return fail_type(grammar, token, "#/keep", "true or false");
        }
        grammar->keep = token->kind == JSON_TOKEN_TRUE;
    } else {
        bool whole = token->kind == JSON_TOKEN_NUMBER && token->number >= 0.0F &&
                     isfinite(token->number) && token->number == floorf(token->number);
        if (!whole) {
            return fail_type(grammar, token, "#/explain",
                             "a number of features, 0 or more");
        }
        grammar->explain = (double)token->number;
    }
    grammar->state = JSON_AFTER_MEMBER;
    return true;
}

static bool on_member_value(struct json_grammar *grammar, const struct json_token *token)
{
    if (grammar->member == MEMBER_SAMPLES) {
        if (!json_token_is_mark(token, '[')) {
            return fail_type(grammar, token, "#/samples", "an array of rows");
        }
        grammar->state = JSON_AT_FIRST_SAMPLE;
        return true;
    }
    if (grammar->member == MEMBER_IDS) {
        if (!json_token_is_mark(token, '[')) {
            return fail_type(grammar, token, "#/ids", "an array of strings");
        }
        grammar->base.rows->has_ids = true;
        grammar->state = JSON_AT_FIRST_ID;
        return true;
    }
    return on_option(grammar, token);
}

static bool on_sample(struct json_grammar *grammar, const struct json_token *token)
{
    if (json_token_is_mark(token, '[')) {
        grammar->state = JSON_AT_FIRST_VALUE;
        return rows_begin_row(grammar->base.rows);
    }
    if (json_token_is_mark(token, '{')) {
        grammar->state = JSON_AT_FIRST_NAME;
        return rows_begin_named_row(grammar->base.rows);
    }
    char pointer[ROWS_POINTER_MAX];
    rows_pointer(pointer, grammar->base.rows->count);
    return fail_type(grammar, token, pointer,
                     "a row: an array of numbers or an object of feature names");
}

/* The float of a token that stands in a row; NaN for null. */
static bool read_cell(struct json_grammar *grammar, const struct json_token *token,
                      float *value)
{
    char pointer[ROWS_POINTER_MAX];
    if (token->kind == JSON_TOKEN_NULL) {
        *value = NAN;
        return true;
    }
    if (token->kind == JSON_TOKEN_NUMBER && isfinite(token->number)) {
        *value = token->number;
        return true;
    }
    point_at_cell(grammar, pointer);
    if (token->kind == JSON_TOKEN_NUMBER) {
        return rows_fail(grammar->base.rows, 422, pointer,
                         "row %zu: a number out of the range of a float (3.4e38)",
                         grammar->base.rows->count);
    }
    if (token->kind == JSON_TOKEN_NOT_FINITE) {
        return rows_fail(grammar->base.rows, 422, pointer,
                         "row %zu: NaN and Infinity are not numbers of JSON; send null "
                         "for a missing value",
                         grammar->base.rows->count);
    }
    return fail_type(grammar, token, pointer, "a number or null");
}

static bool on_value(struct json_grammar *grammar, const struct json_token *token)
{
    struct rows *rows = grammar->base.rows;
    float value = 0.0F;
    if (grammar->state == JSON_AT_FIRST_VALUE && json_token_is_mark(token, '[') &&
        rows_nest_deepen(rows)) {
        return true;
    }
    if (!read_cell(grammar, token, &value)) {
        return false;
    }
    if (rows->filled == rows->nest.full) {
        if (rows->nest.dimensions > 1) {
            return rows_nest_overflow(rows);
        }
        char pointer[ROWS_POINTER_MAX];
        rows_pointer_cell(pointer, rows->count, NULL, 0, rows->filled);
        return rows_fail(rows, 422, pointer,
                         "row %zu has more values than the model's %zu features",
                         rows->count, rows->columns.count);
    }
    rows->row[rows->filled++] = value;
    grammar->state = JSON_AFTER_VALUE;
    return true;
}

/* The innermost array of the row ends. */
static bool close_array(struct json_grammar *grammar)
{
    struct rows *rows = grammar->base.rows;
    grammar->state = JSON_AFTER_SAMPLE;
    if (rows->nest.dimensions == 1) {
        return rows_end_row(rows);
    }
    bool fine = rows_nest_close(rows);
    if (rows->nest.depth > 0) {
        grammar->state = JSON_AFTER_LINE;
    }
    return fine;
}

static bool after_value(struct json_grammar *grammar, const struct json_token *token)
{
    return after(grammar, token, ']', JSON_AT_VALUE, JSON_AFTER_SAMPLE) &&
           (grammar->state != JSON_AFTER_SAMPLE || close_array(grammar));
}

static bool on_line(struct json_grammar *grammar, const struct json_token *token)
{
    const struct rows_nest *nest = &grammar->base.rows->nest;
    if (!json_token_is_mark(token, '[')) {
        char pointer[ROWS_POINTER_MAX];
        rows_nest_pointer(pointer, grammar->base.rows);
        return fail_type(grammar, token, pointer, "an array, as before it in the image");
    }
    if (!rows_nest_open(grammar->base.rows)) {
        return false;
    }
    grammar->state =
        nest->depth == nest->dimensions ? JSON_AT_FIRST_VALUE : JSON_AT_FIRST_LINE;
    return true;
}

static bool after_line(struct json_grammar *grammar, const struct json_token *token)
{
    return after(grammar, token, ']', JSON_AT_LINE, JSON_AFTER_SAMPLE) &&
           (grammar->state != JSON_AFTER_SAMPLE || close_array(grammar));
}

static bool on_name(struct json_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        return json_grammar_fail(&grammar->base,
                                 "expected the name of a feature, in quotes");
    }
    grammar->state = JSON_AT_NAME_COLON;
    return rows_choose(grammar->base.rows, token->text, token->length, &grammar->column);
}

static bool on_named_value(struct json_grammar *grammar, const struct json_token *token)
{
    if (!read_cell(grammar, token, &grammar->base.rows->row[grammar->column])) {
        return false;
    }
    grammar->state = JSON_AFTER_NAMED_VALUE;
    return true;
}

static bool after_named_value(struct json_grammar *grammar,
                              const struct json_token *token)
{
    bool good = after(grammar, token, '}', JSON_AT_NAME, JSON_AFTER_SAMPLE);
    if (good && grammar->state == JSON_AFTER_SAMPLE) {
        rows_end_named_row(grammar->base.rows);
    }
    return good;
}

static bool on_id(struct json_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        char pointer[ROWS_POINTER_MAX];
        snprintf(pointer, sizeof pointer, "#/ids/%zu", grammar->base.rows->id_count);
        return fail_type(grammar, token, pointer, "a string");
    }
    grammar->state = JSON_AFTER_ID;
    return rows_add_id(grammar->base.rows, token->text, token->length);
}

/* An empty list or object ends where its first element could stand. */
static bool close_empty(struct json_grammar *grammar)
{
    enum json_state state = grammar->state;
    if (state == JSON_AT_FIRST_VALUE || state == JSON_AT_FIRST_LINE) {
        return close_array(grammar);
    }
    if (state == JSON_AT_FIRST_NAME) {
        grammar->state = JSON_AFTER_SAMPLE;
        rows_end_named_row(grammar->base.rows);
        return true;
    }
    grammar->state = state == JSON_AT_FIRST_MEMBER ? JSON_AT_END : JSON_AFTER_MEMBER;
    return true;
}

static bool on_start(struct json_grammar *grammar, const struct json_token *token)
{
    if (!json_token_is_mark(token, '{')) {
        return fail_type(grammar, token, "#", "an object with the member samples");
    }
    grammar->state = JSON_AT_FIRST_MEMBER;
    return true;
}

bool json_grammar_step(struct json_grammar *grammar, const struct json_token *token)
{
    enum json_state state = grammar->state;
    bool list = state == JSON_AT_FIRST_SAMPLE || state == JSON_AT_FIRST_VALUE ||
                state == JSON_AT_FIRST_LINE || state == JSON_AT_FIRST_ID;
    bool object = state == JSON_AT_FIRST_MEMBER || state == JSON_AT_FIRST_NAME;
    if ((list && json_token_is_mark(token, ']')) ||
        (object && json_token_is_mark(token, '}'))) {
        return close_empty(grammar);
    }
    switch (state) {
    case JSON_AT_START:
        return on_start(grammar, token);
    case JSON_AT_FIRST_MEMBER:
    case JSON_AT_MEMBER:
        return on_member(grammar, token);
    case JSON_AT_COLON:
        return expect(grammar, token, ':', JSON_AT_MEMBER_VALUE);
    case JSON_AT_MEMBER_VALUE:
        return on_member_value(grammar, token);
    case JSON_AFTER_MEMBER:
        return after(grammar, token, '}', JSON_AT_MEMBER, JSON_AT_END);
    case JSON_AT_FIRST_SAMPLE:
    case JSON_AT_SAMPLE:
        return on_sample(grammar, token);
    case JSON_AFTER_SAMPLE:
        return after(grammar, token, ']', JSON_AT_SAMPLE, JSON_AFTER_MEMBER);
    case JSON_AT_FIRST_VALUE:
    case JSON_AT_VALUE:
        return on_value(grammar, token);
    case JSON_AFTER_VALUE:
        return after_value(grammar, token);
    case JSON_AT_FIRST_LINE:
    case JSON_AT_LINE:
        return on_line(grammar, token);
    case JSON_AFTER_LINE:
        return after_line(grammar, token);
    case JSON_AT_FIRST_NAME:
    case JSON_AT_NAME:
        return on_name(grammar, token);
    case JSON_AT_NAME_COLON:
        return expect(grammar, token, ':', JSON_AT_NAMED_VALUE);
    case JSON_AT_NAMED_VALUE:
        return on_named_value(grammar, token);
    case JSON_AFTER_NAMED_VALUE:
        return after_named_value(grammar, token);
    case JSON_AT_FIRST_ID:
    case JSON_AT_ID:
        return on_id(grammar, token);
    case JSON_AFTER_ID:
        return after(grammar, token, ']', JSON_AT_ID, JSON_AFTER_MEMBER);
    case JSON_AT_END:
        break;
    }
    return json_grammar_fail(&grammar->base,
                             "more text after the end of the JSON object");
}

/* ---- The request as a whole ---- */

bool json_grammar_finish(struct json_grammar *grammar)
{
    if ((grammar->members & 1U << MEMBER_SAMPLES) == 0) {
        return rows_fail(grammar->base.rows, 422, "#/samples", "\"samples\" is missing");
    }
    return rows_finish(grammar->base.rows);
}
