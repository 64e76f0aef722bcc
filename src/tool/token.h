/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_TOKEN_H
#define TOOL_TOKEN_H

#include "tool/command.h"

extern const struct command token_command;

#endif
