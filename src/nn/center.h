/* SPDX-License-Identifier: Apache-2.0 */
/* The center of Deep SAD, around which training gathers the normal rows. */
#ifndef NN_CENTER_H
#define NN_CENTER_H

#include "base/error.h"
#include "nn/network.h"
#include "nn/trainer.h"

/* c = mean of phi over the data in eval mode; |c_j| < 0.1 becomes +-0.1 (section 3, as
 * the paper's code). center (encoder->outputs). DEEPSAD_INVALID where the rows do not fit
 * or phi is not finite. */
int center_fit(float *center, const struct network *encoder,
               const struct trainer_data *data, struct deepsad_error *error);

#endif
