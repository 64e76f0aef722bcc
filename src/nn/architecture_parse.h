/* SPDX-License-Identifier: Apache-2.0 */
/* Architectures (nn/architecture.h) from a name or a text, as recipes have them. */
#ifndef NN_ARCHITECTURE_PARSE_H
#define NN_ARCHITECTURE_PARSE_H

#include "base/error.h"
#include "nn/architecture.h"

/* By name: "mnist-lenet" (8-4 channels, rep 32), "fashion-mnist-lenet" (16-32, dense 128,
 * rep 64), "cifar-10-lenet" (32-64-128, rep 128): the paper's, appendix. Or by a list of
 * steps: `conv:N` (5 x 5), `conv3x3:N` and other odd kernels, `pool`, `dense:N`, and last
 * `rep:N`; blanks are ignored. Messages name the step and what is wrong with it. */
int architecture_parse(struct architecture *out, const char *text,
                       struct deepsad_error *error);

#endif
