/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The level and the format are the module's only state: set at start and by a reload,
 * read by every thread, hence atomic.
 */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"

static atomic_int log_level = LOG_LEVEL_INFO;
static atomic_int log_format = LOG_FORMAT_AUTO;

static const char *const level_names[] = {"error", "warning", "info", "debug"};
/* syslog's numbers, which journald reads from "<n>" at the start of a line */
static const int level_priorities[] = {3, 4, 6, 7};

/* journald tells the services it listens to which descriptor that is, "device:inode". */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0) {
        return false;
    }
    char expected[64];
    snprintf(expected, sizeof expected, "%ju:%ju", (uintmax_t)status.st_dev,
             (uintmax_t)status.st_ino);
    return strcmp(stream, expected) == 0;
}

static enum log_format choose_format(void)
{
    if (stderr_is_journal()) {
        return LOG_FORMAT_JOURNAL;
    }
    return isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
}

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store(&log_level, (int)level);
    atomic_store(&log_format,
                 (int)(format == LOG_FORMAT_AUTO ? choose_format() : format));
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static void append_json_value(struct buffer *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        buffer_append_json_string(line, field->text, strlen(field->text));
        break;
    case LOG_FIELD_INTEGER:
        buffer_printf(line, "%lld", (long long)field->integer);
        break;
    case LOG_FIELD_NUMBER:
        if (isfinite(field->number)) {
            buffer_printf(line, "%.9g", field->number);
        } else {
            buffer_append_text(line, "null");
        }
        break;
    }
}

/* A text that could be mistaken for two fields, or break the line, is quoted. */
static bool is_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == '"' || *c == '=' || *c == 0x7f) {
            return false;
        }
    }
    return *text != '\0';
}

static void append_text_line(struct buffer *line, const char *level, const char *message,
                             const struct log_field *fields)
{
    buffer_append_text(line, level);
    buffer_append_text(line, ": ");
    buffer_append_text(line, message);
    for (const struct log_field *field = fields; field->name != NULL; field++) {
        buffer_printf(line, " %s=", field->name);
        if (field->kind == LOG_FIELD_TEXT && is_plain(field->text)) {
            buffer_append_text(line, field->text);
        } else {
            append_json_value(line, field);
        }
    }
}

static void append_json_line(struct buffer *line, const char *level, const char *message,
                             const struct log_field *fields)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(time, clock_realtime_ms());
    buffer_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time, level);
    buffer_append_json_string(line, message, strlen(message));
    for (const struct log_field *field = fields; field->name != NULL; field++) {
        buffer_append_text(line, ",");
        buffer_append_json_string(line, field->name, strlen(field->name));
        buffer_append_text(line, ":");
        append_json_value(line, field);
    }
    buffer_append_text(line, "}");
}

void log_format_line(struct buffer *line, enum log_format format, enum log_level level,
                     const char *message, const struct log_field *fields)
{
    if (format == LOG_FORMAT_JSON) {
        append_json_line(line, level_names[level], message, fields);
    } else if (format == LOG_FORMAT_JOURNAL) {
        buffer_printf(line, "<%d>", level_priorities[level]);
        append_text_line(line, level_names[level], message, fields);
    } else {
        char time[CLOCK_RFC3339_SIZE];
        clock_format_rfc3339(time, clock_realtime_ms());
        buffer_append_text(line, time);
        buffer_append_text(line, " ");
        append_text_line(line, level_names[level], message, fields);
    }
    buffer_append_text(line, "\n");
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if (!log_enabled(level)) {
        return;
    }
    int format = atomic_load_explicit(&log_format, memory_order_relaxed);
    if (format == LOG_FORMAT_AUTO) {
        format = (int)choose_format();
    }
    struct buffer line = {0};
    log_format_line(&line, (enum log_format)format, level, message, fields);
    ssize_t done;
    do {
        done = line.failed ? 0 : write(STDERR_FILENO, line.data, line.length);
    } while (done < 0 && errno == EINTR);
    buffer_done(&line);
}
