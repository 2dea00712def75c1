/* Messages of AMQP 1.0: their sections, bodies in every form, and what is malformed. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "source/amqp/amqp_identity.h"
#include "source/amqp/amqp_record.h"

/* Text in which {…} holds bytes in hexadecimal, as {00 53 75 a0 03}abc. */
static struct buffer encode(const char *text)
{
    struct buffer out;
    bool hex = false;
    buffer_init(&out);
    for (; *text; text++) {
        if (*text == '{' || *text == '}') {
            hex = *text == '{';
        } else if (!hex) {
            buffer_add(&out, text, 1);
        } else if (*text != ' ') {
            char digits[3] = {text[0], text[1], '\0'};
            char byte = (char) strtoul(digits, NULL, 16);
            buffer_add(&out, &byte, 1);
            text++;
        }
    }
    return out;
}

/* The record of a message. */
struct made {
    struct buffer bytes;
    struct amqp_block *block;
    struct record record;
};

static struct made make(const char *text, const char *identity, const char *key)
{
    struct made made = {.bytes = encode(text)};
    made.block = amqp_block_new(0);
    char *room = amqp_block_take(&made.block, made.bytes.length);
    if (made.bytes.length)
        memcpy(room, made.bytes.bytes, made.bytes.length);
    amqp_block_read(made.block, identity, key);
    amqp_block_record(made.block, &made.record);
    return made;
}

static void done(struct made *made)
{
    amqp_block_release(made->record.owner);
    amqp_block_release(made->block);
    buffer_done(&made->bytes);
}

static bool says(const char *bytes, size_t length, const char *text)
{
    return text ? bytes && length == strlen(text) && memcmp(bytes, text, length) == 0 : !bytes;
}

#define ID "{00 53 73 c0 05 01 a1 02}m1" /* properties: message-id "m1" */

static void test_bodies(void **state)
{
    static const struct {
        const char *message, *value, *refusal;
    } cases[] = {
        {ID "{00 53 75 a0 03}abc", "abc", NULL},
        {ID "{00 53 75 b0 00 00 00 03}abc", "abc", NULL},
        {ID "{00 53 75 a0 03}abc{00 53 75 a0 00}{00 53 75 a0 02}de", "abcde", NULL},
        {ID "{00 53 77 a1 03}abc", "abc", NULL},
        {ID "{00 53 77 a0 03}abc", "abc", NULL},
        {ID "{00 53 77 b1 00 00 00 03}abc", "abc", NULL},
        {ID "{00 53 77 a3 03}abc", "abc", NULL},
        {ID "{00 80 00 00 00 00 00 00 00 77 a1 03}abc", "abc", NULL},
        {ID "{00 53 77 40}", NULL, NULL},
        {ID "{00 53 75 a0 00}", NULL, NULL},
        {ID "{00 53 77 a1 00}", NULL, NULL},
        {ID, NULL, NULL},
        {ID "{00 53 75 a0 03}abc{00 53 78 c1 01 00}", "abc", NULL}, /* a footer */
        {ID "{00 53 76 45}", "{00 53 76 45}", "amqp-sequence"},
        {ID "{00 53 77 c1 01 00}", "{00 53 77 c1 01 00}", "neither a string nor binary"},
        {ID "{00 53 77 54 07}", "{00 53 77 54 07}", "neither a string nor binary"},
        {ID "{00 53 75 a0 03}abc{00 53 77 a1 01}d", "abc", "several bodies"},
        {"{00 53 73 c0 0e 08 40 40 40 40 40 40 40 a3 04}gzip{00 53 75 a0 01}z", "z", "compressed"},
        {"{00 53 73 c0 0f 08 40 40 40 40 40 40 40 a3 05}utf-8{00 53 75 a0 01}z", "z", NULL},
        {ID "{00 53 75 a0 05}abc", NULL, "not encoded as AMQP"},
        {"abc", "abc", "not encoded as AMQP"},
        {"{00}", "{00}", "not encoded as AMQP"},
        {"{00 53 75}", "{00 53 75}", "not encoded as AMQP"},
        {"{00 53 79 40}", "{00 53 79 40}", "not encoded as AMQP"}, /* no such section */
        {"{00 53 73 c0 ff 01 40}", "{00 53 73 c0 ff 01 40}", "not encoded as AMQP"},
        {"{00 53 73 c0 02 ff 40}", "{00 53 73 c0 02 ff 40}", "not encoded as AMQP"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made = make(cases[i].message, "auto", "");
        struct buffer value = encode(cases[i].value ? cases[i].value : "");
        const char *text = cases[i].value ? buffer_text(&value) : NULL;
        bool good = text ? made.record.value_length == value.length &&
                               memcmp(made.record.value, value.bytes, value.length) == 0
                         : cases[i].refusal || !made.record.value;
        good &= cases[i].refusal
                    ? made.record.refusal && strstr(made.record.refusal, cases[i].refusal)
                    : !made.record.refusal;
        if (!good)
            fail_msg("case %zu: %.*s, %s", i, (int) made.record.value_length, made.record.value,
                     made.record.refusal);
        buffer_done(&value);
        done(&made);
    }
}

static void test_identities(void **state)
{
    static const struct {
        const char *message, *identity, *found;
    } cases[] = {
        {ID, "auto", "m1"},
        {ID, "message-id", "m1"},
        {ID, "correlation-id", NULL},
        {"{00 53 73 c0 03 01 53 07}", "message-id", "7"},
        {"{00 53 73 c0 02 01 44}", "message-id", "0"},
        {"{00 53 73 c0 0a 01 80 00 00 00 01 00 00 00 00}", "message-id", "4294967296"},
        {"{00 53 73 c0 03 01 53 07}", "auto", NULL}, /* a sender may count from 1 anew */
        {"{00 53 73 c0 02 01 44}", "auto", NULL},
        {"{00 53 73 c0 0a 01 80 00 00 00 01 00 00 00 00}", "auto", NULL},
        {"{00 53 73 c0 12 01 98 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff}", "auto",
         "00112233-4455-6677-8899-aabbccddeeff"},
        {"{00 53 73 c0 05 01 a0 02 00 ff}", "auto", "00ff"},
        {"{00 53 72 c1 09 02 a3 02}no{a1 02}17", "annotation:no", "17"},
        {"{00 53 72 c1 09 02 a3 02}no{a1 02}17", "annotation:on", NULL},
        {"{00 53 74 c1 09 02 a1 02}no{a1 02}17", "property:no", "17"},
        {"{00 53 74 c1 07 02 a1 02}no{54 ff}", "property:no", "-1"},
        {"{00 53 74 c1 07 02 a1 02}no{56 01}", "property:no", "true"},
        {"{00 53 74 c1 06 02 a1 02}no{40}", "property:no", NULL},
        {"{00 53 74 c1 08 02 a1 02}no{c0 01 00}", "property:no", NULL},
        {"", "auto", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made = make(cases[i].message, cases[i].identity, "");
        if (!says(made.record.identity, made.record.identity_length, cases[i].found))
            fail_msg("case %zu: %.*s %s", i, (int) made.record.identity_length,
                     made.record.identity, made.record.refusal);
        done(&made);
    }
}

static void test_identity_by_content(void **state)
{
    static const char first[] = "{\"op\":\"c\",\"source\":{\"lsn\":1},\"before\":null,"
                                "\"after\":{\"id\":1},\"ts_ms\":5}",
                      again[] = "{\"source\":{\"lsn\":1},\"before\":null,\"after\":{\"id\":1},"
                                "\"op\":\"c\",\"ts_ms\":9}",
                      within[] = "{\"schema\":{},\"payload\":{\"op\":\"c\",\"source\":{\"lsn\":1},"
                                 "\"before\":null,\"after\":{\"id\":1},\"ts_ms\":7}}",
                      other[] = "{\"op\":\"c\",\"source\":{\"lsn\":2},\"before\":null,"
                                "\"after\":{\"id\":1},\"ts_ms\":5}",
                      row[] = "{\"id\":1}", text[] = "{\"source\":\"x\"}";
    char one[AMQP_IDENTITY_BYTES], two[AMQP_IDENTITY_BYTES];
    assert_true(amqp_identity_of_content(first, strlen(first), one));
    assert_true(amqp_identity_of_content(again, strlen(again), two));
    assert_memory_equal(one, two, sizeof one);
    assert_true(amqp_identity_of_content(within, strlen(within), two));
    assert_memory_equal(one, two, sizeof one);
    assert_true(amqp_identity_of_content(other, strlen(other), two));
    assert_memory_not_equal(one, two, sizeof one);
    assert_false(amqp_identity_of_content(row, strlen(row), two));
    assert_false(amqp_identity_of_content(text, strlen(text), two));
    assert_false(amqp_identity_of_content(NULL, 0, two));
    assert_false(amqp_identity_of_content(first, strlen(first) - 1, two));
}

static void test_keys_and_headers(void **state)
{
    struct header headers[4];
    struct made made =
        make("{00 53 74 c1 1f 06 a1 02}no{a1 02}17{a1 04}none{40 a1 04}when{83 00 00 00 "
             "00 00 00 00 09}",
             "auto", "property:no");
    assert_null(made.record.refusal);
    assert_true(says(made.record.key, made.record.key_length, "17"));
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(amqp_block_headers(&made.record, headers, 4), 3);
        assert_string_equal(headers[0].name, "no");
        assert_true(says(headers[0].value, headers[0].length, "17"));
        assert_string_equal(headers[1].name, "none");
        assert_null(headers[1].value);
        assert_true(says(headers[2].value, headers[2].length, "9"));
    }
    assert_int_equal(amqp_block_headers(&made.record, headers, 1), 3);
    done(&made);
}

static void test_a_message_that_was_cut(void **state)
{
    struct amqp_block *block = amqp_block_new(1);
    struct record record;
    struct buffer head = encode(ID "{00 53 75 b0 00 10 00 00}");
    memcpy(amqp_block_take(&block, head.length), head.bytes, head.length);
    memset(amqp_block_take(&block, 100000), 'x', 100000);
    amqp_block_cut(block);
    amqp_block_read(block, "auto", "");
    amqp_block_record(block, &record);
    assert_non_null(strstr(record.refusal, "max_message_bytes"));
    assert_int_equal(amqp_block_length(block), 65536);
    assert_true(says(record.identity, record.identity_length, "m1"));
    amqp_block_release(record.owner);
    amqp_block_release(block);
    buffer_done(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_identity_by_content),
        cmocka_unit_test(test_keys_and_headers),
        cmocka_unit_test(test_a_message_that_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
