/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of one subcommand, read by its table, and the help printed from it. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>

#include "tool/command.h"

/* The option that all commands have. */
#define JSON_OPTION(type_, member)                                              \
    {                                                                           \
        .name = "json", .type = OPTION_FLAG, .offset = offsetof(type_, member), \
        .help = "print JSON, for programs, instead of a table"                  \
    }

/* Fills `values` (which hold the defaults) and `operands` (command->operands) from the
 * command line; argv[0] is the command's name. True when the command may run. Else
 * everything has been said (a fault, or the help that was asked for) and *exit_code is
 * set. */
bool options_parse(void *values, const char **operands, const struct command *command,
                   int argc, char **argv, int *exit_code);

/* For a command of commands ("labels" of "labels export" and "labels import"): runs by
 * `run_one` the one of `commands` (NULL-terminated) that argv[1] names, says its own
 * help, or which there are. Returns an exit code. */
int options_run_group(const struct command *group, const struct command *const *commands,
                      int (*run_one)(const struct command *command, int argc,
                                     char **argv),
                      int argc, char **argv);

/* The help of one command on stdout. */
void options_print_help(const struct command *command);

#endif
