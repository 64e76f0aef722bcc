/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad import: an encoder that was trained in PyTorch becomes the next version of a
 * model: its weights as they are, calibrated on rows that are brought along. */
#include "tool/import.h"

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/npy.h"
#include "model/fit.h"
#include "model/import.h"
#include "model/manifest.h"
#include "model/version.h"
#include "tool/options.h"
#include "tool/reading.h"
#include "tool/stop.h"
#include "tool/summary.h"
#include "tool/terminal.h"

enum { FILE_MAX = 1 << 30, DIGEST_SIZE = 2 * SHA256_DIGEST_SIZE + 1 };

struct import_values {
    const char *out, *rows, *center, *network, *scaler, *mean, *std;
    double epsilon;
    struct reading reading;
    bool json;
};

static const struct command_option options[] = {
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, out),
     .argument = "MODELS/NAME",
     .help = "the model's directory; its next version is written there"},
    {.name = "rows",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, rows),
     .argument = "DATA",
     .help = "rows to calibrate on, best such as the encoder was not trained on"},
    {.name = "center",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, center),
     .argument = "FILE.npy",
     .help = "the center c (default: the mean of the rows' representations)"},
    {.name = "network",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, network),
     .argument = "STEPS",
     .help =
         "mnist-lenet, ... or conv:16,pool,dense:128,rep:64 (default: dense layers by "
         "the tensors' shapes)"},
    {.name = "scaler",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, scaler),
     .argument = "NAME",
     .help = "fitted on the rows: none (default), minmax, asinh, global"},
    {.name = "mean",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, mean),
     .argument = "FILE.npy",
     .help = "with --std: the encoder takes (x - mean) / std"},
    {.name = "std",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_values, std),
     .argument = "FILE.npy",
     .help = "see --mean"},
    {.name = "eps",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct import_values, epsilon),
     .max = 1,
     .argument = "E",
     .help =
         "eps of the batch norms (default: 1e-5, PyTorch's; the authors' code: 1e-4)"},
    READING_OPTIONS(struct import_values, reading),
    JSON_OPTION(struct import_values, json),
    {0},
};

/* ---- What is read ------------------------------------------------------------------ */

static int read_tensors(struct safetensors **out, char digest[static DIGEST_SIZE],
                        const char *path, struct deepsad_error *error)
{
    struct buffer content = {0};
    unsigned char bytes[SHA256_DIGEST_SIZE];
    struct sha256_ctx context;
    int status = file_read(&content, path, FILE_MAX, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    sha256_init(&context);
    sha256_update(&context, content.length, (const uint8_t *)content.data);
    sha256_digest(&context, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(digest + 2 * i, 3, "%02x", bytes[i]);
    }
    status = safetensors_parse_foreign(out, &content, error);
    buffer_done(&content);
    if (status != DEEPSAD_OK) {
        error_prefix(error, "%s", path);
    }
    return status;
}

/* An array of `count` numbers; NULL where no path is given. */
static int read_vector(float **out, const char *path, size_t count, const char *what,
                       struct deepsad_error *error)
{
    size_t found;
    *out = NULL;
    int status = path == NULL ? DEEPSAD_OK : npy_read_vector(out, &found, path, error);
    if (status == DEEPSAD_OK && path != NULL && found != count) {
        free(*out);
        *out = NULL;
        return error_set(error, DEEPSAD_INVALID, "%s: %zu values, %s has %zu", path,
                         found, what, count);
    }
    return status;
}

/* (x - mean) / std; a missing value is the mean. */
static int make_scaler(struct scaler *out, const struct import_values *values,
                       size_t features, struct deepsad_error *error)
{
    float *mean = NULL, *std = NULL;
    int status = read_vector(&mean, values->mean, features, "a row", error);
    if (status == DEEPSAD_OK) {
        status = read_vector(&std, values->std, features, "a row", error);
    }
    if (status == DEEPSAD_OK) {
        status = scaler_new(out, SCALER_MINMAX, features, error);
    }
    for (size_t j = 0; j < features && status == DEEPSAD_OK; j++) {
        out->impute[j] = out->offset[j] = mean[j];
        out->scale[j] = 1 / std[j];
        if (!(std[j] > 0)) {
            status = error_set(error, DEEPSAD_INVALID, "%s: value %zu is not above 0",
                               values->std, j);
            scaler_done(out);
        }
    }
    free(mean);
    free(std);
    return status;
}

/* ---- The model --------------------------------------------------------------------- */

static int set_all(struct deepsad_recipe *recipe, const char *const (*settings)[2],
                   size_t count, struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        status = deepsad_recipe_set(recipe, settings[i][0], settings[i][1], error);
    }
    return status;
}

/* The paper's, for an encoder of that form: what a retraining goes by. */
static int make_recipe(struct deepsad_recipe **out, const struct import_encoder *encoder,
                       const char *scaler, struct deepsad_error *error)
{
    struct buffer text = {0};
    architecture_print(&text, &encoder->architecture);
    char *network = buffer_take_string(&text);
    int status = network == NULL ? error_no_memory(error, "the recipe")
                                 : deepsad_recipe_new(out, "reference", error);
    if (status == DEEPSAD_OK) {
        const char *const settings[][2] = {
            {"network", network},
            {"batch_norm", encoder->batch_norm ? "on" : "off"},
            {"scaler", scaler == NULL ? "none" : scaler},
            {"calibration", "0"}};
        status = set_all(*out, settings, sizeof settings / sizeof settings[0], error);
    }
    free(network);
    return status;
}

static int fit(struct deepsad_model **out, const struct import_values *values,
               const struct import_encoder *encoder,
               const struct deepsad_dataset *dataset, struct deepsad_error *error)
{
    struct deepsad_recipe *recipe = NULL;
    struct scaler scaler = {0};
    float *center = NULL;
    bool scaled = values->mean != NULL;
    struct training_given given = {.network = encoder->network, .bias = encoder->bias};
    struct fit_input input = {.dataset = dataset,
                              .names = dataset->names,
                              .scaler = scaled ? &scaler : NULL,
                              .given = &given};
    const struct deepsad_train_options how = {.seed = 1};
    int status = make_recipe(&recipe, encoder, values->scaler, error);
    if (status == DEEPSAD_OK) {
        status = read_vector(&center, values->center, encoder->network->outputs,
                             "the representation", error);
    }
    if (status == DEEPSAD_OK && scaled) {
        status = make_scaler(&scaler, values, dataset->features, error);
    }
    if (status == DEEPSAD_OK) {
        given.center = center;
        input.reservoir = recipe->reservoir;
        status = fit_train(out, &input, recipe, &how, error);
    }
    scaler_done(&scaler);
    deepsad_recipe_free(recipe);
    free(center);
    return status;
}

static struct image_shape shape_of(const struct deepsad_dataset *dataset, bool images)
{
    bool image = images && dataset->channels > 0;
    return image
               ? (struct image_shape){dataset->channels, dataset->height, dataset->width}
               : (struct image_shape){dataset->features, 1, 1};
}

static int make_model(struct deepsad_model **out, const struct import_values *values,
                      const char *path, struct deepsad_error *error)
{
    char digest[DIGEST_SIZE];
    struct safetensors *file = NULL;
    struct import_encoder encoder = {.network = NULL};
    struct deepsad_dataset dataset = {0};
    int status = read_tensors(&file, digest, path, error);
    if (status == DEEPSAD_OK) {
        status = reading_read(&dataset, &values->reading, values->rows, error);
    }
    if (status == DEEPSAD_OK) {
        const struct import_options how = {
            .network = values->network,
            .input = shape_of(&dataset, values->network != NULL),
            .epsilon = values->epsilon};
        status = import_encoder(&encoder, file, &how, error);
        if (status != DEEPSAD_OK) {
            error_prefix(error, "%s", path);
        }
    }
    if (status == DEEPSAD_OK) {
        status = fit(out, values, &encoder, &dataset, error);
    }
    if (status == DEEPSAD_OK) {
        status =
            manifest_set(*out, "imported",
                         json_pack("{ss ss}", "file", path, "sha256", digest), error);
    }
    import_encoder_done(&encoder);
    deepsad_dataset_clear(&dataset);
    safetensors_free(file);
    return status;
}

static int import(const struct import_values *values, const char *path)
{
    double start = clock_monotonic();
    struct deepsad_error error = {0};
    struct summary summary = {.directory = values->out};
    int status = version_check_directory(values->out, &error);
    if (status == DEEPSAD_OK) {
        status = make_model(&summary.model, values, path, &error);
    }
    if (status == DEEPSAD_OK) {
        stop_catch();
        status = summary_save(&summary, &error);
    }
    summary.seconds = clock_monotonic() - start;
    int code = status == DEEPSAD_OK ? summary_print(&summary, values->json)
                                    : terminal_fail(&error);
    deepsad_model_unref(summary.model);
    return code;
}

static int run(int argc, char **argv)
{
    struct import_values values = {.epsilon = 1e-5};
    const char *path;
    int code;
    if (!options_parse(&values, &path, &import_command, argc, argv, &code)) {
        return code;
    }
    const char *missing = NULL;
    if (values.out == NULL || values.rows == NULL) {
        missing = values.out == NULL
                      ? "import: where to? give --out MODELS/NAME"
                      : "import: give --rows DATA: without rows to calibrate "
                        "on there are no p-values";
    } else if ((values.mean == NULL) != (values.std == NULL)) {
        missing = "import: --mean and --std go together";
    } else if (values.mean != NULL && values.scaler != NULL) {
        missing = "import: give either --scaler or --mean and --std";
    }
    if (missing != NULL) {
        terminal_error("%s", missing);
        return EXIT_USAGE;
    }
    return import(&values, path);
}

const struct command import_command = {
    .name = "import",
    .usage = "FILE.safetensors --rows DATA --out MODELS/NAME [options]",
    .summary = "Make a model of an encoder that was trained in PyTorch.",
    .details =
        "FILE is safetensors.torch.save_file(encoder.state_dict(), FILE). Layers are "
        "found "
        "by their names, as in the authors' code or an nn.Sequential: weights, biases, "
        "batch norms, affine or not; between layers a leaky ReLU of slope 0.01, after a "
        "pool step max pooling of 2 x 2. The score is the squared distance to the "
        "center, "
        "as the encoder gives it.\n"
        "DATA are rows as the encoder takes them (or see --scaler, --mean): the p-values "
        "are those of its unlabeled rows, so they hold where the encoder was not trained "
        "on them. They are kept in the model file for retraining, which trains anew by "
        "the "
        "recipe reference, with an encoder of the same layers.",
    .options = options,
    .operands = 1,
    .run = run,
};
