/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the n-th allocation fail, for every n. The linker leads the project's calls of
 * malloc and its kin here (-Wl,--wrap, for tests/unit/test_allocations_*.c alone; jansson
 * allocates through base/json.c), SQLite is given functions; other libraries allocate as
 * ever.
 *
 * A story is a function that does something from start to end and cleans up. It is run
 * with its first allocation failing, then its second, until none fails any more. Each
 * time it must end as it would for a client: with an error that is DEEPSAD_NO_MEMORY, or
 * none where it could do without. What it leaks the sanitizer says.
 */
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H

#include <jansson.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "testing.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *format,
                                                          ...);

/* Allocations until one fails; below 0: none does. */
static atomic_long allocations_left = -1;
static atomic_ulong allocations_failed;

static bool allocation_fails(void)
{
    if (atomic_load(&allocations_left) < 0 ||
        atomic_fetch_sub(&allocations_left, 1) != 0) {
        return false;
    }
    atomic_fetch_add(&allocations_failed, 1);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return allocation_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return allocation_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return allocation_fails() ? NULL : __real_strndup(text, size);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    if (allocation_fails()) {
        return -1;
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(out, format, arguments);
    va_end(arguments);
    return length;
}

static sqlite3_mem_methods allocations_sqlite;

static bool allocations_spare_sqlite; /* only ours fail */

static inline void *allocations_sqlite_malloc(int size)
{
    return !allocations_spare_sqlite && allocation_fails()
               ? NULL
               : allocations_sqlite.xMalloc(size);
}

static inline void *allocations_sqlite_realloc(void *old, int size)
{
    return !allocations_spare_sqlite && allocation_fails()
               ? NULL
               : allocations_sqlite.xRealloc(old, size);
}

/* For cmocka_run_group_tests: before any library is used. */
static inline int allocations_setup(void **state)
{
    (void)state;
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &allocations_sqlite);
    sqlite3_mem_methods methods = allocations_sqlite;
    methods.xMalloc = allocations_sqlite_malloc;
    methods.xRealloc = allocations_sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

/* Runs the story with the allocation `at` (from 0) failing. False: none failed. *status:
 * how it ended. */
static inline bool allocations_fail_at(long at, int *status,
                                       int (*story)(void *closure,
                                                    struct deepsad_error *error),
                                       void *closure)
{
    struct deepsad_error error = {0};
    unsigned long before = atomic_load(&allocations_failed);
    atomic_store(&allocations_left, at);
    *status = story(closure, &error);
    atomic_store(&allocations_left, -1);
    if (*status != DEEPSAD_OK && error.message[0] == '\0') {
        fail_msg("allocation %ld: an error without a message", at);
    }
    if (*status == DEEPSAD_IO && strstr(error.message, strerror(ENOMEM)) != NULL) {
        *status = DEEPSAD_NO_MEMORY;
    }
    if (*status != DEEPSAD_OK && *status != DEEPSAD_NO_MEMORY) {
        fail_msg("allocation %ld: %d, %s", at, *status, error.message);
    }
    return atomic_load(&allocations_failed) > before;
}

/* All of them, but every 41st of those from `dense` on; at least `least` must have ended
 * the story with DEEPSAD_NO_MEMORY. */
static inline void allocations_fail_each(int (*story)(void *closure,
                                                      struct deepsad_error *error),
                                         void *closure, size_t least, long dense)
{
    size_t refused = 0, failed = 0;
    int status;
    for (long at = 0; allocations_fail_at(at, &status, story, closure);
         at += at < dense ? 1 : 41) {
        failed++;
        refused += status == DEEPSAD_NO_MEMORY;
    }
    print_message("%zu allocations failed, %zu ended it\n", failed, refused);
    assert_int_equal(status, DEEPSAD_OK);
    assert_true(refused >= least);
}

#endif
