/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of an inference request's input while they arrive: arrays in arrays, of which
 * only the values go to rows; how they were nested is kept to be held against the shape.
 */
#ifndef API_INFER_DATA_H
#define API_INFER_DATA_H

#include "api/infer_grammar.h"

/* An array opens in the data, or is them; and ends. False: fault. */
bool infer_data_open(struct infer_grammar *grammar);
bool infer_data_close(struct infer_grammar *grammar);
/* A token where a value may stand. False: fault. */
bool infer_data_value(struct infer_grammar *grammar, const struct json_token *token);
/* Numbers where a value may stand, without tokens: struct json_grammar_ops' take.
 * *value_next is set where something was taken: whether a value comes next (the first of
 * an array: *first), or what follows one. */
const char *infer_data_take(struct infer_grammar *grammar, bool *value_next, bool *first,
                            const char *at, const char *end);
/* Values so far. */
size_t infer_data_count(const struct infer_grammar *grammar);

#endif
