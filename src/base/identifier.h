/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers that clients choose: what is fit for logs, headers and JSON as it is. */
#ifndef BASE_IDENTIFIER_H
#define BASE_IDENTIFIER_H

#include <stdbool.h>
#include <stddef.h>

/* Letters, digits and ._:- of ASCII only, 1 to `max` of them. */
bool identifier_valid(const char *text, size_t length, size_t max);

#endif
