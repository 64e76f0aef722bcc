/* SPDX-License-Identifier: Apache-2.0 */
#include "data/cifar.h"

#include "data/classes.h"
#include "data/pixels.h"

enum { CIFAR_CHANNELS = 3, CIFAR_SIDE = 32, CIFAR_CLASSES = 10 };

static int read_record(struct pixels *pixels, const unsigned char *record,
                       const struct classes *choice, size_t number, const char *path,
                       struct deepsad_error *error)
{
    signed char label;
    if (record[0] >= CIFAR_CLASSES) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: record %zu is of class %u; CIFAR-10 has classes 0 to 9: is "
                         "it a file of CIFAR-10's binary version?",
                         path, number, record[0]);
    }
    return classes_label(choice, record[0], &label)
               ? pixels_append(pixels, record + 1, label, error)
               : DEEPSAD_OK;
}

static int read_records(struct pixels *pixels, struct stream *stream,
                        const struct classes *choice, struct deepsad_error *error)
{
    unsigned char record[1 + CIFAR_CHANNELS * CIFAR_SIDE * CIFAR_SIDE];
    size_t counts[CLASSES_MAX] = {0};
    for (size_t number = 1;; number++) {
        size_t got = 0;
        int status = stream_read(stream, record, sizeof record, &got, error);
        if (status == DEEPSAD_OK && got == 0) {
            break;
        }
        if (status == DEEPSAD_OK && got < sizeof record) {
            status =
                error_set(error, DEEPSAD_INVALID,
                          "%s: record %zu has %zu of %zu bytes; is the file complete?",
                          stream->path, number, got, sizeof record);
        }
        if (status == DEEPSAD_OK) {
            status = read_record(pixels, record, choice, number, stream->path, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
        counts[record[0]]++;
    }
    return classes_check_counts(choice, counts, stream->path, error);
}

int cifar_read(struct deepsad_dataset *out, struct stream *stream,
               const struct deepsad_read_options *options, struct deepsad_error *error)
{
    struct classes choice;
    struct pixels pixels;
    int status = classes_init(&choice, options, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    pixels_init(&pixels, CIFAR_CHANNELS, CIFAR_SIDE, CIFAR_SIDE);
    status = read_records(&pixels, stream, &choice, error);
    if (status == DEEPSAD_OK) {
        status = pixels_take(&pixels, out, stream->path, error);
    }
    pixels_done(&pixels);
    return status;
}
