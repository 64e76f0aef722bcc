/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log on stderr: one line per event, a constant message and named fields. Text
 * for people on a terminal, JSON elsewhere, "<priority>" prefixes under journald
 * (JOURNAL_STREAM). One write(2) per line, so lines of threads do not mix.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INTEGER, LOG_FIELD_NUMBER } kind;
    const char *text;
    int64_t integer;
    double number;
};

#define LOG_TEXT(name_, value)                                   \
    {                                                            \
        .name = (name_), .kind = LOG_FIELD_TEXT, .text = (value) \
    }
#define LOG_INTEGER(name_, value)                                               \
    {                                                                           \
        .name = (name_), .kind = LOG_FIELD_INTEGER, .integer = (int64_t)(value) \
    }
#define LOG_NUMBER(name_, value)                                     \
    {                                                                \
        .name = (name_), .kind = LOG_FIELD_NUMBER, .number = (value) \
    }

void log_configure(enum log_level level, enum log_format format);

/* Whether a line of that level would be written. */
bool log_enabled(enum log_level level);

/* log_event(LOG_LEVEL_INFO, "model loaded", LOG_TEXT("model", name), LOG_INTEGER(...)) */
#define log_event(level, ...) LOG_EVENT_(level, __VA_ARGS__, {.name = NULL})
#define LOG_EVENT_(level, message, ...) \
    log_write((level), (message), (const struct log_field[]){__VA_ARGS__})

/* `fields` ends with one whose name is NULL. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* The line with its newline, as log_write writes it; `format` is not LOG_FORMAT_AUTO. */
void log_format_line(struct buffer *line, enum log_format format, enum log_level level,
                     const char *message, const struct log_field *fields);

#endif
