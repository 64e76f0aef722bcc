/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of protobuf-c, which the graph owns to the last string: each is allocated
 * from one list of blocks that onnx_graph_free() gives back.
 */
#include "onnx/graph.h"

#include <onnx.pb-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_MAX = 4096, IR_VERSION = 8 /* the file format that opset 15 came with */ };

struct block {
    struct block *next;
    max_align_t bytes[];
};

/* A growing array of messages. */
struct list {
    size_t count, capacity;
    void **items;
};

struct onnx_graph {
    bool failed;
    struct block *blocks;
    size_t names;
    struct list nodes, constants, inputs, outputs, metadata;
};

/* ---- Memory ------------------------------------------------------------------------ */

/* Zeroed, the graph's; NULL: out of memory, now or before. */
static void *take(struct onnx_graph *graph, size_t size)
{
    struct block *block = graph->failed ? NULL : calloc(1, sizeof *block + size);
    if (block == NULL) {
        graph->failed = true;
        return NULL;
    }
    block->next = graph->blocks;
    graph->blocks = block;
    return block->bytes;
}

static char *copy_text(struct onnx_graph *graph, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = take(graph, size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static bool grow(struct list *list)
{
    size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
    void **items = reallocarray(list->items, capacity, sizeof *items);
    if (items == NULL) {
        return false;
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

static void add(struct onnx_graph *graph, struct list *list, void *item)
{
    if (!graph->failed && (list->count < list->capacity || grow(list))) {
        list->items[list->count++] = item;
    } else {
        graph->failed = true;
    }
}

int onnx_graph_new(struct onnx_graph **out, struct deepsad_error *error)
{
    *out = calloc(1, sizeof **out);
    return *out == NULL ? error_no_memory(error, "the graph") : DEEPSAD_OK;
}

void onnx_graph_free(struct onnx_graph *graph)
{
    if (graph == NULL) {
        return;
    }
    while (graph->blocks != NULL) {
        struct block *block = graph->blocks;
        graph->blocks = block->next;
        free(block);
    }
    free(graph->nodes.items);
    free(graph->constants.items);
    free(graph->inputs.items);
    free(graph->outputs.items);
    free(graph->metadata.items);
    free(graph);
}

static char *make_name(struct onnx_graph *graph, const char *prefix)
{
    char text[48];
    snprintf(text, sizeof text, "%s_%zu", prefix, graph->names++);
    return copy_text(graph, text);
}

/* ---- Inputs and outputs ------------------------------------------------------------ */

static Onnx__TensorShapeProto *make_shape(struct onnx_graph *graph, size_t rank,
                                          const int64_t *shape)
{
    Onnx__TensorShapeProto *out = take(graph, sizeof *out);
    void **dims = take(graph, rank * sizeof *dims);
    if (out == NULL || dims == NULL) {
        return NULL;
    }
    onnx__tensor_shape_proto__init(out);
    out->n_dim = rank;
    out->dim = (Onnx__TensorShapeProto__Dimension **)dims;
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = take(graph, sizeof *dim);
        char *rows = copy_text(graph, "rows");
        if (dim == NULL || rows == NULL) {
            return NULL;
        }
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = shape[i] < 0
                              ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                              : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (shape[i] < 0) {
            dim->dim_param = rows;
        } else {
            dim->dim_value = shape[i];
        }
        dims[i] = dim;
    }
    return out;
}

static void add_value(struct onnx_graph *graph, struct list *list, const char *name,
                      size_t rank, const int64_t *shape)
{
    Onnx__ValueInfoProto *value = take(graph, sizeof *value);
    Onnx__TypeProto *type = take(graph, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = take(graph, sizeof *tensor);
    Onnx__TensorShapeProto *dims = make_shape(graph, rank, shape);
    char *copy = copy_text(graph, name);
    if (graph->failed) {
        return;
    }
    onnx__value_info_proto__init(value);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX_FLOAT;
    tensor->shape = dims;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    value->name = copy;
    value->type = type;
    add(graph, list, value);
}

void onnx_graph_input(struct onnx_graph *graph, const char *name, size_t rank,
                      const int64_t *shape)
{
    add_value(graph, &graph->inputs, name, rank, shape);
}

void onnx_graph_output(struct onnx_graph *graph, const char *name, size_t rank,
                       const int64_t *shape)
{
    add_value(graph, &graph->outputs, name, rank, shape);
}

/* ---- Constants --------------------------------------------------------------------- */

static const char *add_constant(struct onnx_graph *graph, enum onnx_type type,
                                size_t rank, const int64_t *shape, const void *values,
                                size_t size)
{
    Onnx__TensorProto *tensor = take(graph, sizeof *tensor);
    int64_t *dims = take(graph, (rank + 1) * sizeof *dims);
    uint8_t *bytes = take(graph, size + 1);
    char *name = make_name(graph, "constant");
    if (graph->failed) {
        return "";
    }
    onnx__tensor_proto__init(tensor);
    memcpy(bytes, values, size);
    if (rank > 0) {
        memcpy(dims, shape, rank * sizeof *dims);
    }
    tensor->name = name;
    tensor->n_dims = rank;
    tensor->dims = dims;
    tensor->has_data_type = 1;
    tensor->data_type = (int)type;
    tensor->has_raw_data = 1;
    tensor->raw_data = (ProtobufCBinaryData){size, bytes};
    add(graph, &graph->constants, tensor);
    return name;
}

const char *onnx_graph_floats(struct onnx_graph *graph, size_t rank, const int64_t *shape,
                              const float *values)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        count *= (size_t)shape[i];
    }
    return add_constant(graph, ONNX_FLOAT, rank, shape, values, count * sizeof *values);
}

const char *onnx_graph_float(struct onnx_graph *graph, float value)
{
    return add_constant(graph, ONNX_FLOAT, 0, NULL, &value, sizeof value);
}

const char *onnx_graph_double(struct onnx_graph *graph, double value)
{
    return add_constant(graph, ONNX_DOUBLE, 0, NULL, &value, sizeof value);
}

const char *onnx_graph_ints(struct onnx_graph *graph, size_t count, const int64_t *values)
{
    int64_t shape = (int64_t)count;
    return add_constant(graph, ONNX_INT64, 1, &shape, values, count * sizeof *values);
}

/* ---- Nodes ------------------------------------------------------------------------- */

static Onnx__AttributeProto *make_attribute(struct onnx_graph *graph,
                                            const struct onnx_attribute *from)
{
    Onnx__AttributeProto *out = take(graph, sizeof *out);
    int64_t *integers = take(graph, sizeof from->integers);
    char *name = copy_text(graph, from->name);
    if (graph->failed) {
        return NULL;
    }
    onnx__attribute_proto__init(out);
    out->name = name;
    out->has_type = 1;
    switch (from->kind) {
    case ONNX_ATTRIBUTE_INT:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        out->has_i = 1;
        out->i = from->integer;
        break;
    case ONNX_ATTRIBUTE_FLOAT:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        out->has_f = 1;
        out->f = from->number;
        break;
    case ONNX_ATTRIBUTE_INTS:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        memcpy(integers, from->integers, sizeof from->integers);
        out->n_ints = from->count;
        out->ints = integers;
        break;
    }
    return out;
}

static void add_attributes(struct onnx_graph *graph, Onnx__NodeProto *node,
                           const struct onnx_attribute *attributes)
{
    size_t count = 0;
    while (attributes != NULL && attributes[count].name != NULL) {
        count++;
    }
    void **list = take(graph, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count && list != NULL; i++) {
        list[i] = make_attribute(graph, &attributes[i]);
    }
    node->n_attribute = count;
    node->attribute = (Onnx__AttributeProto **)list;
}

const char *onnx_graph_node(struct onnx_graph *graph, const char *op,
                            const char *const *inputs,
                            const struct onnx_attribute *attributes)
{
    size_t count = 0;
    while (count < INPUTS_MAX && inputs[count] != NULL) {
        count++;
    }
    Onnx__NodeProto *node = take(graph, sizeof *node);
    char **names = take(graph, (count + 1) * sizeof *names);
    char **output = take(graph, sizeof *output);
    char *name = make_name(graph, op), *kind = copy_text(graph, op);
    if (node == NULL || names == NULL || output == NULL || name == NULL) {
        return "";
    }
    onnx__node_proto__init(node);
    for (size_t i = 0; i < count; i++) {
        names[i] = copy_text(graph, inputs[i]);
    }
    output[0] = name;
    node->op_type = kind;
    node->name = name;
    node->n_input = count;
    node->input = names;
    node->n_output = 1;
    node->output = output;
    add_attributes(graph, node, attributes);
    add(graph, &graph->nodes, node);
    return name;
}

const char *onnx_graph_apply(struct onnx_graph *graph, const char *op, const char *a,
                             const char *b)
{
    return onnx_graph_node(graph, op, (const char *const[]){a, b, NULL}, NULL);
}

void onnx_graph_name(struct onnx_graph *graph, const char *value, const char *name)
{
    Onnx__NodeProto *node = take(graph, sizeof *node);
    char **input = take(graph, sizeof *input), **output = take(graph, sizeof *output);
    char *from = copy_text(graph, value), *to = copy_text(graph, name);
    char *kind = copy_text(graph, "Identity");
    if (graph->failed) {
        return;
    }
    onnx__node_proto__init(node);
    input[0] = from;
    output[0] = to;
    node->op_type = kind;
    node->name = to;
    node->n_input = node->n_output = 1;
    node->input = input;
    node->output = output;
    add(graph, &graph->nodes, node);
}

void onnx_graph_metadata(struct onnx_graph *graph, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry = take(graph, sizeof *entry);
    char *name = copy_text(graph, key), *text = copy_text(graph, value);
    if (graph->failed) {
        return;
    }
    onnx__string_string_entry_proto__init(entry);
    entry->key = name;
    entry->value = text;
    add(graph, &graph->metadata, entry);
}

/* ---- Writing ----------------------------------------------------------------------- */

int onnx_graph_write(const struct onnx_graph *graph, struct buffer *out,
                     const char *producer_version, struct deepsad_error *error)
{
    Onnx__GraphProto body = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto operators = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *sets[] = {&operators};
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    char name[] = "deepsad", version[64], domain[] = "";
    if (graph->failed) {
        return error_no_memory(error, "the graph");
    }
    snprintf(version, sizeof version, "%s", producer_version);
    body.name = name;
    body.n_node = graph->nodes.count;
    body.node = (Onnx__NodeProto **)graph->nodes.items;
    body.n_initializer = graph->constants.count;
    body.initializer = (Onnx__TensorProto **)graph->constants.items;
    body.n_input = graph->inputs.count;
    body.input = (Onnx__ValueInfoProto **)graph->inputs.items;
    body.n_output = graph->outputs.count;
    body.output = (Onnx__ValueInfoProto **)graph->outputs.items;
    operators.domain = domain;
    operators.has_version = 1;
    operators.version = ONNX_OPSET;
    model.has_ir_version = 1;
    model.ir_version = IR_VERSION;
    model.n_opset_import = 1;
    model.opset_import = sets;
    model.producer_name = name;
    model.producer_version = version;
    model.graph = &body;
    model.n_metadata_props = graph->metadata.count;
    model.metadata_props = (Onnx__StringStringEntryProto **)graph->metadata.items;
    size_t size = onnx__model_proto__get_packed_size(&model);
    if (size > INT32_MAX) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "the model takes %zu bytes as ONNX, which holds 2 GiB", size);
    }
    char *bytes = buffer_reserve(out, size);
    if (bytes == NULL) {
        return error_no_memory(error, "the ONNX file");
    }
    onnx__model_proto__pack(&model, (uint8_t *)bytes);
    out->length += size;
    return DEEPSAD_OK;
}
