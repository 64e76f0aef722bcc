/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the command line, one a line: where to listen, which classes are normal and
 * anomalous, what spellings of labels mean. */
#include "fuzz.h"

#include <string.h>

#include "data/classes.h"
#include "data/csv.h"
#include "http/listen.h"

static void check_listen(const char *text)
{
    struct deepsad_error error = {0};
    int status = listen_check(text, &error);
    const char *colon = strrchr(text, ':');
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (strncmp(text, "unix:/", 6) == 0) {
        FUZZ_CHECK(status != DEEPSAD_OK || strlen(text) < LISTEN_ADDRESS_MAX);
        return;
    }
    FUZZ_CHECK(status != DEEPSAD_OK || (colon != NULL && strlen(colon) <= 6 &&
                                        strtoul(colon + 1, NULL, 10) <= 65535));
}

static void check_classes(const char *normal, const char *anomalous)
{
    struct classes classes;
    struct deepsad_error error = {0};
    const char *const list[] = {anomalous, NULL};
    const struct deepsad_read_options options = {.normal_class = normal,
                                                 .anomaly_classes = list};
    int status = classes_init(&classes, &options, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    FUZZ_CHECK(status != DEEPSAD_OK || strtoul(normal, NULL, 10) < CLASSES_MAX);
}

static void check_label_map(const char *map)
{
    static const char csv[] = "a,label\n1,0\n2,1\n3,\n";
    const struct deepsad_read_options options = {.label_map = map};
    struct deepsad_dataset out = {0};
    struct deepsad_error error = {0};
    struct stream stream;
    stream_open_memory(&stream, "f", csv, sizeof csv - 1);
    int status = csv_read(&out, &stream, &options, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (out.rows == 3 && error.message[0] == '\0'));
    deepsad_dataset_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    FUZZ_CHECK(text != NULL);
    char *second = strchr(text, '\n');
    second = second == NULL ? text + strlen(text) : second + 1;
    char *third = strchr(second, '\n');
    third = third == NULL ? second + strlen(second) : third + 1;
    text[strcspn(text, "\n")] = '\0';
    second[strcspn(second, "\n")] = '\0';
    check_listen(text);
    check_classes(text, second);
    check_label_map(second);
    check_label_map(third);
    free(text);
    return 0;
}
