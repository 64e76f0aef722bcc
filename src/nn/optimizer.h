/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adam (Kingma and Ba, 2015), by the formulas of torch.optim.Adam and AdamW: betas .9 and
 * .999, epsilon 1e-8 outside the root, bias-corrected.
 */
#ifndef NN_OPTIMIZER_H
#define NN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct optimizer;

/* `weight_decay`: decoupled (AdamW): params shrink by learning rate x decay; else L2: the
 * gradient grows by decay x params. */
int optimizer_new(struct optimizer **out, size_t count, float weight_decay,
                  bool decoupled, struct deepsad_error *error);
void optimizer_free(struct optimizer *optimizer);

/* One step: params (count) follow grads (count). */
void optimizer_step(struct optimizer *optimizer, float *params, const float *grads,
                    double learning_rate);

#endif
