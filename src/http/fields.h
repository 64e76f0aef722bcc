/* SPDX-License-Identifier: Apache-2.0 */
/* The header fields and the arguments of the query as the library hands them out, and
 * what it makes of a head that it should have refused. */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include <microhttpd.h>

#include "http/head.h"

/* Adds them to both. */
void fields_read(struct head *head, struct request *request,
                 struct MHD_Connection *connection);

#endif
