/* SPDX-License-Identifier: Apache-2.0 */
/* While a field is being read `at` stays at its first byte and all positions are offsets
 * from there: the window may slide or move under it. */
#include "data/field.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* ---- The window ---- */

/* Moves window[at..fill) to the front and reads behind it. */
static int slide(struct field_reader *reader, struct deepsad_error *error)
{
    size_t kept = reader->fill - reader->at;
    assert(reader->capacity > 0);
    memmove(reader->window, reader->window + reader->at, kept);
    reader->passed += reader->at;
    reader->at = 0;
    reader->fill = kept;
    if (kept == reader->capacity) {
        if (kept >= FIELD_MAX) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s:%zu:%zu: a field of more than %d bytes; is a quote not "
                             "closed?",
                             reader->stream->path, reader->line,
                             reader->passed - reader->line_start + 1, FIELD_MAX);
        }
        char *window = realloc(reader->window, 2 * reader->capacity);
        if (window == NULL) {
            return error_no_memory(error, reader->stream->path);
        }
        reader->window = window;
        reader->capacity *= 2;
    }
    size_t got = 0;
    int status = stream_read(reader->stream, reader->window + kept,
                             reader->capacity - kept, &got, error);
    if (status == DEEPSAD_OK) {
        reader->fill += got;
        reader->ended = reader->fill < reader->capacity;
    }
    return status;
}

/* The byte at window[at + offset], or -1 at the end of the file. */
static inline int peek(struct field_reader *reader, size_t offset, int *byte,
                       struct deepsad_error *error)
{
    while (reader->at + offset >= reader->fill) {
        if (reader->ended) {
            *byte = -1;
            return DEEPSAD_OK;
        }
        int status = slide(reader, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    *byte = (unsigned char)reader->window[reader->at + offset];
    return DEEPSAD_OK;
}

static bool starts_with(const struct field_reader *reader, const char *bytes, size_t size)
{
    return reader->fill >= size && memcmp(reader->window, bytes, size) == 0;
}

int field_reader_init(struct field_reader *out, struct stream *stream,
                      struct deepsad_error *error)
{
    struct field_reader reader = {.stream = stream, .capacity = FIELD_WINDOW, .line = 1};
    reader.window = malloc(reader.capacity);
    if (reader.window == NULL) {
        return error_no_memory(error, stream->path);
    }
    int status = slide(&reader, error);
    if (status == DEEPSAD_OK &&
        (starts_with(&reader, "\xff\xfe", 2) || starts_with(&reader, "\xfe\xff", 2))) {
        status = error_set(error, DEEPSAD_INVALID,
                           "%s:1:1: the file is UTF-16; save it as UTF-8", stream->path);
    }
    if (status != DEEPSAD_OK) {
        free(reader.window);
        return status;
    }
    if (starts_with(&reader, "\xef\xbb\xbf", 3)) {
        reader.at = reader.line_start = 3;
    }
    *out = reader;
    return DEEPSAD_OK;
}

void field_reader_done(struct field_reader *reader)
{
    free(reader->window);
    *reader = (struct field_reader){0};
}

/* ---- Faults: where they are in the file ---- */

static int fault(const struct field_reader *reader, size_t offset, const char *what,
                 struct deepsad_error *error)
{
    size_t byte = reader->passed + reader->at + offset;
    return error_set(error, DEEPSAD_INVALID, "%s:%zu:%zu: %s", reader->stream->path,
                     reader->line, byte - reader->line_start + 1, what);
}

static const char LONE_RETURN[] = "a carriage return without a line feed; convert the "
                                  "file's line ends to LF or CRLF";

static int unexpected(const struct field_reader *reader, size_t offset, int byte,
                      struct deepsad_error *error)
{
    switch (byte) {
    case '\r':
        return fault(reader, offset, LONE_RETURN, error);
    case '\0':
        return fault(reader, offset,
                     "a NUL byte; save the file as UTF-8 text (it may be UTF-16)", error);
    case '"':
        return fault(reader, offset,
                     "a quote inside a field that does not start with one; quote the "
                     "whole field and double the quotes in it",
                     error);
    default:
        return fault(reader, offset,
                     "text behind the closing quote; a quote inside a quoted field is "
                     "written twice",
                     error);
    }
}

/* ---- Records and fields ---- */

/* Length of the line end at `offset`: 1, 2, or 0 where there is none (a lone CR too). */
static int line_end(struct field_reader *reader, size_t offset, size_t *length,
                    struct deepsad_error *error)
{
    int byte;
    int next = -1;
    int status = peek(reader, offset, &byte, error);
    if (status == DEEPSAD_OK && byte == '\r') {
        status = peek(reader, offset + 1, &next, error);
    }
    if (status == DEEPSAD_OK) {
        *length = byte == '\n' ? 1 : byte == '\r' && next == '\n' ? 2 : 0;
    }
    return status;
}

/* Moves behind the line end that is `size` bytes from here. */
static void next_line(struct field_reader *reader, size_t size)
{
    reader->at += size;
    reader->line++;
    reader->line_start = reader->passed + reader->at;
}

int field_reader_more(struct field_reader *reader, bool *more,
                      struct deepsad_error *error)
{
    for (;;) {
        size_t length;
        int status = line_end(reader, 0, &length, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (length == 0) {
            *more = reader->at < reader->fill;
            return DEEPSAD_OK;
        }
        next_line(reader, length);
    }
}

static bool is_blank(int byte)
{
    return byte == ' ' || byte == '\t';
}

/* Unquotes in place from *offset, the byte behind the opening quote. *length is that of
 * the text from there; *offset moves behind the closing quote and blanks. */
static int read_quoted(struct field_reader *reader, size_t *offset, size_t *length,
                       struct deepsad_error *error)
{
    size_t to = *offset;
    size_t lines = 0;
    size_t line_start = reader->line_start;
    for (size_t from = *offset;; from++) {
        int byte;
        int next = -1;
        int status = peek(reader, from, &byte, error);
        if (status == DEEPSAD_OK && byte == '"') {
            status = peek(reader, from + 1, &next, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (byte < 0) {
            return fault(reader, 0, "a quote that is never closed", error);
        }
        if (byte == '\0') {
            return unexpected(reader, 0, byte, error);
        }
        if (byte == '"' && next != '"') {
            *length = to - *offset;
            *offset = from + 1;
            break;
        }
        from += byte == '"';
        reader->window[reader->at + to++] = (char)byte;
        if (byte == '\n') {
            lines++;
            line_start = reader->passed + reader->at + from + 1;
        }
    }
    int byte;
    int status;
    while ((status = peek(reader, *offset, &byte, error)) == DEEPSAD_OK &&
           is_blank(byte)) {
        ++*offset;
    }
    reader->line += lines;
    reader->line_start = line_start;
    return status;
}

static int read_plain(struct field_reader *reader, size_t *offset, size_t *length,
                      struct deepsad_error *error)
{
    size_t start = *offset;
    for (;; ++*offset) {
        int byte;
        int status = peek(reader, *offset, &byte, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (byte == '"' || byte == '\0') {
            return unexpected(reader, *offset, byte, error);
        }
        if (byte == ',' || byte == '\n' || byte == '\r' || byte < 0) {
            break;
        }
    }
    size_t end = *offset;
    while (end > start && is_blank(reader->window[reader->at + end - 1])) {
        end--;
    }
    *length = end - start;
    return DEEPSAD_OK;
}

/* Passes over what ends the field at `offset`. */
static int read_end(struct field_reader *reader, size_t offset, bool *last,
                    struct deepsad_error *error)
{
    size_t length;
    int status = line_end(reader, offset, &length, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    bool ended = reader->at + offset == reader->fill;
    int byte = ended ? -1 : reader->window[reader->at + offset];
    if (!ended && length == 0 && byte != ',') {
        return unexpected(reader, offset, byte == '"' ? 'x' : byte, error);
    }
    *last = byte != ',';
    if (length > 0) {
        next_line(reader, offset + length);
    } else {
        reader->at += offset + !ended;
    }
    return DEEPSAD_OK;
}

int field_reader_next(struct field_reader *reader, struct field *out,
                      struct deepsad_error *error)
{
    struct field field = {.line = reader->line};
    size_t start = 0;
    int byte;
    int status = peek(reader, 0, &byte, error);
    while (status == DEEPSAD_OK && is_blank(byte)) {
        status = peek(reader, ++start, &byte, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    field.column = reader->passed + reader->at + start - reader->line_start + 1;
    start += byte == '"';
    size_t offset = start;
    status = byte == '"' ? read_quoted(reader, &offset, &field.length, error)
                         : read_plain(reader, &offset, &field.length, error);
    size_t before = reader->passed + reader->at + start;
    if (status == DEEPSAD_OK) {
        status = read_end(reader, offset, &field.last, error);
    }
    if (status == DEEPSAD_OK) {
        field.text = reader->window + (before - reader->passed);
        *out = field;
    }
    return status;
}

bool field_reader_next_number(struct field_reader *reader, float *value, bool *last)
{
    const char *end = reader->window + reader->fill;
    float number;
    const char *p = number_parse_decimal(&number, reader->window + reader->at, end);
    if (p == NULL || end - p < 2 || !isfinite(number)) {
        return false;
    }
    if (*p == ',') {
        reader->at = (size_t)(p + 1 - reader->window);
        *last = false;
    } else if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
        reader->at = 0;
        next_line(reader, (size_t)(p + 1 + (*p == '\r') - reader->window));
        *last = true;
    } else {
        return false;
    }
    *value = number;
    return true;
}

/* ---- Messages ---- */

void field_excerpt(char out[static FIELD_EXCERPT], const char *text, size_t length)
{
    size_t limit = FIELD_EXCERPT - 4; /* room for an ellipsis and the NUL */
    size_t count = length <= limit ? length : limit;
    while (count > 0 && count < length && ((unsigned char)text[count] & 0xc0) == 0x80) {
        count--; /* not within a character */
    }
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)text[i];
        out[i] = byte < 0x20 || byte == 0x7f ? '?' : text[i];
    }
    snprintf(out + count, sizeof "...", "%s", count < length ? "..." : "");
}
