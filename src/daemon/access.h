/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is let in: tokens, certificates, quotas and the audit log, made from the
 * configuration and made anew by a reload, all or none. And the rule that a daemon which
 * other machines reach asks them who they are and lets nobody listen in, unless
 * server.insecure says otherwise.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include "api/audit.h"
#include "daemon/config.h"
#include "http/auth.h"
#include "http/quota.h"
#include "http/tls.h"

/* What the server is given; plain value. */
struct access {
    struct auth *auth;
    struct quota *quota;
    struct tls *tls; /* NULL: without */
    struct audit *audit;
    bool asked;               /* tokens are in force */
    int64_t certificate_ends; /* seconds since 1970 */
};

/* What is read anew; to be taken over or dropped. */
struct access_next {
    struct tokens *tokens;               /* NULL: nobody is asked */
    struct tls_credentials *credentials; /* NULL: without TLS */
    struct audit_sink audit;
};

/* Reads tokens and certificates, opens the audit log, and checks that the address may be
 * listened on. `running`: what is in force, NULL at the start. */
int access_load(struct access_next *out, const struct config *config,
                const struct access *running, struct deepsad_error *error);
void access_next_done(struct access_next *next);

/* At the start; takes over `next`. */
int access_start(struct access *access, struct access_next *next,
                 const struct config *config, struct deepsad_error *error);
/* At a reload; takes over `next`. */
void access_reload(struct access *access, struct access_next *next,
                   const struct config *config);
/* Says what an operator should know: that nobody is asked, that a certificate ends. */
void access_log(const struct access *access, const struct config *config);
/* After the servers are gone. */
void access_done(struct access *access);

#endif
