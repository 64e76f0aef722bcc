/* SPDX-License-Identifier: Apache-2.0 */
#include "access/token.h"

#include <fnmatch.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/utf8.h"

enum { ID_BYTES = TOKEN_ID_SIZE / 2, SECRET_BYTES = 32 };
_Static_assert((int)TOKEN_HASH_SIZE == (int)SHA256_DIGEST_SIZE, "the hash is SHA-256");

static bool is_random(unsigned char *out, size_t size)
{
    return getrandom(out, size, 0) == (ssize_t)size;
}

/* Base64url (RFC 4648, section 5) without padding. */
static void encode_secret(char out[static TOKEN_SECRET_SIZE + 1],
                          const unsigned char bytes[static SECRET_BYTES])
{
    struct base64_encode_ctx context;
    char text[BASE64_ENCODE_LENGTH(SECRET_BYTES) + BASE64_ENCODE_FINAL_LENGTH];
    base64url_encode_init(&context);
    size_t length = base64_encode_update(&context, text, SECRET_BYTES, bytes);
    base64_encode_final(&context, text + length);
    memcpy(out, text, TOKEN_SECRET_SIZE);
    out[TOKEN_SECRET_SIZE] = '\0';
}

int token_draw(struct token *token, char text[static TOKEN_TEXT_SIZE + 1],
               struct deepsad_error *error)
{
    unsigned char id[ID_BYTES], secret[SECRET_BYTES];
    char encoded[TOKEN_SECRET_SIZE + 1];
    if (!is_random(id, sizeof id) || !is_random(secret, sizeof secret)) {
        return error_system(error, errno, "cannot draw random bytes");
    }
    for (size_t i = 0; i < ID_BYTES; i++) {
        snprintf(token->id + 2 * i, 3, "%02x", id[i]);
    }
    encode_secret(encoded, secret);
    snprintf(text, TOKEN_TEXT_SIZE + 1, TOKEN_PREFIX "%s_%s", token->id, encoded);
    token_hash(token->hash, text, TOKEN_TEXT_SIZE);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(encoded, sizeof encoded);
    return DEEPSAD_OK;
}

const char *token_id_of(const char *text, size_t length)
{
    size_t prefix = sizeof TOKEN_PREFIX - 1;
    bool formed = length == TOKEN_TEXT_SIZE && memcmp(text, TOKEN_PREFIX, prefix) == 0 &&
                  text[prefix + TOKEN_ID_SIZE] == '_';
    return formed ? text + prefix : NULL;
}

void token_hash(unsigned char hash[static TOKEN_HASH_SIZE], const char *text,
                size_t length)
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, length, (const uint8_t *)text);
    sha256_digest(&context, TOKEN_HASH_SIZE, hash);
}

int token_check_name(const char *name, struct deepsad_error *error)
{
    size_t length = strlen(name), step = 1;
    bool good = length > 0 && length <= TOKEN_NAME_MAX;
    for (size_t i = 0; i < length && good; i += step) {
        step = utf8_length(name + i, length - i);
        good = step > 0 && (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    }
    return good ? DEEPSAD_OK
                : error_set(error, DEEPSAD_INVALID,
                            "a token's name is 1 to %d bytes of UTF-8 without control "
                            "characters",
                            TOKEN_NAME_MAX);
}

static int check_models(const char *models, struct deepsad_error *error)
{
    size_t length = strlen(models);
    size_t good = strspn(models, "abcdefghijklmnopqrstuvwxyz0123456789_-*?");
    if (length == 0 || length > TOKEN_MODELS_MAX || good != length) {
        return error_set(
            error, DEEPSAD_INVALID,
            "\"%.80s\" is no pattern of models: write names with * and ?, for "
            "example fraud-*",
            models);
    }
    return DEEPSAD_OK;
}

int token_add_grant(struct token *token, const char *text, struct deepsad_error *error)
{
    size_t length = strcspn(text, ":");
    unsigned role = role_parse(text, length);
    const char *models = text[length] == ':' ? text + length + 1 : "*";
    if (role == 0) {
        return error_set(error, DEEPSAD_INVALID,
                         "there is no role \"%.*s\"; the roles are %s",
                         (int)(length < 40 ? length : 40), text, role_list);
    }
    int status = check_models(models, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (token->grant_count == TOKEN_GRANTS_MAX) {
        return error_set(error, DEEPSAD_INVALID, "more than %d roles in one token",
                         TOKEN_GRANTS_MAX);
    }
    struct grant *grant = &token->grants[token->grant_count++];
    grant->role = role;
    snprintf(grant->models, sizeof grant->models, "%s", models);
    return DEEPSAD_OK;
}

bool token_allows(const struct token *token, unsigned roles, const char *model)
{
    for (size_t i = 0; i < token->grant_count; i++) {
        const struct grant *grant = &token->grants[i];
        if ((grant->role & (roles | ROLE_ADMIN)) != 0 &&
            (model == NULL || fnmatch(grant->models, model, 0) == 0)) {
            return true;
        }
    }
    return false;
}
