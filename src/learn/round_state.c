/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/round_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void round_enter(const struct round *round, const char *phase)
{
    if (round->options->phase != NULL) {
        round->options->phase(round->options->closure, phase);
    }
}

void round_conclude(struct round *round, enum round_end end, const char *decision,
                    const char *format, ...)
{
    va_list arguments;
    round->result.end = end;
    snprintf(round->result.decision, sizeof round->result.decision, "%s", decision);
    va_start(arguments, format);
    vsnprintf(round->result.reason, sizeof round->result.reason, format, arguments);
    va_end(arguments);
}

void round_note(struct round *round, const char *key, json_t *value)
{
    json_object_set_new(round->result.detail, key, value);
}

int round_quarantine(struct round *round, const bool *held, const char *reason,
                     struct deepsad_error *error)
{
    const struct collected *collected = &round->collected;
    const char **ids = calloc(collected->new_count + 1, sizeof *ids);
    if (ids == NULL) {
        return error_no_memory(error, "labels");
    }
    size_t count = 0;
    for (size_t i = 0; i < collected->new_count; i++) {
        if (held == NULL || held[i]) {
            ids[count++] = collected->in_force.labels[collected->fresh[i].at].id;
        }
    }
    int status = DEEPSAD_OK;
    if (count > 0) {
        status = store_quarantine(round->options->store, round->entry->name, ids, count,
                                  round->options->job, reason, error);
    }
    free(ids);
    round->result.quarantined += status == DEEPSAD_OK ? count : 0;
    return status;
}
