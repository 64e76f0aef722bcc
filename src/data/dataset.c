/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include "data/cifar.h"
#include "data/csv.h"
#include "data/idx.h"
#include "data/npy.h"

int dataset_allocate(struct deepsad_dataset *out, size_t rows, size_t features,
                     const char *what, struct deepsad_error *error)
{
    if (features != 0 && rows > SIZE_MAX / sizeof(float) / features) {
        return error_no_memory(error, what);
    }
    float *x = calloc(rows * features + 1, sizeof *x); /* never of size 0 */
    signed char *labels = calloc(rows + 1, 1);
    if (x == NULL || labels == NULL) {
        free(x);
        free(labels);
        return error_no_memory(error, what);
    }
    out->rows = rows;
    out->features = features;
    out->x = x;
    out->labels = labels;
    return DEEPSAD_OK;
}

void deepsad_dataset_clear(struct deepsad_dataset *dataset)
{
    if (dataset == NULL) {
        return;
    }
    for (size_t j = 0; dataset->names != NULL && j < dataset->features; j++) {
        free(dataset->names[j]);
    }
    free(dataset->names);
    free(dataset->x);
    free(dataset->labels);
    *dataset = (struct deepsad_dataset){0};
}

static int copy_names(char ***out, char *const *names, size_t count,
                      struct deepsad_error *error)
{
    char **copy = calloc(count + 1, sizeof *copy);
    bool complete = copy != NULL;
    for (size_t j = 0; complete && j < count; j++) {
        copy[j] = strdup(names[j]);
        complete = copy[j] != NULL;
    }
    if (!complete) {
        for (size_t j = 0; copy != NULL && j < count; j++) {
            free(copy[j]);
        }
        free(copy);
        return error_no_memory(error, "feature names");
    }
    *out = copy;
    return DEEPSAD_OK;
}

int dataset_resize(struct deepsad_dataset *dataset, size_t rows, const char *what,
                   struct deepsad_error *error)
{
    if (rows > SIZE_MAX / sizeof *dataset->x / dataset->features) {
        return error_no_memory(error, what);
    }
    float *x = realloc(dataset->x, rows * dataset->features * sizeof *x);
    if (x == NULL) {
        return error_no_memory(error, what);
    }
    dataset->x = x;
    signed char *labels = realloc(dataset->labels, rows);
    if (labels == NULL) {
        return error_no_memory(error, what);
    }
    dataset->labels = labels;
    return DEEPSAD_OK;
}

int dataset_select(struct deepsad_dataset *out, const struct deepsad_dataset *dataset,
                   const size_t *rows, size_t count, struct deepsad_error *error)
{
    struct deepsad_dataset copy = {.channels = dataset->channels,
                                   .height = dataset->height,
                                   .width = dataset->width};
    size_t features = dataset->features;
    int status = dataset_allocate(&copy, count, features, "a data set", error);
    if (status == DEEPSAD_OK && dataset->names != NULL) {
        status = copy_names(&copy.names, dataset->names, features, error);
    }
    if (status != DEEPSAD_OK) {
        deepsad_dataset_clear(&copy);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(copy.x + i * features, dataset->x + rows[i] * features,
               features * sizeof *copy.x);
        copy.labels[i] = dataset->labels != NULL ? dataset->labels[rows[i]] : 0;
    }
    *out = copy;
    return DEEPSAD_OK;
}

/* ---- Reading ---- */

static bool ends_with(const char *path, size_t length, const char *suffix)
{
    size_t size = strlen(suffix);
    return length >= size && memcmp(path + length - size, suffix, size) == 0;
}

typedef int reader(struct deepsad_dataset *out, struct stream *stream,
                   const struct deepsad_read_options *options,
                   struct deepsad_error *error);

/* Which options a format has a meaning for. */
enum { TAKES_COLUMNS = 1, TAKES_LABELS = 2, TAKES_CLASSES = 4 };

static const struct format {
    const char *suffix; /* then perhaps .gz */
    const char *name;
    reader *read;
    int takes;
} formats[] = {
    {".csv", "CSV", csv_read, TAKES_COLUMNS},
    {".npy", "NPY", npy_read, TAKES_LABELS},
    {"idx3-ubyte", "IDX", idx_read, TAKES_LABELS | TAKES_CLASSES},
    {".bin", "CIFAR-10", cifar_read, TAKES_CLASSES},
};

static const struct format *find_format(const char *path)
{
    size_t length = strlen(path);
    length -= ends_with(path, length, ".gz") ? 3 : 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (ends_with(path, length, formats[i].suffix)) {
            return &formats[i];
        }
    }
    return NULL;
}

static int check_options(const struct format *format,
                         const struct deepsad_read_options *options, const char *path,
                         struct deepsad_error *error)
{
    bool ignore = options->ignore != NULL && *options->ignore != NULL;
    bool anomalies =
        options->anomaly_classes != NULL && *options->anomaly_classes != NULL;
    const struct {
        bool given;
        int kind;
        const char *what;
    } given[] = {
        {options->label_column != NULL, TAKES_COLUMNS, "a label column"},
        {options->label_map != NULL, TAKES_COLUMNS, "a label map"},
        {ignore, TAKES_COLUMNS, "columns to ignore"},
        {options->labels != NULL, TAKES_LABELS, "a file of labels"},
        {options->normal_class != NULL, TAKES_CLASSES, "a normal class"},
        {anomalies, TAKES_CLASSES, "anomaly classes"},
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (given[i].given && (format->takes & given[i].kind) == 0) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: %s is given, which has no meaning for a file of %s; "
                             "leave it out",
                             path, given[i].what, format->name);
        }
    }
    return DEEPSAD_OK;
}

int deepsad_dataset_read(struct deepsad_dataset *out, const char *path,
                         const struct deepsad_read_options *options,
                         struct deepsad_error *error)
{
    static const struct deepsad_read_options defaults;
    options = options != NULL ? options : &defaults;
    const struct format *format = find_format(path);
    if (format == NULL) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s: no format of data has this name; read are .csv, .npy, "
            "-idx3-ubyte (images of MNIST's format) and .bin (CIFAR-10), and "
            "each with .gz; other images: numpy.save them as one array, (n, height, "
            "width) or (n, channels, height, width)",
            path);
    }
    struct stream stream;
    int status = check_options(format, options, path, error);
    if (status == DEEPSAD_OK) {
        status = stream_open(&stream, path, error);
    }
    if (status == DEEPSAD_OK) {
        status = format->read(out, &stream, options, error);
        stream_close(&stream);
    }
    return status;
}

/* ---- Writing ---- */

void dataset_append_name(struct buffer *out, const char *name)
{
    size_t length = strlen(name);
    bool quote = strpbrk(name, ",\"\r\n") != NULL || length == 0 ||
                 strchr(" \t", name[0]) != NULL ||
                 strchr(" \t", name[length - 1]) != NULL;
    if (!quote) {
        buffer_append(out, name, length);
        return;
    }
    buffer_append(out, "\"", 1);
    for (; *name != '\0'; name++) {
        buffer_append(out, "\"\"", *name == '"');
        buffer_append(out, name, 1);
    }
    buffer_append(out, "\"", 1);
}

static void append_header(struct buffer *out, const struct deepsad_dataset *dataset)
{
    for (size_t j = 0; j < dataset->features; j++) {
        if (dataset->names != NULL) {
            dataset_append_name(out, dataset->names[j]);
        } else {
            buffer_printf(out, "x%zu", j);
        }
        buffer_append(out, ",", 1);
    }
    buffer_append_text(out, "label\n");
}

static void append_row(struct buffer *out, const float *x, size_t features, int label)
{
    char *start = buffer_reserve(out, features * (NUMBER_FLOAT_MAX + 1));
    if (start == NULL) {
        return;
    }
    char *p = start;
    for (size_t j = 0; j < features; j++) {
        p += isnan(x[j]) ? 0 : number_format_float(p, x[j]);
        *p++ = ',';
    }
    out->length += (size_t)(p - start);
    buffer_append_text(out, label > 0 ? "normal\n" : label < 0 ? "anomalous\n" : "\n");
}

int deepsad_dataset_write_csv(const struct deepsad_dataset *dataset, const char *path,
                              struct deepsad_error *error)
{
    enum { PIECE = 1 << 18 };
    for (size_t j = 0; dataset->names != NULL && j < dataset->features; j++) {
        if (strcmp(dataset->names[j], "label") == 0) {
            return error_set(
                error, DEEPSAD_INVALID,
                "%s: a feature is named `label`, as is the column of labels; "
                "rename it, or leave it out when reading (--ignore label)",
                path);
        }
    }
    struct file_writer writer;
    int status = file_writer_open(&writer, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct buffer out = {0};
    append_header(&out, dataset);
    for (size_t i = 0; i < dataset->rows && !out.failed; i++) {
        append_row(&out, dataset->x + i * dataset->features, dataset->features,
                   dataset->labels != NULL ? dataset->labels[i] : 0);
        if (out.length >= PIECE) {
            file_writer_write(&writer, out.data, out.length);
            buffer_clear(&out);
        }
    }
    if (out.failed) {
        file_writer_discard(&writer);
        status = error_no_memory(error, path);
    } else {
        file_writer_write(&writer, out.data, out.length);
        status = file_writer_commit(&writer, error);
    }
    buffer_done(&out);
    return status;
}
