/* SPDX-License-Identifier: Apache-2.0 */
#include "api/score_answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/number.h"

static char *put(char *out, const char *text, size_t length)
{
    memcpy(out, text, length);
    return out + length;
}
#define PUT(out, literal) put((out), (literal), sizeof(literal) - 1)

enum {
    /* The longest result: {"id":"<64>","score":<16>,"p_value":<16>,"anomalous":false}, */
    RESULT_MAX = 64 + 2 * NUMBER_FLOAT_MAX + 64,
    /* The numbers of so many rows are formatted at once. */
    BLOCK = NUMBER_BLOCK / 2,
    /* Rows of a piece; with explanations, which take longer, of those. */
    PIECE_ROWS = 16 * BLOCK,
    PIECE_EXPLAINED = 16,
    HEAD_MAX = 128 + 2 * NUMBER_FLOAT_MAX, /* without the model's name */
};

/* ---- The head ---------------------------------------------------------------------- */

static char *put_count(char *out, unsigned value)
{
    char digits[10];
    size_t used = sizeof digits;
    do {
        digits[--used] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(out, digits + used, sizeof digits - used);
}

/* By hand, as printf would cost as much as scoring a dozen rows. */
void score_answer_head(struct score_answer *answer, struct buffer *out)
{
    const struct scoring *scoring = answer->scoring;
    const struct catalog_entry *entry = scoring->entry;
    size_t name_length = strlen(entry->name);
    float threshold = entry->threshold;
    bool reachable = entry->reachable;
    if (scoring->version != entry->versions) {
        reachable =
            deepsad_model_threshold(scoring->version->model, entry->alpha, &threshold);
    }
    char *start = buffer_reserve(out, HEAD_MAX + name_length);
    if (start == NULL) {
        return;
    }
    char *at = PUT(start, "{\"model\":\""); /* a name has nothing to escape */
    at = put(at, entry->name, name_length);
    at = PUT(at, "\",\"version\":\"");
    at = put_count(at, scoring->version->number);
    at = PUT(at, "\",\"threshold\":");
    if (reachable) {
        at += number_format_float(at, threshold);
    } else {
        at = PUT(at, "null");
    }
    at = PUT(at, ",\"alpha\":");
    at += number_format_float(at, (float)entry->alpha);
    at = PUT(at, ",\"results\":[");
    out->length += (size_t)(at - start);
}

/* ---- Results ----------------------------------------------------------------------- */

static void format_block(struct number_texts *texts, const struct scoring *scoring,
                         size_t first, size_t rows)
{
    float values[NUMBER_BLOCK];
    memcpy(values, scoring->scores + first, rows * sizeof *values);
    memcpy(values + rows, scoring->p_values + first, rows * sizeof *values);
    number_format_floats(texts, values, 2 * rows);
}

/* Always the same number of bytes is copied, which is a load and a store. */
static char *put_number(char *out, const struct number_texts *texts, size_t index)
{
    memcpy(out, texts->text[index], NUMBER_FLOAT_MAX);
    return out + texts->length[index];
}

static char *put_id(char *out, const struct rows *rows, size_t row, struct worker *worker,
                    int64_t now)
{
    if (!rows->has_ids) {
        uuid_make(&worker->ids, now, out);
        return out + UUID_SIZE;
    }
    return put(out, rows->id_text.data + rows->ids[row].offset, rows->ids[row].length);
}

/* But for the brace that closes it. */
static char *put_result(char *out, const struct scoring *scoring, size_t row,
                        struct worker *worker, int64_t now,
                        const struct number_texts *texts, size_t score, size_t p_value)
{
    bool anomalous = (double)scoring->p_values[row] <= scoring->entry->alpha;
    out = row > 0 ? PUT(out, ",{\"id\":\"") : PUT(out, "{\"id\":\"");
    out = put_id(out, &scoring->rows, row, worker, now);
    out = PUT(out, "\",\"score\":");
    out = put_number(out, texts, score);
    out = PUT(out, ",\"p_value\":");
    out = put_number(out, texts, p_value);
    return anomalous ? PUT(out, ",\"anomalous\":true") : PUT(out, ",\"anomalous\":false");
}

static void append_results(struct score_answer *answer, struct worker *worker,
                           struct buffer *out, size_t rows)
{
    const struct scoring *scoring = answer->scoring;
    size_t first = answer->written;
    int64_t now = clock_realtime_ms();
    char *start = buffer_reserve(out, rows * RESULT_MAX), *at = start;
    if (start == NULL) {
        return;
    }
    for (size_t done = 0; done < rows;) {
        struct number_texts texts;
        size_t block = rows - done < BLOCK ? rows - done : BLOCK;
        format_block(&texts, scoring, first + done, block);
        for (size_t i = 0; i < block; i++) {
            at = put_result(at, scoring, first + done + i, worker, now, &texts, i,
                            block + i);
            *at++ = '}';
        }
        done += block;
    }
    out->length += (size_t)(at - start);
    answer->written += rows;
}

/* The same, each with an explanation. */
static void append_explained(struct score_answer *answer, struct worker *worker,
                             struct buffer *out, size_t rows)
{
    const struct scoring *scoring = answer->scoring;
    int64_t now = clock_realtime_ms();
    for (size_t i = 0; i < rows; i++) {
        struct number_texts texts;
        size_t row = answer->written;
        char *start = buffer_reserve(out, RESULT_MAX);
        if (start == NULL) {
            return;
        }
        format_block(&texts, scoring, row, 1);
        char *at = put_result(start, scoring, row, worker, now, &texts, 0, 1);
        out->length += (size_t)(at - start);
        if (!explanation_append(
                answer->explanation, out, scoring->version->model, worker->workspace,
                scoring->rows.x + row * scoring->rows.columns.count, answer->explained)) {
            out->failed = true;
            return;
        }
        buffer_append(out, "}", 1);
        answer->written++;
    }
}

bool score_answer_rows(struct score_answer *answer, struct worker *worker,
                       struct buffer *out)
{
    size_t left = answer->scoring->scored - answer->written;
    size_t most = answer->explained > 0 ? PIECE_EXPLAINED : PIECE_ROWS;
    size_t rows = left < most ? left : most;
    if (answer->explained > 0) {
        append_explained(answer, worker, out, rows);
    } else {
        append_results(answer, worker, out, rows);
    }
    if (out->failed) {
        return false;
    }
    if (rows < left) {
        return true;
    }
    buffer_append_text(out, !answer->tells_kept ? "]}"
                            : answer->kept      ? "],\"kept\":true}"
                                                : "],\"kept\":false}");
    return false;
}
