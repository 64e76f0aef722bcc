/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scoring in blocks of rows that stay in the cache: scale, each component, blend,
 * p-value. Nothing is allocated once the workspace has grown to the model's size. The
 * functions are those of deepsad.h; this header exists for the rule that every file has
 * one.
 */
#ifndef MODEL_SCORING_H
#define MODEL_SCORING_H

#include "model/model.h"

#endif
