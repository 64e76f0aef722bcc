/* SPDX-License-Identifier: Apache-2.0 */
#include "data/npy.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

enum {
    NPY_HEADER_MAX = 65536, /* bytes; more than any real header of plain arrays */
    NPY_CHUNK = 8192,       /* values read at a time */
    NPY_VALUES_FIRST = 1 << 16,
};

struct npy {
    struct stream *stream;
    char kind; /* f, i, u */
    size_t size;
    bool has_type, has_order, has_shape;
    size_t dimensions;
    size_t shape[NPY_DIMENSIONS_MAX];
    size_t count;  /* product of the shape */
    float *values; /* (count) */
};

/* ---- The header: a Python dictionary ---- */

/* A position in the header's text. */
struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, char c)
{
    while (cursor->at < cursor->end && strchr(" \t\n", *cursor->at) != NULL &&
           *cursor->at != '\0') {
        cursor->at++;
    }
    if (cursor->at < cursor->end && *cursor->at == c) {
        cursor->at++;
        return true;
    }
    return false;
}

static bool take_word(struct cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    take(cursor, '\0'); /* blanks */
    if ((size_t)(cursor->end - cursor->at) < length ||
        memcmp(cursor->at, word, length) != 0) {
        return false;
    }
    cursor->at += length;
    return true;
}

/* 'text' or "text", cut to `size`. */
static bool take_string(struct cursor *cursor, char *out, size_t size)
{
    char quote = take(cursor, '\'') ? '\'' : take(cursor, '"') ? '"' : '\0';
    if (quote == '\0') {
        return false;
    }
    const char *close = memchr(cursor->at, quote, (size_t)(cursor->end - cursor->at));
    if (close == NULL) {
        return false;
    }
    size_t length = (size_t)(close - cursor->at);
    length = length < size ? length : size - 1;
    memcpy(out, cursor->at, length);
    out[length] = '\0';
    cursor->at = close + 1;
    return true;
}

static bool take_number(struct cursor *cursor, size_t *out)
{
    take(cursor, '\0');
    const char *start = cursor->at;
    size_t number = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        if (number > (SIZE_MAX - 9) / 10) {
            return false;
        }
        number = number * 10 + (size_t)(*cursor->at++ - '0');
    }
    *out = number;
    return cursor->at > start;
}

static int malformed(const struct npy *npy, const char *what, struct deepsad_error *error)
{
    return error_set(error, DEEPSAD_INVALID,
                     "%s: its header is malformed at %s; save the array again with "
                     "numpy.save",
                     npy->stream->path, what);
}

static int parse_type(struct npy *npy, struct cursor *cursor, struct deepsad_error *error)
{
    static const char *const types[] = {"<f4", "<f8", "|u1", "<u1",
                                        "|i1", "<i1", "<i4", "<i8"};
    char text[16];
    if (!take_string(cursor, text, sizeof text)) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s: a structured array; save a plain one, with one type for all "
            "values",
            npy->stream->path);
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(text, types[i]) == 0) {
            npy->kind = text[1];
            npy->size = (size_t)(text[2] - '0');
            npy->has_type = true;
            return DEEPSAD_OK;
        }
    }
    for (char *p = text; *p != '\0'; p++) {
        *p = *p < 0x20 || *p == 0x7f ? '?' : *p;
    }
    return error_set(error, DEEPSAD_INVALID,
                     "%s: values of type %s%s; f4, f8, i1, u1, i4 and i8, little-endian, "
                     "are read: save array.astype('<f4')",
                     npy->stream->path, text, text[0] == '>' ? " (big-endian)" : "");
}

static int parse_order(struct npy *npy, struct cursor *cursor,
                       struct deepsad_error *error)
{
    if (take_word(cursor, "True")) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: the array is in Fortran order; save "
                         "numpy.ascontiguousarray(array)",
                         npy->stream->path);
    }
    npy->has_order = take_word(cursor, "False");
    return npy->has_order ? DEEPSAD_OK : malformed(npy, "fortran_order", error);
}

static int parse_shape(struct npy *npy, struct cursor *cursor,
                       struct deepsad_error *error)
{
    if (!take(cursor, '(')) {
        return malformed(npy, "shape", error);
    }
    npy->dimensions = 0;
    npy->count = 1;
    while (!take(cursor, ')')) {
        size_t side;
        if (!take_number(cursor, &side)) {
            return malformed(npy, "shape", error);
        }
        if (npy->dimensions == NPY_DIMENSIONS_MAX) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: an array of more than %d dimensions; reshape it to (n, "
                             "d), (n, h, w) or (n, c, h, w)",
                             npy->stream->path, NPY_DIMENSIONS_MAX);
        }
        npy->shape[npy->dimensions++] = side;
        if (__builtin_mul_overflow(npy->count, side, &npy->count) ||
            npy->count > SIZE_MAX / sizeof(double)) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: its header announces more values than memory can hold",
                             npy->stream->path);
        }
        if (!take(cursor, ',') && !take(cursor, ')')) {
            return malformed(npy, "shape", error);
        } else if (cursor->at[-1] == ')') {
            break;
        }
    }
    npy->has_shape = true;
    return DEEPSAD_OK;
}

static int parse_header(struct npy *npy, struct cursor cursor,
                        struct deepsad_error *error)
{
    if (!take(&cursor, '{')) {
        return malformed(npy, "its start", error);
    }
    while (!take(&cursor, '}')) {
        char key[16];
        if (!take_string(&cursor, key, sizeof key) || !take(&cursor, ':')) {
            return malformed(npy, "a key", error);
        }
        int status = strcmp(key, "descr") == 0 ? parse_type(npy, &cursor, error)
                     : strcmp(key, "fortran_order") == 0
                         ? parse_order(npy, &cursor, error)
                     : strcmp(key, "shape") == 0 ? parse_shape(npy, &cursor, error)
                                                 : malformed(npy, "a key", error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        take(&cursor, ',');
    }
    return npy->has_type && npy->has_order && npy->has_shape
               ? DEEPSAD_OK
               : malformed(npy, "its end: descr, fortran_order or shape is missing",
                           error);
}

static int read_header(struct npy *npy, struct deepsad_error *error)
{
    struct stream *stream = npy->stream;
    unsigned char start[12] = {0};
    int status = stream_read_exactly(stream, start, 8, "its header", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: not a .npy file of version 1 to 3; save it with numpy.save",
                         stream->path);
    }
    size_t width = start[6] == 1 ? 2 : 4;
    status = stream_read_exactly(stream, start + 8, width, "its header", error);
    size_t length = (size_t)start[8] | (size_t)start[9] << 8 | (size_t)start[10] << 16 |
                    (size_t)start[11] << 24;
    if (status == DEEPSAD_OK && length > NPY_HEADER_MAX) {
        return malformed(npy, "its length", error);
    }
    char *text = status == DEEPSAD_OK ? malloc(length + 1) : NULL;
    if (status == DEEPSAD_OK && text == NULL) {
        return error_no_memory(error, stream->path);
    }
    if (status == DEEPSAD_OK) {
        status = stream_read_exactly(stream, text, length, "its header", error);
    }
    if (status == DEEPSAD_OK) {
        status = parse_header(npy, (struct cursor){text, text + length}, error);
    }
    free(text);
    return status;
}

int npy_read_header(struct npy_header *out, struct stream *stream,
                    struct deepsad_error *error)
{
    struct npy npy = {.stream = stream};
    int status = read_header(&npy, error);
    if (status == DEEPSAD_OK) {
        *out = (struct npy_header){.dimensions = npy.dimensions,
                                   .bytes = npy.count * npy.size};
        memcpy(out->shape, npy.shape, sizeof out->shape);
    }
    return status;
}

/* ---- The values ---- */

/* Bytes of the file are little-endian, as are the machines this runs on. */
static double decode(const struct npy *npy, const unsigned char *bytes)
{
    float f4;
    double f8;
    int32_t i4;
    int64_t i8;
    switch (npy->size) {
    case 1:
        return npy->kind == 'u' ? bytes[0] : (double)(signed char)bytes[0];
    case 4:
        memcpy(&f4, bytes, sizeof f4);
        memcpy(&i4, bytes, sizeof i4);
        return npy->kind == 'f' ? (double)f4 : (double)i4;
    default:
        memcpy(&f8, bytes, sizeof f8);
        memcpy(&i8, bytes, sizeof i8);
        return npy->kind == 'f' ? f8 : (double)i8;
    }
}

static int value_fault(const struct npy *npy, size_t index, double value,
                       struct deepsad_error *error)
{
    size_t rest = npy->count / npy->shape[0];
    return error_set(
        error, DEEPSAD_INVALID, "%s: the value %g (row %zu, column %zu, from 0) %s",
        npy->stream->path, value, index / rest, index % rest,
        isinf(value) ? "is infinite; NaN stands for a missing value"
                     : "is beyond the range of a float (3.4e38); rescale it");
}

static int read_chunk(struct npy *npy, size_t done, size_t count, float scale,
                      struct deepsad_error *error)
{
    unsigned char bytes[NPY_CHUNK * sizeof(double)];
    int status =
        stream_read_exactly(npy->stream, bytes, count * npy->size, "its values", error);
    for (size_t i = 0; i < count && status == DEEPSAD_OK; i++) {
        double value = decode(npy, bytes + i * npy->size);
        float narrow = (float)value / scale;
        if (isinf(narrow)) {
            return value_fault(npy, done + i, value, error);
        }
        npy->values[done + i] = narrow;
    }
    return status;
}

/* Memory grows with what the file really holds, whatever its header announces. */
static int read_values(struct npy *npy, float scale, struct deepsad_error *error)
{
    size_t capacity = 0;
    for (size_t done = 0; done < npy->count;) {
        if (done == capacity) {
            capacity = capacity == 0 ? NPY_VALUES_FIRST : 2 * capacity;
            capacity = capacity < npy->count ? capacity : npy->count;
            float *values = realloc(npy->values, capacity * sizeof *values);
            if (values == NULL) {
                return error_no_memory(error, npy->stream->path);
            }
            npy->values = values;
        }
        size_t count = capacity - done < NPY_CHUNK ? capacity - done : NPY_CHUNK;
        int status = read_chunk(npy, done, count, scale, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        done += count;
    }
    return stream_expect_end(npy->stream, error);
}

/* ---- Data sets and labels ---- */

static int check_shape(const struct npy *npy, struct deepsad_error *error)
{
    if (npy->dimensions < 2) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: an array of %zu dimension%s; rows are expected as (n, d), "
                         "(n, h, w) or (n, c, h, w): array.reshape(-1, 1) if it is one "
                         "feature",
                         npy->stream->path, npy->dimensions,
                         npy->dimensions == 1 ? "" : "s");
    }
    return npy->count > 0 ? DEEPSAD_OK
                          : error_set(error, DEEPSAD_INVALID, "%s: the array is empty",
                                      npy->stream->path);
}

static int take_labels(struct npy *npy, signed char *labels, size_t rows,
                       const char *data_path, struct deepsad_error *error)
{
    bool column = npy->dimensions == 2 && npy->shape[1] == 1;
    if ((npy->dimensions != 1 && !column) || npy->shape[0] != rows) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s: labels must be an array of shape (%zu), one for each row of "
            "%s; it has %zu dimension%s of %zu values in all",
            npy->stream->path, rows, data_path, npy->dimensions,
            npy->dimensions == 1 ? "" : "s", npy->count);
    }
    int status = read_values(npy, 1, error);
    for (size_t i = 0; i < rows && status == DEEPSAD_OK; i++) {
        float value = npy->values[i];
        labels[i] = (signed char)((value > 0) - (value < 0));
        if (isnan(value) || fabsf(value - (float)labels[i]) > 0) {
            status = error_set(error, DEEPSAD_INVALID,
                               "%s: label %g of row %zu (from 0); labels are 0 "
                               "(unlabeled), 1 (normal) and -1 (anomalous)",
                               npy->stream->path, (double)value, i);
        }
    }
    return status;
}

static int read_labels(signed char *labels, const char *path, size_t rows,
                       const char *data_path, struct deepsad_error *error)
{
    struct stream stream;
    int status = stream_open(&stream, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct npy npy = {.stream = &stream};
    status = read_header(&npy, error);
    if (status == DEEPSAD_OK) {
        status = take_labels(&npy, labels, rows, data_path, error);
    }
    free(npy.values);
    stream_close(&stream);
    return status;
}

static struct deepsad_dataset describe(const struct npy *npy)
{
    const size_t *shape = npy->shape;
    struct deepsad_dataset out = {
        .rows = shape[0], .features = npy->count / shape[0], .x = npy->values};
    if (npy->dimensions > 2) {
        out.channels = npy->dimensions == 4 ? shape[1] : 1;
        out.height = shape[npy->dimensions - 2];
        out.width = shape[npy->dimensions - 1];
    }
    return out;
}

int npy_read_vector(float **out, size_t *count, const char *path,
                    struct deepsad_error *error)
{
    struct stream stream;
    int status = stream_open(&stream, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct npy npy = {.stream = &stream};
    status = read_header(&npy, error);
    if (status == DEEPSAD_OK) {
        status = read_values(&npy, 1, error);
    }
    for (size_t i = 0; i < npy.count && status == DEEPSAD_OK; i++) {
        if (!isfinite(npy.values[i])) {
            status =
                error_set(error, DEEPSAD_INVALID, "%s: value %zu is not finite", path, i);
        }
    }
    stream_close(&stream);
    if (status != DEEPSAD_OK) {
        free(npy.values);
        return status;
    }
    *out = npy.values;
    *count = npy.count;
    return DEEPSAD_OK;
}

int npy_read(struct deepsad_dataset *out, struct stream *stream,
             const struct deepsad_read_options *options, struct deepsad_error *error)
{
    struct npy npy = {.stream = stream};
    struct deepsad_dataset data = {0};
    int status = read_header(&npy, error);
    if (status == DEEPSAD_OK) {
        status = check_shape(&npy, error);
    }
    if (status == DEEPSAD_OK) {
        bool pixels = npy.kind == 'u' && npy.dimensions > 2;
        status = read_values(&npy, pixels ? 255 : 1, error);
    }
    if (status != DEEPSAD_OK) {
        free(npy.values);
        return status;
    }
    data = describe(&npy);
    data.labels = calloc(data.rows, 1);
    if (data.labels == NULL) {
        status = error_no_memory(error, stream->path);
    } else if (options->labels != NULL) {
        status =
            read_labels(data.labels, options->labels, data.rows, stream->path, error);
    }
    if (status != DEEPSAD_OK) {
        deepsad_dataset_clear(&data);
        return status;
    }
    *out = data;
    return DEEPSAD_OK;
}
