/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer_grammar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/infer_data.h"

const char *const infer_output_names[INFER_OUTPUTS] = {"score", "p_value"};

enum state {
    AT_START,
    AT_FIRST_NAME, /* of a member, or } */
    AT_NAME,
    AT_COLON,
    AT_VALUE,         /* of a member */
    AT_FIRST_ELEMENT, /* of an array, or ] */
    AT_ELEMENT,
    AFTER_VALUE, /* of a member or an element */
    AT_END,
};

enum kind {
    REQUEST,
    INPUTS,
    INPUT,
    OUTPUTS,
    OUTPUT,
    PARAMETERS, /* of the request */
    INPUT_PARAMETERS,
    OUTPUT_PARAMETERS,
    SHAPE,
    DATA,
    SKIPPED_OBJECT,
    SKIPPED_ARRAY,
};

/* Members that mean something, by what they are members of. */
enum member {
    ID,
    PARAMETERS_OF,
    INPUTS_OF,
    OUTPUTS_OF,
    NAME,
    SHAPE_OF,
    DATATYPE,
    DATA_OF,
    BINARY_DATA_SIZE,
    BINARY_DATA,
    BINARY_DATA_OUTPUT,
    KEEP,
    OTHER,
};
static const struct {
    enum member member;
    const char *name;
    unsigned kinds; /* bits */
} members[] = {
    {ID, "id", 1U << REQUEST},
    {PARAMETERS_OF, "parameters", 1U << REQUEST | 1U << INPUT | 1U << OUTPUT},
    {INPUTS_OF, "inputs", 1U << REQUEST},
    {OUTPUTS_OF, "outputs", 1U << REQUEST},
    {NAME, "name", 1U << INPUT | 1U << OUTPUT},
    {SHAPE_OF, "shape", 1U << INPUT},
    {DATATYPE, "datatype", 1U << INPUT},
    {DATA_OF, "data", 1U << INPUT},
    {BINARY_DATA_SIZE, "binary_data_size", 1U << INPUT_PARAMETERS},
    {BINARY_DATA, "binary_data", 1U << OUTPUT_PARAMETERS},
    {BINARY_DATA_OUTPUT, "binary_data_output", 1U << PARAMETERS},
    {KEEP, "keep", 1U << PARAMETERS},
};

void infer_grammar_start(struct infer_grammar *grammar, struct rows *rows)
{
    /* Not its texts, which are long. */
    memset(grammar, 0, offsetof(struct infer_grammar, id));
    memset(&grammar->binary_output, 0,
           sizeof *grammar - offsetof(struct infer_grammar, binary_output));
    grammar->base.rows = rows;
}

/* ---- Faults ------------------------------------------------------------------------ */

static enum kind top(const struct infer_grammar *grammar)
{
    return (enum kind)grammar->open[grammar->depth - 1];
}

/* Where the value of the member or the element is. */
static void point(const struct infer_grammar *grammar, char out[static ROWS_POINTER_MAX])
{
    const char *name = "";
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        name = (int)members[i].member == grammar->member ? members[i].name : name;
    }
    size_t input = grammar->inputs - (grammar->inputs > 0);
    switch ((int)top(grammar)) {
    case INPUTS:
        snprintf(out, ROWS_POINTER_MAX, "#/inputs/%zu", grammar->inputs);
        break;
    case INPUT:
        snprintf(out, ROWS_POINTER_MAX, "#/inputs/%zu/%s", input, name);
        break;
    case SHAPE:
        snprintf(out, ROWS_POINTER_MAX, "#/inputs/%zu/shape/%zu", input, grammar->rank);
        break;
    case DATA:
        snprintf(out, ROWS_POINTER_MAX, "#/inputs/%zu/data", input);
        break;
    case INPUT_PARAMETERS:
        snprintf(out, ROWS_POINTER_MAX, "#/inputs/%zu/parameters/%s", input, name);
        break;
    case OUTPUTS:
        snprintf(out, ROWS_POINTER_MAX, "#/outputs/%zu", grammar->output_count);
        break;
    case OUTPUT:
        snprintf(out, ROWS_POINTER_MAX, "#/outputs/%zu/%s", grammar->output_count, name);
        break;
    case OUTPUT_PARAMETERS:
        snprintf(out, ROWS_POINTER_MAX, "#/outputs/%zu/parameters/%s",
                 grammar->output_count, name);
        break;
    case PARAMETERS:
        snprintf(out, ROWS_POINTER_MAX, "#/parameters/%s", name);
        break;
    case REQUEST:
    case SKIPPED_OBJECT:
    case SKIPPED_ARRAY:
    default:
        snprintf(out, ROWS_POINTER_MAX, "#/%s", name);
        break;
    }
}

/* The value is of the wrong type; what is no value at all is a fault of syntax. */
bool infer_fail_type(struct infer_grammar *grammar, const struct json_token *token,
                     const char *expected)
{
    char pointer[ROWS_POINTER_MAX];
    if (!json_token_is_value(token)) {
        return json_grammar_fail(&grammar->base, "expected %s, found '%c'", expected,
                                 token->punctuation);
    }
    point(grammar, pointer);
    return rows_fail(grammar->base.rows, 400, pointer, "%s: expected %s, found %s",
                     pointer + 2, expected, json_token_describe(token));
}

bool infer_fail_at(struct infer_grammar *grammar, const char *problem)
{
    char pointer[ROWS_POINTER_MAX];
    point(grammar, pointer);
    return rows_fail(grammar->base.rows, 400, pointer, "%s: %s", pointer + 2, problem);
}

static const char *take(struct json_grammar_base *base, const char *at, const char *end)
{
    struct infer_grammar *grammar = (struct infer_grammar *)base;
    bool value = grammar->state == AT_ELEMENT || grammar->state == AT_FIRST_ELEMENT;
    if (!value || top(grammar) != DATA) {
        return at;
    }
    bool value_next = false, first = false;
    const char *reached = infer_data_take(grammar, &value_next, &first, at, end);
    if (reached != at) {
        grammar->state = first ? AT_FIRST_ELEMENT : value_next ? AT_ELEMENT : AFTER_VALUE;
    }
    return reached;
}

/* ---- Members and their values ------------------------------------------------------ */

static bool is_text(const struct json_token *token, const char *text)
{
    return token->length == strlen(text) && memcmp(token->text, text, token->length) == 0;
}

static unsigned *seen(struct infer_grammar *grammar)
{
    switch ((int)top(grammar)) {
    case REQUEST:
        return &grammar->members[0];
    case INPUT:
        return &grammar->members[1];
    case OUTPUT:
        return &grammar->members[2];
    default:
        return &grammar->members[3];
    }
}

static bool on_name(struct infer_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        return json_grammar_fail(&grammar->base,
                                 "expected the name of a member, in quotes");
    }
    grammar->state = AT_COLON;
    grammar->member = OTHER;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if ((members[i].kinds >> top(grammar) & 1) == 0 ||
            !is_text(token, members[i].name)) {
            continue;
        }
        grammar->member = (int)members[i].member;
        if ((*seen(grammar) & 1U << members[i].member) != 0) {
            return infer_fail_at(grammar, "is there twice");
        }
        *seen(grammar) |= 1U << members[i].member;
    }
    return true;
}

static bool on_id(struct infer_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        return infer_fail_type(grammar, token, "a string");
    }
    grammar->has_id = true;
    grammar->id_length = token->length;
    memcpy(grammar->id, token->text, token->length);
    return true;
}

static bool on_input_name(struct infer_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        return infer_fail_type(grammar, token, "a string");
    }
    grammar->named = is_text(token, INFER_INPUT);
    return grammar->named ||
           rows_fail(grammar->base.rows, 400, "#/inputs/0/name",
                     "the model has no input \"%.*s\", its input is \"" INFER_INPUT "\"",
                     (int)(token->length < 64 ? token->length : 64), token->text);
}

static bool on_output_name(struct infer_grammar *grammar, const struct json_token *token)
{
    char pointer[ROWS_POINTER_MAX];
    if (token->kind != JSON_TOKEN_STRING) {
        return infer_fail_type(grammar, token, "a string");
    }
    for (int i = 0; i < INFER_OUTPUTS; i++) {
        if (is_text(token, infer_output_names[i])) {
            grammar->output.output = (enum infer_output)i;
            return true;
        }
    }
    point(grammar, pointer);
    return rows_fail(
        grammar->base.rows, 400, pointer,
        "the model has no output \"%.*s\", its outputs are score and p_value",
        (int)(token->length < 64 ? token->length : 64), token->text);
}

static bool on_datatype(struct infer_grammar *grammar, const struct json_token *token)
{
    if (token->kind != JSON_TOKEN_STRING) {
        return infer_fail_type(grammar, token, "a string");
    }
    grammar->type = tensor_type_parse(token->text, token->length);
    grammar->has_type = grammar->type != TENSOR_TYPES;
    return grammar->has_type ||
           rows_fail(grammar->base.rows, 400, "#/inputs/0/datatype",
                     "input \"" INFER_INPUT
                     "\": the data type \"%.*s\" does not stand for "
                     "numbers; send FP32, FP64, FP16, INT8 to INT64, UINT8 to UINT64 or "
                     "BOOL",
                     (int)(token->length < 32 ? token->length : 32), token->text);
}

/* A whole number below 2^53; the token's own is a float. */
static bool read_whole(const struct json_token *token, uint64_t *out)
{
    char text[32];
    *out = 0;
    if (token->kind != JSON_TOKEN_NUMBER || token->length >= sizeof text) {
        return false;
    }
    memcpy(text, token->text, token->length);
    text[token->length] = '\0';
    double value = strtod(text, NULL);
    bool good = value >= 0 && value < 0x1p53 && value == floor(value);
    *out = good ? (uint64_t)value : 0;
    return good;
}

static bool on_dimension(struct infer_grammar *grammar, const struct json_token *token)
{
    if (!json_token_is_value(token) ||
        !read_whole(token, &grammar->shape[grammar->rank])) {
        return infer_fail_type(grammar, token, "a whole number, 0 or more");
    }
    if (++grammar->rank == INFER_RANK_MAX) {
        grammar->rank--;
        return infer_fail_at(grammar, "too many dimensions");
    }
    return true;
}

static bool read_flag(struct infer_grammar *grammar, const struct json_token *token,
                      bool *out)
{
    *out = token->kind == JSON_TOKEN_TRUE;
    return *out || token->kind == JSON_TOKEN_FALSE ||
           infer_fail_type(grammar, token, "true or false");
}

/* A value of a member that is no array and no object. */
static bool on_scalar(struct infer_grammar *grammar, const struct json_token *token)
{
    switch (grammar->member) {
    case ID:
        return on_id(grammar, token);
    case NAME:
        return top(grammar) == INPUT ? on_input_name(grammar, token)
                                     : on_output_name(grammar, token);
    case DATATYPE:
        return on_datatype(grammar, token);
    case BINARY_DATA_SIZE:
        grammar->has_binary_size = read_whole(token, &grammar->binary_size);
        return grammar->has_binary_size ||
               infer_fail_type(grammar, token, "a number of bytes");
    case BINARY_DATA:
        grammar->output.given = true;
        return read_flag(grammar, token, &grammar->output.binary);
    case BINARY_DATA_OUTPUT:
        return read_flag(grammar, token, &grammar->binary_output);
    case KEEP:
        return read_flag(grammar, token, &grammar->keep);
    case PARAMETERS_OF:
        return infer_fail_type(grammar, token, "an object");
    case INPUTS_OF:
    case OUTPUTS_OF:
    case SHAPE_OF:
    case DATA_OF:
        return infer_fail_type(grammar, token, "an array");
    case OTHER:
        break;
    }
    return json_token_is_value(token) ||
           json_grammar_fail(&grammar->base, "expected a value, found '%c'",
                             token->punctuation);
}

/* ---- Arrays and objects ------------------------------------------------------------ */

/* What an array or object is that opens as a value. */
static bool choose_kind(struct infer_grammar *grammar, const struct json_token *token,
                        enum kind *kind)
{
    bool object = token->punctuation == '{';
    *kind = object ? SKIPPED_OBJECT : SKIPPED_ARRAY;
    switch ((int)top(grammar)) {
    case INPUTS:
        *kind = INPUT;
        return object || infer_fail_type(grammar, token, "an object, an input tensor");
    case OUTPUTS:
        *kind = OUTPUT;
        return object || infer_fail_type(grammar, token, "an object, an output tensor");
    case SHAPE:
        return infer_fail_type(grammar, token, "a number");
    case DATA:
        *kind = DATA;
        return !object || infer_fail_type(grammar, token, "a number");
    case SKIPPED_ARRAY:
        return true;
    default:
        break;
    }
    switch (grammar->member) {
    case PARAMETERS_OF:
        *kind = top(grammar) == REQUEST ? PARAMETERS
                : top(grammar) == INPUT ? INPUT_PARAMETERS
                                        : OUTPUT_PARAMETERS;
        return object || infer_fail_type(grammar, token, "an object");
    case INPUTS_OF:
        *kind = INPUTS;
        return !object || infer_fail_type(grammar, token, "an array");
    case OUTPUTS_OF:
        *kind = OUTPUTS;
        return !object || infer_fail_type(grammar, token, "an array");
    case SHAPE_OF:
        *kind = SHAPE;
        return !object || infer_fail_type(grammar, token, "an array");
    case DATA_OF:
        *kind = DATA;
        return !object || infer_fail_type(grammar, token, "an array");
    case OTHER:
        return true;
    default:
        return on_scalar(grammar, token); /* says what is expected */
    }
}

static bool on_open(struct infer_grammar *grammar, const struct json_token *token)
{
    enum kind kind;
    if (!choose_kind(grammar, token, &kind)) {
        return false;
    }
    if (grammar->depth == INFER_DEPTH_MAX) {
        return json_grammar_fail(&grammar->base, "more than %d arrays and objects deep",
                                 (int)INFER_DEPTH_MAX);
    }
    grammar->state = token->punctuation == '{' ? AT_FIRST_NAME : AT_FIRST_ELEMENT;
    if (kind == DATA && !infer_data_open(grammar)) {
        return false;
    }
    if (kind == INPUT && grammar->inputs++ == 1) {
        return rows_fail(grammar->base.rows, 400, "#/inputs/1",
                         "the model has one input, \"" INFER_INPUT "\"");
    }
    if (kind == OUTPUT && grammar->output_count == INFER_OUTPUTS) {
        return infer_fail_at(grammar, "more outputs than the model has");
    }
    if (kind == OUTPUT) {
        grammar->output = (struct infer_wanted){.output = INFER_SCORE};
        grammar->members[2] = 0;
    }
    grammar->members[3] = 0;
    grammar->has_outputs |= kind == OUTPUTS;
    grammar->open[grammar->depth++] = (unsigned char)kind;
    return true;
}

/* The output's object is complete. */
static bool add_output(struct infer_grammar *grammar)
{
    if ((grammar->members[2] & 1U << NAME) == 0) {
        grammar->member = NAME;
        return infer_fail_at(grammar, "is missing");
    }
    for (size_t i = 0; i < grammar->output_count; i++) {
        if (grammar->outputs[i].output == grammar->output.output) {
            grammar->member = NAME;
            return infer_fail_at(grammar, "is asked for twice");
        }
    }
    grammar->outputs[grammar->output_count] = grammar->output;
    return true;
}

static bool on_close(struct infer_grammar *grammar)
{
    enum kind kind = top(grammar);
    bool fine = kind == OUTPUT ? add_output(grammar)
                : kind == DATA ? infer_data_close(grammar)
                               : true;
    grammar->output_count += fine && kind == OUTPUT;
    grammar->has_shape |= kind == SHAPE;
    grammar->depth--;
    grammar->state = grammar->depth == 0 ? AT_END : AFTER_VALUE;
    grammar->base.ended = grammar->depth == 0;
    return fine;
}

static bool is_object(enum kind kind)
{
    return kind != INPUTS && kind != OUTPUTS && kind != SHAPE && kind != DATA &&
           kind != SKIPPED_ARRAY;
}

static bool on_element(struct infer_grammar *grammar, const struct json_token *token)
{
    grammar->state = AFTER_VALUE;
    switch ((int)top(grammar)) {
    case INPUTS:
        return infer_fail_type(grammar, token, "an object, an input tensor");
    case OUTPUTS:
        return infer_fail_type(grammar, token, "an object, an output tensor");
    case SHAPE:
        return on_dimension(grammar, token);
    case DATA:
        return infer_data_value(grammar, token);
    default:
        return json_token_is_value(token) ||
               json_grammar_fail(&grammar->base, "expected a value, found '%c'",
                                 token->punctuation);
    }
}

static bool after_value(struct infer_grammar *grammar, const struct json_token *token)
{
    bool object = is_object(top(grammar));
    char close = object ? '}' : ']';
    if (json_token_is_mark(token, ',')) {
        grammar->state = object ? AT_NAME : AT_ELEMENT;
        return true;
    }
    return json_token_is_mark(token, close)
               ? on_close(grammar)
               : json_grammar_fail(&grammar->base, "expected ',' or '%c'", close);
}

static bool on_start(struct infer_grammar *grammar, const struct json_token *token)
{
    if (!json_token_is_mark(token, '{')) {
        return rows_fail(grammar->base.rows, 400, "#",
                         "the body: expected an object with the member inputs");
    }
    grammar->open[grammar->depth++] = REQUEST;
    grammar->state = AT_FIRST_NAME;
    return true;
}

static bool step(struct json_grammar_base *base, const struct json_token *token)
{
    struct infer_grammar *grammar = (struct infer_grammar *)base;
    bool opens = json_token_is_mark(token, '{') || json_token_is_mark(token, '[');
    base->begun = true;
    switch ((enum state)grammar->state) {
    case AT_START:
        return on_start(grammar, token);
    case AT_FIRST_NAME:
        return json_token_is_mark(token, '}') ? on_close(grammar)
                                              : on_name(grammar, token);
    case AT_NAME:
        return on_name(grammar, token);
    case AT_COLON:
        grammar->state = AT_VALUE;
        return json_token_is_mark(token, ':') || json_grammar_fail(base, "expected ':'");
    case AT_VALUE:
        grammar->state = AFTER_VALUE;
        return opens ? on_open(grammar, token) : on_scalar(grammar, token);
    case AT_FIRST_ELEMENT:
        if (json_token_is_mark(token, ']')) {
            return on_close(grammar);
        }
        return opens ? on_open(grammar, token) : on_element(grammar, token);
    case AT_ELEMENT:
        return opens ? on_open(grammar, token) : on_element(grammar, token);
    case AFTER_VALUE:
        return after_value(grammar, token);
    case AT_END:
        break;
    }
    return json_grammar_fail(base, "more text after the end of the JSON object");
}

const struct json_grammar_ops infer_grammar_ops = {.step = step, .take = take};

bool infer_grammar_is_untyped(const struct infer_grammar *grammar)
{
    return !grammar->has_type;
}
