/* SPDX-License-Identifier: Apache-2.0 */
/* Files of labels, by their first byte as JSON lines or as CSV: whole rows, or a message.
 */
#include "fuzz.h"

#include <string.h>

#include "model/model.h"
#include "tool/journal_csv.h"
#include "tool/journal_json.h"

static int read_rows(struct journal_rows *rows, const uint8_t *data, size_t size,
                     struct deepsad_error *error)
{
    if (size > 0 && data[0] == '{') {
        FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
        FUZZ_CHECK(file != NULL);
        int status = journal_json_read(rows, file, error);
        fclose(file);
        return status;
    }
    struct stream stream;
    stream_open_memory(&stream, "f.csv", data, size);
    int status = journal_csv_read(rows, &stream, error);
    stream_close(&stream);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *names[] = {(char[]){"amount"}, (char[]){"hour"}};
    struct deepsad_model *model = NULL;
    struct deepsad_error error = {0};
    struct journal_rows rows;
    FUZZ_CHECK(model_new(&model, 2, names, &error) == DEEPSAD_OK);
    journal_rows_init(&rows, "f", model);
    int status = read_rows(&rows, data, size, &error);
    FUZZ_CHECK(status == DEEPSAD_OK || strncmp(error.message, "f", 1) == 0);
    for (size_t i = 0; i < rows.count && status == DEEPSAD_OK; i++) {
        char *const *texts = rows.rows[i].texts;
        FUZZ_CHECK(texts[JOURNAL_VERDICT] != NULL);
        FUZZ_CHECK(texts[JOURNAL_SAMPLE_ID] != NULL || rows.rows[i].features);
    }
    journal_rows_done(&rows);
    deepsad_model_unref(model);
    return 0;
}
