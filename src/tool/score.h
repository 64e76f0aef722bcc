/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_SCORE_H
#define TOOL_SCORE_H

#include "tool/command.h"

extern const struct command score_command;

#endif
