/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What POST .../score answers, written piece by piece: thousands of rows leave here, so
 * what depends on a row only in its numbers is copied as it is.
 */
#ifndef API_SCORE_ANSWER_H
#define API_SCORE_ANSWER_H

#include "api/explanation.h"
#include "api/scoring.h"

struct score_answer {
    const struct scoring *scoring;   /* finished */
    struct explanation *explanation; /* memory to be used again */
    size_t explained;                /* features of each row */
    bool tells_kept, kept;           /* the client asked to keep; whether they are */
    size_t written;                  /* rows so far */
};

/* The start of the answer, up to the first result. */
void score_answer_head(struct score_answer *answer, struct buffer *out);

/* Some results more and, after the last, the end of the answer; rows without an id get
 * one of the worker's. False: that was all. Out of memory is out->failed. */
bool score_answer_rows(struct score_answer *answer, struct worker *worker,
                       struct buffer *out);

#endif
