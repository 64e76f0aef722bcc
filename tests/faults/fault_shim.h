/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test and the shim inside a program say to each other: one shared, mapped file.
 * The shim (LD_PRELOAD, fault_shim.c) counts the calls of each class from the moment it
 * is armed, and makes the one that the test has chosen fail.
 *
 *     FAULT_CONTROL  path of the file, of FAULT_BYTES, made by the test
 *     FAULT_FOLDER   file calls count where their path lies below this folder
 *
 * tests/faults/shim.py knows the same layout.
 */
#ifndef FAULTS_FAULT_SHIM_H
#define FAULTS_FAULT_SHIM_H

#include <stdatomic.h>
#include <stdint.h>

enum fault_class {
    FAULT_WRITE,  /* write, pwrite, writev */
    FAULT_SYNC,   /* fsync, fdatasync */
    FAULT_OPEN,   /* open, openat, creat, fopen, opendir */
    FAULT_RENAME, /* rename, renameat, renameat2 */
    FAULT_REMOVE, /* unlink, unlinkat, rmdir */
    FAULT_TRUNCATE,
    FAULT_MKDIR,  /* mkdir, mkdtemp */
    FAULT_READ,   /* read, pread, mmap */
    FAULT_LOOK,   /* stat, lstat, access */
    FAULT_LOCK,   /* flock, locks of fcntl */
    FAULT_MEMORY, /* malloc, calloc, realloc, aligned_alloc, posix_memalign */
    FAULT_CLASSES
};

enum fault_mode {
    FAULT_ONCE,
    FAULT_FROM_THERE_ON,
    FAULT_SHORT, /* of FAULT_WRITE: half is written, the rest fails */
};

enum { FAULT_BYTES = 4096 };

struct fault_control {
    _Atomic int64_t armed; /* nonzero: count, and fail */
    _Atomic int64_t class; /* that fails; -1: none */
    _Atomic int64_t at;    /* its number, from 1 */
    _Atomic int64_t mode;
    _Atomic int64_t number; /* errno */
    _Atomic int64_t failed; /* calls made to fail since armed */
    _Atomic int64_t thread; /* FAULT_MEMORY: only calls of this thread; 0 = all */
    _Atomic int64_t counts[FAULT_CLASSES];
};

#endif
