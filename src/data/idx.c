/* SPDX-License-Identifier: Apache-2.0 */
#include "data/idx.h"

#include <stdint.h>
#include <stdlib.h>

#include "data/classes.h"
#include "data/pixels.h"

enum {
    IDX_CLASSES = 0x00000801,
    IDX_IMAGES = 0x00000803,
    IDX_SIDE_MAX = 4096, /* pixels; a damaged header must not size the memory */
};

/* A big-endian number of four bytes. */
static int read_number(struct stream *stream, size_t *out, struct deepsad_error *error)
{
    unsigned char bytes[4] = {0};
    int status = stream_read_exactly(stream, bytes, sizeof bytes, "its header", error);
    if (status == DEEPSAD_OK) {
        *out = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 |
               bytes[3];
    }
    return status;
}

static int read_magic(struct stream *stream, size_t expected, struct deepsad_error *error)
{
    size_t magic = 0;
    int status = read_number(stream, &magic, error);
    if (status == DEEPSAD_OK && magic != expected) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s: starts with %08zx, not %08zx: it is not an IDX file of %s%s",
            stream->path, magic, expected,
            expected == IDX_IMAGES ? "images of bytes" : "classes",
            magic == IDX_CLASSES  ? " but of classes"
            : magic == IDX_IMAGES ? " but of images"
                                  : "");
    }
    return status;
}

struct idx {
    struct stream *images;
    struct stream classes; /* open where has_classes */
    bool has_classes;
    size_t count, height, width;
    struct classes choice;
    unsigned char *row;
    struct pixels pixels;
};

static int read_headers(struct idx *idx, struct deepsad_error *error)
{
    int status = read_magic(idx->images, IDX_IMAGES, error);
    size_t *numbers[] = {&idx->count, &idx->height, &idx->width};
    for (size_t i = 0; i < 3 && status == DEEPSAD_OK; i++) {
        status = read_number(idx->images, numbers[i], error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (idx->height - 1 >= IDX_SIDE_MAX || idx->width - 1 >= IDX_SIDE_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s: its header announces images of %zu x %zu pixels; sides "
                         "from 1 to %d are read",
                         idx->images->path, idx->height, idx->width, IDX_SIDE_MAX);
    }
    size_t count = 0;
    if (idx->has_classes) {
        status = read_magic(&idx->classes, IDX_CLASSES, error);
        if (status == DEEPSAD_OK) {
            status = read_number(&idx->classes, &count, error);
        }
        if (status == DEEPSAD_OK && count != idx->count) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: %zu classes for the %zu images of %s; do the two files "
                             "belong together?",
                             idx->classes.path, count, idx->count, idx->images->path);
        }
    }
    return status;
}

static int read_images(struct idx *idx, struct deepsad_error *error)
{
    size_t counts[CLASSES_MAX] = {0};
    size_t size = idx->height * idx->width;
    for (size_t i = 0; i < idx->count; i++) {
        unsigned char class = 0;
        signed char label;
        int status = stream_read_exactly(idx->images, idx->row, size, "an image", error);
        if (status == DEEPSAD_OK && idx->has_classes) {
            status = stream_read_exactly(&idx->classes, &class, 1, "the classes", error);
        }
        if (status == DEEPSAD_OK && classes_label(&idx->choice, class, &label)) {
            status = pixels_append(&idx->pixels, idx->row, label, error);
        }
        if (status != DEEPSAD_OK) {
            return status;
        }
        counts[class]++;
    }
    int status = stream_expect_end(idx->images, error);
    if (status == DEEPSAD_OK && idx->has_classes) {
        status = stream_expect_end(&idx->classes, error);
    }
    return status == DEEPSAD_OK
               ? classes_check_counts(&idx->choice, counts, idx->images->path, error)
               : status;
}

static int read_all(struct idx *idx, struct deepsad_dataset *out,
                    struct deepsad_error *error)
{
    int status = read_headers(idx, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    pixels_init(&idx->pixels, 1, idx->height, idx->width);
    idx->row = malloc(idx->height * idx->width);
    if (idx->row == NULL) {
        return error_no_memory(error, "an image");
    }
    status = read_images(idx, error);
    return status == DEEPSAD_OK ? pixels_take(&idx->pixels, out, idx->images->path, error)
                                : status;
}

int idx_read(struct deepsad_dataset *out, struct stream *stream,
             const struct deepsad_read_options *options, struct deepsad_error *error)
{
    struct idx idx = {.images = stream, .has_classes = options->labels != NULL};
    bool opened = false;
    int status = classes_init(&idx.choice, options, error);
    if (status == DEEPSAD_OK && idx.choice.chosen && !idx.has_classes) {
        status = error_set(error, DEEPSAD_INVALID,
                           "%s: a normal class needs the file of classes (--labels "
                           "FILE-idx1-ubyte)",
                           stream->path);
    }
    if (status == DEEPSAD_OK && idx.has_classes && !idx.choice.chosen) {
        status = error_set(error, DEEPSAD_INVALID,
                           "%s: classes without the one that is normal say nothing; name "
                           "it (--normal-class K)",
                           options->labels);
    }
    if (status == DEEPSAD_OK && idx.has_classes) {
        status = stream_open(&idx.classes, options->labels, error);
        opened = status == DEEPSAD_OK;
    }
    if (status == DEEPSAD_OK) {
        status = read_all(&idx, out, error);
    }
    if (opened) {
        stream_close(&idx.classes);
    }
    free(idx.row);
    pixels_done(&idx.pixels);
    return status;
}
