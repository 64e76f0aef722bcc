/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models/{model}/samples/{sample_id}: a kept sample with all its labels. */
#ifndef API_SAMPLES_H
#define API_SAMPLES_H

#include "http/router.h"

void handle_sample(void *closure, struct request *request, struct reply *reply);

#endif
