/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_load.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * While a text is read, a reserve stands by that is large enough for the buffer of its
 * longest token. Once an allocation has failed, all come out of the reserve and the text
 * ends: what the library still has in hand is one piece of it.
 */
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
    bool touched; /* memory has run out */
};

static _Thread_local struct reserve reserve;

static void *take(size_t size)
{
    void *block = reserve.touched ? NULL : malloc(size);
    if (block != NULL || reserve.bytes == NULL) {
        return block;
    }
    reserve.touched = true;
    size_t room = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (room < size || room > reserve.size - reserve.used) {
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

static void hook_up(void)
{
    json_set_alloc_funcs(take, give_back);
}

/* ---- The text, piece by piece ------------------------------------------------------ */

struct pieces {
    const char *text;
    size_t left;
};

static size_t next_piece(void *out, size_t size, void *closure)
{
    struct pieces *pieces = closure;
    size_t piece = pieces->left < PIECE ? pieces->left : PIECE;
    piece = piece < size ? piece : size;
    if (reserve.touched) {
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

static json_t *out_of_memory(json_error_t *error)
{
    if (error != NULL) {
        *error = (json_error_t){.line = 1, .column = 1};
        snprintf(error->text, sizeof error->text - 1, "out of memory");
        error->text[JSON_ERROR_TEXT_LENGTH - 1] = (char)json_error_out_of_memory;
    }
    return NULL;
}

json_t *json_load_text(const char *text, size_t length, size_t flags, json_error_t *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, hook_up);
    size_t size = GROWTH * (longest_token(text, length) + BUFFER_MIN) + PIECE * VALUE;
    char *bytes = malloc(size);
    if (bytes == NULL) {
        return out_of_memory(error);
    }
    reserve = (struct reserve){.bytes = bytes, .size = size};
    struct pieces pieces = {.text = text, .left = length};
    json_t *json = json_load_callback(next_piece, &pieces, flags, error);
    if (reserve.touched) {
        json_decref(json);
        json = out_of_memory(error);
    }
    reserve = (struct reserve){.bytes = NULL};
    free(bytes);
    return json;
}

json_t *json_load_string(const char *text, size_t flags, json_error_t *error)
{
    return text == NULL ? NULL : json_load_text(text, strlen(text), flags, error);
}

int json_load_fault(struct deepsad_error *error, enum deepsad_status status,
                    const char *where, const json_error_t *fault)
{
    return json_error_code(fault) == json_error_out_of_memory
               ? error_no_memory(error, where)
               : error_set(error, status, "%s, line %d, column %d: %s", where,
                           fault->line, fault->column, fault->text);
}
