/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deepsad, the command-line tool: the table of its subcommands, which is dispatcher and
 * help. A subcommand is a file of its own and a client of libdeepsad.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "deepsad.h"
#include "tool/command.h"
#include "tool/encode.h"
#include "tool/evaluate.h"
#include "tool/export.h"
#include "tool/import.h"
#include "tool/inspect.h"
#include "tool/labels.h"
#include "tool/options.h"
#include "tool/reproduce.h"
#include "tool/score.h"
#include "tool/split.h"
#include "tool/terminal.h"
#include "tool/token.h"
#include "tool/train.h"

static const struct command *const commands[] = {
    &split_command,     &train_command,  &evaluate_command, &score_command,
    &encode_command,    &import_command, &export_command,   &inspect_command,
    &reproduce_command, &labels_command, &token_command,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int print_help(void)
{
    printf("usage: deepsad COMMAND ...\n\n"
           "Deep semi-supervised anomaly detection: train models on mostly unlabeled "
           "data and\na few labels, score rows, measure.\n\ncommands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %s%-10s%s %s\n", terminal_style(stdout, STYLE_BOLD), commands[i]->name,
               terminal_style(stdout, STYLE_PLAIN), commands[i]->summary);
    }
    printf("\ndeepsad COMMAND --help explains a command; deepsad --version names the "
           "version.\nExit status: 0 good, 1 failed, 2 wrong usage.\n");
    return EXIT_GOOD;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int say_unknown(const char *name)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < COMMANDS; i++) {
        nearest_try(&nearest, commands[i]->name);
    }
    const char *what = name[0] == '-' ? "option" : "command";
    if (nearest.best != NULL) {
        terminal_error("unknown %s \"%s\"; did you mean %s?", what, name, nearest.best);
    } else {
        terminal_error("unknown %s \"%s\"; see deepsad --help", what, name);
    }
    return EXIT_USAGE;
}

/* deepsad help [COMMAND] */
static int help(const char *name)
{
    const struct command *command = name != NULL ? find_command(name) : NULL;
    if (name != NULL && command == NULL) {
        return say_unknown(name);
    }
    if (command != NULL) {
        options_print_help(command);
        return EXIT_GOOD;
    }
    return print_help();
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        terminal_error("which command? See deepsad --help");
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        printf("deepsad %s\n", DEEPSAD_VERSION);
        return EXIT_GOOD;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return print_help();
    }
    if (strcmp(word, "help") == 0) {
        return help(argc > 2 ? argv[2] : NULL);
    }
    const struct command *command = find_command(word);
    return command == NULL ? say_unknown(word) : command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    /* a reader that goes away is a write that fails, and is reported */
    signal(SIGPIPE, SIG_IGN);
    int code = dispatch(argc, argv);
    return terminal_flush() ? code : EXIT_FAILED;
}
