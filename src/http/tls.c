/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20, CHAIN_MAX = 16 };

struct tls_credentials {
    atomic_size_t references;
    enum tls_clients clients;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_length;
    gnutls_privkey_t key;
    gnutls_x509_trust_list_t authorities; /* NULL where no client is asked */
    int64_t expire;
};

struct tls {
    pthread_mutex_t mutex;
    struct tls_credentials *credentials;
};

/* ---- Credentials ------------------------------------------------------------------- */

void tls_credentials_unref(struct tls_credentials *credentials)
{
    if (credentials == NULL || atomic_fetch_sub(&credentials->references, 1) != 1) {
        return;
    }
    for (unsigned i = 0; i < credentials->chain_length; i++) {
        gnutls_pcert_deinit(&credentials->chain[i]);
    }
    gnutls_privkey_deinit(credentials->key);
    if (credentials->authorities != NULL) {
        gnutls_x509_trust_list_deinit(credentials->authorities, 1);
    }
    free(credentials);
}

int64_t tls_credentials_expire(const struct tls_credentials *credentials)
{
    return credentials->expire;
}

/* `what` was looked for in the file. */
static int fail(struct deepsad_error *error, const char *path, const char *what, int code)
{
    return error_set(error, DEEPSAD_INVALID,
                     "%s: no %s that can be used is there, in PEM: %s", path, what,
                     gnutls_strerror(code));
}

/* The content of a PEM file in `buffer`, seen as what GnuTLS takes. */
static int read_pem(struct buffer *buffer, gnutls_datum_t *out, const char *path,
                    struct deepsad_error *error)
{
    int status = file_read(buffer, path, FILE_MAX, error);
    *out = (gnutls_datum_t){(unsigned char *)buffer->data, (unsigned)buffer->length};
    return status;
}

static int note_expiry(struct tls_credentials *credentials, const gnutls_datum_t *pem,
                       const char *path, struct deepsad_error *error)
{
    gnutls_x509_crt_t first;
    int code = gnutls_x509_crt_init(&first);
    if (code < 0) {
        return fail(error, path, "certificate", code);
    }
    code = gnutls_x509_crt_import(first, pem, GNUTLS_X509_FMT_PEM);
    credentials->expire = code < 0 ? 0 : gnutls_x509_crt_get_expiration_time(first);
    gnutls_x509_crt_deinit(first);
    return code < 0 ? fail(error, path, "certificate", code) : DEEPSAD_OK;
}

static int load_chain(struct tls_credentials *credentials, const char *path,
                      struct deepsad_error *error)
{
    struct buffer content = {0};
    gnutls_datum_t pem;
    int status = read_pem(&content, &pem, path, error);
    if (status == DEEPSAD_OK) {
        unsigned length = CHAIN_MAX;
        int code = gnutls_pcert_list_import_x509_raw(credentials->chain, &length, &pem,
                                                     GNUTLS_X509_FMT_PEM, 0);
        credentials->chain_length = code < 0 ? 0 : length;
        status = code < 0 ? fail(error, path, "certificate", code)
                          : note_expiry(credentials, &pem, path, error);
    }
    buffer_done(&content);
    return status;
}

static int load_key(struct tls_credentials *credentials, const char *path,
                    struct deepsad_error *error)
{
    struct buffer content = {0};
    gnutls_datum_t pem;
    int code = gnutls_privkey_init(&credentials->key);
    if (code < 0) {
        return fail(error, path, "private key", code);
    }
    int status = read_pem(&content, &pem, path, error);
    if (status == DEEPSAD_OK) {
        code = gnutls_privkey_import_x509_raw(credentials->key, &pem, GNUTLS_X509_FMT_PEM,
                                              NULL, 0);
        status = code < 0 ? fail(error, path, "private key", code) : DEEPSAD_OK;
    }
    if (content.data != NULL) {
        explicit_bzero(content.data, content.length);
    }
    buffer_done(&content);
    return status;
}

/* Whether the key is that of the certificate: signs something and verifies it. */
static int check_pair(const struct tls_credentials *credentials,
                      const struct tls_files *files, struct deepsad_error *error)
{
    gnutls_pubkey_t of_key;
    unsigned char one[64], other[64];
    size_t one_size = sizeof one, other_size = sizeof other;
    int code = gnutls_pubkey_init(&of_key);
    if (code >= 0) {
        code = gnutls_pubkey_import_privkey(of_key, credentials->key, 0, 0);
        code = code < 0 ? code : gnutls_pubkey_get_key_id(of_key, 0, one, &one_size);
        code = code < 0 ? code
                        : gnutls_pubkey_get_key_id(credentials->chain[0].pubkey, 0, other,
                                                   &other_size);
        gnutls_pubkey_deinit(of_key);
    }
    if (code < 0) {
        return fail(error, files->key, "private key", code);
    }
    if (one_size != other_size || memcmp(one, other, one_size) != 0) {
        return error_set(error, DEEPSAD_INVALID, "%s: not the key of the certificate %s",
                         files->key, files->certificate);
    }
    return DEEPSAD_OK;
}

static int load_authorities(struct tls_credentials *credentials, const char *path,
                            struct deepsad_error *error)
{
    int code = gnutls_x509_trust_list_init(&credentials->authorities, 0);
    if (code >= 0) {
        code = gnutls_x509_trust_list_add_trust_file(credentials->authorities, path, NULL,
                                                     GNUTLS_X509_FMT_PEM, 0, 0);
    }
    if (code < 0) {
        return fail(error, path, "certificate", code);
    }
    return code > 0
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_INVALID, "%s: no certificate is there", path);
}

int tls_load(struct tls_credentials **out, const struct tls_files *files,
             struct deepsad_error *error)
{
    struct tls_credentials *credentials = calloc(1, sizeof *credentials);
    if (credentials == NULL) {
        return error_no_memory(error, "the certificate");
    }
    atomic_init(&credentials->references, 1);
    credentials->clients = files->clients;
    int status = load_chain(credentials, files->certificate, error);
    if (status == DEEPSAD_OK) {
        status = load_key(credentials, files->key, error);
    }
    if (status == DEEPSAD_OK) {
        status = check_pair(credentials, files, error);
    }
    if (status == DEEPSAD_OK && files->clients != TLS_CLIENTS_NONE) {
        status = load_authorities(credentials, files->client_authorities, error);
    }
    if (status != DEEPSAD_OK) {
        tls_credentials_unref(credentials);
        return status;
    }
    *out = credentials;
    return DEEPSAD_OK;
}

/* ---- Of a server ------------------------------------------------------------------- */

struct tls *tls_new(void)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls != NULL) {
        pthread_mutex_init(&tls->mutex, NULL);
    }
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls != NULL) {
        tls_credentials_unref(tls->credentials);
        pthread_mutex_destroy(&tls->mutex);
        free(tls);
    }
}

void tls_set(struct tls *tls, struct tls_credentials *credentials)
{
    pthread_mutex_lock(&tls->mutex);
    struct tls_credentials *old = tls->credentials;
    tls->credentials = credentials;
    pthread_mutex_unlock(&tls->mutex);
    tls_credentials_unref(old);
}

/* ---- Of a connection --------------------------------------------------------------- */

/* The certificate that the client shows, read anew. */
static int import_peer(gnutls_x509_crt_t *out, const gnutls_datum_t *der)
{
    int code = gnutls_x509_crt_init(out);
    if (code >= 0 &&
        (code = gnutls_x509_crt_import(*out, der, GNUTLS_X509_FMT_DER)) < 0) {
        gnutls_x509_crt_deinit(*out);
    }
    return code;
}

static bool is_trusted(gnutls_x509_trust_list_t authorities, const gnutls_datum_t *shown,
                       unsigned count)
{
    static const char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned length = 0, fault = 0;
    gnutls_typed_vdata_st data = {0};
    data.type = GNUTLS_DT_KEY_PURPOSE_OID;
    data.data = (unsigned char *)(uintptr_t)purpose;
    while (length < count && length < CHAIN_MAX &&
           import_peer(&chain[length], &shown[length]) >= 0) {
        length++;
    }
    int code = length < count
                   ? GNUTLS_E_CERTIFICATE_ERROR
                   : gnutls_x509_trust_list_verify_crt2(authorities, chain, length, &data,
                                                        1, 0, &fault, NULL);
    for (unsigned i = 0; i < length; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    return code >= 0 && fault == 0;
}

/* 0: the handshake goes on. */
static int verify(gnutls_session_t session)
{
    const struct tls_credentials *credentials = gnutls_session_get_ptr(session);
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    if (shown == NULL || count == 0) {
        return credentials->clients == TLS_CLIENTS_REQUIRED
                   ? GNUTLS_E_CERTIFICATE_REQUIRED
                   : 0;
    }
    return is_trusted(credentials->authorities, shown, count)
               ? 0
               : GNUTLS_E_CERTIFICATE_ERROR;
}

struct tls_credentials *tls_begin(struct tls *tls, gnutls_session_t session)
{
    pthread_mutex_lock(&tls->mutex);
    struct tls_credentials *credentials = tls->credentials;
    atomic_fetch_add(&credentials->references, 1);
    pthread_mutex_unlock(&tls->mutex);
    gnutls_session_set_ptr(session, credentials);
    if (credentials->clients != TLS_CLIENTS_NONE) {
        gnutls_certificate_server_set_request(
            session, credentials->clients == TLS_CLIENTS_REQUIRED ? GNUTLS_CERT_REQUIRE
                                                                  : GNUTLS_CERT_REQUEST);
        gnutls_session_set_verify_function(session, verify);
    }
    return credentials;
}

void tls_client_name(char name[static TLS_NAME_MAX + 1], gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t first;
    size_t size = TLS_NAME_MAX + 1;
    name[0] = '\0';
    if (shown == NULL || count == 0 || import_peer(&first, &shown[0]) < 0) {
        return;
    }
    if (gnutls_x509_crt_get_dn_by_oid(first, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
                                      &size) < 0) {
        name[0] = '\0';
    }
    gnutls_x509_crt_deinit(first);
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities,
                 int authority_count, const gnutls_pk_algorithm_t *algorithms,
                 int algorithm_count, gnutls_pcert_st **certificates,
                 unsigned *certificate_count, gnutls_privkey_t *key)
{
    struct tls_credentials *credentials = gnutls_session_get_ptr(session);
    (void)authorities;
    (void)authority_count;
    (void)algorithms;
    (void)algorithm_count;
    *certificates = credentials->chain;
    *certificate_count = credentials->chain_length;
    *key = credentials->key;
    return 0;
}
