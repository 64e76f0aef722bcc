/* SPDX-License-Identifier: Apache-2.0 */
/* Where the commas of a text are, found for 64 bytes at a time. */
#ifndef BASE_COMMAS_H
#define BASE_COMMAS_H

#include <stddef.h>
#include <stdint.h>

enum {
    COMMAS_TEXT_MAX = 1024,            /* bytes of a text */
    COMMAS_MAX = COMMAS_TEXT_MAX + 64, /* places, which are written in groups, the last
                                          beyond the last one */
};

/* Their places in the text of `size` bytes, a multiple of 64. Returns how many. */
size_t commas_list(uint16_t places[static COMMAS_MAX], const char *text, size_t size);

#endif
