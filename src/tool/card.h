/* SPDX-License-Identifier: Apache-2.0 */
/* A model's card, or any JSON, as aligned text for people. */
#ifndef TOOL_CARD_H
#define TOOL_CARD_H

#include <jansson.h>

#include "base/buffer.h"
#include "deepsad.h"

/* The model's card as a JSON object that the caller owns, or NULL when out of memory. */
json_t *card_of(const struct deepsad_model *model);

/* The members of `object`, one line each: underscores of names as blanks, values aligned,
 * objects and lists of objects as indented blocks; long lists are cut. */
void card_render(struct buffer *out, const json_t *object, size_t indent);

#endif
