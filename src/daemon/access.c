/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/access.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/listen.h"

enum { EXPIRY_WARNING = 14 /* days */ };

/* ---- Loading ----------------------------------------------------------------------- */

/* Whoever may write the file may do everything. */
static int check_mode(const char *path, struct deepsad_error *error)
{
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: others than its owner may write it; chmod go-w it", path);
    }
    return DEEPSAD_OK;
}

/* At the usual place there need not be a file. One that was there and is gone, or that
 * the configuration names, must be. */
static int load_tokens(struct tokens **out, const struct config *config, bool asked,
                       struct deepsad_error *error)
{
    const char *path = config->access.tokens;
    *out = NULL;
    if (path[0] == '\0') {
        return DEEPSAD_OK;
    }
    struct deepsad_error fault = {0};
    int status = check_mode(path, &fault);
    if (status == DEEPSAD_OK) {
        status = tokens_read(out, path, &fault);
    }
    if (status == DEEPSAD_NOT_FOUND && !asked && strcmp(path, TOKENS_PATH) == 0) {
        return DEEPSAD_OK;
    }
    if (status != DEEPSAD_OK) {
        return error_set(
            error, (enum deepsad_status)status, "access.tokens: %s%s", fault.message,
            status == DEEPSAD_NOT_FOUND ? "; deepsad token new makes it" : "");
    }
    return DEEPSAD_OK;
}

static int load_credentials(struct tls_credentials **out, const struct config *config,
                            struct deepsad_error *error)
{
    struct tls_files files = {
        .certificate = config->tls.certificate,
        .key = config->tls.key,
        .client_authorities = config->tls.client_authorities,
        .clients = (enum tls_clients)config->tls.clients,
    };
    *out = NULL;
    if (files.certificate[0] == '\0') {
        return DEEPSAD_OK;
    }
    int status = tls_load(out, &files, error);
    if (status != DEEPSAD_OK) {
        error_prefix(error, "tls");
    }
    return status;
}

static int check_exposure(const struct config *config, const struct access_next *next,
                          struct deepsad_error *error)
{
    bool local = true;
    int insecure = config->server.insecure;
    int status = listen_is_local(&local, config->server.listen, error);
    if (status != DEEPSAD_OK || local) {
        return status;
    }
    bool asks = next->tokens != NULL || config->tls.clients == TLS_CLIENTS_REQUIRED;
    if (!asks && insecure != INSECURE_OPEN) {
        return error_set(
            error, DEEPSAD_INVALID,
            "server.listen: other machines reach %s, and nobody is asked who "
            "they are; make tokens (deepsad token new NAME --role ROLE --file "
            "%s), or require client certificates (tls.clients), or say "
            "server.insecure: open",
            config->server.listen, config->access.tokens);
    }
    if (next->credentials == NULL && insecure == INSECURE_NEVER) {
        return error_set(error, DEEPSAD_INVALID,
                         "server.listen: other machines reach %s, and tokens and samples "
                         "would go over the network for all to read; set tls.certificate "
                         "and tls.key, or, behind a proxy that has TLS, "
                         "server.insecure: cleartext",
                         config->server.listen);
    }
    return DEEPSAD_OK;
}

int access_load(struct access_next *out, const struct config *config,
                const struct access *running, struct deepsad_error *error)
{
    struct access_next next = {.tokens = NULL};
    int status =
        load_tokens(&next.tokens, config, running != NULL && running->asked, error);
    if (status == DEEPSAD_OK) {
        status = load_credentials(&next.credentials, config, error);
    }
    if (status == DEEPSAD_OK && running != NULL &&
        (running->tls != NULL) != (next.credentials != NULL)) {
        status = error_set(error, DEEPSAD_INVALID,
                           "tls.certificate: TLS is switched %s by a restart only",
                           running->tls == NULL ? "on" : "off");
    }
    if (status == DEEPSAD_OK) {
        status = check_exposure(config, &next, error);
    }
    if (status == DEEPSAD_OK) {
        status = audit_open(&next.audit, config->log.audit, error);
    }
    if (status != DEEPSAD_OK) {
        access_next_done(&next);
        return status;
    }
    *out = next;
    return DEEPSAD_OK;
}

void access_next_done(struct access_next *next)
{
    tokens_unref(next->tokens);
    tls_credentials_unref(next->credentials);
    audit_close(&next->audit);
    *next = (struct access_next){.tokens = NULL};
}

/* ---- Taking over ------------------------------------------------------------------- */

void access_reload(struct access *access, struct access_next *next,
                   const struct config *config)
{
    access->asked = next->tokens != NULL;
    auth_set(access->auth, next->tokens);
    quota_set(access->quota, config->limits.client_rate,
              (double)config->limits.client_burst);
    if (access->tls != NULL && next->credentials != NULL) {
        access->certificate_ends = tls_credentials_expire(next->credentials);
        tls_set(access->tls, next->credentials);
    } else {
        tls_credentials_unref(next->credentials);
    }
    audit_set(access->audit, &next->audit);
    *next = (struct access_next){.tokens = NULL};
}

int access_start(struct access *access, struct access_next *next,
                 const struct config *config, struct deepsad_error *error)
{
    access->auth = auth_new();
    access->quota = quota_new();
    access->audit = audit_new();
    bool made = access->auth != NULL && access->quota != NULL && access->audit != NULL;
    if (made && next->credentials != NULL) {
        access->tls = tls_new();
        made = access->tls != NULL;
    }
    if (!made) {
        access_next_done(next);
        return error_no_memory(error, "tokens and quotas");
    }
    access_reload(access, next, config);
    return DEEPSAD_OK;
}

void access_log(const struct access *access, const struct config *config)
{
    if (!access->asked && config->tls.clients != TLS_CLIENTS_REQUIRED) {
        bool open = config->server.insecure == INSECURE_OPEN;
        log_event(open ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                  open ? "nobody is asked for a token"
                       : "there are no tokens: only this machine is served",
                  LOG_TEXT("tokens", config->access.tokens));
    }
    int64_t left = access->certificate_ends - clock_realtime_ms() / 1000;
    if (access->tls != NULL && left < (int64_t)EXPIRY_WARNING * 86400) {
        log_event(LOG_LEVEL_WARNING,
                  left < 0 ? "the certificate has expired" : "the certificate ends soon",
                  LOG_TEXT("certificate", config->tls.certificate),
                  LOG_NUMBER("days_left", (double)left / 86400));
    }
}

void access_done(struct access *access)
{
    auth_free(access->auth);
    quota_free(access->quota);
    tls_free(access->tls);
    audit_free(access->audit);
}
