/* SPDX-License-Identifier: Apache-2.0 */
/* A graph written is what protobuf reads again. */
#include "onnx/graph.h"

#include "../testing.h"

#include <onnx.pb-c.h>

static void what_is_added_is_written(void **state)
{
    const int64_t shape[] = {-1, 2}, two = 2;
    const float values[] = {1.5F, -2};
    const struct onnx_attribute axis[] = {{"axes", ONNX_ATTRIBUTE_INTS, 0, 0, {1}, 1},
                                          ONNX_INT("keepdims", 0),
                                          {.name = NULL}};
    struct onnx_graph *graph;
    struct buffer out = {0};
    struct deepsad_error error = {0};
    (void)state;
    assert_int_equal(onnx_graph_new(&graph, &error), DEEPSAD_OK);
    onnx_graph_input(graph, "x", 2, shape);
    onnx_graph_output(graph, "y", 1, shape);
    const char *bias = onnx_graph_floats(graph, 1, &two, values);
    const char *sum = onnx_graph_apply(graph, "Add", "x", bias);
    const char *y =
        onnx_graph_node(graph, "ReduceSum", (const char *const[]){sum, NULL}, axis);
    onnx_graph_name(graph, y, "y");
    onnx_graph_metadata(graph, "key", "value");
    assert_int_equal(onnx_graph_write(graph, &out, "1.2", &error), DEEPSAD_OK);
    onnx_graph_free(graph);
    Onnx__ModelProto *model =
        onnx__model_proto__unpack(NULL, out.length, (const uint8_t *)out.data);
    assert_non_null(model);
    assert_string_equal(model->producer_version, "1.2");
    assert_int_equal(model->opset_import[0]->version, ONNX_OPSET);
    assert_string_equal(model->metadata_props[0]->value, "value");
    const Onnx__GraphProto *read = model->graph;
    assert_int_equal(read->n_node, 3);
    assert_string_equal(read->node[1]->op_type, "ReduceSum");
    assert_string_equal(read->node[1]->input[0], read->node[0]->output[0]);
    assert_int_equal(read->node[1]->attribute[0]->ints[0], 1);
    assert_string_equal(read->node[2]->output[0], "y");
    assert_int_equal(read->initializer[0]->raw_data.len, sizeof values);
    assert_memory_equal(read->initializer[0]->raw_data.data, values, sizeof values);
    assert_string_equal(read->input[0]->type->tensor_type->shape->dim[0]->dim_param,
                        "rows");
    onnx__model_proto__free_unpacked(model, NULL);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_added_is_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
