/* SPDX-License-Identifier: Apache-2.0 */
#include "api/body.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"

bool body_begin(void *app, struct request *request, struct reply *reply)
{
    (void)app;
    request->state = calloc(1, sizeof(struct buffer));
    if (request->state == NULL) {
        reply_problem(request, reply, 500, "out of memory for the request");
        return false;
    }
    return true;
}

void body_collect(void *app, struct request *request, const char *bytes, size_t size)
{
    (void)app;
    buffer_append(request->state, bytes, size);
}

void body_end(void *app, struct request *request)
{
    (void)app;
    if (request->state != NULL) {
        buffer_done(request->state);
        free(request->state);
        request->state = NULL;
    }
}

const char *body_text(const struct request *request, size_t *length)
{
    const struct buffer *text = request->state;
    bool some = text != NULL && text->data != NULL;
    *length = some ? text->length : 0;
    return some ? text->data : "";
}

bool body_is_empty(const struct request *request)
{
    const struct buffer *text = request->state;
    return text == NULL || (text->length == 0 && !text->failed);
}

/* ---- What the library does not check ----------------------------------------------- */

/* Where in the text, for people: bytes of a line count from 1. */
struct place {
    size_t line, column;
};

static struct place place_of(const char *text, size_t offset)
{
    struct place place = {1, 1};
    for (size_t i = 0; i < offset; i++) {
        place.column++;
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

__attribute__((format(printf, 5, 6))) static void
refuse_place(char detail[static BODY_DETAIL_MAX], unsigned *status, const char *text,
             size_t offset, const char *format, ...)
{
    struct place place = place_of(text, offset);
    int used = snprintf(detail, BODY_DETAIL_MAX, "line %zu, column %zu: ", place.line,
                        place.column);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail + used, BODY_DETAIL_MAX - (size_t)used, format, arguments);
    va_end(arguments);
    *status = 400;
}

/* The string that begins at `at`: where it ends. */
static size_t skip_string(const char *text, size_t length, size_t at)
{
    for (at++; at < length && text[at] != '"'; at++) {
        at += text[at] == '\\';
    }
    return at;
}

/* The library takes NUL bytes behind the value, and nesting as deep as its stack. */
static bool check_text(const char *text, size_t length, unsigned *status,
                       char detail[static BODY_DETAIL_MAX])
{
    const char *nul = memchr(text, '\0', length);
    if (nul != NULL) {
        refuse_place(detail, status, text, (size_t)(nul - text), "a NUL byte");
        return false;
    }
    size_t depth = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') {
            i = skip_string(text, length, i);
        } else if (text[i] == '[' || text[i] == '{') {
            depth++;
        } else if (text[i] == ']' || text[i] == '}') {
            depth -= depth > 0;
        }
        if (depth > BODY_DEPTH_MAX) {
            refuse_place(detail, status, text, i, "nested deeper than %d levels",
                         BODY_DEPTH_MAX);
            return false;
        }
    }
    return true;
}

/* ---- Parsing ----------------------------------------------------------------------- */

/* Of the word that ends where the library stopped, or follows the sign there. */
static bool is_not_finite(const char *text, size_t length, int position)
{
    static const char *const words[] = {"NaN", "Infinity", "nan", "inf"};
    size_t at = position < 0 || (size_t)position > length ? 0 : (size_t)position;
    bool sign = at > 0 && text[at - 1] == '-';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);
        bool fits = sign ? length - at >= size : at >= size;
        if (fits && memcmp(sign ? text + at : text + at - size, words[i], size) == 0) {
            return true;
        }
    }
    return false;
}

static void describe(const json_error_t *error, const char *text, size_t length,
                     unsigned *status, char detail[static BODY_DETAIL_MAX])
{
    *status = 400;
    const char *what = error->text;
    enum json_error_code code = json_error_code(error);
    if (code == json_error_numeric_overflow) {
        *status = 422;
    } else if (code == json_error_invalid_syntax &&
               is_not_finite(text, length, error->position)) {
        *status = 422;
        what = "NaN and Infinity are no numbers; null stands for a missing value";
    }
    snprintf(detail, BODY_DETAIL_MAX, "line %d, column %d: %.160s", error->line,
             error->column, length == 0 ? "the body is empty; JSON is expected" : what);
}

json_t *body_parse_text(const char *text, size_t length, unsigned *status,
                        char detail[static BODY_DETAIL_MAX])
{
    json_error_t error;
    bool no_memory;
    if (!check_text(text, length, status, detail)) {
        return NULL;
    }
    json_t *json = json_parse_text(
        text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL,
        &error, &no_memory);
    if (no_memory) {
        *status = 500;
        snprintf(detail, BODY_DETAIL_MAX, "out of memory for the request");
    } else if (json == NULL) {
        describe(&error, text, length, status, detail);
    }
    return json;
}

json_t *body_parse(const struct request *request, struct reply *reply)
{
    const struct buffer *buffer = request->state;
    size_t length;
    const char *text = body_text(request, &length);
    unsigned status = 400;
    char detail[BODY_DETAIL_MAX];
    if (buffer == NULL || buffer->failed) {
        reply_problem(request, reply, 500, "out of memory for the request");
        return NULL;
    }
    json_t *json = body_parse_text(text, length, &status, detail);
    if (json == NULL) {
        reply_problem(request, reply, status, "%s", detail);
    }
    return json;
}
