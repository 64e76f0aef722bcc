/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_rows.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/number_short.h"
#include "base/simd.h"
#include "base/utf8.h"

enum state {
    AT_START,
    AT_FIRST_MEMBER, /* after { */
    AT_MEMBER,       /* after , */
    AT_COLON,
    AT_MEMBER_VALUE,
    AFTER_MEMBER,
    AT_FIRST_SAMPLE,
    AT_SAMPLE,
    AFTER_SAMPLE,
    AT_FIRST_VALUE, /* of a row that is an array */
    AT_VALUE,
    AFTER_VALUE,
    AT_FIRST_NAME, /* of a row that is an object */
    AT_NAME,
    AT_NAME_COLON,
    AT_NAMED_VALUE,
    AFTER_NAMED_VALUE,
    AT_FIRST_ID,
    AT_ID,
    AFTER_ID,
    AT_END,
};

enum member { MEMBER_SAMPLES, MEMBER_IDS, MEMBER_EXPLAIN, MEMBER_KEEP, MEMBER_COUNT };
static const char *const member_names[] = {"samples", "ids", "explain", "keep"};

enum token_kind {
    TOKEN_PUNCTUATION, /* one of {}[]:, */
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL,
    TOKEN_NOT_FINITE, /* NaN, Infinity, -Infinity: not JSON, but often sent */
};

struct token {
    enum token_kind kind;
    char punctuation;
    float number;
    const char *text; /* of a string, decoded */
    size_t length;
};

/* ---- Faults ------------------------------------------------------------------------ */

static void locate(const struct json_rows *decoder, const char *at, size_t *line,
                   size_t *column)
{
    size_t size = (size_t)(at - decoder->part);
    const char *last = memrchr(decoder->part, '\n', size);
    *line = decoder->line;
    *column = decoder->line_column + size;
    if (last != NULL) {
        for (const char *c = decoder->part; c <= last; c++) {
            *line += *c == '\n';
        }
        *column = (size_t)(at - last);
    }
}

/* Not JSON. Returns NULL, as do all that find a fault. */
static const char *fail_syntax(struct json_rows *decoder, const char *at,
                               const char *problem)
{
    size_t line, column;
    locate(decoder, at, &line, &column);
    rows_fail(decoder->rows, 400, "", "line %zu, column %zu: %s", line, column, problem);
    return NULL;
}

static const char *describe(const struct token *token)
{
    switch (token->kind) {
    case TOKEN_STRING:
        return "a string";
    case TOKEN_NUMBER:
        return "a number";
    case TOKEN_TRUE:
    case TOKEN_FALSE:
        return "a boolean";
    case TOKEN_NULL:
        return "null";
    case TOKEN_NOT_FINITE:
        return "a number that is not finite";
    case TOKEN_PUNCTUATION:
        break;
    }
    return token->punctuation == '[' ? "an array" : "an object";
}

static bool is_value(const struct token *token)
{
    return token->kind != TOKEN_PUNCTUATION || token->punctuation == '[' ||
           token->punctuation == '{';
}

/* A value of the wrong type at `pointer`; what is no value at all is a fault of syntax.
 */
static const char *fail_type(struct json_rows *decoder, const char *at,
                             const struct token *token, const char *pointer,
                             const char *expected)
{
    char problem[96];
    if (!is_value(token)) {
        snprintf(problem, sizeof problem, "expected %s, found '%c'", expected,
                 token->punctuation);
        return fail_syntax(decoder, at, problem);
    }
    rows_fail(decoder->rows, 422, pointer, "%s: expected %s, found %s",
              pointer[1] == '\0' ? "the body" : pointer + 2, expected, describe(token));
    return NULL;
}

/* Where the value is that comes next in the row. */
static void point_at_cell(const struct json_rows *decoder, char *pointer)
{
    const struct rows *rows = decoder->rows;
    if (decoder->state == AT_NAMED_VALUE) {
        const char *name = rows->columns.name(rows->columns.closure, decoder->column);
        rows_pointer_cell(pointer, rows->count, name, strlen(name), 0);
    } else {
        rows_pointer_cell(pointer, rows->count, NULL, 0, rows->filled);
    }
}

/* ---- Tokens ------------------------------------------------------------------------ */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Bytes that numbers and literals consist of, and what people write in their place. */
static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '+' || c == '-' || c == '.' || c == '_';
}

static const char *word_end(const char *at, const char *end)
{
    while (at < end && is_word(*at)) {
        at++;
    }
    return at;
}

static bool word_is(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) == length && memcmp(at, word, length) == 0;
}

/* The token is broken off where the part ends: keep it, decode it with the next part. */
static const char *carry(struct json_rows *decoder, const char *at, const char *end)
{
    size_t size = (size_t)(end - at);
    if (size > JSON_TOKEN_MAX) {
        return fail_syntax(decoder, at, "a string or number longer than 4096 bytes");
    }
    memcpy(decoder->carry, at, size);
    decoder->carried = size;
    return end;
}

static const char *take_word(struct json_rows *decoder, const char *at, const char *end,
                             struct token *token)
{
    const char *stop = word_end(at, end);
    if (stop == end && !decoder->whole) {
        return carry(decoder, at, end);
    }
    if (stop - at > JSON_TOKEN_MAX) {
        return fail_syntax(decoder, at, "a string or number longer than 4096 bytes");
    }
    if (number_parse_float(&token->number, at, stop) == stop) {
        token->kind = TOKEN_NUMBER;
    } else if (word_is(at, stop, "null")) {
        token->kind = TOKEN_NULL;
    } else if (word_is(at, stop, "true")) {
        token->kind = TOKEN_TRUE;
    } else if (word_is(at, stop, "false")) {
        token->kind = TOKEN_FALSE;
    } else if (word_is(at, stop, "NaN") || word_is(at, stop, "Infinity") ||
               word_is(at, stop, "-Infinity")) {
        token->kind = TOKEN_NOT_FINITE;
    } else {
        return fail_syntax(decoder, at, "not a JSON value");
    }
    return stop;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int32_t read_code_unit(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* The escape at `at` (behind the backslash): its bytes to `out`, its end returned. */
static const char *unescape_unicode(struct json_rows *decoder, const char *at,
                                    const char *end, char **out)
{
    int32_t unit = read_code_unit(at + 1, end);
    const char *next = at + 5;
    if (unit < 0) {
        return fail_syntax(decoder, at - 1, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return fail_syntax(decoder, at - 1, "\\u0000 is not accepted");
    }
    uint32_t code = (uint32_t)unit;
    if (code >= 0xD800 && code <= 0xDFFF) {
        int32_t low =
            code < 0xDC00 && end - next >= 6 && next[0] == '\\' && next[1] == 'u'
                ? read_code_unit(next + 2, end)
                : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return fail_syntax(decoder, at - 1, "half of a surrogate pair");
        }
        code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
        next += 6;
    }
    *out += utf8_encode(*out, code);
    return next;
}

static const char *unescape(struct json_rows *decoder, const char *at, const char *end,
                            char **out)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (*at == 'u') {
        return unescape_unicode(decoder, at, end, out);
    }
    const char *found = *at == '\0' ? NULL : strchr(letters, *at);
    if (found == NULL) {
        return fail_syntax(decoder, at - 1, "no such escape in JSON");
    }
    *(*out)++ = bytes[found - letters];
    return at + 1;
}

/* The closing quote, or NULL. */
static const char *string_end(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '"') {
            return at;
        }
        if (*at == '\\' && ++at == end) {
            return NULL;
        }
    }
    return NULL;
}

static const char *take_string(struct json_rows *decoder, const char *at, const char *end,
                               struct token *token)
{
    const char *quote = string_end(at + 1, end);
    if (quote == NULL && end - at <= JSON_TOKEN_MAX) {
        return carry(decoder, at, end);
    }
    if (quote == NULL || quote - at >= JSON_TOKEN_MAX) {
        return fail_syntax(decoder, at, "a string or number longer than 4096 bytes");
    }
    char *out = decoder->text;
    for (const char *c = at + 1; c < quote;) {
        if ((unsigned char)*c < 0x20) {
            return fail_syntax(decoder, c, "a control character in a string");
        }
        if (*c == '\\') {
            c = unescape(decoder, c + 1, quote, &out);
            if (c == NULL) {
                return NULL;
            }
            continue;
        }
        size_t size = utf8_length(c, (size_t)(quote - c));
        if (size == 0) {
            return fail_syntax(decoder, c, "not valid UTF-8");
        }
        memcpy(out, c, size);
        out += size;
        c += size;
    }
    token->kind = TOKEN_STRING;
    token->text = decoder->text;
    token->length = (size_t)(out - decoder->text);
    return quote + 1;
}

/* Reads the token at `at`, which is no space. Returns its end; `end` with `carried` set
 * when it is broken off; NULL at a fault. */
static const char *take_token(struct json_rows *decoder, const char *at, const char *end,
                              struct token *token)
{
    switch (*at) {
    case '{':
    case '}':
    case '[':
    case ']':
    case ':':
    case ',':
        token->kind = TOKEN_PUNCTUATION;
        token->punctuation = *at;
        return at + 1;
    case '"':
        return take_string(decoder, at, end, token);
    case '\0':
        return fail_syntax(decoder, at, "a NUL byte");
    default:
        return is_word(*at) ? take_word(decoder, at, end, token)
                            : fail_syntax(decoder, at, "not JSON");
    }
}

/* ---- The automaton ----------------------------------------------------------------- */

static bool is_mark(const struct token *token, char mark)
{
    return token->kind == TOKEN_PUNCTUATION && token->punctuation == mark;
}

static const char *expect(struct json_rows *decoder, const char *at, const char *next,
                          const struct token *token, char mark, enum state state)
{
    char problem[32];
    if (!is_mark(token, mark)) {
        snprintf(problem, sizeof problem, "expected '%c'", mark);
        return fail_syntax(decoder, at, problem);
    }
    decoder->state = (int)state;
    return next;
}

/* After an element: a comma leads to `more`, the closing mark to `done`. */
static const char *after(struct json_rows *decoder, const char *at, const char *next,
                         const struct token *token, char close, enum state more,
                         enum state done)
{
    char problem[32];
    if (is_mark(token, ',')) {
        decoder->state = (int)more;
        return next;
    }
    if (!is_mark(token, close)) {
        snprintf(problem, sizeof problem, "expected ',' or '%c'", close);
        return fail_syntax(decoder, at, problem);
    }
    decoder->state = (int)done;
    return next;
}

static const char *on_member(struct json_rows *decoder, const char *at, const char *next,
                             const struct token *token)
{
    if (token->kind != TOKEN_STRING) {
        return fail_syntax(decoder, at, "expected the name of a member, in quotes");
    }
    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (token->length == strlen(member_names[i]) &&
            memcmp(token->text, member_names[i], token->length) == 0) {
            char pointer[ROWS_POINTER_MAX];
            snprintf(pointer, sizeof pointer, "#/%s", member_names[i]);
            if ((decoder->members & 1U << i) != 0) {
                rows_fail(decoder->rows, 422, pointer, "\"%s\" is there twice",
                          member_names[i]);
                return NULL;
            }
            decoder->members |= 1U << i;
            decoder->member = i;
            decoder->state = AT_COLON;
            return next;
        }
    }
    rows_fail(decoder->rows, 422, "#",
              "\"%.*s\" is not a member of a scoring request; it has samples, ids, "
              "explain, keep",
              (int)(token->length < 64 ? token->length : 64), token->text);
    return NULL;
}

static const char *on_option(struct json_rows *decoder, const char *at, const char *next,
                             const struct token *token)
{
    bool boolean = token->kind == TOKEN_TRUE || token->kind == TOKEN_FALSE;
    if (decoder->member == MEMBER_KEEP) {
        if (!boolean) {
            return fail_type(decoder, at, token, "#/keep", "true or false");
        }
        decoder->keep = token->kind == TOKEN_TRUE;
    } else {
        bool whole = token->kind == TOKEN_NUMBER && token->number >= 0.0F &&
                     isfinite(token->number) && token->number == floorf(token->number);
        if (!whole) {
            return fail_type(decoder, at, token, "#/explain",
                             "a number of features, 0 or more");
        }
        decoder->explain = (double)token->number;
    }
    decoder->state = AFTER_MEMBER;
    return next;
}

static const char *on_member_value(struct json_rows *decoder, const char *at,
                                   const char *next, const struct token *token)
{
    if (decoder->member == MEMBER_SAMPLES) {
        if (!is_mark(token, '[')) {
            return fail_type(decoder, at, token, "#/samples", "an array of rows");
        }
        decoder->state = AT_FIRST_SAMPLE;
        return next;
    }
    if (decoder->member == MEMBER_IDS) {
        if (!is_mark(token, '[')) {
            return fail_type(decoder, at, token, "#/ids", "an array of strings");
        }
        decoder->rows->has_ids = true;
        decoder->state = AT_FIRST_ID;
        return next;
    }
    return on_option(decoder, at, next, token);
}

static const char *on_sample(struct json_rows *decoder, const char *at, const char *next,
                             const struct token *token)
{
    if (is_mark(token, '[')) {
        decoder->state = AT_FIRST_VALUE;
        return rows_begin_row(decoder->rows) ? next : NULL;
    }
    if (is_mark(token, '{')) {
        decoder->state = AT_FIRST_NAME;
        return rows_begin_named_row(decoder->rows) ? next : NULL;
    }
    char pointer[ROWS_POINTER_MAX];
    rows_pointer(pointer, decoder->rows->count);
    return fail_type(decoder, at, token, pointer,
                     "a row: an array of numbers or an object of feature names");
}

/* The float of a token that stands in a row; NaN for null. */
static bool read_cell(struct json_rows *decoder, const char *at,
                      const struct token *token, float *value)
{
    char pointer[ROWS_POINTER_MAX];
    if (token->kind == TOKEN_NULL) {
        *value = NAN;
        return true;
    }
    if (token->kind == TOKEN_NUMBER && isfinite(token->number)) {
        *value = token->number;
        return true;
    }
    point_at_cell(decoder, pointer);
    if (token->kind == TOKEN_NUMBER) {
        return rows_fail(decoder->rows, 422, pointer,
                         "row %zu: a number out of the range of a float (3.4e38)",
                         decoder->rows->count);
    }
    if (token->kind == TOKEN_NOT_FINITE) {
        return rows_fail(decoder->rows, 422, pointer,
                         "row %zu: NaN and Infinity are not numbers of JSON; send null "
                         "for a missing value",
                         decoder->rows->count);
    }
    fail_type(decoder, at, token, pointer, "a number or null");
    return false;
}

static const char *on_value(struct json_rows *decoder, const char *at, const char *next,
                            const struct token *token)
{
    struct rows *rows = decoder->rows;
    float value = 0.0F;
    if (!read_cell(decoder, at, token, &value)) {
        return NULL;
    }
    if (rows->filled == rows->columns.count) {
        char pointer[ROWS_POINTER_MAX];
        rows_pointer_cell(pointer, rows->count, NULL, 0, rows->filled);
        rows_fail(rows, 422, pointer,
                  "row %zu has more values than the model's %zu features", rows->count,
                  rows->columns.count);
        return NULL;
    }
    rows->row[rows->filled++] = value;
    decoder->state = AFTER_VALUE;
    return next;
}

static const char *after_value(struct json_rows *decoder, const char *at,
                               const char *next, const struct token *token)
{
    next = after(decoder, at, next, token, ']', AT_VALUE, AFTER_SAMPLE);
    bool ended = next != NULL && decoder->state == AFTER_SAMPLE;
    return ended && !rows_end_row(decoder->rows) ? NULL : next;
}

static const char *on_name(struct json_rows *decoder, const char *at, const char *next,
                           const struct token *token)
{
    if (token->kind != TOKEN_STRING) {
        return fail_syntax(decoder, at, "expected the name of a feature, in quotes");
    }
    decoder->state = AT_NAME_COLON;
    return rows_choose(decoder->rows, token->text, token->length, &decoder->column)
               ? next
               : NULL;
}

static const char *on_named_value(struct json_rows *decoder, const char *at,
                                  const char *next, const struct token *token)
{
    if (!read_cell(decoder, at, token, &decoder->rows->row[decoder->column])) {
        return NULL;
    }
    decoder->state = AFTER_NAMED_VALUE;
    return next;
}

static const char *after_named_value(struct json_rows *decoder, const char *at,
                                     const char *next, const struct token *token)
{
    next = after(decoder, at, next, token, '}', AT_NAME, AFTER_SAMPLE);
    if (next != NULL && decoder->state == AFTER_SAMPLE) {
        rows_end_named_row(decoder->rows);
    }
    return next;
}

static const char *on_id(struct json_rows *decoder, const char *at, const char *next,
                         const struct token *token)
{
    if (token->kind != TOKEN_STRING) {
        char pointer[ROWS_POINTER_MAX];
        snprintf(pointer, sizeof pointer, "#/ids/%zu", decoder->rows->id_count);
        return fail_type(decoder, at, token, pointer, "a string");
    }
    decoder->state = AFTER_ID;
    return rows_add_id(decoder->rows, token->text, token->length) ? next : NULL;
}

/* An empty list or object ends where its first element could stand. */
static const char *close_empty(struct json_rows *decoder, const char *next)
{
    int state = decoder->state;
    if (state == AT_FIRST_VALUE) {
        decoder->state = AFTER_SAMPLE;
        return rows_end_row(decoder->rows) ? next : NULL;
    }
    if (state == AT_FIRST_NAME) {
        decoder->state = AFTER_SAMPLE;
        rows_end_named_row(decoder->rows);
        return next;
    }
    decoder->state = state == AT_FIRST_MEMBER ? AT_END : AFTER_MEMBER;
    return next;
}

static const char *on_start(struct json_rows *decoder, const char *at, const char *next,
                            const struct token *token)
{
    if (!is_mark(token, '{')) {
        return fail_type(decoder, at, token, "#", "an object with the member samples");
    }
    decoder->state = AT_FIRST_MEMBER;
    return next;
}

/* One token, whole, in the current state. */
static const char *step(struct json_rows *decoder, const char *at, const char *next,
                        const struct token *token)
{
    enum state state = (enum state)decoder->state;
    bool list =
        state == AT_FIRST_SAMPLE || state == AT_FIRST_VALUE || state == AT_FIRST_ID;
    bool object = state == AT_FIRST_MEMBER || state == AT_FIRST_NAME;
    if ((list && is_mark(token, ']')) || (object && is_mark(token, '}'))) {
        return close_empty(decoder, next);
    }
    switch (state) {
    case AT_START:
        return on_start(decoder, at, next, token);
    case AT_FIRST_MEMBER:
    case AT_MEMBER:
        return on_member(decoder, at, next, token);
    case AT_COLON:
        return expect(decoder, at, next, token, ':', AT_MEMBER_VALUE);
    case AT_MEMBER_VALUE:
        return on_member_value(decoder, at, next, token);
    case AFTER_MEMBER:
        return after(decoder, at, next, token, '}', AT_MEMBER, AT_END);
    case AT_FIRST_SAMPLE:
    case AT_SAMPLE:
        return on_sample(decoder, at, next, token);
    case AFTER_SAMPLE:
        return after(decoder, at, next, token, ']', AT_SAMPLE, AFTER_MEMBER);
    case AT_FIRST_VALUE:
    case AT_VALUE:
        return on_value(decoder, at, next, token);
    case AFTER_VALUE:
        return after_value(decoder, at, next, token);
    case AT_FIRST_NAME:
    case AT_NAME:
        return on_name(decoder, at, next, token);
    case AT_NAME_COLON:
        return expect(decoder, at, next, token, ':', AT_NAMED_VALUE);
    case AT_NAMED_VALUE:
        return on_named_value(decoder, at, next, token);
    case AFTER_NAMED_VALUE:
        return after_named_value(decoder, at, next, token);
    case AT_FIRST_ID:
    case AT_ID:
        return on_id(decoder, at, next, token);
    case AFTER_ID:
        return after(decoder, at, next, token, ']', AT_ID, AFTER_MEMBER);
    case AT_END:
        break;
    }
    return fail_syntax(decoder, at, "more text after the end of the JSON object");
}

/* The hot loop: plain numbers of a row that is an array. Stops before anything else,
 * which the automaton then looks at; never at a number that may go on in the next part.
 */
static inline const char *take_values(struct json_rows *decoder, const char *at,
                                      const char *end)
{
    struct rows *rows = decoder->rows;
    float *row = rows->row;
    size_t filled = rows->filled, count = rows->columns.count;
    while (filled < count) {
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
        decoder->state = AFTER_VALUE;
        if (*at == ']') {
            break;
        }
        at++;
        decoder->state = AT_VALUE;
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

/* The same from row to row, where one follows the other in the plainest form. */
SIMD_CLONES
static const char *take_rows(struct json_rows *decoder, const char *at, const char *end)
{
    struct rows *rows = decoder->rows;
    for (;;) {
        at = take_values(decoder, at, end);
        if (decoder->state != AFTER_VALUE || rows->filled != rows->columns.count ||
            end - at < 4 || memcmp(at, "],[", 3) != 0 ||
            rows->count + 1 >= rows->limits.rows) {
            return at;
        }
        rows->count++;
        if (!rows_begin_row(rows)) {
            return at;
        }
        at += 3;
        decoder->state = AT_FIRST_VALUE;
    }
}

static void run(struct json_rows *decoder, const char *at, const char *end)
{
    while (at < end) {
        if (is_space(*at)) {
            at++;
            continue;
        }
        if (decoder->state == AT_VALUE || decoder->state == AT_FIRST_VALUE) {
            const char *reached = take_rows(decoder, at, end);
            if (decoder->rows->fault.status != 0) {
                break;
            }
            if (reached != at) {
                at = reached;
                continue;
            }
        }
        struct token token = {0};
        const char *next = take_token(decoder, at, end, &token);
        if (next == NULL || decoder->carried > 0) {
            break; /* the part counts up to the token */
        }
        next = step(decoder, at, next, &token);
        if (next == NULL) {
            break;
        }
        at = next;
    }
    locate(decoder, at, &decoder->line, &decoder->line_column);
}

/* Moves bytes to the broken-off token until it is whole; how many it took. */
static size_t complete(struct json_rows *decoder, const char *bytes, size_t size,
                       bool *whole)
{
    size_t taken = 0;
    bool string = decoder->carry[0] == '"';
    bool escaped = false;
    for (size_t i = 1; string && i < decoder->carried; i++) {
        escaped = !escaped && decoder->carry[i] == '\\';
    }
    *whole = false;
    while (taken < size && !*whole && decoder->carried <= JSON_TOKEN_MAX) {
        char c = bytes[taken];
        if (!string && !is_word(c)) {
            *whole = true;
            break;
        }
        decoder->carry[decoder->carried++] = c;
        taken++;
        *whole = string && !escaped && c == '"';
        escaped = !escaped && c == '\\';
    }
    return taken;
}

static void run_carried(struct json_rows *decoder)
{
    size_t size = decoder->carried;
    decoder->carried = 0;
    decoder->whole = true;
    decoder->part = decoder->carry;
    run(decoder, decoder->carry, decoder->carry + size);
    decoder->whole = false;
}

void json_rows_start(struct json_rows *decoder, struct rows *rows)
{
    decoder->rows = rows;
    decoder->state = AT_START;
    decoder->members = 0;
    decoder->explain = 0.0;
    decoder->keep = false;
    decoder->line = decoder->line_column = 1;
    decoder->whole = false;
    decoder->carried = 0;
}

void json_rows_feed(struct json_rows *decoder, const char *bytes, size_t size)
{
    const struct rows_fault *fault = &decoder->rows->fault;
    if (decoder->carried > 0 && fault->status == 0) {
        bool whole;
        size_t taken = complete(decoder, bytes, size, &whole);
        if (decoder->carried > JSON_TOKEN_MAX) {
            decoder->part = decoder->carry;
            fail_syntax(decoder, decoder->carry,
                        "a string or number longer than 4096 bytes");
        }
        if (!whole) {
            return;
        }
        run_carried(decoder);
        bytes += taken;
        size -= taken;
    }
    if (fault->status == 0) {
        decoder->part = bytes;
        run(decoder, bytes, bytes + size);
    }
}

/* What the request asks for beyond scores, which this server does not have. */
static bool check_options(struct json_rows *decoder)
{
    if (decoder->explain > 0.0) {
        return rows_fail(decoder->rows, 422, "#/explain",
                         "explanations are not available from this server; leave explain "
                         "out or send 0");
    }
    if (decoder->keep) {
        return rows_fail(decoder->rows, 422, "#/keep",
                         "keeping samples is not available from this server; leave keep "
                         "out or send false");
    }
    return true;
}

bool json_rows_finish(struct json_rows *decoder)
{
    struct rows *rows = decoder->rows;
    if (decoder->carried > 0 && decoder->carry[0] != '"' && rows->fault.status == 0) {
        run_carried(decoder);
    }
    if (rows->fault.status != 0) {
        return false;
    }
    if (decoder->state != AT_END || decoder->carried > 0) {
        decoder->part = decoder->carry;
        fail_syntax(decoder, decoder->carry,
                    decoder->state == AT_START && decoder->carried == 0
                        ? "the body is empty"
                        : "the JSON text ends early");
        return false;
    }
    if ((decoder->members & 1U << MEMBER_SAMPLES) == 0) {
        return rows_fail(rows, 422, "#/samples", "\"samples\" is missing");
    }
    return check_options(decoder) && rows_finish(rows);
}
