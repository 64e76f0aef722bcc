/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

#include <arpa/inet.h>
#include <stdlib.h>

static void note_address(struct connection *own, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *four =
            (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &four->sin_addr, own->address, sizeof own->address);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six =
            (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &six->sin6_addr, own->address, sizeof own->address);
    }
}

static bool begin_tls(struct connection *own, struct MHD_Connection *connection,
                      struct tls *tls)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL) {
        return false;
    }
    own->encrypted = true;
    own->credentials = tls_begin(tls, info->tls_session);
    return true;
}

struct connection *accept_new(struct MHD_Connection *connection, struct tls *tls,
                              void *closure)
{
    struct connection *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return NULL;
    }
    own->closure = closure;
    note_address(own, connection);
    if (tls != NULL && !begin_tls(own, connection, tls)) {
        free(own);
        return NULL;
    }
    return own;
}

void accept_free(struct connection *own)
{
    tls_credentials_unref(own->credentials);
    free(own);
}

struct connection *accept_find(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

int accept_descriptor(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

void accept_note_certificate(struct connection *own, struct MHD_Connection *connection)
{
    _Static_assert((int)CONNECTION_NAME_MAX >= (int)TLS_NAME_MAX, "the name fits");
    if (own->encrypted && connection_phase(own) == CONNECTION_HEAD) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        if (info != NULL) {
            tls_client_name(own->certificate, info->tls_session);
        }
    }
}
