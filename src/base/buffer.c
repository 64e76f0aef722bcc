/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { BUFFER_MIN = 256 };

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer->failed) {
        return NULL;
    }
    if (size <= buffer->capacity - buffer->length) {
        return buffer->data + buffer->length;
    }
    if (size > SIZE_MAX / 2 - buffer->length) {
        buffer->failed = true;
        return NULL;
    }
    size_t capacity = buffer->capacity < BUFFER_MIN ? BUFFER_MIN : buffer->capacity;
    while (capacity < buffer->length + size) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->length;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    char *room = buffer_reserve(buffer, size);
    if (room != NULL) {
        memcpy(room, bytes, size);
        buffer->length += size;
    }
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *room = length < 0 ? NULL : buffer_reserve(buffer, (size_t)length + 1);
    if (room != NULL) {
        vsnprintf(room, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void buffer_append_json_string(struct buffer *buffer, const char *text, size_t length)
{
    buffer_append(buffer, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t size = utf8_length(text + i, length - i);
        if (size == 0) {
            buffer_append(buffer, "\xEF\xBF\xBD", 3);
            i++;
        } else if ((unsigned char)text[i] < 0x20) {
            buffer_printf(buffer, "\\u%04x", (unsigned)text[i++]);
        } else {
            if (text[i] == '"' || text[i] == '\\') {
                buffer_append(buffer, "\\", 1);
            }
            buffer_append(buffer, text + i, size);
            i += size;
        }
    }
    buffer_append(buffer, "\"", 1);
}

char *buffer_take_string(struct buffer *buffer)
{
    buffer_append(buffer, "", 1);
    if (buffer->failed) {
        buffer_done(buffer);
        return NULL;
    }
    char *data = buffer->data;
    *buffer = (struct buffer){0};
    return data;
}
