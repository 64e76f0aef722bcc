/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tensor_type.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/simd.h"

static const struct {
    const char *name;
    size_t size;
    bool is_float;
    double least, most; /* of an element */
} types[TENSOR_TYPES] = {
    [TENSOR_BOOL] = {"BOOL", 1, false, 0, 1},
    [TENSOR_UINT8] = {"UINT8", 1, false, 0, UINT8_MAX},
    [TENSOR_UINT16] = {"UINT16", 2, false, 0, UINT16_MAX},
    [TENSOR_UINT32] = {"UINT32", 4, false, 0, UINT32_MAX},
    [TENSOR_UINT64] = {"UINT64", 8, false, 0, (double)UINT64_MAX},
    [TENSOR_INT8] = {"INT8", 1, false, INT8_MIN, INT8_MAX},
    [TENSOR_INT16] = {"INT16", 2, false, INT16_MIN, INT16_MAX},
    [TENSOR_INT32] = {"INT32", 4, false, INT32_MIN, INT32_MAX},
    [TENSOR_INT64] = {"INT64", 8, false, (double)INT64_MIN, (double)INT64_MAX},
    [TENSOR_FP16] = {"FP16", 2, true, -(double)FLT_MAX, (double)FLT_MAX},
    [TENSOR_FP32] = {"FP32", 4, true, -(double)FLT_MAX, (double)FLT_MAX},
    [TENSOR_FP64] = {"FP64", 8, true, -(double)FLT_MAX, (double)FLT_MAX},
};

enum tensor_type tensor_type_parse(const char *text, size_t length)
{
    int type = 0;
    while (type < TENSOR_TYPES && (strlen(types[type].name) != length ||
                                   memcmp(types[type].name, text, length) != 0)) {
        type++;
    }
    return (enum tensor_type)type;
}

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

size_t tensor_type_size(enum tensor_type type)
{
    return types[type].size;
}

bool tensor_type_is_float(enum tensor_type type)
{
    return types[type].is_float;
}

static bool is_element(enum tensor_type type, float value)
{
    if (isnan(value)) {
        return types[type].is_float;
    }
    /* A float that is rounded up to the next power of two is one of 32 or 64 bits. */
    bool inside = (double)value >= types[type].least &&
                  value <= (float)types[type].most && fabsf(value) <= FLT_MAX;
    return inside && (types[type].is_float || value == truncf(value));
}

SIMD_CLONES
static bool none_infinite(const float *values, size_t count)
{
    uint32_t infinite = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        infinite |= (bits & 0x7FFFFFFFU) == 0x7F800000U ? 1U : 0U;
    }
    return infinite == 0;
}

size_t tensor_type_count_good(enum tensor_type type, const float *values, size_t count)
{
    if (types[type].is_float && none_infinite(values, count)) {
        return count;
    }
    size_t good = 0;
    while (good < count && is_element(type, values[good])) {
        good++;
    }
    return good;
}

/* IEEE 754 half precision: 5 bits of exponent, 10 of fraction. */
static float read_half(uint16_t half)
{
    float fraction = (float)(half & 0x3FF);
    int exponent = half >> 10 & 0x1F;
    float value = exponent == 0    ? ldexpf(fraction, -24)
                  : exponent == 31 ? (fraction > 0 ? NAN : INFINITY)
                                   : ldexpf(fraction + 1024, exponent - 25);
    return half >> 15 != 0 ? -value : value;
}

/* One loop for each type of element. */
#define READ_AS(element_type, convert)                                \
    for (size_t i = 0; i < count; i++) {                              \
        element_type element;                                         \
        memcpy(&element, bytes + i * sizeof element, sizeof element); \
        values[i] = convert(element);                                 \
    }                                                                 \
    break

void tensor_type_read(enum tensor_type type, float *values, const char *bytes,
                      size_t count)
{
    switch (type) {
    case TENSOR_BOOL:
    case TENSOR_UINT8:
        READ_AS(uint8_t, (float));
    case TENSOR_UINT16:
        READ_AS(uint16_t, (float));
    case TENSOR_UINT32:
        READ_AS(uint32_t, (float));
    case TENSOR_UINT64:
        READ_AS(uint64_t, (float));
    case TENSOR_INT8:
        READ_AS(int8_t, (float));
    case TENSOR_INT16:
        READ_AS(int16_t, (float));
    case TENSOR_INT32:
        READ_AS(int32_t, (float));
    case TENSOR_INT64:
        READ_AS(int64_t, (float));
    case TENSOR_FP16:
        READ_AS(uint16_t, read_half);
    case TENSOR_FP32:
        memcpy(values, bytes, count * sizeof *values);
        break;
    case TENSOR_FP64:
        READ_AS(double, (float));
    case TENSOR_TYPES:
    default:
        break;
    }
}
