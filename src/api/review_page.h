/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/models/{model}/review: which kept samples a person should look at next
 * (learn/review.h), each with what the live version says of it, which features made the
 * score, and why it is there.
 */
#ifndef API_REVIEW_PAGE_H
#define API_REVIEW_PAGE_H

#include "http/router.h"

void handle_review(void *closure, struct request *request, struct reply *reply);

#endif
