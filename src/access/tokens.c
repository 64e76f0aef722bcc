/* SPDX-License-Identifier: Apache-2.0 */
#include "access/tokens.h"

#include <nettle/memops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

enum { FILE_MAX = 16 << 20, INDENT = 2 };

/* ---- The set ----------------------------------------------------------------------- */

struct tokens *tokens_new(void)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens != NULL) {
        atomic_init(&tokens->references, 1);
    }
    return tokens;
}

struct tokens *tokens_ref(struct tokens *tokens)
{
    atomic_fetch_add_explicit(&tokens->references, 1, memory_order_relaxed);
    return tokens;
}

void tokens_unref(struct tokens *tokens)
{
    if (tokens != NULL && atomic_fetch_sub(&tokens->references, 1) == 1) {
        free(tokens->tokens);
        free(tokens->by_id);
        free(tokens);
    }
}

static int by_id(const void *left, const void *right)
{
    const struct token *const *a = left, *const *b = right;
    return memcmp((*a)->id, (*b)->id, TOKEN_ID_SIZE);
}

static void sort(struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++) {
        tokens->by_id[i] = &tokens->tokens[i];
    }
    if (tokens->count > 0) {
        qsort(tokens->by_id, tokens->count, sizeof(struct token *), by_id);
    }
}

static const struct token *find_id(const struct tokens *tokens, const char *id)
{
    size_t low = 0, high = tokens->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(tokens->by_id[middle]->id, id, TOKEN_ID_SIZE);
        if (order == 0) {
            return tokens->by_id[middle];
        }
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    return NULL;
}

/* Room for one more. */
static bool grow(struct tokens *tokens)
{
    size_t count = tokens->count + 1;
    struct token *all = realloc(tokens->tokens, count * sizeof *all);
    if (all == NULL) {
        return false;
    }
    tokens->tokens = all;
    struct token **sorted = realloc(tokens->by_id, count * sizeof(struct token *));
    if (sorted != NULL) {
        tokens->by_id = sorted;
    }
    sort(tokens);          /* the tokens may have moved */
    return sorted != NULL; /* cppcheck-suppress memleak */
}

int tokens_add(struct tokens *tokens, const struct token *token,
               struct deepsad_error *error)
{
    if (find_id(tokens, token->id) != NULL) {
        return error_set(error, DEEPSAD_INVALID, "the id %s is there twice", token->id);
    }
    if (!grow(tokens)) {
        return error_no_memory(error, "the tokens");
    }
    tokens->tokens[tokens->count++] = *token;
    sort(tokens);
    return DEEPSAD_OK;
}

void tokens_remove(struct tokens *tokens, size_t index)
{
    tokens->count--;
    memmove(&tokens->tokens[index], &tokens->tokens[index + 1],
            (tokens->count - index) * sizeof(struct token));
    sort(tokens);
}

enum tokens_answer tokens_find(const struct token **out, const struct tokens *tokens,
                               const char *text, size_t length, int64_t now_ms)
{
    unsigned char hash[TOKEN_HASH_SIZE];
    const char *id = token_id_of(text, length);
    const struct token *token = id == NULL ? NULL : find_id(tokens, id);
    if (token == NULL) {
        return TOKENS_UNKNOWN;
    }
    token_hash(hash, text, length);
    if (!memeql_sec(hash, token->hash, sizeof hash)) {
        return TOKENS_UNKNOWN;
    }
    if (token->expires_at_ms != 0 && token->expires_at_ms <= now_ms) {
        return TOKENS_EXPIRED;
    }
    *out = token;
    return TOKENS_VALID;
}

/* ---- Reading ----------------------------------------------------------------------- */

static bool read_hex(unsigned char *out, size_t size, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    if (text == NULL || strlen(text) != 2 * size || strspn(text, digits) != 2 * size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        size_t high = (size_t)(strchr(digits, text[2 * i]) - digits);
        size_t low = (size_t)(strchr(digits, text[2 * i + 1]) - digits);
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* A time, or null for 0. */
static bool read_time(int64_t *out, const json_t *value)
{
    *out = 0;
    return json_is_null(value) ||
           (json_is_string(value) && clock_parse_rfc3339(out, json_string_value(value)));
}

static int read_grants(struct token *token, const json_t *grants,
                       struct deepsad_error *error)
{
    size_t i;
    json_t *one;
    json_array_foreach(grants, i, one)
    {
        const char *role = NULL, *models = NULL;
        char text[TOKEN_MODELS_MAX + 32];
        if (json_unpack(one, "{ss ss !}", "role", &role, "models", &models) != 0) {
            return error_set(error, DEEPSAD_INVALID,
                             "grants: %zu is not {\"role\": ..., \"models\": ...}", i);
        }
        snprintf(text, sizeof text, "%s:%s", role, models);
        int status = token_add_grant(token, text, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    return token->grant_count > 0
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_INVALID, "grants: a list of roles is needed");
}

static int read_token(struct token *token, json_t *json, struct deepsad_error *error)
{
    const char *id, *name, *hash;
    const json_t *grants, *created, *expires;
    unsigned char ignored[TOKEN_ID_SIZE / 2];
    if (json_unpack(json, "{ss ss ss so so so !}", "id", &id, "name", &name, "sha256",
                    &hash, "grants", &grants, "created_at", &created, "expires_at",
                    &expires) != 0) {
        return error_set(
            error, DEEPSAD_INVALID,
            "a token has id, name, sha256, grants, created_at, expires_at and "
            "nothing else");
    }
    if (!read_hex(ignored, sizeof ignored, id)) {
        return error_set(error, DEEPSAD_INVALID, "id: not %d hexadecimal digits",
                         TOKEN_ID_SIZE);
    }
    memcpy(token->id, id, sizeof token->id);
    if (!read_hex(token->hash, sizeof token->hash, hash)) {
        return error_set(error, DEEPSAD_INVALID, "sha256: not 64 hexadecimal digits");
    }
    if (!read_time(&token->created_at_ms, created) ||
        !read_time(&token->expires_at_ms, expires)) {
        return error_set(
            error, DEEPSAD_INVALID,
            "created_at, expires_at: write 2026-01-31T12:00:00.000Z or null");
    }
    int status = token_check_name(name, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    snprintf(token->name, sizeof token->name, "%s", name);
    return read_grants(token, grants, error);
}

static int read_tokens(struct tokens *tokens, const json_t *json, const char *path,
                       struct deepsad_error *error)
{
    const json_t *list = json_object_get(json, "tokens");
    size_t i;
    json_t *one;
    if (!json_is_array(list) || json_object_size(json) != 1) {
        return error_set(
            error, DEEPSAD_INVALID,
            "%s: expected {\"tokens\": [...]}, as deepsad token new writes it", path);
    }
    json_array_foreach(list, i, one)
    {
        struct token token = {.grant_count = 0};
        int status = read_token(&token, one, error);
        status = status == DEEPSAD_OK ? tokens_add(tokens, &token, error) : status;
        if (status != DEEPSAD_OK) {
            error_prefix(error, "%s: token %zu", path, i);
            return status;
        }
    }
    return DEEPSAD_OK;
}

int tokens_parse(struct tokens **out, const char *text, size_t length, const char *path,
                 struct deepsad_error *error)
{
    json_error_t fault;
    bool no_memory;
    json_t *json =
        json_parse_text(text, length, JSON_REJECT_DUPLICATES, &fault, &no_memory);
    if (no_memory) {
        return error_no_memory(error, path);
    }
    if (json == NULL) {
        return error_set(error, DEEPSAD_INVALID, "%s:%d:%d: %s", path, fault.line,
                         fault.column, fault.text);
    }
    struct tokens *tokens = tokens_new();
    int status = tokens == NULL ? error_no_memory(error, "the tokens")
                                : read_tokens(tokens, json, path, error);
    json_decref(json);
    if (status != DEEPSAD_OK) {
        tokens_unref(tokens);
        return status;
    }
    *out = tokens;
    return DEEPSAD_OK;
}

int tokens_read(struct tokens **out, const char *path, struct deepsad_error *error)
{
    struct buffer content = {0};
    int status = file_read(&content, path, FILE_MAX, error);
    if (status == DEEPSAD_OK) {
        status = tokens_parse(out, content.data == NULL ? "" : content.data,
                              content.length, path, error);
    }
    buffer_done(&content);
    return status;
}

/* ---- Writing ----------------------------------------------------------------------- */

static json_t *show_token(const struct token *token)
{
    char hash[2 * TOKEN_HASH_SIZE + 1];
    json_t *grants = json_array();
    for (size_t i = 0; i < TOKEN_HASH_SIZE; i++) {
        snprintf(hash + 2 * i, 3, "%02x", token->hash[i]);
    }
    for (size_t i = 0; i < token->grant_count; i++) {
        json_array_append_new(grants, json_pack("{ss ss}", "role",
                                                role_name(token->grants[i].role),
                                                "models", token->grants[i].models));
    }
    return json_pack("{ss ss ss so so so}", "id", token->id, "name", token->name,
                     "sha256", hash, "grants", grants, "created_at",
                     json_time(token->created_at_ms), "expires_at",
                     json_time(token->expires_at_ms));
}

static char *show(const struct tokens *tokens)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->count; i++) {
        if (json_array_append_new(list, show_token(&tokens->tokens[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    json_t *json = json_pack("{so}", "tokens", list);
    char *text = json == NULL ? NULL : json_print(json, JSON_INDENT(INDENT));
    json_decref(json);
    return text;
}

/* Whoever had the file, else the owner of the directory. False: unknown. */
static bool find_owner(struct stat *owner, const char *path)
{
    char *directory = strdup(path);
    char *slash = directory == NULL ? NULL : strrchr(directory, '/');
    if (slash != NULL) {
        slash[slash == directory] = '\0';
    }
    bool found = stat(path, owner) == 0 ||
                 (directory != NULL && stat(slash == NULL ? "." : directory, owner) == 0);
    free(directory);
    return found;
}

int tokens_write(const struct tokens *tokens, const char *path,
                 struct deepsad_error *error)
{
    struct stat owner;
    bool known = find_owner(&owner, path);
    char *text = show(tokens);
    if (text == NULL) {
        return error_no_memory(error, "the tokens");
    }
    mode_t mask = umask(027);
    int status = file_replace(path, text, strlen(text), error);
    umask(mask);
    free(text);
    if (status == DEEPSAD_OK && known && geteuid() == 0 &&
        chown(path, owner.st_uid, owner.st_gid) != 0) {
        status = error_system(error, errno, "%s: cannot be given to its owner", path);
    }
    return status;
}
