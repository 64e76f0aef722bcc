/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_TRAIN_H
#define TOOL_TRAIN_H

#include "tool/command.h"

extern const struct command train_command;

#endif
