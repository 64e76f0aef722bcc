/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of tensors as floats, and what is no element. */
#include "api/tensor_type.h"

#include "../testing.h"

#include <float.h>
#include <math.h>

static void names_are_those_of_the_protocol(void **state)
{
    (void)state;
    for (int type = 0; type < TENSOR_TYPES; type++) {
        const char *name = tensor_type_name((enum tensor_type)type);
        assert_int_equal(tensor_type_parse(name, strlen(name)), type);
    }
    assert_int_equal(tensor_type_parse("BYTES", 5), TENSOR_TYPES);
    assert_int_equal(tensor_type_parse("FP3", 3), TENSOR_TYPES);
    assert_int_equal(tensor_type_parse("fp32", 4), TENSOR_TYPES);
}

static void bytes_are_read_from_any_address(void **state)
{
    char bytes[32] = {0};
    float values[2];
    int64_t longs[] = {-3, 1LL << 40};
    double doubles[] = {0.5, 1e300};
    (void)state;
    memcpy(bytes + 1, longs, sizeof longs);
    tensor_type_read(TENSOR_INT64, values, bytes + 1, 2);
    assert_true(values[0] == -3.0F && values[1] == 0x1p40F);
    memcpy(bytes + 3, doubles, sizeof doubles);
    tensor_type_read(TENSOR_FP64, values, bytes + 3, 2);
    assert_true(values[0] == 0.5F && isinf(values[1]));
    tensor_type_read(TENSOR_UINT8, values, "\xff\x01", 2);
    assert_true(values[0] == 255.0F && values[1] == 1.0F);
    tensor_type_read(TENSOR_INT8, values, "\xff\x01", 2);
    assert_true(values[0] == -1.0F && values[1] == 1.0F);
}

static void halves_are_read_exactly(void **state)
{
    static const struct {
        uint16_t half;
        float value;
    } cases[] = {{0x0000, 0},        {0x3C00, 1},
                 {0xC000, -2},       {0x7BFF, 65504},
                 {0x0001, 0x1p-24F}, {0x03FF, 1023 * 0x1p-24F},
                 {0x0400, 0x1p-14F}, {0x3555, 0.333251953125F}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float value;
        tensor_type_read(TENSOR_FP16, &value, (const char *)&cases[i].half, 1);
        assert_true(value == cases[i].value);
    }
    uint16_t odd[] = {0x7C00, 0xFC00, 0x7E00};
    float values[3];
    tensor_type_read(TENSOR_FP16, values, (const char *)odd, 3);
    assert_true(isinf(values[0]) && values[1] < -FLT_MAX && isnan(values[2]));
}

static void only_elements_of_the_type_are_good(void **state)
{
    const float fine[] = {0, 1, 127}, values[] = {1, 2.5F}, wide[] = {-1, 256};
    const float missing[] = {1, NAN, INFINITY};
    (void)state;
    assert_int_equal(tensor_type_count_good(TENSOR_INT8, fine, 3), 3);
    assert_int_equal(tensor_type_count_good(TENSOR_BOOL, fine, 3), 2);
    assert_int_equal(tensor_type_count_good(TENSOR_INT32, values, 2), 1);
    assert_int_equal(tensor_type_count_good(TENSOR_UINT8, wide, 2), 0);
    assert_int_equal(tensor_type_count_good(TENSOR_UINT8, wide + 1, 1), 0);
    assert_int_equal(tensor_type_count_good(TENSOR_INT16, missing, 3), 1);
    assert_int_equal(tensor_type_count_good(TENSOR_FP32, missing, 3), 2);
    assert_int_equal(tensor_type_count_good(TENSOR_FP32, missing, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_the_protocol),
        cmocka_unit_test(bytes_are_read_from_any_address),
        cmocka_unit_test(halves_are_read_exactly),
        cmocka_unit_test(only_elements_of_the_type_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
