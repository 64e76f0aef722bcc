/* SPDX-License-Identifier: Apache-2.0 */
/* What an endpoint sees of a request: plain values, no library. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2, /* routes know it as HTTP_GET */
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_PATCH = 16,
    HTTP_DELETE = 32,
    HTTP_OPTIONS = 64,
    HTTP_OTHER = 128,
};

enum body_type { BODY_NONE, BODY_JSON, BODY_CSV, BODY_NPY, BODY_OTHER };

/* A part of a text that lives elsewhere; not terminated. */
struct http_text {
    const char *data;
    size_t length;
};

enum {
    REQUEST_PARAMETERS_MAX = 4,
    REQUEST_ID_MAX = 64,
    REQUEST_ARGUMENTS_MAX = 8, /* more than any endpoint takes */
    REQUEST_KEY_MAX = 255,
};

struct token;
struct tokens;

struct request {
    enum http_method method;
    const char *path; /* without the query; not percent-decoded: no route needs it */
    struct http_text parameters[REQUEST_PARAMETERS_MAX]; /* of {..} in the pattern */
    /* Of the query, as sent; query.h decodes them. */
    struct {
        struct http_text name, value;
    } arguments[REQUEST_ARGUMENTS_MAX];
    size_t argument_count;
    bool arguments_excess; /* there were more */
    enum body_type body_type;
    bool has_length, chunked;
    uint64_t content_length;
    bool has_header_length; /* Inference-Header-Content-Length: bytes of JSON before */
    uint64_t header_length; /* binary tensors */
    char id[REQUEST_ID_MAX + 1]; /* X-Request-Id, the client's or ours */
    size_t id_length;
    /* Idempotency-Key: 1 to REQUEST_KEY_MAX visible characters of ASCII; NULL = none */
    const char *idempotency_key;
    /* Who asks, by auth.h: a token of the set that was in force when the request came.
     * Both NULL where nobody is asked. `refusal`: why there is none, or not for this. */
    const struct token *token;
    struct tokens *tokens;
    const char *refusal;
    const char *address;     /* the client's, as a number; "" of a local socket */
    const char *certificate; /* the name in the one that it has shown; "" = none */
    void *worker; /* what server_options.worker_new made for this thread, or NULL */
    void *state;  /* for the route's functions; NULL at first */
};

/* One of the methods, HTTP_OTHER for what is not in the enum. */
enum http_method http_method_parse(const char *text);
const char *http_method_name(enum http_method method);

/* The path in a request's target, which may name scheme and host before it
 * ("http://host/path"), as proxies are sent it and servers must take it. */
const char *http_target_path(const char *target);

/* The media type of a Content-Type; BODY_OTHER also where its charset is not UTF-8. */
enum body_type http_body_type_parse(const char *text, size_t length);

#endif
