/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token is a text that whoever has it shows with each request:
 *
 *     deepsad_3f9a1c2b4d5e_<43 characters>
 *
 * its id, which is no secret, and 256 random bits. Only the SHA-256 of the text is kept:
 * what is drawn evenly from 2^256 needs no slow hash, and whoever reads the hash cannot
 * make the text of it.
 */
#ifndef ACCESS_TOKEN_H
#define ACCESS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/role.h"
#include "base/error.h"

#define TOKEN_PREFIX "deepsad_"

enum {
    TOKEN_ID_SIZE = 12,     /* hexadecimal digits */
    TOKEN_SECRET_SIZE = 43, /* of base64url: 32 bytes */
    TOKEN_TEXT_SIZE = 8 + TOKEN_ID_SIZE + 1 + TOKEN_SECRET_SIZE,
    TOKEN_HASH_SIZE = 32,
    TOKEN_NAME_MAX = 128,  /* bytes */
    TOKEN_MODELS_MAX = 64, /* of a pattern of models */
    TOKEN_GRANTS_MAX = 16,
};

/* A role, and the models for which it is: a pattern of the shell, "*", "fraud-*". */
struct grant {
    unsigned role;
    char models[TOKEN_MODELS_MAX + 1];
};

/* Plain value. */
struct token {
    char id[TOKEN_ID_SIZE + 1];
    char name[TOKEN_NAME_MAX + 1]; /* whose it is: the analyst of its verdicts */
    unsigned char hash[TOKEN_HASH_SIZE];
    size_t grant_count;
    struct grant grants[TOKEN_GRANTS_MAX];
    int64_t created_at_ms;
    int64_t expires_at_ms; /* 0: never */
};

/* Draws id and secret: fills id and hash of `token`, and the text that is shown once. */
int token_draw(struct token *token, char text[static TOKEN_TEXT_SIZE + 1],
               struct deepsad_error *error);

/* The id that a text names; NULL: it has not the form of a token. */
const char *token_id_of(const char *text, size_t length);
void token_hash(unsigned char hash[static TOKEN_HASH_SIZE], const char *text,
                size_t length);

/* 1 to TOKEN_NAME_MAX bytes of UTF-8 without control characters. */
int token_check_name(const char *name, struct deepsad_error *error);
/* "label:fraud-*"; without a colon it is for all models. */
int token_add_grant(struct token *token, const char *text, struct deepsad_error *error);

/* Whether one of `roles` is granted for the model; NULL: for any model. */
bool token_allows(const struct token *token, unsigned roles, const char *model);

#endif
