/* Texts that are cut, or quote what is no UTF-8: errors, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <ods/status.h>
#include "core/log.h"
#include "core/utf8.h"

/* Characters of two, three and four bytes, and many of them. */
static const char *const characters[] = {"\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x90\x98"};

static char *many(const char *character, size_t ahead)
{
    char *text = malloc(4 * ERROR_TEXT_BYTES + ahead), *at = text;
    memset(at, 'x', ahead);
    for (at += ahead; at - text < 2 * ERROR_TEXT_BYTES; at += strlen(character))
        strcpy(at, character);
    return text;
}

static void assert_text(const char *text, size_t room)
{
    size_t length = strlen(text);
    assert_true(utf8_valid(text, length));
    assert_null(strstr(text, UTF8_REPLACEMENT));
    assert_true(length < room && length + 4 >= room);
}

static void errors_are_cut_between_characters(void **state)
{
    for (size_t i = 0; i < 3; i++)
        for (size_t ahead = 0; ahead < 9; ahead++) {
            char *text = many(characters[i], ahead);
            struct error error;
            error_init(&error);
            error_set(&error, ODS_REJECT, "%s", text);
            assert_text(error.text, sizeof error.text);
            error_prefix(&error, "column \"%s\": ", "short");
            assert_text(error.text, sizeof error.text);
            error_prefix(&error, "%s", text);
            assert_text(error.text, sizeof error.text);
            utf8_copy(error.column, sizeof error.column, text, strlen(text));
            assert_text(error.column, sizeof error.column);
            free(text);
        }
}

static void what_a_precision_cuts_is_replaced(void **state)
{
    struct error error;
    error_init(&error);
    error_set(&error, ODS_REJECT, "op '%.*s' is none", 4, "\xe2\x82\xac\xe2\x82\xac");
    assert_string_equal(error.text, "op '\xe2\x82\xac" UTF8_REPLACEMENT "' is none");
}

static void what_is_no_utf8_is_replaced(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain", "plain"},
        {"gr\xfc\xdf", "gr" UTF8_REPLACEMENT UTF8_REPLACEMENT},       /* Latin-1 */
        {"\xc0\xaf", UTF8_REPLACEMENT UTF8_REPLACEMENT},              /* overlong */
        {"\xed\xa0\x80", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT}, /* a surrogate */
        {"\xf4\x90\x80\x80",
         UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT}, /* too large */
        {"\x80", UTF8_REPLACEMENT},
        {"\xe2\x82", UTF8_REPLACEMENT},
        {"\xe2\x82x", UTF8_REPLACEMENT "x"},
        {"\xf0\x9f\x90\xc3\x9f", UTF8_REPLACEMENT "\xc3\x9f"},
        {"\xff\xc3\x9f", UTF8_REPLACEMENT "\xc3\x9f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        struct error error;
        error_init(&error);
        error_set(&error, ODS_REJECT, "%s.", cases[i].text);
        error.text[strlen(error.text) - 1] = '\0';
        assert_string_equal(error.text, cases[i].shown);
        assert_int_equal(utf8_copy(out, sizeof out, cases[i].text, strlen(cases[i].text)),
                         strlen(cases[i].shown));
        assert_string_equal(out, cases[i].shown);
    }
}

/* At every size of the room. */
static void copies_stay_within_their_room(void **state)
{
    static const char text[] = "a\xc3\x9f\xff\xe2\x82\xac\xf0\x9f\x90\x98z";
    for (size_t size = 1; size < 24; size++) {
        char *out = malloc(size);
        size_t length = utf8_copy(out, size, text, sizeof text - 1);
        assert_true(length < size);
        assert_int_equal(strlen(out), length);
        assert_true(utf8_valid(out, length));
        free(out);
    }
}

static void log_lines_are_json(void **state)
{
    char line[4096];
    int pipes[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    log_configure(&(struct log_settings){.level = LOG_INFO, .format = LOG_JSON});
    dup2(pipes[1], STDERR_FILENO);
    log_event(LOG_INFO, (const char *const[]){"table", "caf\xe9", NULL}, "%s",
              "\xe2\x82\xac and \xe2\x82 and \"\x01\" and \xff");
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t length = read(pipes[0], line, sizeof line);
    assert_true(length > 0);
    json_t *root = json_loadb(line, (size_t) length, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "message")),
                        "\xe2\x82\xac and " UTF8_REPLACEMENT " and \"\x01\" and " UTF8_REPLACEMENT);
    assert_string_equal(json_string_value(json_object_get(root, "table")), "caf" UTF8_REPLACEMENT);
    json_decref(root);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_cut_between_characters),
        cmocka_unit_test(what_a_precision_cuts_is_replaced),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(copies_stay_within_their_room),
        cmocka_unit_test(log_lines_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
