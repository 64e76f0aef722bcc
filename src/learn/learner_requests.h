/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints ask of the learner: learner.h from learner_notice() on. */
#ifndef LEARN_LEARNER_REQUESTS_H
#define LEARN_LEARNER_REQUESTS_H

#include "learn/learner_state.h"

#endif
