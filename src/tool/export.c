/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad export: a model for other programs, as an ONNX graph or as its safetensors
 * file.
 */
#include "tool/export.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/model_file.h"
#include "tool/options.h"
#include "tool/stop.h"
#include "tool/terminal.h"

struct export_values {
    const char *onnx, *safetensors;
    bool json;
};

static const struct command_option options[] = {
    {.name = "onnx",
     .type = OPTION_TEXT,
     .offset = offsetof(struct export_values, onnx),
     .argument = "FILE",
     .help = "write an ONNX graph: input (rows, features) -> score, p_value (rows)"},
    {.name = "safetensors",
     .type = OPTION_TEXT,
     .offset = offsetof(struct export_values, safetensors),
     .argument = "FILE",
     .help = "write the model's tensors without the rows it was trained on"},
    JSON_OPTION(struct export_values, json),
    {0},
};

/* A model that is loaded does not hold the rows of its file, so what is written has none.
 */
static int write_file(const struct deepsad_model *model,
                      const struct export_values *values, struct deepsad_error *error)
{
    return values->onnx != NULL ? deepsad_model_export_onnx(model, values->onnx, error)
                                : deepsad_model_save(model, values->safetensors, error);
}

static int print_summary(const char *path, bool onnx, bool json)
{
    struct stat status;
    long long bytes = stat(path, &status) == 0 ? (long long)status.st_size : 0;
    const char *format = onnx ? "onnx" : "safetensors";
    if (json) {
        return terminal_print_json(json_pack("{s:s, s:s, s:I}", "output", path, "format",
                                             format, "bytes", (json_int_t)bytes));
    }
    printf("%s: %s, %lld bytes\n", path, format, bytes);
    if (onnx) {
        printf("  input \"input\" float32 [rows, features], NaN = missing; outputs "
               "\"score\" and \"p_value\" float32 [rows]\n");
    }
    return EXIT_GOOD;
}

static int export(const struct export_values *values, const char *const operands[1])
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    bool onnx = values->onnx != NULL;
    int status = deepsad_model_load(&model, operands[0], &error);
    if (status == DEEPSAD_OK) {
        stop_catch();
        status = write_file(model, values, &error);
    }
    deepsad_model_unref(model);
    return status == DEEPSAD_OK ? print_summary(onnx ? values->onnx : values->safetensors,
                                                onnx, values->json)
                                : terminal_fail(&error);
}

static int run(int argc, char **argv)
{
    struct export_values values = {0};
    const char *operands[1];
    int code;
    if (!options_parse(&values, operands, &export_command, argc, argv, &code)) {
        return code;
    }
    if ((values.onnx == NULL) == (values.safetensors == NULL)) {
        terminal_error("export: give either --onnx FILE or --safetensors FILE");
        return EXIT_USAGE;
    }
    return export(&values, operands);
}

const struct command export_command = {
    .name = "export",
    .usage = "MODEL --onnx FILE | --safetensors FILE [options]",
    .summary = "Write MODEL for other programs.",
    .details =
        "ONNX: the whole way from raw features to score and p-value is inside the graph "
        "(missing values, scaling, all networks, nearest neighbours, calibration), so it "
        "runs as it is in onnxruntime, in Spark or in a browser; opset 15. Rows of "
        "images "
        "are flat, channels first. Alpha, threshold, the features' names and the card "
        "are "
        "in the file's metadata (deepsad.*).\n"
        "MODEL is a file, MODELS/NAME (its live version) or MODELS/NAME/<n>.",
    .options = options,
    .operands = 1,
    .run = run,
};
