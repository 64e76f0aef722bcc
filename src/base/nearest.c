/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Three rows of the table of optimal string alignment are enough. */
size_t nearest_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > NEAREST_LENGTH_MAX || columns > NEAREST_LENGTH_MAX) {
        return SIZE_MAX;
    }
    size_t table[3][NEAREST_LENGTH_MAX + 1];
    for (size_t j = 0; j <= columns; j++) {
        table[0][j] = j;
    }
    for (size_t i = 1; i <= rows; i++) {
        size_t *row = table[i % 3];
        const size_t *above = table[(i + 2) % 3], *before = table[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best) {
                best = before[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return table[rows % 3][columns];
}

struct nearest nearest_to(const char *word)
{
    return (struct nearest){.word = word};
}

static bool is_last_part(const char *word, const char *candidate)
{
    const char *dot = strrchr(candidate, '.');
    return dot != NULL && strcmp(dot + 1, word) == 0;
}

void nearest_try(struct nearest *nearest, const char *candidate)
{
    size_t length = strlen(nearest->word);
    size_t allowed = length < 3 ? 1 : length / 3 + (length < 6);
    size_t distance = is_last_part(nearest->word, candidate)
                          ? 1
                          : nearest_distance(nearest->word, candidate);
    bool near = distance <= allowed && distance < length;
    if (near && (nearest->best == NULL || distance < nearest->distance)) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}
