/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row that is an image may be sent as the array of numbers that every row may be, or as
 * the array that the image is: (height, width) where there is one channel, or (channels,
 * height, width). Only the first array of each row says which; the numbers go to the row
 * one after the other in any case, so that decoders of numbers need to know no more than
 * where the array that they are in is full.
 */
#ifndef API_ROWS_NEST_H
#define API_ROWS_NEST_H

#include "api/rows.h"

/* The row is an array whose first element is an array, too, or its first element is. True
 * while no value has come; false: another array in there would be a fault of type, and
 * nothing has changed. */
bool rows_nest_deepen(struct rows *rows);

/* A further array of lines or values starts, in one that holds arrays. False: fault. */
bool rows_nest_open(struct rows *rows);

/* The innermost array that is open ends; where nest.depth is 0 then, the row is complete.
 * False: fault, it is too short. */
bool rows_nest_close(struct rows *rows);

/* A value comes and nest.full are there: sets the fault, returns false. */
bool rows_nest_overflow(struct rows *rows);

/* Where the next element comes in the innermost array that is open. */
void rows_nest_pointer(char out[static ROWS_POINTER_MAX], const struct rows *rows);

/* "28 x 28", "3 x 32 x 32": the images' shape for a message. */
enum { ROWS_SHAPE_MAX = 104 };
void rows_shape_print(char out[static ROWS_SHAPE_MAX],
                      const struct rows_columns *columns);

#endif
