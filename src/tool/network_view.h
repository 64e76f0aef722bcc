/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's networks are made of, for people: a line for each layer. */
#ifndef TOOL_NETWORK_VIEW_H
#define TOOL_NETWORK_VIEW_H

#include "base/buffer.h"
#include "deepsad.h"

/* For each component of networks its layers, the first member's: what they are, the shape
 * that comes out, and how many parameters they have. */
void network_view_render(struct buffer *out, const struct deepsad_model *model);

#endif
