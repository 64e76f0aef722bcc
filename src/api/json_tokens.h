/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens of a JSON text that arrives in parts of any size. No more of the text is
 * kept than one broken-off token. Exactly RFC 8259: no NUL, valid UTF-8, no lone
 * surrogates.
 */
#ifndef API_JSON_TOKENS_H
#define API_JSON_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_TOKEN_MAX = 4096 };          /* bytes of a string or number in the text */
extern const char json_token_too_long[]; /* the problem of a longer one */

enum json_token_kind {
    JSON_TOKEN_PUNCTUATION, /* one of {}[]:, */
    JSON_TOKEN_STRING,
    JSON_TOKEN_NUMBER,
    JSON_TOKEN_TRUE,
    JSON_TOKEN_FALSE,
    JSON_TOKEN_NULL,
    JSON_TOKEN_NOT_FINITE, /* NaN, Infinity, -Infinity: not JSON, but often sent */
};

struct json_token {
    enum json_token_kind kind;
    char punctuation;
    float number;
    const char *text; /* of a string, decoded; of a number, as it stands there */
    size_t length;
};

struct json_tokens {
    size_t line, line_column; /* of the first byte of the part being decoded, from 1 */
    const char *part;         /* start of it */
    bool whole;               /* a token that ends where the part ends is complete */
    size_t carried;           /* bytes of a broken-off token in `carry` */
    const char *problem;      /* of the last token that was none, and where it is */
    const char *problem_at;
    char carry[JSON_TOKEN_MAX + 8];
    char text[JSON_TOKEN_MAX + 8]; /* of a string that is not plain ASCII */
};

void json_tokens_start(struct json_tokens *tokens);

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Reads the token at `at`, which is no space. Returns its end; `end` with `carried` set
 * when it is broken off; NULL with `problem` set when it is none. A string's text lasts
 * until the next token or part. */
const char *json_token_take(struct json_tokens *tokens, const char *at, const char *end,
                            struct json_token *token);

/* Moves bytes to the broken-off token until it is whole or too long; how many it took. */
size_t json_tokens_complete(struct json_tokens *tokens, const char *bytes, size_t size,
                            bool *whole);

/* Line and column (in bytes) of a place in the part. */
void json_tokens_locate(const struct json_tokens *tokens, const char *at, size_t *line,
                        size_t *column);

#endif
