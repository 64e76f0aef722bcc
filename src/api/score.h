/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/models/{model}/score and /v1/models/{model}/versions/{version}/score: bytes of
 * the request -> float rows (json_rows.h, csv_rows.h, npy_rows.h) -> scores and p-values
 * (scoring.h) -> answer (score_answer.h). The model is acquired once, when the head has
 * come, so one answer is one version.
 */
#ifndef API_SCORE_H
#define API_SCORE_H

#include "api/app.h"
#include "http/router.h"

bool score_begin(void *closure, struct request *request, struct reply *reply);
void score_body(void *closure, struct request *request, const char *bytes, size_t size);
void score_handle(void *closure, struct request *request, struct reply *reply);
void score_end(void *closure, struct request *request);
/* Of models whose policy batches, to the batcher. */
bool score_defers(void *closure, struct request *request);
bool score_defer(void *closure, struct request *request, struct executor_task *task);

/* Frees the states a worker keeps. */
void score_free_idle(struct worker *worker);

#endif
