/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad encode: the representation of rows, as CSV or NPY, for methods that go on from
 * there. */
#include "tool/encode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "tool/options.h"
#include "tool/output.h"
#include "tool/reading.h"
#include "tool/scale.h"
#include "tool/stop.h"
#include "tool/terminal.h"

struct encode_values {
    const char *output;
    struct reading reading;
    bool json;
};

static const struct command_option options[] = {
    {.name = "output",
     .type = OPTION_TEXT,
     .offset = offsetof(struct encode_values, output),
     .argument = "FILE",
     .help = "write FILE.npy, float32, (rows, width), or FILE.csv: z0, z1, ..."},
    READING_OPTIONS(struct encode_values, reading),
    JSON_OPTION(struct encode_values, json),
    {0},
};

struct codes {
    size_t rows, width;
    float *values; /* (rows, width) */
};

/* ---- Output ---- */

static void append_csv(struct buffer *out, const struct codes *codes)
{
    for (size_t j = 0; j < codes->width; j++) {
        buffer_printf(out, "%sz%zu", j > 0 ? "," : "", j);
    }
    for (size_t i = 0; i < codes->rows; i++) {
        for (size_t j = 0; j < codes->width; j++) {
            buffer_append(out, j > 0 ? "," : "\n", 1);
            output_append_float(out, codes->values[i * codes->width + j]);
        }
    }
    buffer_append(out, "\n", 1);
}

static int write_file(const struct codes *codes, const char *path,
                      struct deepsad_error *error)
{
    struct buffer out = {0};
    if (output_is_npy(path)) {
        output_append_npy(&out, codes->rows, codes->width);
        buffer_append(&out, codes->values,
                      codes->rows * codes->width * sizeof *codes->values);
    } else {
        append_csv(&out, codes);
    }
    int status = out.failed ? error_no_memory(error, path)
                            : file_replace(path, out.data, out.length, error);
    buffer_done(&out);
    return status;
}

static int print_summary(const struct codes *codes, const char *path, bool json)
{
    if (json) {
        return terminal_print_json(json_pack("{s:s, s:I, s:I}", "output", path, "rows",
                                             (json_int_t)codes->rows, "width",
                                             (json_int_t)codes->width));
    }
    char rows[TERMINAL_COUNT_SIZE];
    printf("%s: %s rows, representations of %zu numbers\n", path,
           terminal_count(rows, codes->rows), codes->width);
    return EXIT_GOOD;
}

/* ---- Encoding ---- */

static int encode_rows(struct codes *out, const struct deepsad_model *model,
                       const struct deepsad_dataset *dataset, struct deepsad_error *error)
{
    size_t count;
    out->rows = dataset->rows;
    out->width = deepsad_model_code_width(model);
    bool fits = !__builtin_mul_overflow(out->rows, out->width, &count);
    out->values = fits ? calloc(count + 1, sizeof *out->values) : NULL;
    return out->values == NULL
               ? error_no_memory(error, "the representations")
               : deepsad_encode(model, out->values, dataset->x, dataset->rows, error);
}

static int encode_file(struct codes *out, const struct encode_values *values,
                       const char *const operands[2], struct deepsad_error *error)
{
    struct deepsad_model *model = NULL;
    struct deepsad_dataset dataset = {0};
    int status = deepsad_model_load(&model, operands[0], error);
    if (status == DEEPSAD_OK) {
        status = reading_read_for(&dataset, model, &values->reading, operands[1], error);
    }
    if (status == DEEPSAD_OK) {
        scale_warn(model, &dataset, operands[1]);
        status = encode_rows(out, model, &dataset, error);
    }
    deepsad_dataset_clear(&dataset);
    deepsad_model_unref(model);
    return status;
}

static int encode(const struct encode_values *values, const char *const operands[2])
{
    struct deepsad_error error = {0};
    struct codes codes = {0};
    int status = encode_file(&codes, values, operands, &error);
    if (status == DEEPSAD_OK) {
        stop_catch();
        status = write_file(&codes, values->output, &error);
    }
    int code = status == DEEPSAD_OK ? print_summary(&codes, values->output, values->json)
                                    : terminal_fail(&error);
    free(codes.values);
    return code;
}

static int run(int argc, char **argv)
{
    struct encode_values values = {0};
    const char *operands[2];
    int code;
    if (!options_parse(&values, operands, &encode_command, argc, argv, &code)) {
        return code;
    }
    if (values.output == NULL) {
        terminal_error("encode: where to? give --output FILE.npy or FILE.csv");
        return EXIT_USAGE;
    }
    return output_check(values.output) ? encode(&values, operands) : EXIT_USAGE;
}

const struct command encode_command = {
    .name = "encode",
    .usage = "MODEL DATA --output FILE [options]",
    .summary = "Write the representation of each row of DATA.",
    .details =
        "What the model's first network makes of a row, phi(x): numbers for other "
        "methods "
        "to go on from, in the order of DATA; of a model of autoencoders the bottleneck. "
        "A model of nearest neighbours alone has none. With --json one object: output, "
        "rows, width. Labels in DATA are not used.\n"
        "MODEL is a file, MODELS/NAME (its live version) or MODELS/NAME/<n>.",
    .options = options,
    .operands = 2,
    .run = run,
};
