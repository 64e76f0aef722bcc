/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The word that somebody who mistyped probably meant: the nearest of the candidates by
 * edit distance (insert, delete, replace, swap two neighbours), where it is near enough
 * to be worth naming.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

enum { NEAREST_LENGTH_MAX = 63 }; /* longer words have no neighbours */

struct nearest {
    const char *word;
    const char *best; /* of the candidates tried so far, or NULL */
    size_t distance;  /* of `best` */
};

struct nearest nearest_to(const char *word);

/* Keeps `candidate` (not copied) if it is nearer than those before. A candidate of which
 * the word is the whole last part ("port" of "http.port") counts as one edit away. */
void nearest_try(struct nearest *nearest, const char *candidate);

/* Edits between two words; SIZE_MAX where one is longer than NEAREST_LENGTH_MAX. */
size_t nearest_distance(const char *a, const char *b);

#endif
