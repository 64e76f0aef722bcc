/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIMD without intrinsics: plain loops that compilers vectorise, compiled for several
 * instruction sets and chosen when the program is loaded, so that one binary runs
 * everywhere. Put SIMD_CLONES before the definition of a hot function that is not inlined
 * into another. Not under sanitizers: their run-time is not up yet when the resolvers
 * run.
 */
#ifndef BASE_SIMD_H
#define BASE_SIMD_H

#include <stddef.h>

/* Nor under clang: what version 14 calls the clones other files cannot link with. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    !defined(__x86_64__) || defined(__clang__)
#define SIMD_CLONES
#else
#define SIMD_CLONES \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

/* For kernels written in vector types, whose width has to be that of the registers: they
 * are compiled once per level and choose by simd_level() when called. */
enum simd_level { SIMD_BASELINE, SIMD_AVX2, SIMD_AVX512 };

#if defined(__x86_64__)
#define SIMD_X86 1
#define SIMD_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define SIMD_TARGET_AVX512 \
    __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")))
#else
#define SIMD_X86 0
#endif

/* NAME_avx512(...), NAME_avx2(...) or NAME_baseline(...), the one for `level`. */
#if SIMD_X86
#define SIMD_CALL(level, name, ...)        \
    do {                                   \
        if ((level) == SIMD_AVX512) {      \
            name##_avx512(__VA_ARGS__);    \
        } else if ((level) == SIMD_AVX2) { \
            name##_avx2(__VA_ARGS__);      \
        } else {                           \
            name##_baseline(__VA_ARGS__);  \
        }                                  \
    } while (0)
#else
#define SIMD_CALL(level, name, ...)   \
    do {                              \
        (void)(level);                \
        name##_baseline(__VA_ARGS__); \
    } while (0)
#endif

/* The best that this machine has. */
static inline enum simd_level simd_level(void)
{
#if SIMD_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
        return SIMD_AVX512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return SIMD_AVX2;
    }
#endif
    return SIMD_BASELINE;
}

/* Cache line and widest vector: alignment of buffers that kernels read. */
enum { SIMD_ALIGN = 64 };

/* So many floats, up to the next multiple of SIMD_ALIGN bytes. */
static inline size_t simd_round_up(size_t floats)
{
    size_t lane = SIMD_ALIGN / sizeof(float);
    return (floats + lane - 1) / lane * lane;
}

#endif
