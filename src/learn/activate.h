/* SPDX-License-Identifier: Apache-2.0 */
/* The live version by hand: learner_activate() and learner_release() of learner.h. */
#ifndef LEARN_ACTIVATE_H
#define LEARN_ACTIVATE_H

#include "learn/learner_state.h"

#endif
