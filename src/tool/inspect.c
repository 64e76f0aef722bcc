/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad inspect: what a model is and where it comes from. */
#include "tool/inspect.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool/card.h"
#include "tool/network_view.h"
#include "tool/options.h"
#include "tool/terminal.h"

struct inspect_values {
    bool json;
};

static const struct command_option options[] = {
    JSON_OPTION(struct inspect_values, json),
    {0},
};

static int print_card(const json_t *card, const struct deepsad_model *model,
                      const char *path)
{
    struct buffer out = {0};
    card_render(&out, card, 0);
    network_view_render(&out, model);
    char *text = buffer_take_string(&out);
    buffer_done(&out);
    if (text == NULL) {
        terminal_error("out of memory for the card");
        return EXIT_FAILED;
    }
    printf("%s%s%s\n\n%s", terminal_style(stdout, STYLE_BOLD), path,
           terminal_style(stdout, STYLE_PLAIN), text);
    free(text);
    return EXIT_GOOD;
}

static int inspect(const char *path, bool as_json)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    if (deepsad_model_load(&model, path, &error) != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    json_t *card = card_of(model);
    int code;
    if (card == NULL || as_json) {
        code = terminal_print_json(card);
    } else {
        code = print_card(card, model, path);
        json_decref(card);
    }
    deepsad_model_unref(model);
    return code;
}

static int run(int argc, char **argv)
{
    struct inspect_values values = {0};
    const char *path;
    int code;
    if (options_parse(&values, &path, &inspect_command, argc, argv, &code)) {
        code = inspect(path, values.json);
    }
    return code;
}

const struct command inspect_command = {
    .name = "inspect",
    .usage = "MODEL [options]",
    .summary = "Show what a model is and where it comes from.",
    .details = "The card: input, components, recipe, lineage, reservoir (the training "
               "rows that the file keeps), calibration, measures; and the layers of its "
               "networks: what they are, what comes out, how many parameters they have. "
               "With --json the card as it stands in the model file.\n"
               "MODEL is a file, MODELS/NAME (its live version) or MODELS/NAME/<n>.",
    .options = options,
    .operands = 1,
    .run = run,
};
