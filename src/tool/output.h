/* SPDX-License-Identifier: Apache-2.0 */
/* Files of numbers that commands write: CSV or NPY, by the extension. */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Whether the path ends in .csv or .npy; else that has been said. */
bool output_check(const char *path);
bool output_is_npy(const char *path);

/* The header of an array of float32, (rows, columns), whose values follow it. */
void output_append_npy(struct buffer *out, size_t rows, size_t columns);
/* The shortest digits that are the number. */
void output_append_float(struct buffer *out, float value);

#endif
