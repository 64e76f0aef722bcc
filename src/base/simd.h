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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define SIMD_CLONES
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SIMD_CLONES
#else
#define SIMD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define SIMD_CLONES \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

/* Cache line and widest vector: alignment of buffers that kernels read. */
enum { SIMD_ALIGN = 64 };

#endif
