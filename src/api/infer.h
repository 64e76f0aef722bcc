/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v2/models/{model}[/versions/{version}]/infer: the Open Inference Protocol, with
 * its extension for binary tensors. The request's JSON goes through infer_grammar.h, the
 * binary data behind it (all of the body where Inference-Header-Content-Length is 0)
 * through raw_rows.h; scoring.h scores, infer_answer.h answers.
 */
#ifndef API_INFER_H
#define API_INFER_H

#include "api/app.h"
#include "http/router.h"

bool infer_begin(void *closure, struct request *request, struct reply *reply);
void infer_body(void *closure, struct request *request, const char *bytes, size_t size);
void infer_handle(void *closure, struct request *request, struct reply *reply);
void infer_end(void *closure, struct request *request);
/* Of models whose policy batches, to the batcher. */
bool infer_defers(void *closure, struct request *request);
bool infer_defer(void *closure, struct request *request, struct executor_task *task);

/* Frees the states a worker keeps. */
void infer_free_idle(struct worker *worker);

#endif
