/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An inference request of the Open Inference Protocol as a grammar of json_reader.h:
 *
 *     {"id": "42", "parameters": {"binary_data_output": true},
 *      "inputs": [{"name": "input", "shape": [2, 9], "datatype": "FP32",
 *                  "parameters": {"binary_data_size": 72}, "data": [[1, 2, ...], ...]}],
 *      "outputs": [{"name": "score", "parameters": {"binary_data": false}}]}
 *
 * Members come in any order; those that the protocol does not have are skipped, as are
 * parameters, since servers define their own. The data are flat or nested as the shape
 * is, and go straight to rows; null is a missing value where the type is a float's. What
 * is JSON and not such a request is fault 400 with a pointer.
 */
#ifndef API_INFER_GRAMMAR_H
#define API_INFER_GRAMMAR_H

#include "api/json_reader.h"
#include "api/tensor_type.h"

enum {
    INFER_DEPTH_MAX = 32, /* arrays and objects open at once */
    INFER_RANK_MAX = 8,
    INFER_OUTPUTS = 2,
    INFER_ID_MAX = JSON_TOKEN_MAX,
};

enum infer_output { INFER_SCORE, INFER_P_VALUE };
extern const char *const infer_output_names[INFER_OUTPUTS];
#define INFER_INPUT "input"

struct infer_wanted {
    enum infer_output output;
    bool given, binary; /* whether binary_data is, and its value */
};

struct infer_grammar {
    struct json_grammar_base base;
    int state; /* and the kinds of what is open, from the outside in */
    unsigned depth;
    unsigned char open[INFER_DEPTH_MAX];
    int member; /* whose value is next */
    unsigned
        members[4]; /* bits of those seen in the request, input, output, parameters */

    bool has_id;
    size_t id_length;
    char id[INFER_ID_MAX];
    bool binary_output; /* all outputs as binary data */
    bool keep;          /* the rows, for verdicts */

    size_t inputs; /* begun */
    bool named;    /* the input is, as it must be */
    bool has_shape, has_type, has_data, has_binary_size;
    enum tensor_type type;
    size_t rank;
    uint64_t shape[INFER_RANK_MAX];
    uint64_t binary_size;

    /* Arrays in the data, by depth from 1: elements of the open one, and of the first
     * that was closed; the depth of the values, 0 while there is none. */
    unsigned data_depth, value_depth;
    size_t elements[INFER_RANK_MAX + 1], lengths[INFER_RANK_MAX + 1];
    bool in_row;       /* rows->row is being filled */
    bool has_booleans; /* true or false among the data */
    size_t checked;    /* rows whose values are elements of the type */

    bool has_outputs; /* the member, if only an empty list */
    size_t output_count;
    struct infer_wanted outputs[INFER_OUTPUTS];
    struct infer_wanted output; /* of the object being read */
};

extern const struct json_grammar_ops infer_grammar_ops;

/* `rows` must have been reset. */
void infer_grammar_start(struct infer_grammar *grammar, struct rows *rows);
/* The type is still to come: rows must be held. */
bool infer_grammar_is_untyped(const struct infer_grammar *grammar);

/* Faults at the value of the member or element that is being read; return false. What is
 * no value at all is a fault of syntax. */
bool infer_fail_at(struct infer_grammar *grammar, const char *problem);
bool infer_fail_type(struct infer_grammar *grammar, const struct json_token *token,
                     const char *expected);

#endif
