/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets of images that grow row by row while a file is read: only rows that are kept
 * take memory, and a header that announces more rows than the file holds takes none. */
#ifndef DATA_PIXELS_H
#define DATA_PIXELS_H

#include "base/error.h"

struct pixels {
    struct deepsad_dataset data;
    size_t capacity; /* rows */
};

void pixels_init(struct pixels *out, size_t channels, size_t height, size_t width);
void pixels_done(struct pixels *pixels);

/* Appends a row: features bytes, scaled from 0..255 to 0..1. */
int pixels_append(struct pixels *pixels, const unsigned char *bytes, signed char label,
                  struct deepsad_error *error);

/* Hands the data set over, without spare memory; the pixels are empty afterwards. An
 * error where there is no row. */
int pixels_take(struct pixels *pixels, struct deepsad_dataset *out, const char *path,
                struct deepsad_error *error);

#endif
