/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value of one setting as text: from a file, a variable or a flag into the member of
 * a struct, and back. Both are one case per type.
 */
#ifndef BASE_SETTING_VALUE_H
#define BASE_SETTING_VALUE_H

#include "base/setting.h"

/* Parses `text` into the setting's member of `values`, which stays as it was on failure.
 * The message starts with the key, says what is expected, and shows no secret. */
int setting_value_set(void *values, const struct setting *setting, const char *text,
                      struct deepsad_error *error);

/* The member as text that setting_value_set takes; of a secret only "(secret)". */
void setting_value_print(struct buffer *out, const void *values,
                         const struct setting *setting);

/* What a value of this type is, for messages: "a whole number". */
const char *setting_type_text(enum setting_type type);

#endif
