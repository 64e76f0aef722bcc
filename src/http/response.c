/* SPDX-License-Identifier: Apache-2.0 */
#include "http/response.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Bytes that the library takes at once of an answer that comes in pieces. */
enum { REPLY_PIECE = 64 << 10 };

/* ---- Fields ------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void
add_header(struct MHD_Response *response, const char *name, const char *format, ...)
{
    char value[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    MHD_add_response_header(response, name, value);
}

/* draft-ietf-httpapi-ratelimit-headers: q requests in w seconds; r are left, and t
 * seconds until all are there again. */
static void add_quota(struct MHD_Response *response, const struct quota_state *quota)
{
    if (quota->limited) {
        add_header(response, "RateLimit-Policy", "\"requests\";q=%" PRIu64 ";w=%.0f",
                   quota->burst, ceil(quota->window));
        add_header(response, "RateLimit", "\"requests\";r=%" PRIu64 ";t=%.0f",
                   quota->left, ceil(quota->whole));
    }
}

/* What keeps a browser from making more of an answer than the data that it is. Only of
 * what a browser can be led to: other methods take a script, which is refused before. */
static void add_security(struct MHD_Response *response, bool encrypted)
{
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (encrypted) {
        MHD_add_response_header(response, "Strict-Transport-Security",
                                "max-age=31536000");
    }
}

static void add_headers(struct MHD_Response *response, const struct exchange *exchange,
                        bool closes, bool encrypted)
{
    const struct reply *reply = &exchange->reply;
    enum http_method method = exchange->request.method;
    MHD_add_response_header(response, "Content-Type", reply->content_type);
    MHD_add_response_header(response, "X-Request-Id", exchange->request.id);
    if (reply->status == 405) {
        MHD_add_response_header(response, "Allow", reply->allow);
    }
    if (reply->location[0] != '\0') {
        MHD_add_response_header(response, "Location", reply->location);
    }
    if (reply->authenticate != NULL) {
        MHD_add_response_header(response, "WWW-Authenticate", reply->authenticate);
    }
    if (reply->retry_after > 0) {
        add_header(response, "Retry-After", "%u", reply->retry_after);
    }
    if (reply->has_header_length) {
        add_header(response, "Inference-Header-Content-Length", "%zu",
                   reply->header_length);
    }
    add_quota(response, &reply->quota);
    if (method == HTTP_GET || method == HTTP_HEAD) {
        add_security(response, encrypted);
    }
    if (closes) {
        MHD_add_response_header(response, "Connection", "close");
    }
}

/* ---- The body ---------------------------------------------------------------------- */

/* The library's reader of a body that comes in pieces. */
static ssize_t on_more(void *closure, uint64_t position, char *out, size_t room)
{
    struct exchange *exchange = closure;
    const struct buffer *body = &exchange->reply.body;
    (void)position;
    if (!exchange_more(exchange)) {
        return body->failed ? MHD_CONTENT_READER_END_WITH_ERROR
                            : MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t size = body->length - exchange->taken;
    size = size < room ? size : room;
    memcpy(out, body->data + exchange->taken, size);
    exchange->taken += size;
    exchange->sent += size;
    return (ssize_t)size;
}

/* The bytes stay with the exchange. */
static struct MHD_Response *make(struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    if (reply->next != NULL) {
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, REPLY_PIECE, on_more,
                                                 exchange, NULL);
    }
    exchange->sent = reply->body.length;
    return MHD_create_response_from_buffer(reply->body.length, reply->body.data,
                                           MHD_RESPMEM_PERSISTENT);
}

struct MHD_Response *response_new(struct exchange *exchange, bool closes, bool encrypted)
{
    struct MHD_Response *response = make(exchange);
    if (response != NULL) {
        add_headers(response, exchange, closes, encrypted);
    }
    return response;
}
