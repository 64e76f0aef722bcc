/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_SPLIT_H
#define TOOL_SPLIT_H

#include "tool/command.h"

extern const struct command split_command;

#endif
