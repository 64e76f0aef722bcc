/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { LISTEN_ADDRESS_MAX = 128 };

/* Binds and listens on "ADDR:PORT" ("127.0.0.1:8080", "[::1]:8080", "localhost:8080"),
 * port 0 takes a free one; or on "unix:/PATH", a socket in the file system that owner and
 * group may use: one that nobody listens on any more is replaced. `address` becomes the
 * numeric form of what was bound, or the same "unix:/PATH". */
int listen_open(int *descriptor, char address[static LISTEN_ADDRESS_MAX],
                const char *where, struct deepsad_error *error);

/* Connects to who listens on such an address of this machine; ADDR may be that of all
 * interfaces. No step on the socket takes longer than `seconds`. */
int listen_connect(int *descriptor, const char *where, int seconds,
                   struct deepsad_error *error);

/* Of a socket that listens already: its address. */
void listen_describe(char address[static LISTEN_ADDRESS_MAX], int descriptor);

/* Removes the file of "unix:/PATH", once nobody is to connect any more; else nothing. */
void listen_remove(const char *address);

/* Whether it is a "unix:/PATH". */
bool listen_is_unix(const char *where);

/* Whether only this machine reaches the address: *local. Names are looked up. */
int listen_is_local(bool *local, const char *where, struct deepsad_error *error);

/* Whether the text has that form; nothing is bound. */
int listen_check(const char *where, struct deepsad_error *error);

#endif
