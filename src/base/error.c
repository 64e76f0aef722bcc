/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_record(struct deepsad_error *error, enum deepsad_status status,
                  const char *format, ...)
{
    if (error == NULL || error->status != DEEPSAD_OK) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
}

void error_record_system(struct deepsad_error *error, int number, const char *format, ...)
{
    char what[DEEPSAD_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    char reason[128];
    const char *text = strerror_r(number, reason, sizeof reason);
    enum deepsad_status status = number == ENOENT ? DEEPSAD_NOT_FOUND : DEEPSAD_IO;
    error_record(error, status, "%s: %s", what, text);
}

int error_prefix(struct deepsad_error *error, const char *format, ...)
{
    if (error == NULL) {
        return DEEPSAD_INVALID;
    }
    char message[2 * DEEPSAD_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, DEEPSAD_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length;
    used = used < DEEPSAD_MESSAGE_MAX ? used : DEEPSAD_MESSAGE_MAX - 1;
    snprintf(message + used, sizeof message - used, ": %s", error->message);
    memcpy(error->message, message, sizeof error->message);
    error->message[sizeof error->message - 1] = '\0';
    return (int)error->status;
}
