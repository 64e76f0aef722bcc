/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deepsad_split, declared in deepsad.h: the paper's semi-supervised setting. With N the
 * rows of the training part, of these n unlabeled and m labelled,
 *
 *     gamma_l = labelled anomalies / N,  gamma_p = unlabeled anomalies / n.
 *
 * All normal rows are kept; the two ratios decide how many anomalies are, the others are
 * left out. Rows that come unlabeled stay so, in the training part, and count among the
 * n. The test part depends on the seed and its share alone, and more labels at one seed
 * are a superset of fewer: comparisons along gamma_l see the same rows.
 */
#ifndef DATA_SPLIT_H
#define DATA_SPLIT_H

#include "deepsad.h"

#endif
