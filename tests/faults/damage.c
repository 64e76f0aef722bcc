/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file with every damage: each truncation, and each byte changed. What is loaded
 * all the same must score as the whole file does, bit for bit:
 *
 *     damage MODEL.safetensors [STRIDE]
 *
 * The header's bytes (names, shapes, digest, manifest) have each of their bits turned,
 * those of tensors three patterns; with a stride only each STRIDE-th byte and length is
 * tried. Says how many damages there were and what became of them; exit status 1 where
 * one was taken for a model that scores differently.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deepsad.h"

enum { ROWS = 16, HEADER_LENGTH = 8 };

struct subject {
    unsigned char *bytes;
    size_t size;
    int file; /* of the damaged copy */
    char path[64];
    size_t features;
    float *x; /* (ROWS, features) */
    float scores[ROWS], p_values[ROWS];
    struct deepsad_workspace *workspace;
    unsigned long tried, rejected, identical, wrong;
};

static void die(const char *what)
{
    fprintf(stderr, "damage: %s\n", what);
    exit(2);
}

static void read_all(struct subject *subject, const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0) {
        die(path);
    }
    subject->size = (size_t)status.st_size;
    subject->bytes = malloc(subject->size);
    if (subject->bytes == NULL ||
        read(file, subject->bytes, subject->size) != (ssize_t)subject->size) {
        die("cannot read the model");
    }
    close(file);
}

static void write_at(const struct subject *subject, const void *bytes, size_t size,
                     size_t at)
{
    if (pwrite(subject->file, bytes, size, (off_t)at) != (ssize_t)size) {
        die("cannot write the copy");
    }
}

static void set_length(const struct subject *subject, size_t size)
{
    if (ftruncate(subject->file, (off_t)size) != 0) {
        die("cannot cut the copy");
    }
}

static void begin(struct subject *subject, const char *path)
{
    struct deepsad_error error = {0};
    struct deepsad_model *model;
    read_all(subject, path);
    subject->file = memfd_create("model", 0);
    snprintf(subject->path, sizeof subject->path, "/proc/self/fd/%d", subject->file);
    write_at(subject, subject->bytes, subject->size, 0);
    if (deepsad_model_load(&model, subject->path, &error) != DEEPSAD_OK) {
        die(error.message);
    }
    subject->features = deepsad_model_features(model);
    subject->x = malloc(ROWS * subject->features * sizeof *subject->x);
    subject->workspace = deepsad_workspace_new();
    if (subject->x == NULL || subject->workspace == NULL) {
        die("out of memory");
    }
    for (size_t i = 0; i < ROWS * subject->features; i++) {
        subject->x[i] = (float)(i % 11) - 3.5F + (float)(i % 7) / 8;
    }
    deepsad_score(model, subject->workspace, subject->scores, subject->p_values,
                  subject->x, ROWS, NULL);
    deepsad_model_unref(model);
}

/* The copy as it is now. */
static void try(struct subject *subject, const char *kind, size_t at, unsigned mask)
{
    struct deepsad_model *model = NULL;
    float scores[ROWS], p_values[ROWS];
    subject->tried++;
    if (deepsad_model_load(&model, subject->path, NULL) != DEEPSAD_OK) {
        subject->rejected++;
        return;
    }
    bool same = deepsad_model_features(model) == subject->features &&
                deepsad_score(model, subject->workspace, scores, p_values, subject->x,
                              ROWS, NULL) == DEEPSAD_OK &&
                memcmp(scores, subject->scores, sizeof scores) == 0 &&
                memcmp(p_values, subject->p_values, sizeof p_values) == 0;
    deepsad_model_unref(model);
    subject->identical += same;
    subject->wrong += !same;
    if (!same) {
        printf("damage: %s at %zu (%#x): loaded, and scores differently\n", kind, at,
               mask);
    }
}

static void change(struct subject *subject, size_t at, unsigned mask)
{
    unsigned char byte = (unsigned char)(subject->bytes[at] ^ mask);
    write_at(subject, &byte, 1, at);
    try(subject, "change", at, mask);
    write_at(subject, &subject->bytes[at], 1, at);
}

static void change_all(struct subject *subject, size_t header, size_t stride)
{
    static const unsigned patterns[] = {0x01, 0x80, 0xff};
    for (size_t at = 0; at < subject->size; at += stride) {
        for (unsigned bit = 0; bit < 8 && at < header; bit++) {
            change(subject, at, 1U << bit);
        }
        for (size_t i = 0; i < 3 && at >= header; i++) {
            change(subject, at, patterns[i]);
        }
    }
}

/* From the end on: each length comes out of the one before. */
static void cut_all(struct subject *subject, size_t stride)
{
    for (size_t size = subject->size; size-- > 0;) {
        if (size % stride == 0 || size + 1 == subject->size) {
            set_length(subject, size);
            try(subject, "cut", size, 0);
        }
    }
    set_length(subject, subject->size);
    write_at(subject, subject->bytes, subject->size, 0);
    set_length(subject, subject->size + 1);
    try(subject, "cut", subject->size + 1, 0); /* a byte too many */
    set_length(subject, subject->size);
}

int main(int argc, char **argv)
{
    struct subject subject = {.tried = 0};
    size_t stride = argc > 2 ? (size_t)atol(argv[2]) : 1, header = 0;
    if (argc < 2 || stride < 1) {
        fputs("usage: damage MODEL.safetensors [STRIDE]\n", stderr);
        return 2;
    }
    begin(&subject, argv[1]);
    for (size_t i = HEADER_LENGTH; i-- > 0;) {
        header = header * 256 + subject.bytes[i];
    }
    change_all(&subject, HEADER_LENGTH + header, stride);
    cut_all(&subject, stride);
    printf("damage: %zu bytes, %lu damages: %lu rejected, %lu identical, %lu wrong\n",
           subject.size, subject.tried, subject.rejected, subject.identical,
           subject.wrong);
    free(subject.bytes);
    free(subject.x);
    deepsad_workspace_free(subject.workspace);
    return subject.wrong > 0;
}
