/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "tool/terminal.h"

/* Long options are known to getopt by their index above all characters. */
enum { OPTION_FIRST = 256, OPTIONS_MAX = 48 };

static bool takes_value(const struct command_option *option)
{
    return option->type != OPTION_FLAG && option->type != OPTION_SHOW;
}

/* ---- Help ---- */

enum { HELP_INDENT = 28, HELP_WIDTH = 88 };

/* `text` in lines of HELP_WIDTH columns; the first goes on at `column`. */
static void print_wrapped(const char *text, int indent, int column)
{
    while (*text != '\0') {
        int length = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + length > HELP_WIDTH) {
            printf("\n");
            column = 0;
        }
        if (column < indent) {
            printf("%*s", indent - column, "");
            column = indent;
        } else if (column > indent) {
            printf(" ");
            column++;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
        if (*text == '\n') {
            printf("\n");
            column = 0;
        }
        text += *text != '\0';
    }
    printf("\n");
}

static void print_option(const char *name, const char *argument, const char *help)
{
    const char *bold = terminal_style(stdout, STYLE_BOLD);
    const char *plain = terminal_style(stdout, STYLE_PLAIN);
    printf("  %s--%s%s%s%s", bold, name, plain, argument != NULL ? " " : "",
           argument != NULL ? argument : "");
    int column =
        4 + (int)strlen(name) + (argument != NULL ? 1 + (int)strlen(argument) : 0);
    if (column >= HELP_INDENT) {
        printf("\n");
        column = 0;
    }
    printf("%*s", HELP_INDENT - column, "");
    print_wrapped(help, HELP_INDENT, HELP_INDENT);
}

void options_print_help(const struct command *command)
{
    printf("usage: deepsad %s %s\n\n", command->name, command->usage);
    print_wrapped(command->summary, 0, 0);
    printf("\noptions:\n");
    for (const struct command_option *o = command->options; o->name != NULL; o++) {
        print_option(o->name, o->argument, o->help);
    }
    print_option("help", NULL, "show this help");
    if (command->details != NULL) {
        printf("\n");
        print_wrapped(command->details, 0, 0);
    }
}

/* ---- Faults ---- */

static void say_unknown(const struct command *command, const char *word)
{
    char name[NEAREST_LENGTH_MAX + 1];
    const char *start = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    struct nearest nearest = nearest_to(name);
    for (const struct command_option *o = command->options; o->name != NULL; o++) {
        nearest_try(&nearest, o->name);
    }
    if (nearest.best != NULL) {
        terminal_error("unknown option %s; did you mean --%s?", word, nearest.best);
    } else {
        terminal_error("unknown option %s; see deepsad %s --help", word, command->name);
    }
}

/* `word` as it stood; getopt takes beginnings of names where they are clear. */
static void say_fault(const struct command *command, int fault, const char *word)
{
    if (fault == ':') {
        terminal_error("option %s needs a value; see deepsad %s --help", word,
                       command->name);
        return;
    }
    size_t length = strcspn(word, "=");
    size_t beginnings = 0;
    for (const struct command_option *o = command->options; o->name != NULL; o++) {
        bool begins = length > 2 && strncmp(o->name, word + 2, length - 2) == 0;
        beginnings += begins;
        if (begins && word[length] == '=' && !takes_value(o)) {
            terminal_error("option --%s takes no value", o->name);
            return;
        }
    }
    if (beginnings > 1) {
        terminal_error("option %s may mean several; write it out, see deepsad %s --help",
                       word, command->name);
        return;
    }
    say_unknown(command, word);
}

static bool say_wrong(const struct command_option *option, const char *what,
                      const char *text)
{
    if (option->min != 0 || option->max != 0) {
        terminal_error("--%s: expected %s from %g to %g, not \"%s\"", option->name, what,
                       option->min, option->max, text);
    } else {
        terminal_error("--%s: expected %s, not \"%s\"", option->name, what, text);
    }
    return false;
}

/* ---- Values ---- */

static bool in_range(const struct command_option *option, double value)
{
    return (option->min == 0 && option->max == 0) ||
           (value >= option->min && value <= option->max);
}

static bool set_number(double *out, const struct command_option *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (strspn(text, "+-.0123456789eE") != strlen(text) || end == text || *end != '\0' ||
        !isfinite(value) || !in_range(option, value)) {
        return say_wrong(option, "a number", text);
    }
    *out = value;
    return true;
}

/* Up to what an integer of JSON holds, as cards repeat such values. */
static bool set_integer(uint64_t *out, const struct command_option *option,
                        const char *text)
{
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text) || errno != 0 ||
        value > INT64_MAX || !in_range(option, (double)value)) {
        return say_wrong(option, "a whole number", text);
    }
    *out = value;
    return true;
}

static bool append(struct option_list *list, const struct command_option *option,
                   const char *text)
{
    if (list->count == OPTION_LIST_MAX) {
        terminal_error("--%s: more than %d times", option->name, OPTION_LIST_MAX);
        return false;
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
    return true;
}

static bool set_option(void *values, const struct command_option *option,
                       const char *text)
{
    void *member = (char *)values + option->offset;
    uint64_t integer = 0;
    bool good = true;
    switch (option->type) {
    case OPTION_FLAG:
        *(bool *)member = true;
        break;
    case OPTION_TEXT:
        *(const char **)member = text;
        break;
    case OPTION_LIST:
        good = append(member, option, text);
        break;
    case OPTION_NUMBER:
        good = set_number(member, option, text);
        break;
    case OPTION_COUNT:
        good = set_integer(&integer, option, text);
        *(size_t *)member = (size_t)integer;
        break;
    case OPTION_INTEGER:
        good = set_integer(member, option, text);
        break;
    case OPTION_SHOW:
        break;
    }
    return good;
}

/* ---- The whole line ---- */

/* Exit code, or -1 to go on. */
static int take_option(void *values, const struct command *command, int index,
                       const char *text)
{
    const struct command_option *option = &command->options[index];
    if (option->type == OPTION_SHOW) {
        return option->show();
    }
    return set_option(values, option, text) ? -1 : EXIT_USAGE;
}

static int read_options(void *values, const struct command *command, int argc,
                        char **argv)
{
    struct option longs[OPTIONS_MAX + 2] = {0};
    int count = 0;
    for (; count < OPTIONS_MAX && command->options[count].name != NULL; count++) {
        bool value = takes_value(&command->options[count]);
        longs[count] = (struct option){command->options[count].name,
                                       value ? required_argument : no_argument, NULL,
                                       OPTION_FIRST + count};
    }
    longs[count] = (struct option){"help", no_argument, NULL, 'h'};
    opterr = 0;
    optind = 0; /* begin anew */
    for (;;) {
        int found = getopt_long(argc, argv, ":h", longs, NULL);
        if (found == -1) {
            return -1;
        }
        if (found == 'h') {
            options_print_help(command);
            return EXIT_GOOD;
        }
        if (found == '?' || found == ':') {
            char letter[] = {'-', (char)optopt, '\0'};
            bool is_short = optopt > 0 && optopt < OPTION_FIRST;
            say_fault(command, found, is_short ? letter : argv[optind - 1]);
            return EXIT_USAGE;
        }
        int code = take_option(values, command, found - OPTION_FIRST, optarg);
        if (code >= 0) {
            return code;
        }
    }
}

bool options_parse(void *values, const char **operands, const struct command *command,
                   int argc, char **argv, int *exit_code)
{
    *exit_code = read_options(values, command, argc, argv);
    if (*exit_code >= 0) {
        return false;
    }
    size_t count = (size_t)(argc - optind);
    *exit_code = EXIT_USAGE;
    if (count < command->operands) {
        terminal_error("something is missing; usage: deepsad %s %s", command->name,
                       command->usage);
        return false;
    }
    if (count > command->operands) {
        terminal_error("\"%s\" is one argument too many; usage: deepsad %s %s",
                       argv[optind + (int)command->operands], command->name,
                       command->usage);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        operands[i] = argv[optind + (int)i];
    }
    return true;
}

/* ---- Commands of commands ---------------------------------------------------------- */

/* "labels: export or import? See deepsad labels --help" */
static int say_which(const struct command *group, const struct command *const *commands)
{
    char list[128] = "";
    size_t skipped = strlen(group->name) + 1;
    for (size_t i = 0; commands[i] != NULL; i++) {
        size_t used = strlen(list);
        const char *between = i == 0 ? "" : commands[i + 1] == NULL ? " or " : ", ";
        snprintf(list + used, sizeof list - used, "%s%s", between,
                 commands[i]->name + skipped);
    }
    terminal_error("%s: %s? See deepsad %s --help", group->name, list, group->name);
    return EXIT_USAGE;
}

int options_run_group(const struct command *group, const struct command *const *commands,
                      int (*run_one)(const struct command *command, int argc,
                                     char **argv),
                      int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(word, commands[i]->name + strlen(group->name) + 1) == 0) {
            return run_one(commands[i], argc - 1, argv + 1);
        }
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        options_print_help(group);
        return EXIT_GOOD;
    }
    return say_which(group, commands);
}
