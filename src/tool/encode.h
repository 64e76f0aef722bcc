/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_ENCODE_H
#define TOOL_ENCODE_H

#include "tool/command.h"

extern const struct command encode_command;

#endif
