/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a round's training sets, made of what was collected. Rows of the first
 * training that were judged since, or for which there is no room beside the traffic,
 * stand aside (model/training_set.h), in an order that depends on their content alone: a
 * label that is taken back leaves no trace in the next set.
 */
#ifndef LEARN_TRAINING_ROWS_H
#define LEARN_TRAINING_ROWS_H

#include "learn/collect.h"

/* The unlabeled rows, the labels that came with the first data set, the old labels and,
 * if `fresh`, the new ones. The set is complete in itself. */
int training_rows_make(struct training_set *out, const struct collected *collected,
                       bool fresh, const struct policy *policy,
                       struct deepsad_error *error);

/* *out: whether enough of the set's traffic is new to the champion for its p-values to be
 * made anew. */
int training_rows_moved(bool *out, const struct collected *collected,
                        const struct training_set *set, struct deepsad_error *error);

#endif
