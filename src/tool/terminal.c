/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/terminal.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "tool/command.h"

enum { TERMINAL_LINE_MAX = 2048 };

/* Digits of a double that people and programs care for; 17 would print 0.1 as
 * 0.10000000000000001. */
enum { JSON_DIGITS = 15 };

static bool has_colour(FILE *stream)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return (no == NULL || *no == '\0') && (term == NULL || strcmp(term, "dumb") != 0) &&
           isatty(fileno(stream));
}

const char *terminal_style(FILE *stream, enum style style)
{
    static const char *const sequences[STYLES] = {
        [STYLE_PLAIN] = "\033[0m",   [STYLE_BOLD] = "\033[1m",
        [STYLE_DIM] = "\033[2m",     [STYLE_RED] = "\033[31m",
        [STYLE_YELLOW] = "\033[33m", [STYLE_GREEN] = "\033[32m",
    };
    return has_colour(stream) ? sequences[style] : "";
}

size_t terminal_width(FILE *stream)
{
    struct winsize size = {0};
    bool known = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

void terminal_plain(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f) {
            text[i] = '?';
        } else if (byte == 0xc2 && i + 1 < length &&
                   ((unsigned char)text[i + 1] & 0xe0) == 0x80) {
            text[i] = text[i + 1] = '?'; /* U+0080 to U+009F */
        }
    }
}

__attribute__((format(printf, 3, 0))) static void
say(const char *kind, enum style style, const char *format, va_list arguments)
{
    char text[TERMINAL_LINE_MAX];
    vsnprintf(text, sizeof text, format, arguments);
    terminal_plain(text, strlen(text));
    fflush(stdout);
    fprintf(stderr, "deepsad: %s%s%s%s\n", terminal_style(stderr, style), kind,
            terminal_style(stderr, STYLE_PLAIN), text);
}

void terminal_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", STYLE_RED, format, arguments);
    va_end(arguments);
}

void terminal_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("warning: ", STYLE_YELLOW, format, arguments);
    va_end(arguments);
}

int terminal_fail(const struct deepsad_error *error)
{
    terminal_error("%s", error->message);
    return EXIT_FAILED;
}

const char *terminal_count(char out[static TERMINAL_COUNT_SIZE], size_t count)
{
    char digits[TERMINAL_COUNT_SIZE];
    int length = snprintf(digits, sizeof digits, "%zu", count);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            out[used++] = ',';
        }
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

int terminal_print_json(json_t *object)
{
    char *text =
        object == NULL
            ? NULL
            : json_print(object, JSON_COMPACT | JSON_REAL_PRECISION(JSON_DIGITS));
    json_decref(object);
    if (text == NULL) {
        terminal_error("cannot put the output into JSON: out of memory, or a path that "
                       "is not UTF-8");
        return EXIT_FAILED;
    }
    puts(text);
    free(text);
    return EXIT_GOOD;
}

json_t *terminal_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

bool terminal_flush(void)
{
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || failed) {
        terminal_error("cannot write the output: %s",
                       failed ? "the disk is full, or the reader has gone"
                              : strerror(errno));
        return false;
    }
    return true;
}
