/* SPDX-License-Identifier: Apache-2.0 */
#include "http/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { NAMES_MAX = 256, COUNT_DIGITS_MAX = 9, SHOWN_MAX = 60 };

/* ---- Decoding ---------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%41" at `text` stands for; -1: it is no such thing. */
static int decode_escape(const char *text, size_t length)
{
    int high = length >= 3 ? hex_digit(text[1]) : -1;
    int low = length >= 3 ? hex_digit(text[2]) : -1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_utf8(const char *text, size_t length)
{
    while (length > 0) {
        size_t size = utf8_length(text, length);
        if (size == 0) {
            return false;
        }
        text += size;
        length -= size;
    }
    return true;
}

/* Writes the text with its NUL to *out, which has room for it, and moves *out behind it;
 * returns where it begins. NULL: *fault says what is wrong. */
static const char *decode(char **out, struct http_text raw, const char **fault)
{
    char *start = *out, *at = start;
    for (size_t i = 0; i < raw.length; i++) {
        int byte = (unsigned char)raw.data[i];
        if (byte == '%') {
            byte = decode_escape(raw.data + i, raw.length - i);
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        if (byte <= 0) {
            *fault = byte == 0 ? "a NUL byte" : "a % without two hexadecimal digits";
            return NULL;
        }
        *at++ = (char)byte;
    }
    if (!is_utf8(start, (size_t)(at - start))) {
        *fault = "bytes that are not UTF-8";
        return NULL;
    }
    *at++ = '\0';
    *out = at;
    return start;
}

/* ---- Checking ---------------------------------------------------------------------- */

static bool is_taken(const char *const *names, const char *name)
{
    for (; *names != NULL; names++) {
        if (strcmp(*names, name) == 0) {
            return true;
        }
    }
    return false;
}

static void refuse_unknown(const struct request *request, struct reply *reply,
                           const char *const *names, const char *name)
{
    char known[NAMES_MAX] = "";
    for (size_t i = 0, used = 0; names[i] != NULL && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 i == 0 ? "" : ", ", names[i]);
    }
    reply_problem(request, reply, 422, "there is no parameter \"%.*s\" here; %s%s",
                  SHOWN_MAX, name,
                  names[0] == NULL ? "none is taken" : "there are: ", known);
}

/* Argument `index` of the request; false: the reply is the problem. */
static bool read_argument(struct query *query, char **at, size_t index,
                          const struct request *request, const char *const *names,
                          struct reply *reply)
{
    const char *fault = NULL;
    const char *name = decode(at, request->arguments[index].name, &fault);
    const char *value =
        name == NULL ? NULL : decode(at, request->arguments[index].value, &fault);
    if (value == NULL) {
        reply_problem(request, reply, 400, "parameter %zu of the query holds %s",
                      index + 1, fault);
        return false;
    }
    if (!is_taken(names, name)) {
        refuse_unknown(request, reply, names, name);
        return false;
    }
    if (query_text(query, name) != NULL) {
        reply_problem(request, reply, 422, "parameter %s is given twice", name);
        return false;
    }
    query->arguments[query->count].name = name;
    query->arguments[query->count++].value = value;
    return true;
}

static size_t text_size(const struct request *request)
{
    size_t size = 0;
    for (size_t i = 0; i < request->argument_count; i++) {
        size += request->arguments[i].name.length + request->arguments[i].value.length;
        size += 2; /* their NULs */
    }
    return size;
}

bool query_read(struct query *out, const struct request *request,
                const char *const *names, struct reply *reply)
{
    struct query query = {.count = 0};
    if (request->arguments_excess) {
        reply_problem(request, reply, 422, "the query has more than %d parameters",
                      REQUEST_ARGUMENTS_MAX);
        return false;
    }
    if (request->argument_count > 0) {
        query.text = malloc(text_size(request));
        if (query.text == NULL) {
            reply_problem(request, reply, 500, "out of memory for the query");
            return false;
        }
    }
    char *at = query.text;
    for (size_t i = 0; i < request->argument_count; i++) {
        if (!read_argument(&query, &at, i, request, names, reply)) {
            query_done(&query);
            return false;
        }
    }
    *out = query;
    return true;
}

void query_done(struct query *query)
{
    free(query->text);
    *query = (struct query){.count = 0};
}

bool query_none(const struct request *request, struct reply *reply)
{
    static const char *const none[] = {NULL};
    struct query query;
    if (!query_read(&query, request, none, reply)) {
        return false;
    }
    query_done(&query);
    return true;
}

/* ---- Values ------------------------------------------------------------------------ */

const char *query_text(const struct query *query, const char *name)
{
    for (size_t i = 0; i < query->count; i++) {
        if (strcmp(query->arguments[i].name, name) == 0) {
            return query->arguments[i].value;
        }
    }
    return NULL;
}

bool query_count(size_t *out, const struct query *query, const char *name, size_t max,
                 const struct request *request, struct reply *reply)
{
    const char *text = query_text(query, name);
    if (text == NULL) {
        return true;
    }
    size_t length = strlen(text);
    size_t digits = strspn(text, "0123456789");
    bool number = length > 0 && digits == length && length <= COUNT_DIGITS_MAX;
    size_t value = number ? strtoul(text, NULL, 10) : 0;
    if (value == 0 || value > max) {
        reply_problem(request, reply, 422,
                      "parameter %s: \"%.*s\" is not a whole number from 1 to %zu", name,
                      SHOWN_MAX, text, max);
        return false;
    }
    *out = value;
    return true;
}

bool query_choice(size_t *out, const struct query *query, const char *name,
                  const char *const *choices, const struct request *request,
                  struct reply *reply)
{
    const char *text = query_text(query, name);
    char known[NAMES_MAX] = "";
    if (text == NULL) {
        return true;
    }
    for (size_t i = 0, used = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            *out = i;
            return true;
        }
        if (used < sizeof known) {
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                     i == 0 ? "" : ", ", choices[i]);
        }
    }
    reply_problem(request, reply, 422, "parameter %s: \"%.*s\" is not one of %s", name,
                  SHOWN_MAX, text, known);
    return false;
}
