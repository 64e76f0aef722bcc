/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer. Appending never fails in the caller's face: running out of
 * memory sets `failed`, later appends do nothing, and the owner checks once at the end.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* `length` bytes, not terminated; NULL while empty */
    size_t length;
    size_t capacity;
    bool failed;
};

void buffer_done(struct buffer *buffer);

/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Room for `size` more bytes: the address to write them at (then add to length), or NULL.
 */
char *buffer_reserve(struct buffer *buffer, size_t size);

void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
void buffer_append_text(struct buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) void buffer_printf(struct buffer *buffer,
                                                         const char *format, ...);

/* `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buffer_append_json_string(struct buffer *buffer, const char *text, size_t length);

/* Hands over the content as a C string; free() it. NULL when an append had failed. The
 * buffer is empty afterwards. */
char *buffer_take_string(struct buffer *buffer);

#endif
