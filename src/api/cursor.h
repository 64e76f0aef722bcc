/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the next page of a list begins, as a text that clients hand back as they got it.
 * It holds a key of the list and a checksum over that key and what the list is of, so
 * that a cursor that was cut, guessed or taken from another list is refused rather than
 * read as some other place.
 */
#ifndef API_CURSOR_H
#define API_CURSOR_H

#include <stdbool.h>
#include <stddef.h>

enum { CURSOR_KEY_MAX = 64, CURSOR_SIZE = CURSOR_KEY_MAX + 8 + 1 };

/* `key`: letters, digits and ._:- ; `list`: "labels of m". */
void cursor_write(char out[static CURSOR_SIZE], const char *list, const char *key);

/* False: it is no cursor of that list. */
bool cursor_read(char key[static CURSOR_KEY_MAX + 1], const char *list,
                 const char *cursor);

#endif
