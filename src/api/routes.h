/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all endpoints: the product at a glance, and what GET / shows. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "http/router.h"

extern const struct route routes[];
extern const size_t route_count;

void handle_index(void *app, struct request *request, struct reply *reply);

#endif
