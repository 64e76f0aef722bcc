/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include <string.h>
#include <strings.h>

static bool is(const char *name, size_t length, const char *word, size_t word_length)
{
    return length == word_length && strncasecmp(name, word, length) == 0;
}
#define IS(word) is(name, name_length, word, sizeof(word) - 1)

/* Decimal digits and nothing else, at most 18. False: the value is something else. */
static bool read_length(uint64_t *out, const char *value, size_t length)
{
    bool good = length > 0 && length <= 18;
    uint64_t total = 0;
    for (size_t i = 0; i < length && good; i++) {
        good = value[i] >= '0' && value[i] <= '9';
        total = total * 10 + (uint64_t)(value[i] - '0');
    }
    *out = good ? total : 0;
    return good;
}

static void add_length(struct head *head, struct request *request, const char *value,
                       size_t length)
{
    head->lengths++;
    head->bad_length |= !read_length(&request->content_length, value, length);
    request->has_length = true;
}

static void add_header_length(struct head *head, struct request *request,
                              const char *value, size_t length)
{
    head->header_lengths++;
    head->bad_header_length |= !read_length(&request->header_length, value, length);
    request->has_header_length = true;
}

static void add_content_type(struct head *head, struct request *request,
                             const char *value, size_t length)
{
    head->content_types++;
    head->content_type = (struct http_text){value, length};
    request->body_type = http_body_type_parse(value, length);
}

static void add_key(struct head *head, struct request *request, const char *value,
                    size_t length)
{
    head->idempotency_keys++;
    head->bad_key |= length == 0 || length > REQUEST_KEY_MAX;
    for (size_t i = 0; i < length; i++) {
        head->bad_key |= value[i] < '!' || value[i] > '~';
    }
    request->idempotency_key = value;
}

/* Visible ASCII and no delimiter (RFC 9110, 5.6.2). A name with a space ("Content-Length
 * : 5") is another field to one reader than to the next, which is how requests are
 * smuggled past a proxy. */
static bool is_bad_name(const char *name, size_t length)
{
    bool bad = length == 0;
    for (size_t i = 0; i < length; i++) {
        bad |= name[i] <= ' ' || name[i] > '~' ||
               strchr("\"(),/:;<=>?@[\\]{}", name[i]) != NULL;
    }
    return bad;
}

/* Controls but for the tab, among them a CR alone. */
static bool has_control(const char *text, size_t length)
{
    bool has = false;
    for (size_t i = 0; i < length; i++) {
        has |= ((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f;
    }
    return has;
}

void head_add_target(struct head *head, const char *target)
{
    for (; *target != '\0'; target++) {
        head->bad_target |= (unsigned char)*target <= ' ' || *target == 0x7f;
    }
}

void head_add(struct head *head, struct request *request, const char *name,
              size_t name_length, const char *value, size_t value_length)
{
    value = value == NULL ? "" : value;
    head->has_control |= has_control(value, value_length);
    head->bad_name |= is_bad_name(name, name_length);
    switch (name_length) {
    case 4:
        if (IS("Host")) {
            head->hosts++;
            head->host = (struct http_text){value, value_length};
        }
        break;
    case 6:
        head->expects |= IS("Expect");
        if (IS("Origin")) {
            head->origin = (struct http_text){value, value_length};
        }
        break;
    case 12:
        if (IS("Content-Type")) {
            add_content_type(head, request, value, value_length);
        } else if (IS("X-Request-Id")) {
            head->request_id = (struct http_text){value, value_length};
        }
        break;
    case 13:
        if (IS("Authorization")) {
            head->authorizations++;
            head->authorization = (struct http_text){value, value_length};
        }
        break;
    case 14:
        if (IS("Content-Length")) {
            add_length(head, request, value, value_length);
        } else if (IS("Sec-Fetch-Site")) {
            head->fetch_site = (struct http_text){value, value_length};
        }
        break;
    case 15:
        if (IS("Idempotency-Key")) {
            add_key(head, request, value, value_length);
        }
        break;
    case 16:
        head->has_content_encoding |=
            IS("Content-Encoding") && strcasecmp(value, "identity") != 0;
        break;
    case 17:
        if (IS("Transfer-Encoding")) {
            head->encodings++;
            request->chunked = true;
            head->unknown_transfer |= strcasecmp(value, "chunked") != 0;
        }
        break;
    case 31:
        if (IS("Inference-Header-Content-Length")) {
            add_header_length(head, request, value, value_length);
        }
        break;
    default:
        break;
    }
}

bool head_check(const struct head *head, const struct request *request, bool http_1_1,
                struct reply *reply)
{
    const char *detail = NULL;
    if (head->bad_target) {
        detail = "the target of the request holds a space or a control character";
    } else if (head->has_control) {
        detail = "a header field holds a control character";
    } else if (head->is_folded) {
        detail = "a header field goes on on a second line, or holds a NUL byte";
    } else if (head->bad_name) {
        detail = "the name of a header field is empty or holds what no name may";
    } else if (head->hosts > 1) {
        detail = "more than one Host";
    } else if (head->hosts == 0 && http_1_1) {
        detail = "Host is missing";
    } else if (head->lengths > 1) {
        detail = "more than one Content-Length";
    } else if (head->bad_length) {
        detail = "Content-Length is not a number of bytes";
    } else if (head->encodings > 0 && head->lengths > 0) {
        detail = "both Content-Length and Transfer-Encoding";
    } else if (head->unknown_transfer || head->encodings > 1) {
        detail = "the only Transfer-Encoding taken is chunked";
    } else if (head->encodings > 0 && !http_1_1) {
        detail = "Transfer-Encoding needs HTTP/1.1";
    } else if (head->content_types > 1) {
        detail = "more than one Content-Type";
    } else if (head->authorizations > 1) {
        detail = "more than one Authorization";
    } else if (head->idempotency_keys > 1) {
        detail = "more than one Idempotency-Key";
    } else if (head->bad_key) {
        detail = "Idempotency-Key is not 1 to 255 visible characters of ASCII";
    } else if (head->header_lengths > 1) {
        detail = "more than one Inference-Header-Content-Length";
    } else if (head->bad_header_length) {
        detail = "Inference-Header-Content-Length is not a number of bytes";
    }
    if (detail == NULL) {
        return true;
    }
    reply_problem(request, reply, 400, "%s", detail);
    reply->close = true;
    return false;
}
