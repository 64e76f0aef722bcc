/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ONNX model under construction: nodes, constants, inputs and outputs by name, in the
 * order in which they are added, then written as one protobuf message. Names are made
 * here and belong to the graph. Running out of memory is remembered: from then on names
 * are "", and onnx_graph_write() fails.
 */
#ifndef ONNX_GRAPH_H
#define ONNX_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Of the operators; what runtimes of 2021 and later have. */
enum { ONNX_OPSET = 15 };

enum onnx_type { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_DOUBLE = 11 };

struct onnx_attribute {
    const char *name; /* NULL ends a list */
    enum { ONNX_ATTRIBUTE_INT, ONNX_ATTRIBUTE_FLOAT, ONNX_ATTRIBUTE_INTS } kind;
    int64_t integer;
    float number;
    int64_t integers[4];
    size_t count; /* of them */
};
#define ONNX_INT(name, value)                      \
    {                                              \
        name, ONNX_ATTRIBUTE_INT, value, 0, {0}, 0 \
    }
#define ONNX_NUMBER(name, value)                     \
    {                                                \
        name, ONNX_ATTRIBUTE_FLOAT, 0, value, {0}, 0 \
    }

struct onnx_graph;

int onnx_graph_new(struct onnx_graph **out, struct deepsad_error *error);
void onnx_graph_free(struct onnx_graph *graph);

/* Tensors of floats; a dimension of -1 is variable: the batch, named "rows". */
void onnx_graph_input(struct onnx_graph *graph, const char *name, size_t rank,
                      const int64_t *shape);
void onnx_graph_output(struct onnx_graph *graph, const char *name, size_t rank,
                       const int64_t *shape);

/* Constants, which are copied. */
const char *onnx_graph_floats(struct onnx_graph *graph, size_t rank, const int64_t *shape,
                              const float *values);
const char *onnx_graph_float(struct onnx_graph *graph, float value);
const char *onnx_graph_double(struct onnx_graph *graph, double value);
const char *onnx_graph_ints(struct onnx_graph *graph, size_t count,
                            const int64_t *values);

/* The output of a new node. inputs (NULL-terminated; "" leaves an optional one out),
 * attributes (ended by a NULL name, or NULL). */
const char *onnx_graph_node(struct onnx_graph *graph, const char *op,
                            const char *const *inputs,
                            const struct onnx_attribute *attributes);
/* The same without attributes, of one or two inputs. */
const char *onnx_graph_apply(struct onnx_graph *graph, const char *op, const char *a,
                             const char *b);
/* Makes the value known by that name, an output's. */
void onnx_graph_name(struct onnx_graph *graph, const char *value, const char *name);

void onnx_graph_metadata(struct onnx_graph *graph, const char *key, const char *value);

/* Appends the model. Fails when out of memory, or where it would be 2 GiB or more, which
 * protobuf cannot hold. */
int onnx_graph_write(const struct onnx_graph *graph, struct buffer *out,
                     const char *producer_version, struct deepsad_error *error);

#endif
