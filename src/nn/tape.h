/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a network forward and backward over a batch: the tape keeps what the way back
 * needs of each layer. Rows go in and come out as rows; on the way, layers on images have
 * them in lanes (nn/lanes.h). All memory is taken when the tape is made, none per step.
 * One thread at a time.
 */
#ifndef NN_TAPE_H
#define NN_TAPE_H

#include <stddef.h>

#include "base/crew.h"
#include "base/error.h"
#include "nn/network.h"

struct tape;

/* For networks of `network`'s layers and batches of at most `rows`. Layers on images run
 * in the threads of `crew`, which must outlive the tape; NULL = the caller's alone. The
 * results are the same bits for any number of threads. */
int tape_new(struct tape **out, const struct network *network, size_t rows,
             struct crew *crew, struct deepsad_error *error);
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
