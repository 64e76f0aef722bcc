/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: what they look like, what they allow, and the file that keeps them. */
#include "../testing.h"

#include <stdlib.h>

#include "../folder.h"
#include "access/tokens.h"
#include "base/clock.h"

static struct token make(const char *name, const char *grant,
                         char text[static TOKEN_TEXT_SIZE + 1])
{
    struct token token = {.created_at_ms = 1000};
    snprintf(token.name, sizeof token.name, "%s", name);
    assert_int_equal(token_add_grant(&token, grant, NULL), DEEPSAD_OK);
    assert_int_equal(token_draw(&token, text, NULL), DEEPSAD_OK);
    return token;
}

static void a_token_has_its_form_and_is_drawn_anew(void **state)
{
    char one[TOKEN_TEXT_SIZE + 1], other[TOKEN_TEXT_SIZE + 1];
    struct token token = make("kim", "score", one);
    (void)state;
    make("kim", "score", other);
    assert_int_equal(strlen(one), TOKEN_TEXT_SIZE);
    assert_memory_equal(token_id_of(one, strlen(one)), token.id, TOKEN_ID_SIZE);
    assert_string_not_equal(one, other);
    assert_null(token_id_of(one, strlen(one) - 1));
    assert_null(token_id_of("x", 1));
}

/* SHA-256 of the text, as sha256sum has it. */
static void the_hash_is_sha_256(void **state)
{
    static const unsigned char start[] = {0xba, 0x78, 0x16, 0xbf};
    unsigned char hash[TOKEN_HASH_SIZE];
    (void)state;
    token_hash(hash, "abc", 3);
    assert_memory_equal(hash, start, sizeof start);
}

static void grants_are_for_roles_and_patterns(void **state)
{
    char text[TOKEN_TEXT_SIZE + 1];
    struct token token = make("kim", "label:fraud-*", text);
    struct token admin = make("ada", "admin:plant", text);
    (void)state;
    assert_true(token_allows(&token, ROLE_LABEL, "fraud-a"));
    assert_false(token_allows(&token, ROLE_LABEL, "plant"));
    assert_false(token_allows(&token, ROLE_SCORE, "fraud-a"));
    assert_true(token_allows(&token, ROLE_ANY, NULL));
    assert_true(token_allows(&admin, ROLE_SCORE, "plant"));
    assert_false(token_allows(&admin, ROLE_SCORE, "plants"));
}

static void wrong_grants_are_refused(void **state)
{
    static const char *const wrong[] = {"",          "boss",        "label:", "label:A",
                                        "label:a/b", "score,label", "Label"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct token token = {.grant_count = 0};
        assert_int_equal(token_add_grant(&token, wrong[i], NULL), DEEPSAD_INVALID);
        assert_int_equal(token.grant_count, 0);
    }
}

static void names_are_text(void **state)
{
    (void)state;
    assert_int_equal(token_check_name("Kim M\xc3\xbcller", NULL), DEEPSAD_OK);
    assert_int_equal(token_check_name("", NULL), DEEPSAD_INVALID);
    assert_int_equal(token_check_name("a\nb", NULL), DEEPSAD_INVALID);
    assert_int_equal(token_check_name("\xff", NULL), DEEPSAD_INVALID);
}

static void a_file_comes_back_as_it_was_written(void **state)
{
    char text[TOKEN_TEXT_SIZE + 1], path[FOLDER_PATH];
    struct token token = make("kim \"the\" first", "label:fraud-?", text);
    struct tokens *tokens = tokens_new(), *again = NULL;
    const struct token *found = NULL;
    token.expires_at_ms = 1893456000123;
    folder_path(path, state, "tokens");
    assert_int_equal(tokens_add(tokens, &token, NULL), DEEPSAD_OK);
    assert_int_equal(tokens_write(tokens, path, NULL), DEEPSAD_OK);
    assert_int_equal(tokens_read(&again, path, NULL), DEEPSAD_OK);
    assert_int_equal(again->count, 1);
    assert_memory_equal(&again->tokens[0], &token, sizeof token);
    assert_int_equal(tokens_find(&found, again, text, strlen(text), 5), TOKENS_VALID);
    assert_int_equal(tokens_find(&found, again, text, strlen(text), 1893456000123),
                     TOKENS_EXPIRED);
    tokens_unref(tokens);
    tokens_unref(again);
}

static void each_of_many_is_found_and_none_that_was_removed(void **state)
{
    enum { COUNT = 50 };
    static char texts[COUNT][TOKEN_TEXT_SIZE + 1];
    struct tokens *tokens = tokens_new();
    const struct token *found = NULL;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        struct token token = make("t", "score", texts[i]);
        assert_int_equal(tokens_add(tokens, &token, NULL), DEEPSAD_OK);
        assert_int_equal(tokens_add(tokens, &token, NULL), DEEPSAD_INVALID);
    }
    tokens_remove(tokens, 7);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(tokens_find(&found, tokens, texts[i], TOKEN_TEXT_SIZE, 0),
                         i == 7 ? TOKENS_UNKNOWN : TOKENS_VALID);
    }
    tokens_unref(tokens);
}

static int parse(const char *text, struct deepsad_error *error)
{
    struct tokens *tokens = NULL;
    int status = tokens_parse(&tokens, text, strlen(text), "f", error);
    tokens_unref(tokens);
    return status;
}

#define HASH "80c8555f38eb8b4d8a8d5644bf6cb64678688403c015020cd5e8fc281ace0769"
#define TIMES "\"created_at\": \"2026-01-31T12:00:00.000Z\", \"expires_at\": null"

static void wrong_files_are_refused_with_the_place(void **state)
{
    static const struct {
        const char *text, *said;
    } wrong[] = {
        {"{\"tokens\": [", "f:1:"},
        {"[]", "f: expected"},
        {"{\"tokens\": [], \"more\": 1}", "f: expected"},
        {"{\"tokens\": [3]}", "f: token 0: a token has"},
        {"{\"tokens\": [{\"id\": \"3F9a1c2b4d5e\", \"name\": \"k\", \"sha256\": \"" HASH
         "\", \"grants\": [], " TIMES "}]}",
         "id: not 12"},
        {"{\"tokens\": [{\"id\": \"3f9a1c2b4d5e\", \"name\": \"k\", \"sha256\": \"00\", "
         "\"grants\": [], " TIMES "}]}",
         "sha256: not 64"},
        {"{\"tokens\": [{\"id\": \"3f9a1c2b4d5e\", \"name\": \"k\", \"sha256\": \"" HASH
         "\", \"grants\": [], " TIMES "}]}",
         "grants: a list"},
        {"{\"tokens\": [{\"id\": \"3f9a1c2b4d5e\", \"name\": \"k\", \"sha256\": \"" HASH
         "\", \"grants\": [{\"role\": \"boss\", \"models\": \"*\"}], " TIMES "}]}",
         "no role \"boss\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct deepsad_error error = {0};
        assert_int_equal(parse(wrong[i].text, &error), DEEPSAD_INVALID);
        assert_error_says(error, wrong[i].said);
    }
}

static void times_are_read_strictly(void **state)
{
    static const char *const wrong[] = {"2026-02-30T00:00:00.000Z", "2026-01-31",
                                        "2026-01-31T12:00:00.000z",
                                        "2026-01-31T24:00:00.000Z", ""};
    int64_t time = 0;
    (void)state;
    assert_true(clock_parse_rfc3339(&time, "1970-01-02T00:00:00.250Z"));
    assert_int_equal(time, 86400250);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(clock_parse_rfc3339(&time, wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_has_its_form_and_is_drawn_anew),
        cmocka_unit_test(the_hash_is_sha_256),
        cmocka_unit_test(grants_are_for_roles_and_patterns),
        cmocka_unit_test(wrong_grants_are_refused),
        cmocka_unit_test(names_are_text),
        cmocka_unit_test_setup_teardown(a_file_comes_back_as_it_was_written, folder_setup,
                                        folder_teardown),
        cmocka_unit_test(each_of_many_is_found_and_none_that_was_removed),
        cmocka_unit_test(wrong_files_are_refused_with_the_place),
        cmocka_unit_test(times_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
