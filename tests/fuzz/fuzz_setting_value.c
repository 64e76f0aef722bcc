/* SPDX-License-Identifier: Apache-2.0 */
/* One value, behind a byte that says of which type: refused, or in range and printed so
 * that it reads back the same. */
#include "fuzz.h"

#include <stddef.h>
#include <string.h>

#include "base/setting_value.h"

struct values {
    bool flag;
    size_t count, size;
    double duration, number;
    char *text;
    int choice;
    struct setting_counts counts;
};
#define AT(member) .offset = offsetof(struct values, member)
static const char *const choices[] = {"off", "on", "perhaps", NULL};
static const struct setting settings[] = {
    {.key = "flag", .type = SETTING_BOOL, AT(flag), .fallback = "off"},
    {.key = "count", .type = SETTING_COUNT, AT(count), .max = 1e9, .fallback = "0"},
    {.key = "size", .type = SETTING_SIZE, AT(size), .fallback = "0"},
    {.key = "time", .type = SETTING_DURATION, AT(duration), .max = 1e6, .fallback = "1s"},
    {.key = "number",
     .type = SETTING_NUMBER,
     AT(number),
     .min = -1,
     .max = 1e300,
     .fallback = "0"},
    {.key = "text", .type = SETTING_TEXT, AT(text), .fallback = ""},
    {.key = "choice",
     .type = SETTING_CHOICE,
     AT(choice),
     .choices = choices,
     .fallback = "on"},
    {.key = "counts", .type = SETTING_COUNTS, AT(counts), .max = 1e9, .fallback = "1"},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static void print(struct buffer *out, const struct values *values, size_t index)
{
    setting_value_print(out, values, &settings[index]);
    buffer_append(out, "", 1);
}

static void check(const struct values *values, size_t index)
{
    struct values again = {.flag = false};
    struct buffer one = {0}, other = {0};
    struct deepsad_error error = {0};
    print(&one, values, index);
    FUZZ_CHECK(setting_value_set(&again, &settings[index], one.data, &error) == 0);
    print(&other, &again, index);
    FUZZ_CHECK(strcmp(one.data, other.data) == 0);
    buffer_done(&one);
    buffer_done(&other);
    free(again.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct values values = {.flag = false};
    struct deepsad_error error = {0};
    size_t index = size == 0 ? 0 : data[0] % SETTINGS;
    char *text = strndup((const char *)data + (size > 0), size - (size > 0));
    FUZZ_CHECK(text != NULL);
    int status = setting_value_set(&values, &settings[index], text, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (status == DEEPSAD_OK) {
        FUZZ_CHECK(values.count <= 1000000000 && values.number >= -1);
        FUZZ_CHECK(values.duration >= 0 && values.duration <= 1e6);
        FUZZ_CHECK(values.counts.count <= SETTING_COUNTS_MAX);
        check(&values, index);
    }
    free(values.text);
    free(text);
    return 0;
}
