/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subcommand is one table: its name, operands, options with their help, and the
 * function that runs it. main.c dispatches by it and prints the help from it.
 */
#ifndef TOOL_COMMAND_H
#define TOOL_COMMAND_H

#include <stddef.h>
#include <stdint.h>

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum option_type {
    OPTION_FLAG,    /* bool: --name */
    OPTION_TEXT,    /* const char *: --name VALUE */
    OPTION_LIST,    /* struct option_list: --name VALUE, any number of times */
    OPTION_NUMBER,  /* double, finite */
    OPTION_COUNT,   /* size_t */
    OPTION_INTEGER, /* uint64_t */
    OPTION_SHOW,    /* nothing: prints and ends the program, as --help does */
};

enum { OPTION_LIST_MAX = 1024 };
struct option_list {
    size_t count;
    const char *items[OPTION_LIST_MAX + 1]; /* ends with NULL */
};

struct command_option {
    const char *name; /* without its dashes; NULL ends a table */
    enum option_type type;
    size_t offset;        /* in the struct of the command's values */
    double min, max;      /* of numbers; both 0 = no limit */
    const char *argument; /* what stands for the value in the help */
    const char *help;
    int (*show)(void); /* of OPTION_SHOW; returns an exit code */
};

struct command {
    const char *name;
    const char *usage;   /* what follows the name in a call */
    const char *summary; /* one line */
    const char *details; /* what else --help says, or NULL */
    const struct command_option *options;
    size_t operands; /* how many it takes */
    int (*run)(int argc, char **argv);
};

#endif
