/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scoring in blocks of rows that stay in the cache: scale, each component, blend,
 * p-value. Nothing is allocated once the workspace has grown to the model's size. The
 * functions are those of deepsad.h, and what explanations need of a workspace.
 */
#ifndef MODEL_SCORING_H
#define MODEL_SCORING_H

#include "model/model.h"

/* Its memory, at least so many floats, SIMD_ALIGN; what was there is lost. NULL: out of
 * memory. */
float *workspace_reserve(struct deepsad_workspace *workspace, size_t floats,
                         struct deepsad_error *error);

#endif
