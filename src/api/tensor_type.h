/* SPDX-License-Identifier: Apache-2.0 */
/* The tensor data types of the Open Inference Protocol that stand for numbers. */
#ifndef API_TENSOR_TYPE_H
#define API_TENSOR_TYPE_H

#include <stdbool.h>
#include <stddef.h>

enum tensor_type {
    TENSOR_BOOL,
    TENSOR_UINT8,
    TENSOR_UINT16,
    TENSOR_UINT32,
    TENSOR_UINT64,
    TENSOR_INT8,
    TENSOR_INT16,
    TENSOR_INT32,
    TENSOR_INT64,
    TENSOR_FP16,
    TENSOR_FP32,
    TENSOR_FP64,
    TENSOR_TYPES,
};

/* "FP32"; TENSOR_TYPES where it is none of them (BYTES is not). */
enum tensor_type tensor_type_parse(const char *text, size_t length);
const char *tensor_type_name(enum tensor_type type);
/* Bytes of an element. */
size_t tensor_type_size(enum tensor_type type);
/* Whether NaN stands for a missing value, and fractions are values. */
bool tensor_type_is_float(enum tensor_type type);

/* How many of the values are elements of the type, up to the first that is none. Of a
 * float type, NaN is one and infinity is not. */
size_t tensor_type_count_good(enum tensor_type type, const float *values, size_t count);

/* values (count) of little-endian bytes, aligned in no way; too large for a float becomes
 * an infinity. */
void tensor_type_read(enum tensor_type type, float *values, const char *bytes,
                      size_t count);

#endif
