/* SPDX-License-Identifier: Apache-2.0 */
/* Small JSON bodies that may be left out: {"hold": true, "analyst": "kim"}. */
#ifndef API_OPTIONS_H
#define API_OPTIONS_H

#include "api/app.h"
#include "http/router.h"

struct option_member {
    const char *name;
    enum option_type { OPTION_BOOL = 1, OPTION_TEXT } type;
};

/* *out: the body's object, empty where there is no body; the caller lets go of it. Its
 * members are among `members` (ended by a NULL name), of their type and, of texts, not
 * empty nor longer than limits.label_text. False: the reply is the problem. */
bool options_read(json_t **out, const struct app *app,
                  const struct option_member *members, const struct request *request,
                  struct reply *reply);

#endif
