/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fields.h"

enum { FIELD_GAP_MAX = 256 }; /* white space between a field's name and its value */

struct pass {
    struct head *head;
    struct request *request;
    const char *end; /* of the field before, or NULL */
};

/* Up to 0.9.x the library hands out fields where they lie in its buffer, one behind the
 * other, and what follows a line is only known from there. Of a field that goes on on a
 * second line it appends that to the name ("Content-Length24"), so the value begins
 * within the name or elsewhere; a NUL byte ends a value before its line ends. */
static bool is_out_of_place(struct pass *pass, const char *name, size_t name_length,
                            const char *value, size_t value_length)
{
#if MHD_VERSION < 0x01000000
    const char *end = pass->end;
    pass->end = value == NULL ? NULL : value + value_length;
    if (value == NULL) {
        return false;
    }
    for (const char *at = name + name_length; at != value; at++) {
        if (at > value || at > name + name_length + FIELD_GAP_MAX ||
            (*at != '\0' && *at != ' ' && *at != '\t')) {
            return true;
        }
    }
    return end != NULL && name != end + 1 && name != end + 2;
#else
    (void)pass, (void)name, (void)name_length, (void)value, (void)value_length;
    return false;
#endif
}

static void add_argument(struct request *request, struct http_text name,
                         struct http_text value)
{
    if (request->argument_count == REQUEST_ARGUMENTS_MAX) {
        request->arguments_excess = true;
        return;
    }
    request->arguments[request->argument_count].name = name;
    request->arguments[request->argument_count++].value = value;
}

static enum MHD_Result on_header(void *closure, enum MHD_ValueKind kind, const char *name,
                                 size_t name_length, const char *value,
                                 size_t value_length)
{
    struct pass *pass = closure;
    if (kind == MHD_GET_ARGUMENT_KIND) {
        add_argument(pass->request, (struct http_text){name, name_length},
                     (struct http_text){value == NULL ? "" : value, value_length});
        return MHD_YES;
    }
    pass->head->is_folded |=
        is_out_of_place(pass, name, name_length, value, value_length);
    head_add(pass->head, pass->request, name, name_length, value, value_length);
    return MHD_YES;
}

void fields_read(struct head *head, struct request *request,
                 struct MHD_Connection *connection)
{
    struct pass pass = {.head = head, .request = request};
    MHD_get_connection_values_n(
        connection, (enum MHD_ValueKind)(MHD_HEADER_KIND | MHD_GET_ARGUMENT_KIND),
        on_header, &pass);
}
