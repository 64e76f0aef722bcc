/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST, GET, DELETE /v1/models/{model}/labels[/{label_id}]: verdicts in, the journal out,
 * withdrawal. An answer of 201 leaves when the labels are on the disk; all of a request
 * are written, or none. Whoever does not get the answer repeats the request with the same
 * Idempotency-Key and gets the one there was.
 */
#ifndef API_LABELS_H
#define API_LABELS_H

#include "http/router.h"

void handle_labels_add(void *closure, struct request *request, struct reply *reply);
void handle_labels(void *closure, struct request *request, struct reply *reply);
void handle_label_withdraw(void *closure, struct request *request, struct reply *reply);
void handle_labels_withdraw(void *closure, struct request *request, struct reply *reply);

#endif
