/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_EVALUATE_H
#define TOOL_EVALUATE_H

#include "tool/command.h"

extern const struct command evaluate_command;

#endif
