/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_reader.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/number.h"
#include "base/number_short.h"

bool json_grammar_fail(struct json_grammar_base *grammar, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(grammar->problem, sizeof grammar->problem, format, arguments);
    va_end(arguments);
    return false;
}

const char *json_token_describe(const struct json_token *token)
{
    switch (token->kind) {
    case JSON_TOKEN_STRING:
        return "a string";
    case JSON_TOKEN_NUMBER:
        return "a number";
    case JSON_TOKEN_TRUE:
    case JSON_TOKEN_FALSE:
        return "a boolean";
    case JSON_TOKEN_NULL:
        return "null";
    case JSON_TOKEN_NOT_FINITE:
        return "a number that is not finite";
    case JSON_TOKEN_PUNCTUATION:
        break;
    }
    return token->punctuation == '[' ? "an array" : "an object";
}

const char *json_take_values(float *row, size_t *filled, size_t full, bool *value_next,
                             const char *at, const char *end)
{
    size_t count = *filled;
    while (count < full) {
        float value;
        const char *next = number_parse_short(&value, at, end);
        if (next == NULL) {
            next = number_parse_float(&value, at, end);
        }
        if (next == NULL || next == end || next - at > JSON_TOKEN_MAX ||
            !(fabsf(value) <= FLT_MAX) || (*next != ',' && *next != ']')) {
            break;
        }
        row[count++] = value;
        at = next;
        *value_next = *at == ',';
        if (*at == ']') {
            break;
        }
        at++;
        while (at < end && *at == ' ') {
            at++;
        }
        if (at == end) {
            break;
        }
    }
    *filled = count;
    return at;
}

static void fail_syntax(struct json_reader *reader, const char *at, const char *problem)
{
    size_t line, column;
    json_tokens_locate(&reader->tokens, at, &line, &column);
    rows_fail(reader->grammar->rows, 400, "", "line %zu, column %zu: %s", line, column,
              problem);
}

/* One token. Its end, or NULL: it is broken off, or a fault. */
static const char *take_token(struct json_reader *reader, const char *at, const char *end)
{
    struct json_tokens *tokens = &reader->tokens;
    struct json_token token = {0};
    const char *next = json_token_take(tokens, at, end, &token);
    if (next == NULL) {
        fail_syntax(reader, tokens->problem_at, tokens->problem);
        return NULL;
    }
    if (tokens->carried > 0) {
        return NULL;
    }
    if (!reader->ops->step(reader->grammar, &token)) {
        if (reader->grammar->problem[0] != '\0') {
            fail_syntax(reader, at, reader->grammar->problem);
        }
        return NULL;
    }
    return next;
}

static void run(struct json_reader *reader, const char *at, const char *end)
{
    struct json_tokens *tokens = &reader->tokens;
    while (at < end) {
        if (json_is_space(*at)) {
            at++;
            continue;
        }
        const char *reached = reader->ops->take(reader->grammar, at, end);
        if (reader->grammar->rows->fault.status != 0) {
            break;
        }
        if (reached != at) {
            at = reached;
            continue;
        }
        const char *next = take_token(reader, at, end);
        if (next == NULL) {
            break; /* the part counts up to the token */
        }
        at = next;
    }
    json_tokens_locate(tokens, at, &tokens->line, &tokens->line_column);
}

static void run_carried(struct json_reader *reader)
{
    struct json_tokens *tokens = &reader->tokens;
    size_t size = tokens->carried;
    tokens->carried = 0;
    tokens->whole = true;
    tokens->part = tokens->carry;
    run(reader, tokens->carry, tokens->carry + size);
    tokens->whole = false;
}

void json_reader_start(struct json_reader *reader, const struct json_grammar_ops *ops,
                       struct json_grammar_base *grammar)
{
    reader->ops = ops;
    reader->grammar = grammar;
    json_tokens_start(&reader->tokens);
}

void json_reader_feed(struct json_reader *reader, const char *bytes, size_t size)
{
    const struct rows_fault *fault = &reader->grammar->rows->fault;
    struct json_tokens *tokens = &reader->tokens;
    if (tokens->carried > 0 && fault->status == 0) {
        bool whole;
        size_t taken = json_tokens_complete(tokens, bytes, size, &whole);
        if (tokens->carried > JSON_TOKEN_MAX) {
            tokens->part = tokens->carry;
            fail_syntax(reader, tokens->carry, json_token_too_long);
        }
        if (!whole) {
            return;
        }
        run_carried(reader);
        bytes += taken;
        size -= taken;
    }
    if (fault->status == 0) {
        tokens->part = bytes;
        run(reader, bytes, bytes + size);
    }
}

bool json_reader_finish(struct json_reader *reader)
{
    struct json_tokens *tokens = &reader->tokens;
    const struct json_grammar_base *grammar = reader->grammar;
    const struct rows_fault *fault = &grammar->rows->fault;
    if (tokens->carried > 0 && tokens->carry[0] != '"' && fault->status == 0) {
        run_carried(reader);
    }
    if (fault->status != 0) {
        return false;
    }
    if (!grammar->ended || tokens->carried > 0) {
        bool empty = !grammar->begun && tokens->carried == 0;
        tokens->part = tokens->carry;
        fail_syntax(reader, tokens->carry,
                    empty ? "the body is empty" : "the JSON text ends early");
        return false;
    }
    return true;
}
