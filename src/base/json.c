/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an allocation fails, jansson 2.14 may say "invalid token", lose the rest of a
 * text and go on as if nothing were, read a string beyond its end, or end the process by
 * an assertion, because it overlooks that its buffer for a token could not grow. So its
 * allocations go through here, and those that fail are remembered.
 *
 * While a text is read, a reserve stands by that is large enough for the buffer of its
 * longest token. Once an allocation has failed, all come out of the reserve and the text
 * ends: what the library still has in hand is one piece of it.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
    PIECE = 64,  /* bytes of text handed to the library at a time */
    VALUE = 256, /* most that the library allocates for one byte of text */
    GROWTH = 4,  /* its buffer doubles: all of its sizes together */
    BUFFER_MIN = 64,
    ALIGNMENT = 16,
};

struct reserve {
    char *bytes; /* NULL: nothing is being read */
    size_t size, used;
    bool failed; /* memory has run out */
};

static _Thread_local struct reserve reserve;

static void *take(size_t size)
{
    bool reading = reserve.bytes != NULL;
    void *block = reading && reserve.failed ? NULL : malloc(size);
    if (block != NULL) {
        return block;
    }
    reserve.failed = true;
    size_t room = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!reading || room < size || room > reserve.size - reserve.used) {
        return NULL;
    }
    block = reserve.bytes + reserve.used;
    reserve.used += room;
    return block;
}

static void give_back(void *block)
{
    const char *byte = block;
    bool of_reserve = reserve.bytes != NULL && byte >= reserve.bytes &&
                      byte < reserve.bytes + reserve.size;
    if (!of_reserve) {
        free(block);
    }
}

/* Before any thread is: jansson keeps plain pointers. Memory is malloc's as ever, so that
 * whatever was made without this one can be freed with it. */
__attribute__((constructor)) static void watch_allocations(void)
{
    json_set_alloc_funcs(take, give_back);
}

/* ---- Reading, piece by piece ------------------------------------------------------- */

struct pieces {
    const char *text;
    size_t left;
};

static size_t next_piece(void *out, size_t size, void *closure)
{
    struct pieces *pieces = closure;
    size_t piece = pieces->left < PIECE ? pieces->left : PIECE;
    piece = piece < size ? piece : size;
    if (reserve.failed) {
        return 0;
    }
    memcpy(out, pieces->text, piece);
    pieces->text += piece;
    pieces->left -= piece;
    return piece;
}

static size_t skip_string(const char *text, size_t length, size_t at)
{
    for (at++; at < length && text[at] != '"'; at++) {
        at += text[at] == '\\';
    }
    return at < length ? at : length - 1;
}

/* No token is longer. */
static size_t longest_token(const char *text, size_t length)
{
    size_t longest = 0, begin = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') {
            i = skip_string(text, length, i);
        } else if (strchr("[]{},: \t\r\n", text[i]) == NULL || text[i] == '\0') {
            continue;
        }
        longest = i + 1 - begin > longest ? i + 1 - begin : longest;
        begin = i + 1;
    }
    return length - begin > longest ? length - begin : longest;
}

json_t *json_parse_text(const char *text, size_t length, size_t flags,
                        json_error_t *fault, bool *no_memory)
{
    size_t size =
        GROWTH * (longest_token(text, length) + BUFFER_MIN) + (size_t)PIECE * VALUE;
    char *bytes = malloc(size);
    *no_memory = bytes == NULL;
    if (bytes == NULL) {
        return NULL;
    }
    reserve = (struct reserve){.bytes = bytes, .size = size};
    struct pieces pieces = {.text = text, .left = length};
    json_t *json = json_load_callback(next_piece, &pieces, flags, fault);
    *no_memory = reserve.failed;
    if (reserve.failed) {
        json_decref(json);
        json = NULL;
    }
    reserve = (struct reserve){.bytes = NULL};
    free(bytes);
    return json;
}

json_t *json_read(const char *text)
{
    bool no_memory;
    return json_parse_text(text, strlen(text), 0, NULL, &no_memory);
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

json_t *json_time(int64_t realtime_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (realtime_ms == 0) {
        return json_null();
    }
    clock_format_rfc3339(text, realtime_ms);
    return json_string(text);
}

/* ---- Printing ---------------------------------------------------------------------- */

char *json_print(const json_t *json, size_t flags)
{
    reserve.failed = false;
    char *text = json_dumps(json, flags);
    if (reserve.failed) {
        free(text);
        return NULL;
    }
    return text;
}
