/* SPDX-License-Identifier: Apache-2.0 */
#include "model/safetensors_writer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/safetensors.h"

enum { LENGTH_SIZE = 8, ALIGNMENT = 64 };

/* A tensor's bytes. */
struct piece {
    const float *values;
    float *own; /* the values where they are a copy, else NULL */
    size_t size;
};

struct safetensors_writer {
    json_t *header, *metadata;
    struct buffer pieces, table; /* pieces: of struct piece */
    size_t data_size;
    bool failed;
};

struct safetensors_writer *safetensors_writer_new(void)
{
    struct safetensors_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->header = json_object();
    writer->metadata = json_object();
    writer->failed =
        json_object_set(writer->header, "__metadata__", writer->metadata) != 0;
    return writer;
}

static struct piece piece_at(const struct safetensors_writer *writer, size_t index)
{
    struct piece piece;
    memcpy(&piece, writer->pieces.data + index * sizeof piece, sizeof piece);
    return piece;
}

static size_t count_pieces(const struct safetensors_writer *writer)
{
    return writer->pieces.length / sizeof(struct piece);
}

void safetensors_writer_free(struct safetensors_writer *writer)
{
    if (writer != NULL) {
        for (size_t i = 0; i < count_pieces(writer); i++) {
            free(piece_at(writer, i).own);
        }
        json_decref(writer->metadata);
        json_decref(writer->header);
        buffer_done(&writer->table);
        buffer_done(&writer->pieces);
        free(writer);
    }
}

static void add_entry(struct safetensors_writer *writer, const char *name, size_t rank,
                      const size_t *shape, size_t size)
{
    json_t *sizes = json_array();
    for (size_t i = 0; i < rank; i++) {
        json_int_t one = (json_int_t)shape[i];
        writer->failed |= json_array_append_new(sizes, json_integer(one)) != 0;
    }
    size_t end = writer->data_size + size;
    json_t *entry =
        json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", sizes, "data_offsets",
                  (json_int_t)writer->data_size, (json_int_t)end);
    writer->failed |= json_object_set_new(writer->header, name, entry) != 0;
    writer->data_size = end;
    safetensors_append_entry(&writer->table, name, rank, shape);
}

static size_t bytes_of(size_t rank, const size_t *shape)
{
    size_t size = sizeof(float);
    for (size_t i = 0; i < rank; i++) {
        size *= shape[i];
    }
    return size;
}

/* Takes over piece.own. */
static void add_piece(struct safetensors_writer *writer, const char *name, size_t rank,
                      const size_t *shape, struct piece piece)
{
    piece.size = bytes_of(rank, shape);
    buffer_append(&writer->pieces, &piece, sizeof piece);
    if (writer->pieces.failed) {
        free(piece.own);
        return;
    }
    add_entry(writer, name, rank, shape, piece.size);
}

void safetensors_writer_add_shape(struct safetensors_writer *writer, const char *name,
                                  size_t rank, const size_t *shape, const float *values)
{
    size_t size = bytes_of(rank, shape);
    float *own = malloc(size + 1);
    if (own == NULL) {
        writer->failed = true;
        return;
    }
    if (size > 0) {
        memcpy(own, values, size);
    }
    add_piece(writer, name, rank, shape, (struct piece){.values = own, .own = own});
}

void safetensors_writer_add(struct safetensors_writer *writer, const char *name,
                            size_t rows, size_t columns, const float *values)
{
    const size_t shape[] = {rows, columns};
    safetensors_writer_add_shape(writer, name, columns > 0 ? 2 : 1, shape, values);
}

void safetensors_writer_borrow(struct safetensors_writer *writer, const char *name,
                               size_t rows, size_t columns, const float *values)
{
    const size_t shape[] = {rows, columns};
    add_piece(writer, name, columns > 0 ? 2 : 1, shape, (struct piece){.values = values});
}

void safetensors_writer_metadata(struct safetensors_writer *writer, const char *key,
                                 const char *value)
{
    writer->failed |= json_object_set_new(writer->metadata, key, json_string(value)) != 0;
}

const char *safetensors_writer_table(const struct safetensors_writer *writer,
                                     size_t *size)
{
    *size = writer->table.length;
    return writer->table.data;
}

void safetensors_writer_data(const struct safetensors_writer *writer,
                             const struct safetensors_sink *sink)
{
    for (size_t i = 0; i < count_pieces(writer); i++) {
        struct piece piece = piece_at(writer, i);
        sink->take(sink->closure, piece.values, piece.size);
    }
}

int safetensors_writer_write(const struct safetensors_writer *writer,
                             const struct safetensors_sink *sink,
                             struct deepsad_error *error)
{
    static const char blanks[ALIGNMENT + 1] =
        "                                                                ";
    bool failed = writer->failed || writer->pieces.failed || writer->table.failed;
    char *header = failed ? NULL : json_print(writer->header, JSON_COMPACT);
    if (header == NULL) {
        return error_no_memory(error, "a model file");
    }
    size_t length = strlen(header);
    size_t padding = (ALIGNMENT - (LENGTH_SIZE + length) % ALIGNMENT) % ALIGNMENT;
    uint64_t total = length + padding;
    sink->take(sink->closure, &total, sizeof total);
    sink->take(sink->closure, header, length);
    sink->take(sink->closure, blanks, padding);
    safetensors_writer_data(writer, sink);
    free(header);
    return DEEPSAD_OK;
}

static void append_bytes(void *closure, const void *bytes, size_t size)
{
    buffer_append(closure, bytes, size);
}

int safetensors_writer_finish(struct safetensors_writer *writer, struct buffer *out,
                              struct deepsad_error *error)
{
    const struct safetensors_sink sink = {append_bytes, out};
    int status = safetensors_writer_write(writer, &sink, error);
    return status == DEEPSAD_OK && out->failed ? error_no_memory(error, "a model file")
                                               : status;
}
