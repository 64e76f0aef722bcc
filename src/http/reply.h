/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an endpoint answers. Errors leave only through reply_problem() and
 * reply_problem_at(): one body for all of them (RFC 9457), application/problem+json, on
 * paths below /v2 application/json, which is what clients of that protocol read.
 */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include <jansson.h>

#include "base/buffer.h"
#include "http/quota.h"
#include "http/request.h"

struct reply {
    unsigned status;
    const char *content_type; /* a constant */
    struct buffer body;
    char allow[64];           /* Allow, of 405 */
    char location[256];       /* Location; "" = no such header */
    unsigned retry_after;     /* seconds; 0 = no such header */
    bool close;               /* the connection ends with this answer */
    const char *authenticate; /* WWW-Authenticate, a constant; NULL = no such header */
    struct quota_state quota; /* RateLimit, where the client has a quota */
    /* Inference-Header-Content-Length: bytes of JSON before binary tensors */
    bool has_header_length;
    size_t header_length;
    /* Of an answer that is too long to be held, `body` is the start. Called in the
     * connection's thread, with its worker, whenever the client has taken the piece
     * before: appends the next one. False: there is no more. NULL: `body` is all. */
    bool (*next)(struct request *request, struct buffer *piece);
};

/* Ready for the next request; keeps the buffer's memory. */
void reply_clear(struct reply *reply);
void reply_done(struct reply *reply);

/* Takes over the reference to `json`; NULL (out of memory) becomes a problem 500. */
void reply_json(const struct request *request, struct reply *reply, unsigned status,
                json_t *json);

__attribute__((format(printf, 4, 5))) void reply_problem(const struct request *request,
                                                         struct reply *reply,
                                                         unsigned status,
                                                         const char *format, ...);

/* The same with the place of the fault, a JSON pointer into the body ("#/samples/3"). */
void reply_problem_at(const struct request *request, struct reply *reply, unsigned status,
                      const char *detail, const char *pointer);

/* "Not Found" */
const char *http_status_title(unsigned status);

#endif
