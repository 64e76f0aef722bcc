/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an allocation fails, jansson's parser may say "invalid token", or lose the rest
 * of a text and go on as if nothing were: a label on another sample, a model that seems
 * damaged. So its allocations go through here, and those that fail are remembered.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local bool allocation_failed;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    allocation_failed |= memory == NULL;
    return memory;
}

/* Before any thread is: jansson keeps plain pointers. Memory is malloc's as ever, so that
 * whatever was made without this one can be freed with it. */
__attribute__((constructor)) static void watch_allocations(void)
{
    json_set_alloc_funcs(allocate, free);
}

json_t *json_parse_text(const char *text, size_t length, size_t flags,
                        json_error_t *fault, bool *no_memory)
{
    allocation_failed = false;
    json_t *json = json_loadb(text, length, flags, fault);
    *no_memory = allocation_failed;
    if (allocation_failed) {
        json_decref(json);
        return NULL;
    }
    return json;
}

json_t *json_read(const char *text)
{
    bool no_memory;
    return json_parse_text(text, strlen(text), 0, NULL, &no_memory);
}

char *json_print(const json_t *json, size_t flags)
{
    allocation_failed = false;
    char *text = json_dumps(json, flags);
    if (allocation_failed) {
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
