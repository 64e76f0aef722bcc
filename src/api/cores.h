/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cores that scoring has, one thread of a server each. A request of many rows takes
 * those that have nothing to do as well: its rows are then scored by several threads at
 * once. The scores are the same, bit for bit.
 */
#ifndef API_CORES_H
#define API_CORES_H

#include "deepsad.h"

struct cores;

/* `threads`: how many may score at once, at least 1. */
int cores_new(struct cores **out, size_t threads, struct deepsad_error *error);
void cores_free(struct cores *cores);

/* As deepsad_score(), with the caller's workspace. From any thread. `cores` NULL: the
 * caller's alone. */
int cores_score(struct cores *cores, const struct deepsad_model *model,
                struct deepsad_workspace *workspace, float *scores, float *p_values,
                const float *x, size_t rows);

#endif
