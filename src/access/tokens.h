/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens of a file, which the tool writes and the daemon reads:
 *
 *     {"tokens": [{"id": "3f9a1c2b4d5e", "name": "kim", "sha256": "<64 digits>",
 *                  "grants": [{"role": "label", "models": "fraud-*"}],
 *                  "created_at": "2026-01-31T12:00:00.000Z", "expires_at": null}]}
 *
 * A set that is in use is immutable and counted: a request holds the one it began with.
 */
#ifndef ACCESS_TOKENS_H
#define ACCESS_TOKENS_H

#include <stdatomic.h>

#include "access/token.h"
#include "base/buffer.h"

/* Where tokens are unless something else is said. */
#define TOKENS_PATH "/var/lib/deepsad/tokens"

struct tokens {
    atomic_size_t references;
    size_t count;
    struct token *tokens; /* in the order of the file */
    struct token **by_id; /* (count), sorted */
};

/* An empty set with one reference; NULL: out of memory. */
struct tokens *tokens_new(void);
struct tokens *tokens_ref(struct tokens *tokens);
/* Accepts NULL. */
void tokens_unref(struct tokens *tokens);

/* Errors name line and column, or the token; DEEPSAD_NOT_FOUND where there is no file. */
int tokens_read(struct tokens **out, const char *path, struct deepsad_error *error);
/* The same from the file's content; `path` is for messages. */
int tokens_parse(struct tokens **out, const char *text, size_t length, const char *path,
                 struct deepsad_error *error);

/* To a set that nobody else has yet. Twice the same id is DEEPSAD_INVALID. */
int tokens_add(struct tokens *tokens, const struct token *token,
               struct deepsad_error *error);
void tokens_remove(struct tokens *tokens, size_t index);

/* Replaces the file. A new one is readable by owner and group, and is given to those who
 * have the file that was there, else to the owner of the directory: root makes tokens for
 * a daemon that is not root. */
int tokens_write(const struct tokens *tokens, const char *path,
                 struct deepsad_error *error);

enum tokens_answer { TOKENS_VALID, TOKENS_UNKNOWN, TOKENS_EXPIRED };

/* The token that the text is; the time it takes says nothing about the secret. */
enum tokens_answer tokens_find(const struct token **out, const struct tokens *tokens,
                               const char *text, size_t length, int64_t now_ms);

#endif
