/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "model/ensemble.h"
#include "model/evaluate.h"
#include "model/fit_calibration.h"
#include "model/insurance.h"
#include "model/manifest.h"
#include "nn/matrix.h"
#include "nn/metrics.h"

/* ---- Tasks ---- */

struct job {
    struct component *component;
    size_t task;
    int status;
    struct deepsad_error error;
};

struct jobs {
    const struct training *training;
    size_t count;
    size_t threaded; /* the first so many run in several threads themselves */
    size_t first;    /* of those that are to be run now */
    struct job *list;
};

static void run_job(void *closure, size_t i)
{
    struct jobs *jobs = closure;
    struct job *job = &jobs->list[jobs->first + i];
    if (monitor_cancelled(jobs->training->monitor)) {
        job->status = DEEPSAD_CANCELLED;
        return;
    }
    job->status =
        job->component->ops->fit(job->component, jobs->training, job->task, &job->error);
    if (job->status != DEEPSAD_OK) {
        monitor_cancel(jobs->training->monitor);
    }
}

static bool is_threaded(const struct component *component)
{
    return component->ops->threaded != NULL && component->ops->threaded(component);
}

static void add_jobs(struct jobs *jobs, const struct deepsad_model *model, bool threaded)
{
    for (size_t j = 0; j < model->component_count; j++) {
        struct component *component = model->components[j];
        size_t tasks =
            is_threaded(component) == threaded ? component->ops->tasks(component) : 0;
        for (size_t task = 0; task < tasks; task++) {
            jobs->list[jobs->count++] =
                (struct job){.component = component, .task = task};
        }
    }
}

/* Those that run in several threads themselves come first. */
static int collect_jobs(struct jobs *jobs, const struct deepsad_model *model,
                        struct deepsad_error *error)
{
    size_t count = 0;
    for (size_t j = 0; j < model->component_count; j++) {
        count += model->components[j]->ops->tasks(model->components[j]);
    }
    jobs->list = calloc(count, sizeof *jobs->list);
    if (jobs->list == NULL) {
        return error_no_memory(error, "training");
    }
    add_jobs(jobs, model, true);
    jobs->threaded = jobs->count;
    add_jobs(jobs, model, false);
    return DEEPSAD_OK;
}

/* The fault that stopped the others, if there is one beside their being stopped. */
static int jobs_status(const struct jobs *jobs, struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < jobs->count; i++) {
        const struct job *job = &jobs->list[i];
        if (job->status != DEEPSAD_OK && job->status != DEEPSAD_CANCELLED) {
            return error_set(error, (enum deepsad_status)job->status, "%s",
                             job->error.message);
        }
        status = job->status != DEEPSAD_OK ? job->status : status;
    }
    return status == DEEPSAD_OK
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_CANCELLED, "training was cancelled");
}

/* First the long ones, as many at a time as there are threads, which share what threads
 * are left; then the others, one thread each. */
static void run_jobs(struct jobs *jobs, struct training *training, size_t threads)
{
    size_t side_by_side = jobs->threaded < threads ? jobs->threaded : threads;
    training->threads = side_by_side > 0 ? threads / side_by_side : 1;
    parallel_for(jobs->threaded, side_by_side, run_job, jobs);
    jobs->first = jobs->threaded;
    parallel_for(jobs->count - jobs->threaded, threads, run_job, jobs);
}

static int fit_components(struct deepsad_model *model, struct training *training,
                          size_t threads, struct deepsad_error *error)
{
    struct jobs jobs = {.training = training};
    int status = collect_jobs(&jobs, model, error);
    for (size_t j = 0; j < model->component_count && status == DEEPSAD_OK; j++) {
        status =
            model->components[j]->ops->prepare(model->components[j], training, error);
    }
    if (status == DEEPSAD_OK) {
        run_jobs(&jobs, training, threads > 0 ? threads : parallel_cores());
        status = jobs_status(&jobs, error);
    }
    free(jobs.list);
    return status;
}

/* ---- The whole ---- */

static int add_component(struct deepsad_model *model, int status,
                         struct component *component)
{
    if (status == DEEPSAD_OK) {
        model_add(model, component);
    }
    return status;
}

/* What stands for the networks. */
static const struct component_ops *ops_of(const struct plan *plan)
{
    switch ((enum recipe_method)plan->method) {
    case RECIPE_AUTOENCODER:
        return &ensemble_reconstruction;
    case RECIPE_CLASSIFIER:
        return &ensemble_classifier;
    case RECIPE_DEEPSAD:
        break;
    }
    return &ensemble_networks;
}

static int add_components(struct deepsad_model *model, const struct plan *plan,
                          struct deepsad_error *error)
{
    struct component *component = NULL;
    int status = DEEPSAD_OK;
    if (plan->networks) {
        status = ensemble_new(&component, ops_of(plan), plan, model->features, error);
        status = add_component(model, status, component);
    }
    if (plan->autoencoder && status == DEEPSAD_OK) {
        status =
            ensemble_new(&component, &ensemble_autoencoder, plan, model->features, error);
        status = add_component(model, status, component);
    }
    if (plan->neighbours && status == DEEPSAD_OK) {
        status = insurance_new(&component, plan->neighbours_weight, error);
        status = add_component(model, status, component);
    }
    return status;
}

static double total_work(const struct deepsad_model *model,
                         const struct training *training)
{
    double work = 1;
    for (size_t j = 0; j < model->component_count; j++) {
        work += model->components[j]->ops->work(model->components[j], training);
    }
    return work;
}

/* AUC of the labelled rows by scores that never saw them (folds permitting). */
static int measure_labels(double *auc, const float *scores,
                          const struct training *training, struct deepsad_error *error)
{
    size_t count = training->normals + training->anomalies;
    *auc = (double)NAN;
    if (training->normals == 0 || training->anomalies == 0) {
        return DEEPSAD_OK;
    }
    unsigned char *anomalous = malloc(count);
    if (anomalous == NULL) {
        return error_no_memory(error, "measures");
    }
    for (size_t i = 0; i < count; i++) {
        anomalous[i] = training->labels[training->unlabeled + i] < 0;
    }
    int status =
        metrics_auc_roc(auc, scores + training->unlabeled, anomalous, count, error);
    free(anomalous);
    return status;
}

static int measure_entropies(double entropy[static 3], const struct deepsad_model *model,
                             const struct deepsad_dataset *dataset,
                             struct deepsad_error *error)
{
    static const signed char classes[] = {0, 1, -1};
    for (size_t i = 0; i < 3; i++) {
        int status = evaluate_entropy(&entropy[i], model, dataset->x, dataset->labels,
                                      dataset->rows, classes[i], error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return DEEPSAD_OK;
}

static int keep_rows(struct deepsad_model *model, const struct fit_input *input,
                     struct deepsad_error *error)
{
    struct training_set set = {0};
    int status = DEEPSAD_OK;
    if (input->set == NULL && input->reservoir == 0) {
        return DEEPSAD_OK;
    }
    if (input->set != NULL) {
        status = training_set_copy(&set, input->set, error);
        set.complete = true;
    } else {
        status = training_set_from_dataset(&set, input->dataset, input->reservoir, error);
    }
    if (status == DEEPSAD_OK) {
        status = model_hold_set(model, &set, error);
        training_set_done(&set);
    }
    return status;
}

/* From fitted components to a model that can be published. */
static int complete(struct deepsad_model *model, const struct training *training,
                    const struct fit_input *input, struct manifest_facts *facts,
                    struct deepsad_error *error)
{
    const struct deepsad_dataset *dataset = input->dataset;
    float *raw[MODEL_COMPONENTS_MAX] = {0};
    float *memory = calloc((model->component_count + 1) * training->rows, sizeof *memory);
    int status = memory == NULL ? error_no_memory(error, "calibration") : DEEPSAD_OK;
    for (size_t j = 0; j < model->component_count && status == DEEPSAD_OK; j++) {
        struct component *component = model->components[j];
        raw[j] = memory + (j + 1) * training->rows;
        status = component->ops->finish(component, training, raw[j], error);
    }
    if (status == DEEPSAD_OK) {
        status = fit_normalisers(model, training, raw, error);
    }
    if (status == DEEPSAD_OK) {
        status = fit_calibrate(model, memory, &facts->weight, training, raw, error);
    }
    if (status == DEEPSAD_OK) {
        status = measure_labels(&facts->auc, memory, training, error);
    }
    free(memory);
    if (status == DEEPSAD_OK) {
        status = measure_entropies(facts->entropy, model, dataset, error);
    }
    if (status == DEEPSAD_OK) {
        status = keep_rows(model, input, error);
    }
    if (status == DEEPSAD_OK) {
        char digest[TRAINING_DIGEST];
        training_digest(digest, dataset);
        facts->data_digest = digest;
        facts->seconds = monitor_seconds(training->monitor);
        status = manifest_make(model, facts, error);
        facts->data_digest = NULL;
    }
    return status;
}

static int train(struct deepsad_model *model, struct training *training,
                 const struct fit_input *input, const struct deepsad_recipe *recipe,
                 const struct deepsad_train_options *options, struct deepsad_error *error)
{
    int status = add_components(model, training->plan, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    training->seed = options->seed;
    training->monitor = monitor_new(options, total_work(model, training));
    if (training->monitor == NULL) {
        return error_no_memory(error, "training");
    }
    struct manifest_facts facts = {.recipe = recipe,
                                   .training = training,
                                   .parent = options->parent,
                                   .scaler_kept = input->scaler != NULL};
    status = fit_components(model, training, options->threads, error);
    if (status == DEEPSAD_OK) {
        struct monitor_phase phase;
        monitor_phase_start(&phase, training->monitor, "calibrate", 0, 1, 1);
        status = complete(model, training, input, &facts, error);
        monitor_phase_end(&phase);
    }
    if (status == DEEPSAD_OK && monitor_cancelled(training->monitor)) {
        status = error_set(error, DEEPSAD_CANCELLED, "training was cancelled");
    }
    monitor_free(training->monitor);
    return status;
}

static int start_model(struct deepsad_model **out, const struct fit_input *input,
                       const struct plan *plan, struct deepsad_error *error)
{
    const struct deepsad_dataset *dataset = input->dataset;
    struct deepsad_model *model;
    int status = model_new(&model, dataset->features, input->names, error);
    if (status == DEEPSAD_OK) {
        model->channels = dataset->channels;
        model->height = dataset->height;
        model->width = dataset->width;
        model->raw = plan->raw;
        model->alpha = plan->alpha;
        *out = model;
    }
    return status;
}

int fit_train(struct deepsad_model **out, const struct fit_input *input,
              const struct deepsad_recipe *recipe,
              const struct deepsad_train_options *options, struct deepsad_error *error)
{
    struct plan_facts facts;
    struct plan plan;
    struct deepsad_model *model = NULL;
    struct training training = {0};
    struct training_source source = {.dataset = input->dataset,
                                     .ordinals = input->ordinals,
                                     .reviewed = input->reviewed,
                                     .scaler = input->scaler};
    int status = matrix_blas_init(error);
    if (status == DEEPSAD_OK) {
        status = training_facts(&facts, input->dataset, error);
    }
    if (status == DEEPSAD_OK) {
        status = plan_make(&plan, recipe, &facts, error);
    }
    if (status == DEEPSAD_OK) {
        plan.bias = input->given != NULL && input->given->bias;
        status = start_model(&model, input, &plan, error);
    }
    if (status == DEEPSAD_OK) {
        status = training_prepare(&training, &model->scaler, &source, &plan, error);
    }
    if (status == DEEPSAD_OK) {
        training.given = input->given;
        status = train(model, &training, input, recipe, options, error);
        training_done(&training);
    }
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(model);
        return status;
    }
    *out = model;
    return DEEPSAD_OK;
}

int deepsad_train(struct deepsad_model **out, const struct deepsad_dataset *dataset,
                  const struct deepsad_recipe *recipe,
                  const struct deepsad_train_options *options,
                  struct deepsad_error *error)
{
    static const struct deepsad_train_options defaults = {0};
    const struct fit_input input = {
        .dataset = dataset, .names = dataset->names, .reservoir = recipe->reservoir};
    return fit_train(out, &input, recipe, options != NULL ? options : &defaults, error);
}
