/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scoring request is: a pushdown automaton that takes one token after the other
 * and writes to rows. The grammar is fixed, so its depth is, and the state says it all:
 *
 *     {"samples": [[1, null, ...] | {"name": 1, ...}, ...], "ids": ["..."],
 *      "explain": 3, "keep": false}
 *
 * and a row that is an image may be an array of arrays (rows_nest.h).
 */
#ifndef API_JSON_GRAMMAR_H
#define API_JSON_GRAMMAR_H

#include "api/json_reader.h"

enum json_state {
    JSON_AT_START,
    JSON_AT_FIRST_MEMBER, /* after { */
    JSON_AT_MEMBER,       /* after , */
    JSON_AT_COLON,
    JSON_AT_MEMBER_VALUE,
    JSON_AFTER_MEMBER,
    JSON_AT_FIRST_SAMPLE,
    JSON_AT_SAMPLE,
    JSON_AFTER_SAMPLE,
    JSON_AT_FIRST_VALUE, /* of a row that is an array, or of a line of an image */
    JSON_AT_VALUE,
    JSON_AFTER_VALUE,
    JSON_AT_FIRST_LINE, /* or plane, of an image */
    JSON_AT_LINE,
    JSON_AFTER_LINE,
    JSON_AT_FIRST_NAME, /* of a row that is an object */
    JSON_AT_NAME,
    JSON_AT_NAME_COLON,
    JSON_AT_NAMED_VALUE,
    JSON_AFTER_NAMED_VALUE,
    JSON_AT_FIRST_ID,
    JSON_AT_ID,
    JSON_AFTER_ID,
    JSON_AT_END,
};

struct json_grammar {
    struct json_grammar_base base;
    enum json_state state;
    unsigned members; /* bits of those seen */
    int member;       /* whose value is next */
    size_t column;    /* whose value is next in a named row */
    double explain;   /* as sent, a whole number; 0 where not */
    bool keep;
};

/* `rows` must have been reset. */
void json_grammar_start(struct json_grammar *grammar, struct rows *rows);

/* struct json_grammar_ops' step. */
bool json_grammar_step(struct json_grammar *grammar, const struct json_token *token);

/* The state is JSON_AT_END: checks the request as a whole. False: rows->fault says why.
 */
bool json_grammar_finish(struct json_grammar *grammar);

#endif
