/* SPDX-License-Identifier: Apache-2.0 */
/* Small bodies, as those of retrain and activate: taken in pieces of any size, accepted
 * only what jansson accepts, every member one that there is, of its type and length. */
#include "fuzz.h"

#include <string.h>

#include "api/body.h"
#include "api/options.h"

enum { TEXT_MAX = 8 };

static const struct option_member members[] = {
    {"hold", OPTION_BOOL}, {"analyst", OPTION_TEXT}, {"reason", OPTION_TEXT}, {NULL, 0}};

static void check_accepted(const json_t *options, const char *text, size_t size)
{
    json_t *root =
        json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    const json_t *hold = json_object_get(options, "hold");
    const json_t *analyst = json_object_get(options, "analyst");
    FUZZ_CHECK(size == 0 ? json_object_size(options) == 0
                         : json_equal(root, (json_t *)(uintptr_t)options));
    FUZZ_CHECK(json_object_size(options) <= 3);
    FUZZ_CHECK(hold == NULL || json_is_boolean(hold));
    FUZZ_CHECK(analyst == NULL || (json_string_length(analyst) >= 1 &&
                                   json_string_length(analyst) <= TEXT_MAX));
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct app app = {.max_label_text = TEXT_MAX};
    struct request request = {.path = "/v1/models/m/retrain", .method = HTTP_POST};
    struct reply reply = {0};
    json_t *options = NULL;
    size_t piece = 1 + size % 7;
    FUZZ_CHECK(body_begin(&app, &request, &reply));
    for (size_t at = 0; at < size; at += piece) {
        body_collect(&app, &request, (const char *)data + at,
                     size - at < piece ? size - at : piece);
    }
    bool fine = options_read(&options, &app, members, &request, &reply);
    FUZZ_CHECK(fine ? reply.status == 0 : reply.status == 400 || reply.status == 422);
    if (fine) {
        check_accepted(options, (const char *)data, size);
        json_decref(options);
    }
    body_end(&app, &request);
    reply_done(&reply);
    return 0;
}
