/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad token: who may do what with a daemon. The text of a token is shown once, when
 * it is made, and is kept nowhere. */
#include "tool/token.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "access/tokens.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/setting_value.h"
#include "tool/options.h"
#include "tool/terminal.h"

struct token_values {
    const char *file, *expires;
    struct option_list roles;
    bool json;
};

#define FILE_OPTION                                                        \
    {                                                                      \
        .name = "file", .type = OPTION_TEXT,                               \
        .offset = offsetof(struct token_values, file), .argument = "FILE", \
        .help = "the daemon's access.tokens (default: " TOKENS_PATH ")"    \
    }
#define ROLE_OPTION                                                                    \
    {                                                                                  \
        .name = "role", .type = OPTION_LIST,                                           \
        .offset = offsetof(struct token_values, roles), .argument = "ROLE[:MODELS]",   \
        .help = "new: score, label, operate or admin; for the models whose names fit " \
                "(default: *); more than once for more of them"                        \
    }
#define EXPIRES_OPTION                                                          \
    {                                                                           \
        .name = "expires", .type = OPTION_TEXT,                                 \
        .offset = offsetof(struct token_values, expires), .argument = "D",      \
        .help = "new: how long it is good, for example 90d (default: for ever)" \
    }

static const struct command_option new_options[] = {
    ROLE_OPTION,
    EXPIRES_OPTION,
    FILE_OPTION,
    JSON_OPTION(struct token_values, json),
    {0}};
static const struct command_option file_options[] = {
    FILE_OPTION, JSON_OPTION(struct token_values, json), {0}};

static const struct command new_command = {
    .name = "token new",
    .usage = "NAME --role ROLE[:MODELS]... [options]",
    .summary = "Make a token for NAME, a person or a program, and print it.",
    .options = new_options,
    .operands = 1,
};
static const struct command list_command = {
    .name = "token list",
    .usage = "[options]",
    .summary = "List the tokens there are.",
    .options = file_options,
};
static const struct command revoke_command = {
    .name = "token revoke",
    .usage = "ID|NAME [options]",
    .summary = "Take back one token by its id, or all of a name.",
    .options = file_options,
    .operands = 1,
};

/* ---- The file ---------------------------------------------------------------------- */

/* Two at once would each write a file without the other's token: whoever changes the file
 * holds a lock on its directory. The lock goes with the descriptor. */
static int lock_directory(int *descriptor, const char *path, struct deepsad_error *error)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    *descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*descriptor < 0 || flock(*descriptor, LOCK_EX) != 0) {
        return error_system(error, errno, "%s", directory);
    }
    return DEEPSAD_OK;
}

/* An empty set where there is no file. */
static int read_or_new(struct tokens **out, const char *path, struct deepsad_error *error)
{
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        return tokens_read(out, path, error);
    }
    *out = tokens_new();
    return *out == NULL ? error_no_memory(error, "the tokens") : DEEPSAD_OK;
}

static void say_reload(void)
{
    fprintf(stderr, "A daemon that is running takes it up at SIGHUP (systemctl reload "
                    "deepsadd).\n");
}

/* ---- new --------------------------------------------------------------------------- */

static const struct setting lifetime = {
    .key = "--expires", .type = SETTING_DURATION, .min = 1, .max = 3.2e9};

static int fill(struct token *token, const char *name, const struct token_values *values,
                struct deepsad_error *error)
{
    int status = token_check_name(name, error);
    for (size_t i = 0; i < values->roles.count && status == DEEPSAD_OK; i++) {
        status = token_add_grant(token, values->roles.items[i], error);
    }
    if (status == DEEPSAD_OK && values->expires != NULL) {
        double seconds = 0;
        status = setting_value_set(&seconds, &lifetime, values->expires, error);
        token->expires_at_ms = token->created_at_ms + (int64_t)(seconds * 1e3);
    }
    snprintf(token->name, sizeof token->name, "%s", name);
    return status;
}

static int add(const char *path, const struct token *token, struct deepsad_error *error)
{
    struct tokens *tokens = NULL;
    int lock = -1;
    int status = lock_directory(&lock, path, error);
    if (status == DEEPSAD_OK) {
        status = read_or_new(&tokens, path, error);
    }
    if (status == DEEPSAD_OK) {
        status = tokens_add(tokens, token, error);
    }
    if (status == DEEPSAD_OK) {
        status = tokens_write(tokens, path, error);
    }
    tokens_unref(tokens);
    if (lock >= 0) {
        close(lock);
    }
    return status;
}

static int make(const struct token_values *values, const char *name)
{
    struct token token = {.created_at_ms = clock_realtime_ms()};
    char text[TOKEN_TEXT_SIZE + 1];
    struct deepsad_error error = {0};
    int status = fill(&token, name, values, &error);
    if (status == DEEPSAD_OK) {
        status = token_draw(&token, text, &error);
    }
    if (status == DEEPSAD_OK) {
        status = add(values->file, &token, &error);
    }
    if (status != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    if (values->json) {
        return terminal_print_json(
            json_pack("{ss ss ss}", "id", token.id, "name", token.name, "token", text));
    }
    printf("%s\n", text);
    fprintf(stderr, "Token %s of %s; it is shown this once.\n", token.id, token.name);
    say_reload();
    return EXIT_GOOD;
}

/* ---- list -------------------------------------------------------------------------- */

static void append_grants(struct buffer *out, const struct token *token)
{
    for (size_t i = 0; i < token->grant_count; i++) {
        buffer_printf(out, "%s%s:%s", i == 0 ? "" : " ", role_name(token->grants[i].role),
                      token->grants[i].models);
    }
}

static json_t *show(const struct token *token, int64_t now)
{
    struct buffer grants = {0};
    append_grants(&grants, token);
    json_t *shown = json_pack(
        "{ss ss ss# so so sb}", "id", token->id, "name", token->name, "roles",
        grants.data == NULL ? "" : grants.data, (int)grants.length, "created_at",
        json_time(token->created_at_ms), "expires_at", json_time(token->expires_at_ms),
        "expired", token->expires_at_ms != 0 && token->expires_at_ms <= now);
    buffer_done(&grants);
    return shown;
}

static void print_row(const struct token *token, int64_t now)
{
    struct buffer grants = {0};
    char name[TOKEN_NAME_MAX + 1], until[CLOCK_RFC3339_SIZE] = "for ever";
    append_grants(&grants, token);
    snprintf(name, sizeof name, "%s", token->name);
    terminal_plain(name, strlen(name));
    if (token->expires_at_ms != 0) {
        clock_format_rfc3339(until, token->expires_at_ms);
        until[10] = '\0'; /* the day */
    }
    bool expired = token->expires_at_ms != 0 && token->expires_at_ms <= now;
    printf("%-14s%-20s %-12s%.*s%s\n", token->id, name, until, (int)grants.length,
           grants.data == NULL ? "" : grants.data, expired ? "  (expired)" : "");
    buffer_done(&grants);
}

static int list_json(const struct tokens *tokens, int64_t now)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->count; i++) {
        json_array_append_new(list, show(&tokens->tokens[i], now));
    }
    return terminal_print_json(json_pack("{so}", "tokens", list));
}

static int list(const struct token_values *values)
{
    struct tokens *tokens;
    struct deepsad_error error = {0};
    int64_t now = clock_realtime_ms();
    int code = EXIT_GOOD;
    if (tokens_read(&tokens, values->file, &error) != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    if (values->json) {
        code = list_json(tokens, now);
    } else {
        printf("%s%-14s%-20s %-12s%s%s\n", terminal_style(stdout, STYLE_BOLD), "id",
               "name", "until", "roles", terminal_style(stdout, STYLE_PLAIN));
        for (size_t i = 0; i < tokens->count; i++) {
            print_row(&tokens->tokens[i], now);
        }
    }
    tokens_unref(tokens);
    return code;
}

/* ---- revoke ------------------------------------------------------------------------ */

static size_t remove_all(struct tokens *tokens, const char *whose)
{
    size_t removed = 0;
    for (size_t i = tokens->count; i > 0; i--) {
        const struct token *token = &tokens->tokens[i - 1];
        if (strcmp(token->id, whose) == 0 || strcmp(token->name, whose) == 0) {
            tokens_remove(tokens, i - 1);
            removed++;
        }
    }
    return removed;
}

static int take_back(size_t *removed, const char *path, const char *whose,
                     struct deepsad_error *error)
{
    struct tokens *tokens = NULL;
    int lock = -1;
    int status = lock_directory(&lock, path, error);
    if (status == DEEPSAD_OK) {
        status = tokens_read(&tokens, path, error);
    }
    if (status == DEEPSAD_OK) {
        *removed = remove_all(tokens, whose);
        status = *removed > 0 ? tokens_write(tokens, path, error)
                              : error_set(error, DEEPSAD_NOT_FOUND,
                                          "%s: there is no token with the id or name "
                                          "\"%.128s\"; deepsad token list lists them",
                                          path, whose);
    }
    tokens_unref(tokens);
    if (lock >= 0) {
        close(lock);
    }
    return status;
}

static int revoke_tokens(const struct token_values *values, const char *whose)
{
    size_t removed = 0;
    struct deepsad_error error = {0};
    if (take_back(&removed, values->file, whose, &error) != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    if (values->json) {
        return terminal_print_json(json_pack("{sI}", "revoked", (json_int_t)removed));
    }
    printf("%zu token%s revoked\n", removed, removed == 1 ? "" : "s");
    say_reload();
    return EXIT_GOOD;
}

/* ---- The command ------------------------------------------------------------------- */

static int run_one(const struct command *command, int argc, char **argv)
{
    struct token_values values = {.file = TOKENS_PATH};
    const char *operands[1] = {NULL};
    int code;
    if (!options_parse(&values, operands, command, argc, argv, &code)) {
        return code;
    }
    if (command == &new_command && values.roles.count == 0) {
        terminal_error("token new: which roles? --role ROLE[:MODELS], one or more of %s",
                       role_list);
        return EXIT_USAGE;
    }
    if (command == &new_command) {
        return make(&values, operands[0]);
    }
    return command == &list_command ? list(&values) : revoke_tokens(&values, operands[0]);
}

static int run(int argc, char **argv)
{
    static const struct command *const commands[] = {&new_command, &list_command,
                                                     &revoke_command, NULL};
    return options_run_group(&token_command, commands, run_one, argc, argv);
}

const struct command token_command = {
    .name = "token",
    .usage = "new NAME --role ROLE[:MODELS]... [options]\n"
             "       deepsad token list [options]\n"
             "       deepsad token revoke ID|NAME [options]",
    .summary = "Make, list and revoke the tokens that a daemon asks for.",
    .details =
        "A daemon whose access.tokens is there asks each request for a token, "
        "Authorization: Bearer TOKEN. Roles: score (score rows), label (verdicts under "
        "one's own name, samples, review), operate (retrain, activate, load, unload), "
        "admin (all of it, and verdicts in the name of others). MODELS is a pattern: "
        "fraud-* for all whose names begin so.\n"
        "The file holds SHA-256 of tokens, not tokens. The daemon reads it at the start "
        "and at SIGHUP.",
    .options = (const struct command_option[]){ROLE_OPTION,
                                               EXPIRES_OPTION,
                                               FILE_OPTION,
                                               JSON_OPTION(struct token_values, json),
                                               {0}},
    .operands = 1,
    .run = run,
};
