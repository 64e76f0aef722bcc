/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rows_nest.h"

#include <stdio.h>
#include <string.h>

enum { IMAGE_DIMENSIONS = 3 };

static size_t plane_size(const struct rows *rows)
{
    return rows->columns.height * rows->columns.width;
}

/* An image of several channels was begun as a single plane. */
static bool lacks_channels(const struct rows *rows)
{
    return rows->nest.dimensions == 2 && rows->columns.channels != 1;
}

/* ---- Places ------------------------------------------------------------------------ */

void rows_shape_print(char out[static ROWS_SHAPE_MAX], const struct rows_columns *columns)
{
    size_t used = 0;
    if (columns->channels != 1) {
        used = (size_t)snprintf(out, ROWS_SHAPE_MAX, "%zu x ", columns->channels);
    }
    snprintf(out + used, ROWS_SHAPE_MAX - used, "%zu x %zu%s", columns->height,
             columns->width, columns->channels != 1 ? " (channels, height, width)" : "");
}

/* The first `count` indices behind the row's: of a plane, if there are any, and a line.
 */
static void point(char out[static ROWS_POINTER_MAX], const struct rows *rows,
                  const size_t *indices, size_t count)
{
    rows_pointer(out, rows->count);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, ROWS_POINTER_MAX - used, "/%zu", indices[i]);
    }
}

/* Indices of the open arrays in their parents and, last, of the element that comes next;
 * how many, which is nest.depth. */
static size_t locate(size_t indices[static IMAGE_DIMENSIONS], const struct rows *rows)
{
    const struct rows_nest *nest = &rows->nest;
    if (nest->dimensions == 1 || lacks_channels(rows)) {
        memset(indices, 0, IMAGE_DIMENSIONS * sizeof *indices);
        indices[nest->depth - 1] = rows->filled;
        return nest->depth;
    }
    bool in_line = nest->depth == nest->dimensions;
    bool in_plane = nest->depth + 1 >= nest->dimensions;
    size_t line = in_line ? nest->full / nest->line - 1 : rows->filled / nest->line;
    size_t plane = (in_plane ? nest->plane : rows->filled) / plane_size(rows) - in_plane;
    const size_t all[IMAGE_DIMENSIONS] = {plane, line - plane * rows->columns.height,
                                          rows->filled - line * nest->line};
    memcpy(indices, all + IMAGE_DIMENSIONS - nest->dimensions,
           nest->depth * sizeof *indices);
    return nest->depth;
}

void rows_nest_pointer(char out[static ROWS_POINTER_MAX], const struct rows *rows)
{
    size_t indices[IMAGE_DIMENSIONS] = {0};
    size_t count = locate(indices, rows);
    point(out, rows, indices, count);
}

/* ---- Faults ------------------------------------------------------------------------ */

/* The innermost open array has `count` elements, or more than these. */
static bool fail_shape(struct rows *rows, bool more, size_t count, const char *elements)
{
    char pointer[ROWS_POINTER_MAX], shape[ROWS_SHAPE_MAX];
    size_t indices[IMAGE_DIMENSIONS] = {0};
    size_t parents = locate(indices, rows) - 1;
    point(pointer, rows, indices, parents);
    rows_shape_print(shape, &rows->columns);
    return rows_fail(rows, 422, pointer, "%s: %s%zu %s, the model's images are %s",
                     pointer + 2, more ? "more than " : "", count, elements, shape);
}

static bool fail_channels(struct rows *rows)
{
    char pointer[ROWS_POINTER_MAX], shape[ROWS_SHAPE_MAX];
    rows_pointer(pointer, rows->count);
    rows_shape_print(shape, &rows->columns);
    return rows_fail(rows, 422, pointer,
                     "row %zu is an array of lines, the model's images are %s: send an "
                     "array of %zu such arrays, one for each channel",
                     rows->count, shape, rows->columns.channels);
}

bool rows_nest_overflow(struct rows *rows)
{
    return lacks_channels(rows) ? fail_channels(rows)
                                : fail_shape(rows, true, rows->columns.width, "values");
}

/* ---- Arrays ------------------------------------------------------------------------ */

bool rows_nest_deepen(struct rows *rows)
{
    struct rows_nest *nest = &rows->nest;
    if (rows->filled > 0 || nest->depth == IMAGE_DIMENSIONS ||
        rows->columns.channels == 0) {
        return false;
    }
    nest->dimensions = ++nest->depth;
    nest->line = rows->columns.width;
    nest->full = lacks_channels(rows) ? 0 : nest->line;
    nest->plane = plane_size(rows);
    return true;
}

bool rows_nest_open(struct rows *rows)
{
    struct rows_nest *nest = &rows->nest;
    bool plane = nest->depth + 1 < nest->dimensions;
    if (rows->filled == (plane ? rows->columns.count : nest->plane)) {
        return plane ? fail_shape(rows, true, rows->columns.channels, "channels")
                     : fail_shape(rows, true, rows->columns.height, "lines");
    }
    if (plane) {
        nest->plane = rows->filled + plane_size(rows);
    } else {
        nest->full = rows->filled + nest->line;
    }
    nest->depth++;
    return true;
}

static bool close_line(struct rows *rows)
{
    const struct rows_nest *nest = &rows->nest;
    if (lacks_channels(rows)) {
        return fail_channels(rows);
    }
    size_t values = rows->filled - (nest->full - nest->line);
    return values == nest->line || fail_shape(rows, false, values, "values");
}

static bool close_lines(struct rows *rows)
{
    size_t start = rows->nest.plane - plane_size(rows);
    size_t lines = (rows->filled - start) / rows->nest.line;
    return lines == rows->columns.height || fail_shape(rows, false, lines, "lines");
}

static bool close_planes(struct rows *rows)
{
    size_t planes = rows->filled / plane_size(rows);
    return planes == rows->columns.channels ||
           fail_shape(rows, false, planes, "channels");
}

bool rows_nest_close(struct rows *rows)
{
    struct rows_nest *nest = &rows->nest;
    unsigned inside = nest->dimensions - nest->depth; /* arrays deep in this one */
    bool fine = inside == 0   ? close_line(rows)
                : inside == 1 ? close_lines(rows)
                              : close_planes(rows);
    if (!fine) {
        return false;
    }
    nest->depth--;
    rows->count += nest->depth == 0;
    return true;
}
