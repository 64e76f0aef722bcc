/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS by GnuTLS: the certificate that a server shows, the authorities whose certificates
 * clients may show, and how both are replaced while connections are open. A connection
 * keeps the credentials that it began with; the next one gets the new ones.
 *
 * TLS 1.2 and 1.3 with forward secrecy, nothing older.
 *
 * Lock: guards the pointer to the credentials; a leaf.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* GnuTLS's words for that. */
#define TLS_PRIORITIES \
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE"

enum tls_clients { TLS_CLIENTS_NONE, TLS_CLIENTS_OPTIONAL, TLS_CLIENTS_REQUIRED };

/* Paths of PEM files. */
struct tls_files {
    const char *certificate; /* the server's, then those that lead to its authority */
    const char *key;
    const char *client_authorities; /* "" where no client is asked */
    enum tls_clients clients;
};

struct tls;
struct tls_credentials;

/* Reads and checks the files; errors name the file. */
int tls_load(struct tls_credentials **out, const struct tls_files *files,
             struct deepsad_error *error);
/* Accepts NULL. */
void tls_credentials_unref(struct tls_credentials *credentials);
/* Seconds since 1970 at which the server's certificate ends. */
int64_t tls_credentials_expire(const struct tls_credentials *credentials);

/* At first without credentials. NULL: out of memory. */
struct tls *tls_new(void);
void tls_free(struct tls *tls);
/* Takes over the reference; for connections from now on. */
void tls_set(struct tls *tls, struct tls_credentials *credentials);

/* Of a connection, before its handshake: the credentials that it works with, with a
 * reference for it. */
struct tls_credentials *tls_begin(struct tls *tls, gnutls_session_t session);
/* After it: the name (CN) in the client's certificate, "" where it has shown none. */
enum { TLS_NAME_MAX = 128 };
void tls_client_name(char name[static TLS_NAME_MAX + 1], gnutls_session_t session);

/* The library's question for the server's certificate. */
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities,
                 int authority_count, const gnutls_pk_algorithm_t *algorithms,
                 int algorithm_count, gnutls_pcert_st **certificates,
                 unsigned *certificate_count, gnutls_privkey_t *key);

#endif
