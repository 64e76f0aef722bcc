/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_INSPECT_H
#define TOOL_INSPECT_H

#include "tool/command.h"

extern const struct command inspect_command;

#endif
