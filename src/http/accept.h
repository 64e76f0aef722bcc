/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning and the end of a connection, as far as the library has a part in them:
 * who is at its other end, and the TLS that it begins with. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include <microhttpd.h>

#include "http/connection.h"
#include "http/tls.h"

/* Ours for one that was just accepted; `tls` is NULL where there is none. NULL: out of
 * memory. */
struct connection *accept_new(struct MHD_Connection *connection, struct tls *tls,
                              void *closure);
/* Once it is in no table any more. */
void accept_free(struct connection *own);

/* Ours of the library's; NULL: it has none. */
struct connection *accept_find(struct MHD_Connection *connection);
/* The descriptor of its socket; -1 = none. */
int accept_descriptor(struct MHD_Connection *connection);
/* With the first head of an encrypted one, when the handshake is over: whose certificate
 * the client has shown. */
void accept_note_certificate(struct connection *own, struct MHD_Connection *connection);

#endif
