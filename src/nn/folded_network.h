/* SPDX-License-Identifier: Apache-2.0 */
/* A network's layers made into a folded network's steps. */
#ifndef NN_FOLDED_NETWORK_H
#define NN_FOLDED_NETWORK_H

#include "nn/folded_steps.h"

/* Fills `folded`, which has room for as many steps as the network has layers and is 0
 * else. What it allocates, also on failure, is folded_free()'s. */
int folded_fold(struct folded *folded, const struct network *network,
                struct deepsad_error *error);

#endif
