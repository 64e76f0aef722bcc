/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model repository extension of the Open Inference Protocol: POST
 * /v2/repository/index lists every version on disk and whether it can score,
 * /v2/repository/models/{model}/load reads a model again, .../unload gives up the memory
 * of one until then. Loading and unloading are an operator's; models.control: none
 * refuses both.
 */
#ifndef API_REPOSITORY_H
#define API_REPOSITORY_H

#include "http/router.h"

void handle_repository_index(void *closure, struct request *request, struct reply *reply);
void handle_repository_load(void *closure, struct request *request, struct reply *reply);
void handle_repository_unload(void *closure, struct request *request,
                              struct reply *reply);

#endif
