/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who did what: verdicts, retrainings, which version is live, models loaded and unloaded,
 * and who was not let in. One line of JSON an event, to a file of its own or to the log;
 * never a token, never a sample's values.
 *
 * Refusals are limited in number, so that nobody can fill a disk with them; how many were
 * left out is in the next line.
 *
 * Lock: guards the file and the count of refusals; a leaf.
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include "base/error.h"
#include "base/log.h"
#include "http/request.h"

struct audit;

/* NULL: out of memory. At first nothing is written. */
struct audit *audit_new(void);
void audit_free(struct audit *audit);

/* Where lines go; plain value. */
struct audit_sink {
    enum { AUDIT_NONE, AUDIT_LOG, AUDIT_FILE } kind;
    int descriptor; /* of AUDIT_FILE */
};

/* "log", "none", or the path of a file that is appended to. */
int audit_open(struct audit_sink *out, const char *where, struct deepsad_error *error);
void audit_close(struct audit_sink *sink);
/* Takes over the sink. At any time; again with the same path when the file was moved. */
void audit_set(struct audit *audit, const struct audit_sink *sink);

/* audit_event(audit, request, "label.record", LOG_TEXT("model", name), ...): who asked is
 * added. `audit` may be NULL. At most AUDIT_FIELDS_MAX fields. */
enum { AUDIT_FIELDS_MAX = 8 };
#define audit_event(audit, request, ...) \
    AUDIT_EVENT_(audit, request, __VA_ARGS__, {.name = NULL})
#define AUDIT_EVENT_(audit, request, action, ...) \
    audit_write((audit), (request), (action), (const struct log_field[]){__VA_ARGS__})

/* `fields` ends with one whose name is NULL. */
void audit_write(struct audit *audit, const struct request *request, const char *action,
                 const struct log_field *fields);

/* That the request was not let in (request->refusal). */
void audit_refusal(struct audit *audit, const struct request *request, unsigned status);

#endif
