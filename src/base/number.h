/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal text to float and back, exactly and fast: the way in and out of the hot path.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum { NUMBER_FLOAT_MAX = 16 }; /* longest text number_format_float writes */

/* Reads a JSON number (RFC 8259 grammar: no leading +, no hex, no inf or nan) at `text`,
 * never past `end`. Returns the address behind it, or NULL when what stands there is not
 * a number ("1.", "01", "-"). *value is the nearest float, bit-identical to strtof; an
 * infinity when out of float range (the caller refuses it with its own message). A number
 * that reaches `end`, or is broken off there ("1.", "2e"), may continue in the next
 * chunk; the caller knows. Texts of any length. */
const char *number_parse_float(float *value, const char *text, const char *end);

/* The same for what files written by other programs hold: also "+1", "007", ".5", "5.".
 */
const char *number_parse_decimal(float *value, const char *text, const char *end);

/* The shortest decimal text that reads back as the same float (a JSON number; at most
 * NUMBER_FLOAT_MAX bytes, not terminated); of several the one nearest to it. -0 is
 * written as 0. `value` must be finite. Returns its length. */
size_t number_format_float(char text[static NUMBER_FLOAT_MAX], float value);

/* The texts of up to NUMBER_BLOCK values, each as number_format_float() writes it;
 * together they cost half. Bytes behind a text are arbitrary. */
enum { NUMBER_BLOCK = 64 };
struct number_texts {
    char text[NUMBER_BLOCK][NUMBER_FLOAT_MAX];
    uint8_t length[NUMBER_BLOCK];
};
void number_format_floats(struct number_texts *out, const float *values, size_t count);

#endif
