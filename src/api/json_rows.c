/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_rows.h"

#include <string.h>

#include "api/json_plain.h"

/* The hot loop: plain numbers of a row that is an array. */
static const char *take_values(struct json_grammar *grammar, const char *at,
                               const char *end)
{
    struct rows *rows = grammar->base.rows;
    bool value_next;
    size_t before = rows->filled;
    at =
        json_take_values(rows->row, &rows->filled, rows->nest.full, &value_next, at, end);
    if (rows->filled > before) {
        grammar->state = value_next ? JSON_AT_VALUE : JSON_AFTER_VALUE;
    }
    return at;
}

/* The same from row to row. */
static const char *take_rows(struct json_grammar *grammar, const char *at,
                             const char *end)
{
    struct rows *rows = grammar->base.rows;
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

static const char *take(struct json_grammar_base *base, const char *at, const char *end)
{
    struct json_grammar *grammar = (struct json_grammar *)base;
    bool value = grammar->state == JSON_AT_VALUE || grammar->state == JSON_AT_FIRST_VALUE;
    return value ? take_rows(grammar, at, end) : at;
}

static bool step(struct json_grammar_base *base, const struct json_token *token)
{
    struct json_grammar *grammar = (struct json_grammar *)base;
    bool good = json_grammar_step(grammar, token);
    base->begun = true;
    base->ended = grammar->state == JSON_AT_END;
    return good;
}

static const struct json_grammar_ops ops = {.step = step, .take = take};

void json_rows_start(struct json_rows *decoder, struct rows *rows)
{
    json_grammar_start(&decoder->grammar, rows);
    json_reader_start(&decoder->reader, &ops, &decoder->grammar.base);
}

void json_rows_feed(struct json_rows *decoder, const char *bytes, size_t size)
{
    json_reader_feed(&decoder->reader, bytes, size);
}

bool json_rows_finish(struct json_rows *decoder)
{
    return json_reader_finish(&decoder->reader) && json_grammar_finish(&decoder->grammar);
}
