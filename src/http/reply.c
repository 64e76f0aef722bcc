/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* 15 digits are those of a double that a decimal number can count on: 0.1 stays 0.1. */
enum { DETAIL_MAX = 1024, DIGITS = 15 };

void reply_clear(struct reply *reply)
{
    struct buffer body = reply->body;
    buffer_clear(&body);
    *reply = (struct reply){.body = body};
}

void reply_done(struct reply *reply)
{
    buffer_done(&reply->body);
}

const char *http_status_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Error";
}

static int append_dump(const char *bytes, size_t size, void *closure)
{
    struct buffer *out = closure;
    buffer_append(out, bytes, size);
    return out->failed ? -1 : 0;
}

void reply_json(const struct request *request, struct reply *reply, unsigned status,
                json_t *json)
{
    buffer_clear(&reply->body);
    reply->status = status;
    reply->content_type = "application/json";
    if (json == NULL ||
        json_dump_callback(json, append_dump, &reply->body,
                           JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) != 0) {
        reply_problem(request, reply, 500, "out of memory for the answer");
    }
    json_decref(json);
}

static const char *problem_content_type(const struct request *request)
{
    bool v2 = request->path != NULL && strncmp(request->path, "/v2", 3) == 0 &&
              (request->path[3] == '/' || request->path[3] == '\0');
    return v2 ? "application/json" : "application/problem+json";
}

static void append_member(struct buffer *out, const char *name, const char *text)
{
    buffer_append_json_string(out, name, strlen(name));
    buffer_append(out, ":", 1);
    buffer_append_json_string(out, text, strlen(text));
}

/* Written straight to the buffer: `detail` may quote bytes that are not UTF-8, and an
 * error must leave when memory is short, too. */
void reply_problem_at(const struct request *request, struct reply *reply, unsigned status,
                      const char *detail, const char *pointer)
{
    struct buffer *out = &reply->body;
    buffer_clear(out);
    reply->status = status;
    reply->content_type = problem_content_type(request);
    buffer_append(out, "{", 1);
    append_member(out, "type", "about:blank");
    buffer_append(out, ",", 1);
    append_member(out, "title", http_status_title(status));
    buffer_printf(out, ",\"status\":%u,", status);
    append_member(out, "detail", detail);
    if (pointer != NULL) {
        buffer_append_text(out, ",\"errors\":[{");
        append_member(out, "pointer", pointer);
        buffer_append(out, ",", 1);
        append_member(out, "detail", detail);
        buffer_append_text(out, "}]");
    }
    buffer_append(out, ",", 1);
    append_member(out, "error", detail);
    buffer_append(out, "}", 1);
}

void reply_problem(const struct request *request, struct reply *reply, unsigned status,
                   const char *format, ...)
{
    char detail[DETAIL_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    reply_problem_at(request, reply, status, detail, NULL);
}
