/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the valid UTF-8 sequence at `text` (RFC 3629, table of section 4), or 0.
 * `length` is at least 1. */
size_t utf8_length(const char *text, size_t length);

/* Writes the sequence for a code point that is not a surrogate; returns its length. */
size_t utf8_encode(char out[static 4], uint32_t code);

#endif
