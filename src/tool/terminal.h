/* SPDX-License-Identifier: Apache-2.0 */
/* What the tool says to people: colours where they are wanted, errors, rows of tables. */
#ifndef TOOL_TERMINAL_H
#define TOOL_TERMINAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "deepsad.h"

enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_RED,
    STYLE_YELLOW,
    STYLE_GREEN,
    STYLES
};

/* The escape sequence that switches to the style, or "" where `stream` is no terminal,
 * NO_COLOR is set or TERM is dumb. */
const char *terminal_style(FILE *stream, enum style style);

/* Replaces control characters by question marks: names from data and from model files
 * must not command a terminal. */
void terminal_plain(char *text, size_t length);

/* Columns of the terminal behind `stream`; 80 where that is unknown. */
size_t terminal_width(FILE *stream);

/* "deepsad: ..." on stderr, with a newline. */
__attribute__((format(printf, 1, 2))) void terminal_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void terminal_warning(const char *format, ...);

/* Says the library's error; returns the exit code that goes with it. */
int terminal_fail(const struct deepsad_error *error);

/* "12,345" */
enum { TERMINAL_COUNT_SIZE = 32 };
const char *terminal_count(char out[static TERMINAL_COUNT_SIZE], size_t count);

/* Prints the object on one line of stdout and drops it; an error where it is NULL (out of
 * memory). Returns an exit code. */
int terminal_print_json(json_t *object);

/* json_real, or null where there is no such number in JSON. */
json_t *terminal_json_number(double value);

/* Whatever of stdout is not out yet; false, and an error said, when it cannot be. */
bool terminal_flush(void);

#endif
