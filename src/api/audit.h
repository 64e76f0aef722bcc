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

/* Where lines go: "log", "none", or the path of a file that is appended to. To be called
 * again when the file was moved away. On failure all stays as it was. */
int audit_set(struct audit *audit, const char *where, struct deepsad_error *error);

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
