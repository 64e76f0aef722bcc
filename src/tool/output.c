/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/output.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "tool/terminal.h"

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

bool output_is_npy(const char *path)
{
    return ends_with(path, ".npy");
}

bool output_check(const char *path)
{
    if (!ends_with(path, ".csv") && !output_is_npy(path)) {
        terminal_error("--output: \"%s\" ends neither in .csv nor in .npy", path);
        return false;
    }
    return true;
}

/* Magic, version 1.0, a header padded with blanks so that the values start at 128. */
void output_append_npy(struct buffer *out, size_t rows, size_t columns)
{
    enum { NPY_HEADER = 118 };
    char header[NPY_HEADER + 1];
    snprintf(header, sizeof header,
             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows,
             columns);
    buffer_append(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    buffer_printf(out, "%-*s\n", NPY_HEADER - 1, header);
}

void output_append_float(struct buffer *out, float value)
{
    char *room = buffer_reserve(out, NUMBER_FLOAT_MAX);
    if (room != NULL) {
        out->length += number_format_float(room, value);
    }
}
