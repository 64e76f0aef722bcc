/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "api/json_plain.h"
#include "base/number.h"
#include "base/number_short.h"

/* The hot loop: plain numbers of a row that is an array. Stops before anything else,
 * which the automaton then looks at; never at a number that may go on in the next part.
 */
static inline const char *take_values(struct json_grammar *grammar, const char *at,
                                      const char *end)
{
    struct rows *rows = grammar->rows;
    float *row = rows->row;
    size_t filled = rows->filled, full = rows->nest.full;
    while (filled < full) {
        float value;
        const char *next = number_parse_short(&value, at, end);
        if (next == NULL) {
            next = number_parse_float(&value, at, end);
        }
        if (next == NULL || next == end || next - at > JSON_TOKEN_MAX ||
            !(fabsf(value) <= FLT_MAX) || (*next != ',' && *next != ']')) {
            break;
        }
        row[filled++] = value;
        at = next;
        grammar->state = JSON_AFTER_VALUE;
        if (*at == ']') {
            break;
        }
        at++;
        grammar->state = JSON_AT_VALUE;
        while (at < end && *at == ' ') {
            at++;
        }
        if (at == end) {
            break;
        }
    }
    rows->filled = filled;
    return at;
}

/* The same from row to row. */
static const char *take_rows(struct json_grammar *grammar, const char *at,
                             const char *end)
{
    struct rows *rows = grammar->rows;
    for (;;) {
        if (json_plain_is_worth(rows, at, end)) {
            const char *from = at;
            at = json_plain_take(rows, at, end);
            if (at != from) {
                bool first = rows->filled + rows->nest.line == rows->nest.full;
                grammar->state = first ? JSON_AT_FIRST_VALUE : JSON_AT_VALUE;
            }
            if (rows->fault.status != 0) {
                return at;
            }
        }
        at = take_values(grammar, at, end);
        if (grammar->state != JSON_AFTER_VALUE || rows->filled != rows->columns.count ||
            rows->nest.dimensions > 1 || end - at < 4 || memcmp(at, "],[", 3) != 0 ||
            rows->count + 1 >= rows->limits.rows) {
            return at;
        }
        rows->count++;
        if (!rows_begin_row(rows)) {
            return at;
        }
        at += 3;
        grammar->state = JSON_AT_FIRST_VALUE;
    }
}

static void fail_syntax(struct json_rows *decoder, const char *at, const char *problem)
{
    size_t line, column;
    json_tokens_locate(&decoder->tokens, at, &line, &column);
    rows_fail(decoder->grammar.rows, 400, "", "line %zu, column %zu: %s", line, column,
              problem);
}

/* One token. Its end, or NULL: it is broken off, or a fault. */
static const char *take_token(struct json_rows *decoder, const char *at, const char *end)
{
    struct json_tokens *tokens = &decoder->tokens;
    struct json_token token = {0};
    const char *next = json_token_take(tokens, at, end, &token);
    if (next == NULL) {
        fail_syntax(decoder, tokens->problem_at, tokens->problem);
        return NULL;
    }
    if (tokens->carried > 0) {
        return NULL;
    }
    if (!json_grammar_step(&decoder->grammar, &token)) {
        if (decoder->grammar.problem[0] != '\0') {
            fail_syntax(decoder, at, decoder->grammar.problem);
        }
        return NULL;
    }
    return next;
}

static void run(struct json_rows *decoder, const char *at, const char *end)
{
    struct json_grammar *grammar = &decoder->grammar;
    struct json_tokens *tokens = &decoder->tokens;
    while (at < end) {
        if (json_is_space(*at)) {
            at++;
            continue;
        }
        if (grammar->state == JSON_AT_VALUE || grammar->state == JSON_AT_FIRST_VALUE) {
            const char *reached = take_rows(grammar, at, end);
            if (grammar->rows->fault.status != 0) {
                break;
            }
            if (reached != at) {
                at = reached;
                continue;
            }
        }
        const char *next = take_token(decoder, at, end);
        if (next == NULL) {
            break; /* the part counts up to the token */
        }
        at = next;
    }
    json_tokens_locate(tokens, at, &tokens->line, &tokens->line_column);
}

static void run_carried(struct json_rows *decoder)
{
    struct json_tokens *tokens = &decoder->tokens;
    size_t size = tokens->carried;
    tokens->carried = 0;
    tokens->whole = true;
    tokens->part = tokens->carry;
    run(decoder, tokens->carry, tokens->carry + size);
    tokens->whole = false;
}

void json_rows_start(struct json_rows *decoder, struct rows *rows)
{
    json_grammar_start(&decoder->grammar, rows);
    json_tokens_start(&decoder->tokens);
}

void json_rows_feed(struct json_rows *decoder, const char *bytes, size_t size)
{
    const struct rows_fault *fault = &decoder->grammar.rows->fault;
    struct json_tokens *tokens = &decoder->tokens;
    if (tokens->carried > 0 && fault->status == 0) {
        bool whole;
        size_t taken = json_tokens_complete(tokens, bytes, size, &whole);
        if (tokens->carried > JSON_TOKEN_MAX) {
            tokens->part = tokens->carry;
            fail_syntax(decoder, tokens->carry, json_token_too_long);
        }
        if (!whole) {
            return;
        }
        run_carried(decoder);
        bytes += taken;
        size -= taken;
    }
    if (fault->status == 0) {
        tokens->part = bytes;
        run(decoder, bytes, bytes + size);
    }
}

bool json_rows_finish(struct json_rows *decoder)
{
    struct json_tokens *tokens = &decoder->tokens;
    const struct json_grammar *grammar = &decoder->grammar;
    const struct rows_fault *fault = &grammar->rows->fault;
    if (tokens->carried > 0 && tokens->carry[0] != '"' && fault->status == 0) {
        run_carried(decoder);
    }
    if (fault->status != 0) {
        return false;
    }
    if (grammar->state != JSON_AT_END || tokens->carried > 0) {
        bool empty = grammar->state == JSON_AT_START && tokens->carried == 0;
        tokens->part = tokens->carry;
        fail_syntax(decoder, tokens->carry,
                    empty ? "the body is empty" : "the JSON text ends early");
        return false;
    }
    return json_grammar_finish(&decoder->grammar);
}
