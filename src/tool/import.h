/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_IMPORT_H
#define TOOL_IMPORT_H

#include "tool/command.h"

extern const struct command import_command;

#endif
