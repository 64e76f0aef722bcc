/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/models/{model}/retrain, GET /v1/models/{model}/jobs, GET and DELETE
 * /v1/jobs/{job}: retrainings, as the store has them, with how far the one that runs is.
 */
#ifndef API_JOBS_H
#define API_JOBS_H

#include "http/router.h"

void handle_retrain(void *closure, struct request *request, struct reply *reply);
void handle_jobs(void *closure, struct request *request, struct reply *reply);
void handle_job(void *closure, struct request *request, struct reply *reply);
void handle_job_cancel(void *closure, struct request *request, struct reply *reply);

#endif
