/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_LABELS_H
#define TOOL_LABELS_H

#include "tool/command.h"

extern const struct command labels_command;

#endif
