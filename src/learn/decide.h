/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From two training sets to a version: train, judge (judge.h), and publish what won, or
 * put the new labels into quarantine. The flow of decisions is in round.h.
 */
#ifndef LEARN_DECIDE_H
#define LEARN_DECIDE_H

#include "learn/round_state.h"

int decide(struct round *round, struct deepsad_error *error);

#endif
