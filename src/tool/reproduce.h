/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_REPRODUCE_H
#define TOOL_REPRODUCE_H

#include "tool/command.h"

extern const struct command reproduce_command;

#endif
