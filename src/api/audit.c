/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/token.h"
#include "base/clock.h"
#include "http/auth.h"

enum {
    REFUSALS_A_SECOND = 10,
    REFUSALS_AT_ONCE = 50,
    FIELDS = AUDIT_FIELDS_MAX + 7,
    FILE_MODE = 0640,
};

struct audit {
    pthread_mutex_t mutex;
    struct audit_sink sink;
    bool failing; /* the last line could not be written */
    double allowance, counted_at;
    uint64_t left_out;
};

struct audit *audit_new(void)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (audit != NULL) {
        pthread_mutex_init(&audit->mutex, NULL);
        audit->allowance = REFUSALS_AT_ONCE;
    }
    return audit;
}

void audit_free(struct audit *audit)
{
    if (audit != NULL) {
        audit_close(&audit->sink);
        pthread_mutex_destroy(&audit->mutex);
        free(audit);
    }
}

int audit_open(struct audit_sink *out, const char *where, struct deepsad_error *error)
{
    struct audit_sink sink = {.kind = AUDIT_FILE};
    if (strcmp(where, "none") == 0 || strcmp(where, "log") == 0) {
        sink.kind = where[0] == 'n' ? AUDIT_NONE : AUDIT_LOG;
        *out = sink;
        return DEEPSAD_OK;
    }
    sink.descriptor = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (sink.descriptor < 0) {
        return error_system(error, errno, "log.audit: %s", where);
    }
    *out = sink;
    return DEEPSAD_OK;
}

void audit_close(struct audit_sink *sink)
{
    if (sink->kind == AUDIT_FILE) {
        close(sink->descriptor);
    }
    *sink = (struct audit_sink){.kind = AUDIT_NONE};
}

void audit_set(struct audit *audit, const struct audit_sink *sink)
{
    pthread_mutex_lock(&audit->mutex);
    struct audit_sink old = audit->sink;
    audit->sink = *sink;
    pthread_mutex_unlock(&audit->mutex);
    audit_close(&old);
}

/* A line that cannot be written is said in the log, once until one can again: the request
 * that it is about has been done. */
static void append(struct audit *audit, const struct log_field *fields)
{
    struct buffer line = {0};
    log_format_line(&line, LOG_FORMAT_JSON, LOG_LEVEL_INFO, "audit", fields);
    ssize_t done;
    do {
        done = line.failed ? -1 : write(audit->sink.descriptor, line.data, line.length);
    } while (done < 0 && !line.failed && errno == EINTR);
    bool failed = line.failed || done != (ssize_t)line.length;
    if (failed && !audit->failing) {
        log_event(LOG_LEVEL_ERROR, "a line of the audit log could not be written",
                  LOG_TEXT("reason", strerror(errno)));
    }
    audit->failing = failed;
    buffer_done(&line);
}

static void write_line(struct audit *audit, const struct log_field *fields)
{
    if (audit->sink.kind == AUDIT_FILE) {
        append(audit, fields);
    } else if (audit->sink.kind == AUDIT_LOG) {
        log_write(LOG_LEVEL_INFO, "audit", fields);
    }
}

static void add_text(struct log_field *fields, size_t *count, const char *name,
                     const char *text)
{
    if (text != NULL && text[0] != '\0') {
        fields[(*count)++] = (struct log_field)LOG_TEXT(name, text);
    }
}

/* `fields` ends with one without a name; *count: without that. */
static size_t describe(struct log_field fields[static FIELDS],
                       const struct request *request, const char *action,
                       const struct log_field *more)
{
    size_t count = 0;
    add_text(fields, &count, "action", action);
    add_text(fields, &count, "request_id", request->id);
    add_text(fields, &count, "address", request->address);
    add_text(fields, &count, "certificate", request->certificate);
    add_text(fields, &count, "token", request->token == NULL ? NULL : request->token->id);
    add_text(fields, &count, "name", auth_name(request));
    while (more != NULL && more->name != NULL && count + 1 < FIELDS) {
        fields[count++] = *more++;
    }
    fields[count] = (struct log_field){.name = NULL};
    return count;
}

void audit_write(struct audit *audit, const struct request *request, const char *action,
                 const struct log_field *fields)
{
    struct log_field all[FIELDS];
    if (audit == NULL) {
        return;
    }
    describe(all, request, action, fields);
    pthread_mutex_lock(&audit->mutex);
    write_line(audit, all);
    pthread_mutex_unlock(&audit->mutex);
}

/* Whether one more refusal may be written now. */
static bool may_write_refusal(struct audit *audit)
{
    double now = clock_monotonic();
    audit->allowance += (now - audit->counted_at) * REFUSALS_A_SECOND;
    audit->counted_at = now;
    if (audit->allowance > REFUSALS_AT_ONCE) {
        audit->allowance = REFUSALS_AT_ONCE;
    }
    if (audit->allowance < 1) {
        audit->left_out++;
        return false;
    }
    audit->allowance--;
    return true;
}

void audit_refusal(struct audit *audit, const struct request *request, unsigned status)
{
    struct log_field fields[FIELDS];
    const char *reason = request->refusal == NULL ? "" : request->refusal;
    if (audit == NULL) {
        return;
    }
    pthread_mutex_lock(&audit->mutex);
    if (may_write_refusal(audit)) {
        const struct log_field more[] = {
            LOG_TEXT("method", http_method_name(request->method)),
            LOG_TEXT("path", request->path),
            LOG_INTEGER("status", status),
            LOG_TEXT("reason", reason),
            LOG_INTEGER("left_out_before", audit->left_out),
            {.name = NULL},
        };
        audit->left_out = 0;
        describe(fields, request, "access.refuse", more);
        write_line(audit, fields);
    }
    pthread_mutex_unlock(&audit->mutex);
}
