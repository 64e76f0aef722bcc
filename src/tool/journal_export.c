/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "tool/journal_csv.h"
#include "tool/journal_json.h"

struct journal_export {
    const struct journal_place *place;
    size_t features;
    bool json;
    struct buffer text;
    size_t count;
};

static void append(struct journal_export *export, const struct store_label *label,
                   const float *x)
{
    if (export->json) {
        journal_json_append(&export->text, label, x, export->features);
    } else {
        journal_csv_append(&export->text, label, x, export->features);
    }
    export->count++;
}

/* Labels of rows with another number of features cannot be told in this model's columns.
 */
static int append_with_sample(struct journal_export *export,
                              const struct store_label *label,
                              struct deepsad_error *error)
{
    struct store_samples sample = {0};
    int status = store_sample_get(export->place->store, &sample, export->place->name,
                                  label->sample_id, error);
    if (status == DEEPSAD_OK && sample.features == export->features) {
        append(export, label, sample.x);
    }
    store_samples_done(&sample);
    return status;
}

static int append_in_force(struct journal_export *export, struct deepsad_error *error)
{
    struct store_labels labels = {0};
    int status = store_labels_in_force(export->place->store, &labels, export->place->name,
                                       export->features, error);
    for (size_t i = 0; i < labels.count; i++) {
        append(export, &labels.labels[i], labels.x + i * export->features);
    }
    store_labels_done(&labels);
    return status;
}

/* The store lists newest first. */
static int append_all(struct journal_export *export, struct deepsad_error *error)
{
    struct store_labels labels = {0};
    const struct store_label_filter filter = {0};
    int status = store_labels_list(export->place->store, &labels, export->place->name,
                                   &filter, error);
    for (size_t i = labels.count; i > 0 && status == DEEPSAD_OK; i--) {
        status = append_with_sample(export, &labels.labels[i - 1], error);
    }
    store_labels_done(&labels);
    return status;
}

static int write_out(const struct journal_export *export, const char *path,
                     struct deepsad_error *error)
{
    if (export->text.failed) {
        return error_no_memory(error, "the labels");
    }
    if (path != NULL) {
        return file_replace(path, export->text.data, export->text.length, error);
    }
    fwrite(export->text.data, 1, export->text.length, stdout);
    return DEEPSAD_OK; /* terminal_flush() tells whether it went out */
}

int journal_export(size_t *count, const struct journal_place *place, const char *path,
                   bool all, struct deepsad_error *error)
{
    struct journal_export export = {.place = place,
                                    .features = deepsad_model_features(place->model)};
    int status =
        path == NULL ? DEEPSAD_OK : journal_path_is_json(&export.json, path, error);
    if (status == DEEPSAD_OK && !export.json) {
        status = journal_csv_check_names(place->model, error);
        journal_csv_header(&export.text, place->model);
    }
    if (status == DEEPSAD_OK) {
        status = all ? append_all(&export, error) : append_in_force(&export, error);
    }
    if (status == DEEPSAD_OK) {
        status = write_out(&export, path, error);
    }
    buffer_done(&export.text);
    *count = export.count;
    return status;
}
