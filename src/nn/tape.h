/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a network forward and backward over a batch: the tape keeps each layer's output
 * for the way back. All memory is taken when the tape is made, none per step. One thread
 * at a time.
 */
#ifndef NN_TAPE_H
#define NN_TAPE_H

#include <stddef.h>

#include "base/error.h"
#include "nn/network.h"

struct tape;

/* For networks of `network`'s layers and batches of at most `rows`. */
int tape_new(struct tape **out, const struct network *network, size_t rows,
             struct deepsad_error *error);
void tape_free(struct tape *tape);

/* The network's output (rows, outputs) for x (rows, inputs), owned by the tape. Training
 * mode: batch statistics, which also move the running ones. x must live until
 * tape_backward. */
const float *tape_forward_train(struct tape *tape, struct network *network,
                                const float *x, size_t rows);
/* Eval mode: running statistics. Rows do not influence each other. */
const float *tape_forward_eval(struct tape *tape, const struct network *network,
                               const float *x, size_t rows);

/* Where the loss writes its gradient by the output, for tape_backward. */
float *tape_output_gradient(struct tape *tape);

/* After tape_forward_train and the loss: fills network->grads. */
void tape_backward(struct tape *tape, struct network *network);

#endif
