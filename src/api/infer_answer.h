/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to an inference request: its JSON, piece by piece, and its binary tensors.
 */
#ifndef API_INFER_ANSWER_H
#define API_INFER_ANSWER_H

#include "api/infer_grammar.h"
#include "api/scoring.h"

struct infer_answer {
    const struct scoring *scoring; /* finished */
    const char *id;                /* of the request; NULL = none */
    size_t id_length;
    bool tells_kept, kept; /* the client asked to keep; whether they are */
    size_t count;          /* outputs, in the order in which they are wanted */
    enum infer_output outputs[INFER_OUTPUTS];
    bool binary[INFER_OUTPUTS];
    size_t output, written; /* which comes next, and how many of its values have gone */
};

/* What the request asks for; all outputs where it names none. `raw`: it was a raw one. */
void infer_answer_start(struct infer_answer *answer, const struct scoring *scoring,
                        const struct infer_grammar *grammar, bool raw);
bool infer_answer_is_binary(const struct infer_answer *answer);

/* Up to the first output. */
void infer_answer_head(struct infer_answer *answer, struct buffer *out);
/* Some values more and, behind the last, the end of the JSON. False: that was all. Out of
 * memory is out->failed. */
bool infer_answer_next(struct infer_answer *answer, struct buffer *out);
/* The tensors that leave as binary data, behind the JSON. */
void infer_answer_tensors(const struct infer_answer *answer, struct buffer *out);

#endif
