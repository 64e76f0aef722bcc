/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_EXPORT_H
#define TOOL_EXPORT_H

#include "tool/command.h"

extern const struct command export_command;

#endif
