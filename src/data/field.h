/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV as fields (RFC 4180): commas, quotes with "" inside, line ends LF or CRLF, a UTF-8
 * byte order mark. Knows nothing of headers or numbers' meaning. Memory is one window of
 * the file, which grows only for a field longer than it.
 */
#ifndef DATA_FIELD_H
#define DATA_FIELD_H

#include "data/stream.h"

enum {
    FIELD_WINDOW = 65536,
    FIELD_MAX = 1 << 20, /* bytes; a quote never closed is found before all is read */
};

struct field_reader {
    struct stream *stream;
    char *window;
    size_t capacity, at, fill; /* window[at..fill) is not read yet */
    bool ended;                /* the stream, not the window */
    size_t line;               /* of window[at], from 1 */
    size_t passed;             /* bytes of the file before the window */
    size_t line_start;         /* in bytes of the file */
};

/* A field's text lies in the window and is valid until the next call; blanks around it
 * are removed unless quoted. */
struct field {
    char *text;
    size_t length;
    bool last;           /* of its record */
    size_t line, column; /* where it starts, both from 1; column in bytes */
};

int field_reader_init(struct field_reader *out, struct stream *stream,
                      struct deepsad_error *error);
void field_reader_done(struct field_reader *reader);

/* Whether another record follows; empty lines are passed over. */
int field_reader_more(struct field_reader *reader, bool *more,
                      struct deepsad_error *error);

int field_reader_next(struct field_reader *reader, struct field *out,
                      struct deepsad_error *error);

/* The fast way for a field that is a plain finite number: true and the field is read, or
 * false and it is not, for whatever reason: then field_reader_next will tell. */
bool field_reader_next_number(struct field_reader *reader, float *value, bool *last);

/* The text for a message: at most FIELD_EXCERPT - 1 bytes, without control characters. */
enum { FIELD_EXCERPT = 48 };
void field_excerpt(char out[static FIELD_EXCERPT], const char *text, size_t length);

#endif
