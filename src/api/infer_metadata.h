/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Open Inference Protocol tells of the server and its models: GET /v2, GET
 * /v2/models/{model}[/versions/{version}] and .../ready, where 200 stands for yes and 4xx
 * for no.
 */
#ifndef API_INFER_METADATA_H
#define API_INFER_METADATA_H

#include "http/router.h"

void handle_server_metadata(void *closure, struct request *request, struct reply *reply);
void handle_model_metadata(void *closure, struct request *request, struct reply *reply);
void handle_model_ready(void *closure, struct request *request, struct reply *reply);

#endif
