/* Sealing and opening, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/jwe.h"

static char folder[] = "/tmp/test-jwe-XXXXXX";

static void shell(const char *format, ...)
{
    char *command = NULL;
    va_list arguments;
    va_start(arguments, format);
    assert_true(vasprintf(&command, format, arguments) > 0);
    va_end(arguments);
    assert_int_equal(system(command), 0);
    free(command);
}

static const char *file(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *at = path[next++ % 4];
    snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

static int make_keys(void **state)
{
    static const char *const kinds[] = {"x-X25519", "r-RSA -pkeyopt rsa_keygen_bits:2048",
                                        "y-X25519", "weak-RSA -pkeyopt rsa_keygen_bits:1024",
                                        "e-EC -pkeyopt ec_paramgen_curve:P-256"};
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int name = (int) strcspn(kinds[i], "-");
        shell("cd %s && openssl genpkey -algorithm %s -out %.*s.pem 2>/dev/null && openssl pkey "
              "-in %.*s.pem -pubout -out %.*s.pub", folder, kinds[i] + name + 1, name, kinds[i],
              name, kinds[i], name, kinds[i]);
    }
    shell("cd %s && openssl pkey -in x.pem -aes256 -passout pass:abcd -out locked.pem", folder);
    return 0;
}

static int remove_keys(void **state)
{
    shell("rm -r %s", folder);
    return 0;
}

static struct jwe_key *key_of(const char *name, bool private)
{
    struct jwe_key *key = NULL;
    struct error error;
    error_init(&error);
    enum ods_status status = private ? jwe_key_read_private(&key, file(name), &error)
                                     : jwe_key_read_public(&key, file(name), &error);
    if (status != ODS_OK)
        fail_msg("%s: %s", name, error.text);
    return key;
}

static void check_round(const char *public, const char *private, const char *bytes, size_t length)
{
    struct jwe_key *seal = key_of(public, false), *other = key_of("y.pem", true),
                   *opener = key_of(private, true);
    struct jwe_key *keys[] = {other, opener};
    struct buffer sealed, opened;
    struct error error;
    error_init(&error);
    buffer_init(&sealed);
    buffer_init(&opened);
    assert_string_equal(jwe_key_id(seal), jwe_key_id(opener));
    assert_int_equal(jwe_seal(seal, bytes, length, &sealed, &error), ODS_OK);
    assert_int_equal(jwe_open(keys, 2, sealed.bytes, sealed.length, &opened, &error), ODS_OK);
    assert_int_equal(opened.length, length);
    assert_memory_equal(opened.bytes, bytes, length);
    assert_int_equal(jwe_open(keys, 1, sealed.bytes, sealed.length, &opened, &error), ODS_REJECT);
    assert_non_null(strstr(error.text, jwe_key_id(seal)));
    /* No byte of it can be altered, nor left out. */
    for (size_t i = 0; i < sealed.length; i += 1 + sealed.length / (length > 9 ? 5 : 50)) {
        char was = sealed.bytes[i];
        sealed.bytes[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(jwe_open(keys, 2, sealed.bytes, sealed.length, &opened, &error),
                         ODS_REJECT);
        sealed.bytes[i] = was;
        assert_int_equal(jwe_open(keys, 2, sealed.bytes, i, &opened, &error), ODS_REJECT);
    }
    assert_int_equal(opened.length, length);
    buffer_done(&sealed);
    buffer_done(&opened);
    jwe_key_free(seal);
    jwe_key_free(other);
    jwe_key_free(opener);
}

static void test_rounds(void **state)
{
    char *large = calloc(1, 3000001);
    for (size_t length = 0; length < 5; length++) {
        check_round("x.pub", "x.pem", "a\0b\xff", length);
        check_round("r.pub", "r.pem", "a\0b\xff", length);
    }
    check_round("x.pub", "x.pem", large, 3000001);
    free(large);
}

static void test_twice_is_never_the_same(void **state)
{
    struct jwe_key *key = key_of("x.pub", false);
    struct buffer sealed;
    struct error error;
    buffer_init(&sealed);
    assert_int_equal(jwe_seal(key, "same", 4, &sealed, &error), ODS_OK);
    size_t half = sealed.length;
    assert_int_equal(jwe_seal(key, "same", 4, &sealed, &error), ODS_OK);
    assert_int_equal(sealed.length, 2 * half);
    assert_memory_not_equal(sealed.bytes, sealed.bytes + half, half);
    buffer_done(&sealed);
    jwe_key_free(key);
}

static void test_refused_keys(void **state)
{
    static const struct {
        const char *file, *reason;
        bool private;
    } cases[] = {
        {"none.pem", "No such file", false},  {"x.pem", "holds no public key", false},
        {"x.pub", "holds no private key", true}, {"weak.pub", "1024 bits", false},
        {"e.pub", "neither an X25519", false}, {"locked.pem", "passphrase", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jwe_key *key;
        struct error error;
        error_init(&error);
        enum ods_status status =
            cases[i].private ? jwe_key_read_private(&key, file(cases[i].file), &error)
                             : jwe_key_read_public(&key, file(cases[i].file), &error);
        assert_int_equal(status, ODS_FATAL);
        assert_null(key);
        if (!strstr(error.text, cases[i].reason))
            fail_msg("%s: %s", cases[i].file, error.text);
    }
}

static void test_refused_texts(void **state)
{
    static const char *const texts[] = {
        "", ".", "....", "e30....", "e30..AAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA",
        "%%%..AAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA", "{\"id\": 1}"};
    struct jwe_key *key = key_of("x.pem", true);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buffer out;
        struct error error;
        error_init(&error);
        buffer_init(&out);
        assert_int_equal(jwe_open(&key, 1, texts[i], strlen(texts[i]), &out, &error), ODS_REJECT);
        assert_int_equal(out.length, 0);
        buffer_done(&out);
    }
    jwe_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds), cmocka_unit_test(test_twice_is_never_the_same),
        cmocka_unit_test(test_refused_keys), cmocka_unit_test(test_refused_texts)};
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
