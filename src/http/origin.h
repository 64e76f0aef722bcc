/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page that somebody's browser shows must not command a daemon on that person's machine
 * or network: browsers send such requests, but say where they come from. Requests that
 * change something are refused where that is another site; what no browser sends has
 * neither of these fields and is not concerned.
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include "http/head.h"

/* False: another site's; the reply is the problem, 403. */
bool origin_check(const struct head *head, const struct request *request,
                  struct reply *reply);

#endif
