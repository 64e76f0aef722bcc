/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of the daemon. */
#include "daemon/deepsadd.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/probe.h"

enum { FLAG_COUNT_MAX = 8, EXIT_USAGE = 2 };
enum { BLOCK_RETURNED = 4 << 20 }; /* bytes; idle states of requests keep less */

struct command {
    struct config_flag flags[FLAG_COUNT_MAX];
    struct config_sources sources;
    bool check, print, health;
};

static const char usage[] =
    "usage: deepsadd [OPTION]...\n"
    "Serves Deep SAD models over HTTP.\n"
    "\n"
    "  --config FILE        configuration (default " CONFIG_PATH ", if it is there)\n"
    "  --listen ADDR:PORT   server.listen; port 0 takes a free one\n"
    "  --models DIR         models.directory\n"
    "  --state DIR          state.directory\n"
    "  --check              validate configuration and models, then exit\n"
    "  --health             ask the daemon that runs with this configuration whether it\n"
    "                       is live: exit status 0, else 1\n"
    "  --print-config       print each key's value and where it came from, then exit\n"
    "  --help, --version\n"
    "\n"
    "Every key can also be set in the environment: DEEPSADD_SECTION_KEY, for example\n"
    "DEEPSADD_SERVER_THREADS=4. A flag wins over the environment, that over the file.\n"
    "SIGHUP reloads configuration and models, SIGTERM finishes the requests under way\n"
    "and stops. Exit status: 0 fine, 1 failed, 2 bad usage.\n";

enum option_id {
    OPTION_CONFIG = 256,
    OPTION_LISTEN,
    OPTION_MODELS,
    OPTION_STATE,
    OPTION_CHECK,
    OPTION_HEALTH,
    OPTION_PRINT,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"models", required_argument, NULL, OPTION_MODELS},
    {"state", required_argument, NULL, OPTION_STATE},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"health", no_argument, NULL, OPTION_HEALTH},
    {"print-config", no_argument, NULL, OPTION_PRINT},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static void add_flag(struct command *command, const char *key, const char *value)
{
    size_t count = command->sources.flag_count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(command->flags[i].key, key) == 0) {
            command->flags[i].value = value; /* the last one wins */
            return;
        }
    }
    command->flags[count] = (struct config_flag){key, value};
    command->sources.flag_count++;
}

/* -1: go on; else the exit status. */
static int apply_option(struct command *command, int option)
{
    switch (option) {
    case OPTION_CONFIG:
        command->sources.path = optarg;
        return -1;
    case OPTION_LISTEN:
        add_flag(command, "server.listen", optarg);
        return -1;
    case OPTION_MODELS:
        add_flag(command, "models.directory", optarg);
        return -1;
    case OPTION_STATE:
        add_flag(command, "state.directory", optarg);
        return -1;
    case OPTION_CHECK:
        command->check = true;
        return -1;
    case OPTION_HEALTH:
        command->health = true;
        return -1;
    case OPTION_PRINT:
        command->print = true;
        return -1;
    case OPTION_HELP:
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    case OPTION_VERSION:
        puts("deepsadd " DEEPSAD_VERSION);
        return EXIT_SUCCESS;
    default:
        fputs("deepsadd: see deepsadd --help\n", stderr);
        return EXIT_USAGE;
    }
}

static int parse(struct command *command, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int status = apply_option(command, option);
        if (status >= 0) {
            return status;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "deepsadd: unexpected argument %s; see deepsadd --help\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

/* OpenBLAS starts its threads before main(); only the environment keeps it from that.
 * They would cost memory and take signals without doing any work. */
static void pin_blas(char **argv)
{
    if (getenv("OPENBLAS_NUM_THREADS") == NULL) {
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
        execv("/proc/self/exe", argv);
    }
}

static int fail(const struct deepsad_error *error)
{
    fprintf(stderr, "deepsadd: %s\n", error->message);
    return EXIT_FAILURE;
}

static int print_config(const struct config *config, const enum setting_source *origins)
{
    struct buffer text = {0};
    config_print(&text, config, origins);
    bool written =
        !text.failed && fwrite(text.data, 1, text.length, stdout) == text.length;
    buffer_done(&text);
    return written && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct command command = {.sources = {.environment = environ}};
    command.sources.flags = command.flags;
    int exit_status = parse(&command, argc, argv);
    if (exit_status >= 0) {
        return exit_status;
    }
    pin_blas(argv);
    prctl(PR_SET_NAME, "deepsadd"); /* not "exe", as ps and pgrep would call it */
    struct config config;
    enum setting_source origins[CONFIG_SETTINGS_MAX];
    struct deepsad_error error = {0};
    if (config_load(&config, origins, &command.sources, &error) != DEEPSAD_OK) {
        return fail(&error);
    }
    if (command.print || command.check || command.health) {
        exit_status = command.print ? print_config(&config, origins) : EXIT_SUCCESS;
        if (command.health && probe_health(&config, &error) != DEEPSAD_OK) {
            exit_status = fail(&error);
        }
        if (command.check && daemon_check_models(&config, &error) != DEEPSAD_OK) {
            exit_status = fail(&error);
        }
        config_done(&config);
        return exit_status;
    }
    memory_return_blocks(BLOCK_RETURNED);
    return daemon_run(&config, &command.sources, &error) == DEEPSAD_OK ? EXIT_SUCCESS
                                                                       : fail(&error);
}
