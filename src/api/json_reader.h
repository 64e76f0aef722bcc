/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a grammar over a JSON text that arrives in parts of any size: its tokens
 * (json_tokens.h) one by one, but for what the grammar reads itself, which is where the
 * many numbers are. What is not JSON is fault 400 with line and column (in bytes).
 */
#ifndef API_JSON_READER_H
#define API_JSON_READER_H

#include "api/json_tokens.h"
#include "api/rows.h"

enum { JSON_PROBLEM_MAX = 96 };

/* First member of each grammar. */
struct json_grammar_base {
    struct rows *rows;              /* written to; fault, too */
    bool begun, ended;              /* the text's one value has */
    char problem[JSON_PROBLEM_MAX]; /* why the last token cannot stand where it does */
};

struct json_grammar_ops {
    /* Takes a token. False: it cannot stand there in JSON, and `problem` says why; or it
     * can, but not in this request, `problem` is empty, and rows->fault says why. */
    bool (*step)(struct json_grammar_base *grammar, const struct json_token *token);
    /* What may be read without tokens, from `at` on, which is no space: returns where
     * tokens go on, `at` if nothing was taken. */
    const char *(*take)(struct json_grammar_base *grammar, const char *at,
                        const char *end);
};

struct json_reader {
    const struct json_grammar_ops *ops;
    struct json_grammar_base *grammar;
    struct json_tokens tokens;
};

/* The grammar has been started. */
void json_reader_start(struct json_reader *reader, const struct json_grammar_ops *ops,
                       struct json_grammar_base *grammar);
/* Does nothing once rows->fault is set. */
void json_reader_feed(struct json_reader *reader, const char *bytes, size_t size);
/* The text has ended. False: rows->fault says why. */
bool json_reader_finish(struct json_reader *reader);

/* Sets `problem`. Returns false. */
__attribute__((format(printf, 2, 3))) bool
json_grammar_fail(struct json_grammar_base *grammar, const char *format, ...);

/* "a string", "an array" ... */
const char *json_token_describe(const struct json_token *token);

static inline bool json_token_is_mark(const struct json_token *token, char mark)
{
    return token->kind == JSON_TOKEN_PUNCTUATION && token->punctuation == mark;
}
static inline bool json_token_is_value(const struct json_token *token)
{
    return token->kind != JSON_TOKEN_PUNCTUATION || token->punctuation == '[' ||
           token->punctuation == '{';
}

/* Plain numbers of an array, from `at` on, into row[*filled], up to `full` of them. Stops
 * before anything else, which tokens then look at; never at a number that may go on in
 * the next part. *value_next: whether what comes next is a value, else what follows one.
 */
const char *json_take_values(float *row, size_t *filled, size_t full, bool *value_next,
                             const char *at, const char *end);

#endif
