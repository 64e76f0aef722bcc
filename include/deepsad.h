/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libdeepsad: Deep SAD, deep semi-supervised anomaly detection (Ruff et al., ICLR 2020,
 * arXiv 1906.02694), on the CPU. Read data, train, save, load, score, evaluate.
 *
 * Conventions, true of every function here unless it says otherwise:
 * - A fallible function returns DEEPSAD_OK (0) or another enum deepsad_status, and
 * describes the failure in *error (which may be NULL). Outputs are written on success
 * only.
 * - Matrices are dense, row-major, float; shapes stand in comments as (rows, columns).
 * - NaN in a feature is a missing value; infinities are refused where data is read.
 * - Labels are the paper's: 0 unlabeled, +1 normal, -1 anomalous.
 * - Functions taking a const object may be called on it from several threads at once.
 * - Free functions accept NULL.
 */
#ifndef DEEPSAD_H
#define DEEPSAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEEPSAD_VERSION "0.1.0"

/* ---- Errors ------------------------------------------------------------------------ */

enum deepsad_status {
    DEEPSAD_OK = 0,
    DEEPSAD_INVALID,     /* a setting, an argument or the content of an input is wrong */
    DEEPSAD_NOT_FOUND,   /* no such file, model or version */
    DEEPSAD_IO,          /* the system refused to read or write */
    DEEPSAD_CORRUPT,     /* a model file is damaged: size, digest, structure */
    DEEPSAD_UNSUPPORTED, /* intact but not for this build: newer format, unknown dtype */
    DEEPSAD_NO_MEMORY,
    DEEPSAD_CANCELLED, /* the progress callback asked to stop */
};

enum { DEEPSAD_MESSAGE_MAX = 512 };

/* Value type; zero-initialise. The first error set wins, later ones are ignored. The
 * message says what is wrong, where (FILE:LINE:COLUMN where there is one) and what to do.
 */
struct deepsad_error {
    enum deepsad_status status;
    char message[DEEPSAD_MESSAGE_MAX];
};

/* ---- Data ---------------------------------------------------------------------------
 */

/* A data set in memory. Plain value: a caller may fill one from its own arrays (and must
 * then not call deepsad_dataset_clear on it unless all came from malloc). */
struct deepsad_dataset {
    size_t rows;
    size_t features;
    float *x;                       /* (rows, features); NaN = missing */
    signed char *labels;            /* (rows): 0 unlabeled, +1 normal, -1 anomalous */
    char **names;                   /* (features) feature names, or NULL: x0, x1, ... */
    size_t channels, height, width; /* of an image, features = their product; else 0 */
};

/* How a file is read; zero-initialise for the defaults. By extension of the path:
 * .csv, .npy, IDX images (*idx3-ubyte), CIFAR-10 binary records (.bin), each also .gz.
 * Pixels (bytes of IDX, of CIFAR-10, of NPY arrays of 3 or 4 dimensions) become [0, 1].
 * Without normal_class every row of IDX and CIFAR-10 is unlabeled; IDX takes it and
 * labels together only. An option that the format gives no meaning is an error. */
struct deepsad_read_options {
    const char *label_column;  /* CSV: column of labels; NULL = "label" if there is one */
    const char *label_map;     /* CSV: "0=normal,1=anomalous": further spellings */
    const char *const *ignore; /* CSV: columns to leave out, NULL-terminated, or NULL */
    const char *labels;        /* NPY (0, +1, -1), IDX (classes): path of the labels */
    const char *normal_class;  /* IDX, CIFAR-10: the normal class, a number */
    const char *const
        *anomaly_classes; /* IDX, CIFAR-10: NULL-terminated; NULL = all others.
                             Rows of classes not named are left out */
};

int deepsad_dataset_read(struct deepsad_dataset *out, const char *path,
                         const struct deepsad_read_options *options,
                         struct deepsad_error *error);
void deepsad_dataset_clear(struct deepsad_dataset *dataset);

/* Writes a CSV with a header, the features with shortest round-trip digits, and a last
 * column `label`: empty, normal or anomalous. Replaces the file atomically. */
int deepsad_dataset_write_csv(const struct deepsad_dataset *dataset, const char *path,
                              struct deepsad_error *error);

/* The paper's semi-supervised setting (section 4.1; ratios as in its equation of gamma).
 * A data set whose labels are the truth becomes a training part (labels mostly hidden)
 * and a test part (labels are the truth), both per class with the same share. */
struct deepsad_split_options {
    double test; /* share of each class for the test part; 0 = no test part */
    double
        labeled_anomalies; /* gamma_l = m_anomalous / (n + m); a number >= 1 is a count */
    double labeled_normals; /* the same for labelled normals */
    double pollution;       /* gamma_p: share of anomalies among the unlabeled rows, or
                               DEEPSAD_POLLUTION_NATURAL: all that are not labelled */
    uint64_t seed;
};
#define DEEPSAD_POLLUTION_NATURAL (-1.0)

int deepsad_split(struct deepsad_dataset *train, struct deepsad_dataset *test,
                  const struct deepsad_dataset *dataset,
                  const struct deepsad_split_options *options,
                  struct deepsad_error *error);

/* ---- Recipes ------------------------------------------------------------------------
 */

/* How to train: scaler, networks, losses, schedules, components. Opaque; a table of named
 * settings (src/model/recipe.c) serves --set, recipe files, the manifest and the help. */
struct deepsad_recipe;

/* `name`: "default" (ours), "reference" (the paper, setting by setting), or the path of a
 * YAML file whose key `base` names one of the two and whose other keys are settings. */
int deepsad_recipe_new(struct deepsad_recipe **out, const char *name,
                       struct deepsad_error *error);
void deepsad_recipe_free(struct deepsad_recipe *recipe);

/* One setting from its text form, e.g. "hidden", "128,64". */
int deepsad_recipe_set(struct deepsad_recipe *recipe, const char *key, const char *value,
                       struct deepsad_error *error);

/* The table of settings with types, defaults and help, for people. free() the result;
 * NULL when out of memory. */
char *deepsad_recipe_help(void);

/* ---- Training -----------------------------------------------------------------------
 */

struct deepsad_progress {
    const char *phase;      /* "pretrain", "train", "autoencoder", "neighbours",
                          "calibrate" */
    size_t member, members; /* which network of the ensemble, from 0 */
    size_t step, steps;     /* within the phase and member */
    bool epochs;     /* the steps are epochs; else batches, or whatever the phase does */
    double loss;     /* NaN where the phase has none */
    double fraction; /* of the whole training, 0..1 */
    double seconds_left; /* estimate; NaN at the start */
};

struct deepsad_train_options {
    uint64_t seed;
    const char *parent; /* version this model descends from, for its lineage; or NULL */
    size_t threads;     /* members are trained in parallel threads, which convolutional
                           networks fewer than the threads share; 0 = one per core */
    /* Called between batches, never from two threads at once; nonzero cancels: training
     * ends with DEEPSAD_CANCELLED within a batch. May be NULL. */
    int (*progress)(void *closure, const struct deepsad_progress *progress);
    void *closure;
};

struct deepsad_model;

/* Trains a model. Same data, recipe, seed: the same model bit for bit on one machine, for
 * any number of threads. The model holds rows of the data for its file, as many as the
 * recipe's setting `reservoir` says, so that it can be retrained; a model that is loaded
 * does not, and what is saved of it has none. */
int deepsad_train(struct deepsad_model **out, const struct deepsad_dataset *dataset,
                  const struct deepsad_recipe *recipe,
                  const struct deepsad_train_options *options,
                  struct deepsad_error *error);

/* ---- Models -------------------------------------------------------------------------
 */

/* A trained model is immutable and reference-counted. `path` is a file, a model directory
 * MODELS/NAME (its live version) or a version MODELS/NAME/<n>. */
int deepsad_model_load(struct deepsad_model **out, const char *path,
                       struct deepsad_error *error);
int deepsad_model_save(const struct deepsad_model *model, const char *path,
                       struct deepsad_error *error);

/* Writes the next version directory/<n>/model.safetensors, and directory/model.yaml (the
 * model's policy) if absent. Versions count from 1; a version never appears half-written.
 */
int deepsad_model_save_version(const struct deepsad_model *model, const char *directory,
                               unsigned *version, struct deepsad_error *error);

struct deepsad_model *deepsad_model_ref(struct deepsad_model *model);
void deepsad_model_unref(struct deepsad_model *model);

size_t deepsad_model_features(const struct deepsad_model *model);
/* Name of feature `index`; owned by the model. */
const char *deepsad_model_feature_name(const struct deepsad_model *model, size_t index);
/* Index of the feature of that name, or SIZE_MAX. */
size_t deepsad_model_feature_index(const struct deepsad_model *model, const char *name,
                                   size_t length);
/* The model's card (input, components, recipe, lineage, calibration, measures) as a JSON
 * object's text. free() the result; NULL when out of memory. */
char *deepsad_model_card(const struct deepsad_model *model);

/* The smallest score whose p-value is <= alpha. False where the calibration cannot reach
 * alpha, that is alpha < 1 / (1 + sum of calibration weights): no row can ever be called
 * anomalous then. */
bool deepsad_model_threshold(const struct deepsad_model *model, double alpha,
                             float *threshold);
/* The smallest alpha the calibration can reach. */
double deepsad_model_alpha_min(const struct deepsad_model *model);
/* The false-alarm budget of the model's directory (model.yaml), else 0.01. */
double deepsad_model_alpha(const struct deepsad_model *model);

/* ---- Scoring ------------------------------------------------------------------------
 */

/* Scratch memory of one thread. Grows to what the largest model it met needs, then never
 * allocates again. */
struct deepsad_workspace;

struct deepsad_workspace *deepsad_workspace_new(void);
void deepsad_workspace_free(struct deepsad_workspace *workspace);

/* scores (rows): higher is more anomalous; always finite. p_values (rows), or NULL:
 * conformal p-value in (0, 1], falls monotonically with the score. x (rows, features).
 * Fails only when out of memory. */
int deepsad_score(const struct deepsad_model *model, struct deepsad_workspace *workspace,
                  float *scores, float *p_values, const float *x, size_t rows,
                  struct deepsad_error *error);

/* What each feature of one row x (features) has in its score: base + the sum of
 * contributions (features) = the score up to rounding, base being the score of the
 * reference sample, the training medians. Integrated gradients from there to the row; the
 * nearest-neighbour component has its exact shares. A missing value contributes 0. Always
 * finite; costs a few dozen scorings. Fails only when out of memory. */
int deepsad_explain(const struct deepsad_model *model,
                    struct deepsad_workspace *workspace, float *base,
                    float *contributions, const float *x, struct deepsad_error *error);

/* ---- Codes -------------------------------------------------------------------------
 */

/* Width of the representation that deepsad_encode() gives; 0 for a model without an
 * encoder, that is of nearest neighbours alone. */
size_t deepsad_model_code_width(const struct deepsad_model *model);

/* codes (rows, deepsad_model_code_width()): the representation phi of each row of
 * x (rows, features) by the model's first network; of a model of autoencoders alone, the
 * bottleneck of the first. DEEPSAD_UNSUPPORTED where there is no encoder. */
int deepsad_encode(const struct deepsad_model *model, float *codes, const float *x,
                   size_t rows, struct deepsad_error *error);

/* ---- Export ------------------------------------------------------------------------
 */

/* Writes the model as an ONNX graph (opset 15) that does all that deepsad_score() does,
 * atomically. Input "input" float32 (rows, features), NaN = missing; outputs "score" and
 * "p_value" float32 (rows), those of deepsad_score() up to rounding. */
int deepsad_model_export_onnx(const struct deepsad_model *model, const char *path,
                              struct deepsad_error *error);

/* ---- Evaluation ---------------------------------------------------------------------
 */

struct deepsad_evaluation {
    size_t rows, anomalies; /* labelled rows; unlabeled ones are left out */
    double alpha;
    double auc_roc;          /* ties count one half */
    double auc_pr;           /* average precision, ties grouped as in scikit-learn */
    double recall_at_alpha;  /* share of anomalies with p_value <= alpha */
    double false_alarm_rate; /* share of normals with p_value <= alpha */
    /* Gaussian upper bound of the latent entropy, 1/2 log det(2 pi e Sigma) (section 3),
     * in nats, mean over the networks; NaN where there is no network or < 2 rows. */
    double latent_entropy_normal, latent_entropy_anomalous;
    double latent_entropy_unlabeled; /* of the rows of label 0 */
};

/* Labels of the data set are the truth; both classes must be there. Any measure that does
 * not exist is NaN. */
int deepsad_evaluate(struct deepsad_evaluation *out, const struct deepsad_model *model,
                     const struct deepsad_dataset *dataset, double alpha,
                     struct deepsad_error *error);

/* Whether the data set can be scored by the model: same number of features and, where
 * both have names, the same names in the same order; where both are images, of the same
 * shape. */
int deepsad_model_accepts(const struct deepsad_model *model,
                          const struct deepsad_dataset *dataset,
                          struct deepsad_error *error);

#endif
