/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer_answer.h"

#include <string.h>

#include "base/number.h"

enum { PIECE_VALUES = 16 * NUMBER_BLOCK };

void infer_answer_start(struct infer_answer *answer, const struct scoring *scoring,
                        const struct infer_grammar *grammar, bool raw)
{
    *answer = (struct infer_answer){
        .scoring = scoring,
        .id = grammar->has_id ? grammar->id : NULL,
        .id_length = grammar->id_length,
        .tells_kept = grammar->keep,
        .count = grammar->output_count > 0 ? grammar->output_count : INFER_OUTPUTS,
    };
    for (size_t i = 0; i < answer->count; i++) {
        struct infer_wanted wanted = {.output = (enum infer_output)i};
        wanted = grammar->output_count > 0 ? grammar->outputs[i] : wanted;
        answer->outputs[i] = wanted.output;
        answer->binary[i] =
            raw || (wanted.given ? wanted.binary : grammar->binary_output);
    }
}

bool infer_answer_is_binary(const struct infer_answer *answer)
{
    bool binary = false;
    for (size_t i = 0; i < answer->count; i++) {
        binary |= answer->binary[i];
    }
    return binary;
}

static const float *values_of(const struct infer_answer *answer, size_t output)
{
    return answer->outputs[output] == INFER_SCORE ? answer->scoring->scores
                                                  : answer->scoring->p_values;
}

void infer_answer_head(struct infer_answer *answer, struct buffer *out)
{
    const struct scoring *scoring = answer->scoring;
    buffer_append_text(out, "{\"model_name\":\"");
    buffer_append_text(out, scoring->entry->name); /* has nothing to escape */
    buffer_printf(out, "\",\"model_version\":\"%u\"", scoring->version->number);
    if (answer->id != NULL) {
        buffer_append_text(out, ",\"id\":");
        buffer_append_json_string(out, answer->id, answer->id_length);
    }
    if (answer->tells_kept) {
        buffer_printf(out, ",\"parameters\":{\"kept\":%s}",
                      answer->kept ? "true" : "false");
    }
    buffer_append_text(out, ",\"outputs\":[");
}

/* Up to its values. */
static void begin_output(const struct infer_answer *answer, struct buffer *out)
{
    size_t i = answer->output, rows = answer->scoring->scored;
    buffer_printf(out, "%s{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[%zu],",
                  i > 0 ? "," : "", infer_output_names[answer->outputs[i]], rows);
    if (answer->binary[i]) {
        buffer_printf(out, "\"parameters\":{\"binary_data_size\":%zu}}",
                      rows * sizeof(float));
    } else {
        buffer_append_text(out, "\"data\":[");
    }
}

static void append_values(struct buffer *out, const float *values, size_t count,
                          bool first)
{
    char *start = buffer_reserve(out, count * (NUMBER_FLOAT_MAX + 1)), *at = start;
    struct number_texts texts;
    if (start == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t place = i % NUMBER_BLOCK;
        if (place == 0) {
            size_t left = count - i;
            number_format_floats(&texts, values + i,
                                 left < NUMBER_BLOCK ? left : NUMBER_BLOCK);
        }
        *at = ',';
        at += !(first && i == 0);
        memcpy(at, texts.text[place], NUMBER_FLOAT_MAX);
        at += texts.length[place];
    }
    out->length += (size_t)(at - start);
}

bool infer_answer_next(struct infer_answer *answer, struct buffer *out)
{
    size_t i = answer->output, rows = answer->scoring->scored;
    if (answer->written == 0) {
        begin_output(answer, out);
    }
    if (!answer->binary[i]) {
        size_t left = rows - answer->written;
        size_t count = left < PIECE_VALUES ? left : PIECE_VALUES;
        append_values(out, values_of(answer, i) + answer->written, count,
                      answer->written == 0);
        answer->written += count;
        if (answer->written < rows) {
            return !out->failed;
        }
        buffer_append_text(out, "]}");
    }
    answer->written = 0;
    answer->output++;
    if (answer->output == answer->count) {
        buffer_append_text(out, "]}");
        return false;
    }
    return !out->failed;
}

void infer_answer_tensors(const struct infer_answer *answer, struct buffer *out)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->binary[i]) {
            buffer_append(out, values_of(answer, i),
                          answer->scoring->scored * sizeof(float));
        }
    }
}
