/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { LISTEN_ADDRESS_MAX = 80 };

/* Binds and listens on "ADDR:PORT" ("127.0.0.1:8080", "[::1]:8080", "localhost:8080");
 * port 0 takes a free one. `address` becomes the numeric form of what was bound. */
int listen_open(int *descriptor, char address[static LISTEN_ADDRESS_MAX],
                const char *where, struct deepsad_error *error);

/* Whether only this machine reaches the address: *local. Names are looked up. */
int listen_is_local(bool *local, const char *where, struct deepsad_error *error);

/* Whether the text has that form; nothing is bound. */
int listen_check(const char *where, struct deepsad_error *error);

#endif
