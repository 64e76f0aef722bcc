/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header fields a request came with, looked at in one pass, and the checks the
 * library does not make: two differing framings of one body are how requests are
 * smuggled past a proxy, so whatever is ambiguous is refused and the connection closed.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/reply.h"
#include "http/request.h"

struct head {
    unsigned hosts, lengths, encodings, content_types; /* how many of each */
    unsigned idempotency_keys, header_lengths, authorizations;
    bool has_control, is_folded, bad_target, bad_name, bad_length, unknown_transfer,
        expects;
    bool has_content_encoding, bad_key, bad_header_length;
    struct http_text request_id;
    struct http_text content_type;
    struct http_text authorization;
    struct http_text host, origin, fetch_site; /* for origin.h */
};

/* One header field; fills `head`, and of `request` length, chunked, body type, key. The
 * value ends with a NUL, as the library's do. */
void head_add(struct head *head, struct request *request, const char *name,
              size_t name_length, const char *value, size_t value_length);

/* The path and what else of the request line is wanted. */
void head_add_target(struct head *head, const char *target);

/* False: the framing is broken; reply says 400 and close. */
bool head_check(const struct head *head, const struct request *request, bool http_1_1,
                struct reply *reply);

#endif
