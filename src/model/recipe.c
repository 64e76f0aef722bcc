/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a recipe and the two presets. `default` is the table's fallbacks;
 * `reference` is a list of what the paper does otherwise. A recipe file is the preset
 * that its key `base` names, then its own keys on top.
 */
#include "model/recipe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/setting_yaml.h"
#include "nn/architecture.h"
#include "nn/architecture_parse.h"

static const char *const bases[] = {"default", "reference", NULL};
static const char *const methods[] = {"deepsad", "autoencoder", "classifier", NULL};
static const char *const switches[] = {"auto", "on", "off", NULL};
static const char *const scalers[] = {"auto", "asinh", "minmax", "global", "none", NULL};
static const char *const scores[] = {"normalised", "raw", NULL};
static const char *const cold_starts[] = {"unsupervised", "networks", NULL};
static const char *const schedules[] = {"milestones", "cosine", NULL};
static const char *const losses[] = {"paper", "log", NULL};

#define AT(member) offsetof(struct deepsad_recipe, member)

/* That the images can go through it shows once there are images. */
static int check_network(const char *text, struct deepsad_error *error)
{
    struct architecture architecture;
    return strcmp(text, "auto") == 0 || strcmp(text, "dense") == 0
               ? DEEPSAD_OK
               : architecture_parse(&architecture, text, error);
}

/* Upper limits only keep products of sizes far from overflow. */
static const struct setting settings[] = {
    {.key = "base",
     .type = SETTING_CHOICE,
     .offset = AT(base),
     .choices = bases,
     .fallback = "default",
     .help = "Preset that a recipe file starts from."},
    {.key = "method",
     .type = SETTING_CHOICE,
     .offset = AT(method),
     .choices = methods,
     .fallback = "deepsad",
     .help =
         "What the encoder is trained for: deepsad; or, to compare with: autoencoder "
         "(encoder and decoder; the score is the reconstruction error; trained by the "
         "pretrain_ settings, or the autoencoder_ ones where pretrain_epochs is 0), "
         "classifier (cross-entropy; needs labelled anomalies)."},
    {.key = "scaler",
     .type = SETTING_CHOICE,
     .offset = AT(scaler),
     .choices = scalers,
     .fallback = "auto",
     .help = "Map of the features: asinh of the z-score, min-max after "
             "standardising, one mean and std per image set (global), or none; auto: "
             "global for images, else asinh; of the reference: none for images with "
             "pixels in [0, 1], else minmax."},
    {.key = "score",
     .type = SETTING_CHOICE,
     .offset = AT(score),
     .choices = scores,
     .fallback = "normalised",
     .help = "normalised: 0 = a typical row, 1 = the 90th percentile; raw: the squared "
             "distance as in the paper (one component only)."},
    {.key = "cold_start",
     .type = SETTING_CHOICE,
     .offset = AT(cold_start),
     .choices = cold_starts,
     .fallback = "unsupervised",
     .help = "Without any labelled anomaly: unsupervised components alone, or the "
             "networks too (Deep SVDD)."},
    {.key = "alpha",
     .type = SETTING_NUMBER,
     .offset = AT(alpha),
     .min = 1e-6,
     .max = 0.5,
     .fallback = "0.01",
     .help = "False-alarm budget written to a new model's model.yaml."},
    {.key = "calibration",
     .type = SETTING_NUMBER,
     .offset = AT(calibration),
     .max = 0.5,
     .fallback = "0.1",
     .help = "Share of the unlabeled rows that a model of one member holds out for its "
             "p-values; 0 = calibrate on the training rows."},
    {.key = "contamination",
     .type = SETTING_NUMBER,
     .offset = AT(contamination),
     .max = 0.5,
     .fallback = "0.5",
     .help = "Largest share of hidden anomalies among the unlabeled rows that the "
             "p-values may allow for; 0 where those rows are known to be clean: false "
             "alarms then keep closest to alpha."},
    {.key = "reservoir",
     .type = SETTING_COUNT,
     .offset = AT(reservoir),
     .max = 1e9,
     .fallback = "10000",
     .help = "Unlabeled training rows kept in the model file, at most (and 64 MiB), with "
             "all labelled ones: what retraining needs; 0 = keep none."},
    {.key = "network",
     .type = SETTING_TEXT,
     .offset = AT(network),
     .fallback = "auto",
     .check = check_network,
     .sequence = true,
     .help = "The encoder: dense (layers of the widths `hidden`), mnist-lenet, "
             "fashion-mnist-lenet, cifar-10-lenet, or steps, such as "
             "conv:16,pool,conv3x3:32,pool,dense:128,rep:64 (conv is 5 x 5); in a file "
             "also a sequence: [conv: 16, pool, rep: 64]. auto: dense for tables; for "
             "images fashion-mnist-lenet (1 x 28 x 28), cifar-10-lenet (3 x 32 x 32) or "
             "conv:16,pool,conv:32,pool,dense:128,rep:64, dense where a side is below "
             "4."},
    {.key = "hidden",
     .type = SETTING_COUNTS,
     .offset = AT(hidden),
     .max = 65536,
     .fallback = "128,64",
     .help = "Widths of a dense encoder's layers, the representation last; 0 = the "
             "paper's, by the number of features: up to 6: 32,16,4; up to 100: 32,16,8; "
             "more: 128,64,32."},
    {.key = "batch_norm",
     .type = SETTING_CHOICE,
     .offset = AT(batch_norm),
     .choices = switches,
     .fallback = "auto",
     .help = "BatchNorm before each hidden activation. auto: on for convolutional "
             "networks."},
    {.key = "members",
     .type = SETTING_COUNT,
     .offset = AT(members),
     .max = 64,
     .fallback = "0",
     .help = "Networks of the ensemble; each is trained without its fold of the rows; 0 "
             "= 4, for images 1."},
    {.key = "pretrain_epochs",
     .type = SETTING_COUNT,
     .offset = AT(pretrain_epochs),
     .max = 1e6,
     .fallback = "0",
     .help = "Epochs of autoencoder pretraining; 0 = none."},
    {.key = "pretrain_learning_rate",
     .type = SETTING_NUMBER,
     .offset = AT(pretrain_learning_rate),
     .max = 1,
     .fallback = "0.0001",
     .help = "Learning rate of the pretraining."},
    {.key = "pretrain_weight_decay",
     .type = SETTING_NUMBER,
     .offset = AT(pretrain_weight_decay),
     .max = 1,
     .fallback = "0.0005",
     .help = "L2 weight decay of the pretraining."},
    {.key = "epochs",
     .type = SETTING_COUNT,
     .offset = AT(epochs),
     .max = 1e6,
     .fallback = "0",
     .help = "Passes over the rows; 0 = count in steps instead."},
    {.key = "steps",
     .type = SETTING_COUNT,
     .offset = AT(steps),
     .max = 1e8,
     .fallback = "0",
     .help = "Batches in all where epochs is 0; 0 = 100, or 300 once 100 anomalies are "
             "labelled and for convolutional networks."},
    {.key = "warm",
     .type = SETTING_COUNT,
     .offset = AT(warm),
     .max = 1e6,
     .fallback = "10",
     .help = "Forward passes of a batch that set the statistics of BatchNorm before the "
             "center, where nothing was pretrained."},
    {.key = "center_rows",
     .type = SETTING_COUNT,
     .offset = AT(center_rows),
     .max = 1e9,
     .fallback = "8192",
     .help = "Rows, evenly spread, whose mean representation is the center; 0 = all."},
    {.key = "batch",
     .type = SETTING_COUNT,
     .offset = AT(batch),
     .min = 2,
     .max = 1e6,
     .fallback = "128",
     .help = "Rows of a batch."},
    {.key = "anomaly_batch",
     .type = SETTING_COUNT,
     .offset = AT(anomaly_batch),
     .max = 1e6,
     .fallback = "32",
     .help = "Labelled anomalies drawn in addition for each batch; 0 = they take part "
             "in the passes like any row."},
    {.key = "learning_rate",
     .type = SETTING_NUMBER,
     .offset = AT(learning_rate),
     .max = 1,
     .fallback = "0",
     .help = "Learning rate; 0 = 0.003, of convolutional networks 0.001."},
    {.key = "weight_decay",
     .type = SETTING_NUMBER,
     .offset = AT(weight_decay),
     .max = 1,
     .fallback = "0.0001",
     .help = "Weight decay."},
    {.key = "decoupled",
     .type = SETTING_BOOL,
     .offset = AT(decoupled),
     .fallback = "on",
     .help = "on: decay apart from the gradient (AdamW); off: as L2 (Adam)."},
    {.key = "schedule",
     .type = SETTING_CHOICE,
     .offset = AT(schedule),
     .choices = schedules,
     .fallback = "cosine",
     .help = "Of the learning rate: x 0.1 at the milestones, or cosine to 0."},
    {.key = "milestones",
     .type = SETTING_COUNTS,
     .offset = AT(milestones),
     .max = 1e6,
     .fallback = "50",
     .help = "Epochs from which on the learning rate is a tenth."},
    {.key = "loss",
     .type = SETTING_CHOICE,
     .offset = AT(loss),
     .choices = losses,
     .fallback = "log",
     .help = "paper: d and eta / d, mean over the batch; log: log(1 + d), and eta / d of "
             "the anomalies as a mean of its own."},
    {.key = "eta",
     .type = SETTING_NUMBER,
     .offset = AT(eta),
     .max = 1e6,
     .fallback = "1",
     .help = "Weight of the labelled rows."},
    {.key = "trim",
     .type = SETTING_NUMBER,
     .offset = AT(trim),
     .max = 0.5,
     .fallback = "0.05",
     .help = "Share of the largest distances among a batch's unlabeled rows left out of "
             "the loss (hidden anomalies); 0 where the unlabeled rows are clean."},
    {.key = "insurance",
     .type = SETTING_CHOICE,
     .offset = AT(insurance),
     .choices = switches,
     .fallback = "auto",
     .help = "Nearest-neighbour component, for kinds of anomaly never labelled; it keeps "
             "training rows in the model file. auto: on for tables, off for images."},
    {.key = "insurance_weight",
     .type = SETTING_NUMBER,
     .offset = AT(insurance_weight),
     .min = 1e-3,
     .max = 100,
     .fallback = "0.25",
     .help = "Its weight beside the networks' 1."},
    {.key = "neighbours_members",
     .type = SETTING_COUNT,
     .offset = AT(neighbours_members),
     .min = 1,
     .max = 10000,
     .fallback = "100",
     .help = "Members of the nearest-neighbour ensemble."},
    {.key = "neighbours_scale_rows",
     .type = SETTING_COUNT,
     .offset = AT(neighbours_scale_rows),
     .min = 1,
     .max = 1e9,
     .fallback = "2000",
     .help = "Rows that set a member's unit of distance."},
    {.key = "neighbours_trim",
     .type = SETTING_NUMBER,
     .offset = AT(neighbours_trim),
     .max = 0.5,
     .fallback = "0.1",
     .help = "Share of the highest-scored rows left out of its second draw."},
    {.key = "autoencoder",
     .type = SETTING_CHOICE,
     .offset = AT(autoencoder),
     .choices = switches,
     .fallback = "auto",
     .help = "Autoencoder component (reconstruction error). auto: on for images."},
    {.key = "autoencoder_weight",
     .type = SETTING_NUMBER,
     .offset = AT(autoencoder_weight),
     .min = 1e-3,
     .max = 100,
     .fallback = "1",
     .help = "Its weight beside the networks' 1."},
    {.key = "autoencoder_hidden",
     .type = SETTING_COUNTS,
     .offset = AT(autoencoder_hidden),
     .min = 1,
     .max = 65536,
     .fallback = "64,16",
     .help = "Widths of its encoder; the decoder mirrors them."},
    {.key = "autoencoder_steps",
     .type = SETTING_COUNT,
     .offset = AT(autoencoder_steps),
     .min = 1,
     .max = 1e8,
     .fallback = "400",
     .help = "Its batches in all."},
    {.key = "autoencoder_batch",
     .type = SETTING_COUNT,
     .offset = AT(autoencoder_batch),
     .min = 2,
     .max = 1e6,
     .fallback = "128",
     .help = "Rows of its batch."},
    {.key = "autoencoder_learning_rate",
     .type = SETTING_NUMBER,
     .offset = AT(autoencoder_learning_rate),
     .max = 1,
     .fallback = "0.002",
     .help = "Its learning rate (Adam)."},
};

const struct setting_table recipe_table = {settings,
                                           sizeof settings / sizeof settings[0]};

/* The paper, and its code, setting by setting. */
static const char *const reference[][2] = {
    {"base", "reference"},
    {"score", "raw"},
    {"cold_start", "networks"},
    {"hidden", "0"},
    {"batch_norm", "on"},
    {"members", "1"},
    {"pretrain_epochs", "150"},
    {"pretrain_learning_rate", "0.0001"},
    {"pretrain_weight_decay", "0.0005"},
    {"epochs", "150"},
    {"center_rows", "0"},
    {"anomaly_batch", "0"},
    {"learning_rate", "0.0001"},
    {"weight_decay", "0.0000005"},
    {"decoupled", "off"},
    {"schedule", "milestones"},
    {"milestones", "50"},
    {"loss", "paper"},
    {"eta", "1"},
    {"trim", "0"},
    {"insurance", "off"},
    {"autoencoder", "off"},
};

static int load_preset(struct deepsad_recipe *recipe, int base,
                       struct deepsad_error *error)
{
    int status = settings_init(recipe, recipe_table, NULL, error);
    size_t count = base == RECIPE_REFERENCE ? sizeof reference / sizeof reference[0] : 0;
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        status = settings_set(recipe, recipe_table, reference[i][0], reference[i][1],
                              SETTING_DEFAULT, NULL, error);
    }
    return status;
}

/* Reads the file twice: once for its base, once on top of that preset. */
static int load_file(struct deepsad_recipe *recipe, const char *path,
                     struct deepsad_error *error)
{
    int status = load_preset(recipe, RECIPE_DEFAULT, error);
    if (status == DEEPSAD_OK) {
        status = settings_load_yaml(recipe, recipe_table, path, NULL, error);
    }
    int base = recipe->base;
    if (status == DEEPSAD_OK && base != RECIPE_DEFAULT) {
        settings_done(recipe, recipe_table);
        status = load_preset(recipe, base, error);
        if (status == DEEPSAD_OK) {
            status = settings_load_yaml(recipe, recipe_table, path, NULL, error);
        }
    }
    return status;
}

int deepsad_recipe_new(struct deepsad_recipe **out, const char *name,
                       struct deepsad_error *error)
{
    struct deepsad_recipe *recipe = calloc(1, sizeof *recipe);
    if (recipe == NULL) {
        return error_no_memory(error, "a recipe");
    }
    int status;
    if (strcmp(name, "default") == 0) {
        status = load_preset(recipe, RECIPE_DEFAULT, error);
    } else if (strcmp(name, "reference") == 0) {
        status = load_preset(recipe, RECIPE_REFERENCE, error);
    } else {
        status = load_file(recipe, name, error);
        if (status == DEEPSAD_NOT_FOUND && strchr(name, '/') == NULL &&
            strchr(name, '.') == NULL && error != NULL) {
            *error = (struct deepsad_error){0};
            error_set(
                error, DEEPSAD_NOT_FOUND,
                "no recipe \"%s\": give default, reference, or the path of a recipe "
                "file (YAML)",
                name);
        }
    }
    if (status != DEEPSAD_OK) {
        deepsad_recipe_free(recipe);
        return status;
    }
    *out = recipe;
    return DEEPSAD_OK;
}

void deepsad_recipe_free(struct deepsad_recipe *recipe)
{
    if (recipe != NULL) {
        settings_done(recipe, recipe_table);
        free(recipe);
    }
}

int deepsad_recipe_set(struct deepsad_recipe *recipe, const char *key, const char *value,
                       struct deepsad_error *error)
{
    if (strcmp(key, "base") == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "base: cannot be set afterwards; choose the recipe by name, or "
                         "set it in a recipe file");
    }
    return settings_set(recipe, recipe_table, key, value, SETTING_FLAG, NULL, error);
}

static void describe_type(struct buffer *out, const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_BOOL:
        buffer_append_text(out, "on|off");
        break;
    case SETTING_CHOICE:
        for (size_t i = 0; setting->choices[i] != NULL; i++) {
            buffer_printf(out, "%s%s", i > 0 ? "|" : "", setting->choices[i]);
        }
        break;
    case SETTING_COUNTS:
        buffer_append_text(out, "N,N,...");
        break;
    case SETTING_COUNT:
    case SETTING_SIZE:
        buffer_append_text(out, "N");
        break;
    case SETTING_NUMBER:
    case SETTING_DURATION:
        buffer_append_text(out, "NUMBER");
        break;
    case SETTING_TEXT:
        buffer_append_text(out, "TEXT");
        break;
    }
}

/* The value that `reference` gives to a setting, where it differs. */
static const char *reference_value(const struct setting *setting)
{
    for (size_t i = 0; i < sizeof reference / sizeof reference[0]; i++) {
        if (strcmp(reference[i][0], setting->key) == 0 &&
            strcmp(reference[i][1], setting->fallback) != 0) {
            return reference[i][1];
        }
    }
    return NULL;
}

char *deepsad_recipe_help(void)
{
    struct buffer out = {0};
    for (size_t i = 0; i < recipe_table.count; i++) {
        const struct setting *setting = &recipe_table.settings[i];
        const char *other = reference_value(setting);
        buffer_printf(&out, "%s=", setting->key);
        describe_type(&out, setting);
        buffer_printf(&out, "\n    %s\n    default: %s%s%s\n", setting->help,
                      setting->fallback, other != NULL ? "; reference: " : "",
                      other != NULL ? other : "");
    }
    char *text = buffer_take_string(&out);
    buffer_done(&out);
    return text;
}
