/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_tokens.h"

#include <stdint.h>
#include <string.h>

#include "base/number.h"
#include "base/number_short.h"
#include "base/utf8.h"

const char json_token_too_long[] = "a string or number longer than 4096 bytes";

void json_tokens_start(struct json_tokens *tokens)
{
    tokens->line = tokens->line_column = 1;
    tokens->whole = false;
    tokens->carried = 0;
}

void json_tokens_locate(const struct json_tokens *tokens, const char *at, size_t *line,
                        size_t *column)
{
    size_t size = (size_t)(at - tokens->part);
    const char *last = memrchr(tokens->part, '\n', size);
    *line = tokens->line;
    *column = tokens->line_column + size;
    if (last != NULL) {
        for (const char *c = tokens->part; c <= last; c++) {
            *line += *c == '\n';
        }
        *column = (size_t)(at - last);
    }
}

static const char *fail(struct json_tokens *tokens, const char *at, const char *problem)
{
    tokens->problem = problem;
    tokens->problem_at = at;
    return NULL;
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
static const char *carry(struct json_tokens *tokens, const char *at, const char *end)
{
    size_t size = (size_t)(end - at);
    if (size > JSON_TOKEN_MAX) {
        return fail(tokens, at, json_token_too_long);
    }
    memcpy(tokens->carry, at, size);
    tokens->carried = size;
    return end;
}

static const char *take_word(struct json_tokens *tokens, const char *at, const char *end,
                             struct json_token *token)
{
    const char *stop = *at < 'A' ? number_parse_short(&token->number, at, end) : NULL;
    token->text = at;
    if (stop != NULL && stop < end && !is_word(*stop)) {
        token->kind = JSON_TOKEN_NUMBER;
        token->length = (size_t)(stop - at);
        return stop;
    }
    stop = word_end(at, end);
    token->length = (size_t)(stop - at);
    if (stop == end && !tokens->whole) {
        return carry(tokens, at, end);
    }
    if (stop - at > JSON_TOKEN_MAX) {
        return fail(tokens, at, json_token_too_long);
    }
    if (*at < 'A' && number_parse_float(&token->number, at, stop) == stop) {
        token->kind = JSON_TOKEN_NUMBER;
    } else if (word_is(at, stop, "null")) {
        token->kind = JSON_TOKEN_NULL;
    } else if (word_is(at, stop, "true")) {
        token->kind = JSON_TOKEN_TRUE;
    } else if (word_is(at, stop, "false")) {
        token->kind = JSON_TOKEN_FALSE;
    } else if (word_is(at, stop, "NaN") || word_is(at, stop, "Infinity") ||
               word_is(at, stop, "-Infinity")) {
        token->kind = JSON_TOKEN_NOT_FINITE;
    } else {
        return fail(tokens, at, "not a JSON value");
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
static const char *unescape_unicode(struct json_tokens *tokens, const char *at,
                                    const char *end, char **out)
{
    int32_t unit = read_code_unit(at + 1, end);
    const char *next = at + 5;
    if (unit < 0) {
        return fail(tokens, at - 1, "\\u needs four hexadecimal digits");
    }
    if (unit == 0) {
        return fail(tokens, at - 1, "\\u0000 is not accepted");
    }
    uint32_t code = (uint32_t)unit;
    if (code >= 0xD800 && code <= 0xDFFF) {
        int32_t low =
            code < 0xDC00 && end - next >= 6 && next[0] == '\\' && next[1] == 'u'
                ? read_code_unit(next + 2, end)
                : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return fail(tokens, at - 1, "half of a surrogate pair");
        }
        code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
        next += 6;
    }
    *out += utf8_encode(*out, code);
    return next;
}

static const char *unescape(struct json_tokens *tokens, const char *at, const char *end,
                            char **out)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (*at == 'u') {
        return unescape_unicode(tokens, at, end, out);
    }
    const char *found = *at == '\0' ? NULL : strchr(letters, *at);
    if (found == NULL) {
        return fail(tokens, at - 1, "no such escape in JSON");
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

/* The first byte that is not printable ASCII standing for itself. */
static const char *plain_end(const char *at, const char *end)
{
    while (at < end && *at >= ' ' && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\') {
        at++;
    }
    return at;
}

static const char *take_string(struct json_tokens *tokens, const char *at,
                               const char *end, struct json_token *token)
{
    const char *plain = plain_end(at + 1, end);
    if (plain < end && *plain == '"' && plain - at < JSON_TOKEN_MAX) {
        token->kind = JSON_TOKEN_STRING;
        token->text = at + 1;
        token->length = (size_t)(plain - at - 1);
        return plain + 1;
    }
    const char *quote = string_end(plain, end);
    if (quote == NULL && end - at <= JSON_TOKEN_MAX) {
        return carry(tokens, at, end);
    }
    if (quote == NULL || quote - at >= JSON_TOKEN_MAX) {
        return fail(tokens, at, json_token_too_long);
    }
    char *out = tokens->text;
    for (const char *c = at + 1; c < quote;) {
        if ((unsigned char)*c < 0x20) {
            return fail(tokens, c, "a control character in a string");
        }
        if (*c == '\\') {
            c = unescape(tokens, c + 1, quote, &out);
            if (c == NULL) {
                return NULL;
            }
            continue;
        }
        size_t size = utf8_length(c, (size_t)(quote - c));
        if (size == 0) {
            return fail(tokens, c, "not valid UTF-8");
        }
        memcpy(out, c, size);
        out += size;
        c += size;
    }
    token->kind = JSON_TOKEN_STRING;
    token->text = tokens->text;
    token->length = (size_t)(out - tokens->text);
    return quote + 1;
}

const char *json_token_take(struct json_tokens *tokens, const char *at, const char *end,
                            struct json_token *token)
{
    switch (*at) {
    case '{':
    case '}':
    case '[':
    case ']':
    case ':':
    case ',':
        token->kind = JSON_TOKEN_PUNCTUATION;
        token->punctuation = *at;
        return at + 1;
    case '"':
        return take_string(tokens, at, end, token);
    case '\0':
        return fail(tokens, at, "a NUL byte");
    default:
        return is_word(*at) ? take_word(tokens, at, end, token)
                            : fail(tokens, at, "not JSON");
    }
}

size_t json_tokens_complete(struct json_tokens *tokens, const char *bytes, size_t size,
                            bool *whole)
{
    size_t taken = 0;
    bool string = tokens->carry[0] == '"';
    bool escaped = false;
    for (size_t i = 1; string && i < tokens->carried; i++) {
        escaped = !escaped && tokens->carry[i] == '\\';
    }
    *whole = false;
    while (taken < size && !*whole && tokens->carried <= JSON_TOKEN_MAX) {
        char c = bytes[taken];
        if (!string && !is_word(c)) {
            *whole = true;
            break;
        }
        tokens->carry[tokens->carried++] = c;
        taken++;
        *whole = string && !escaped && c == '"';
        escaped = !escaped && c == '\\';
    }
    return taken;
}
