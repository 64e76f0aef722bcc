/* SPDX-License-Identifier: Apache-2.0 */
/* A reply as the library's response: its body, at once or in pieces, and its fields. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <microhttpd.h>

#include "http/exchange.h"

/* Reads the exchange's reply, which must outlive it. `closes`: the connection ends with
 * it; `encrypted`: it goes over TLS. NULL: out of memory. */
struct MHD_Response *response_new(struct exchange *exchange, bool closes, bool encrypted);

#endif
