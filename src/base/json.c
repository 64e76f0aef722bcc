/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an allocation fails, jansson's parser may say "invalid token", lose characters of
 * a text and go on as if nothing were (a label on another sample, a model that seems
 * damaged), or end the program by an assertion. So its allocations go through here: while
 * a text is parsed they cannot fail, since what malloc refuses is taken from a reserve
 * that was there before; and after the first that was, the text ends, and the result is
 * thrown away.
 */
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* After the text has ended, the parser takes its strings' buffer twice as long, and a
 * copy of it, and a few values. */
enum { RESERVE_BYTES = 4096, RESERVE_FACTOR = 4, RESERVE_ALIGNMENT = 16 };

/* What a thread parses or prints now. */
struct work {
    const char *text;
    size_t length, at;
    char *reserve;
    size_t reserve_size, reserve_used;
    bool failed; /* an allocation has */
};
static _Thread_local struct work work;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory != NULL) {
        return memory;
    }
    work.failed = true;
    size_t rounded = (size + RESERVE_ALIGNMENT - 1) & ~(size_t)(RESERVE_ALIGNMENT - 1);
    if (rounded < size || rounded > work.reserve_size - work.reserve_used) {
        return NULL;
    }
    memory = work.reserve + work.reserve_used;
    work.reserve_used += rounded;
    return memory;
}

static void release(void *memory)
{
    uintptr_t start = (uintptr_t)work.reserve, place = (uintptr_t)memory;
    if (place - start >= work.reserve_size) {
        free(memory);
    }
}

/* Before any thread is: jansson keeps plain pointers. Outside of parsing, memory is
 * malloc's and free's as ever. */
__attribute__((constructor)) static void watch_allocations(void)
{
    json_set_alloc_funcs(allocate, release);
}

/* Byte by byte, so that the parser sees the end right after an allocation failed. */
static size_t next_byte(void *out, size_t size, void *closure)
{
    (void)size;
    (void)closure;
    if (work.failed || work.at == work.length) {
        return 0;
    }
    *(char *)out = work.text[work.at++];
    return 1;
}

json_t *json_parse_text(const char *text, size_t length, size_t flags,
                        json_error_t *fault, bool *no_memory)
{
    size_t size = length > SIZE_MAX / 8 ? 0 : RESERVE_FACTOR * length + RESERVE_BYTES;
    work = (struct work){.text = text, .length = length, .reserve = malloc(size)};
    if (size == 0 || work.reserve == NULL) {
        free(work.reserve);
        work = (struct work){.failed = false};
        *no_memory = true;
        return NULL;
    }
    work.reserve_size = size;
    json_t *json = json_load_callback(next_byte, NULL, flags, fault);
    *no_memory = work.failed;
    if (work.failed) {
        json_decref(json); /* parts of it may be in the reserve */
        json = NULL;
    }
    free(work.reserve);
    work = (struct work){.failed = false};
    return json;
}

json_t *json_read(const char *text)
{
    bool no_memory;
    return json_parse_text(text, strlen(text), 0, NULL, &no_memory);
}

char *json_print(const json_t *json, size_t flags)
{
    work.failed = false;
    char *text = json_dumps(json, flags);
    if (work.failed) {
        free(text);
        return NULL;
    }
    return text;
}

int json_parse(json_t **out, const char *text, size_t length, size_t flags,
               const char *what, struct deepsad_error *error)
{
    json_error_t fault;
    bool no_memory;
    json_t *json = json_parse_text(text, length, flags, &fault, &no_memory);
    if (no_memory) {
        return error_no_memory(error, what);
    }
    if (json == NULL) {
        return error_set(error, DEEPSAD_CORRUPT, "%s, line %d, column %d: %s", what,
                         fault.line, fault.column, fault.text);
    }
    *out = json;
    return DEEPSAD_OK;
}
