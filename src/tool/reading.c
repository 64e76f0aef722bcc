/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/reading.h"

#include "base/error.h"

static const char *const *items_or_null(const struct option_list *list)
{
    return list->count > 0 ? list->items : NULL;
}

int reading_read(struct deepsad_dataset *out, const struct reading *reading,
                 const char *path, struct deepsad_error *error)
{
    struct deepsad_read_options options = {
        .label_column = reading->label_column,
        .label_map = reading->label_map,
        .ignore = items_or_null(&reading->ignore),
        .labels = reading->labels,
        .normal_class = reading->normal_class,
        .anomaly_classes = items_or_null(&reading->anomaly_classes),
    };
    return deepsad_dataset_read(out, path, &options, error);
}

int reading_read_for(struct deepsad_dataset *out, const struct deepsad_model *model,
                     const struct reading *reading, const char *path,
                     struct deepsad_error *error)
{
    struct deepsad_dataset read = {0};
    int status = reading_read(&read, reading, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = deepsad_model_accepts(model, &read, error);
    if (status != DEEPSAD_OK) {
        deepsad_dataset_clear(&read);
        return error_prefix(error, "%s", path);
    }
    *out = read;
    return DEEPSAD_OK;
}

struct reading_counts reading_count(const struct deepsad_dataset *dataset)
{
    struct reading_counts counts = {0};
    for (size_t i = 0; i < dataset->rows; i++) {
        counts.unlabeled += dataset->labels[i] == 0;
        counts.normal += dataset->labels[i] > 0;
        counts.anomalous += dataset->labels[i] < 0;
    }
    return counts;
}

int reading_need_labels(const struct deepsad_dataset *dataset,
                        struct deepsad_error *error)
{
    if (reading_count(dataset).unlabeled < dataset->rows) {
        return DEEPSAD_OK;
    }
    const char *how = dataset->channels == 0
                          ? "CSV: a column label (--label-column); NPY: --labels FILE.npy"
                          : "IDX: --labels FILE-idx1-ubyte --normal-class K; CIFAR-10: "
                            "--normal-class K; NPY: --labels FILE.npy";
    return error_set(error, DEEPSAD_INVALID,
                     "no row is labelled, and the truth is needed here; %s", how);
}
