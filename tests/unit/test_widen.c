/* The table of safe widenings, pair by pair; and that it is a lattice: it comes to rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sink/postgres/tables/widen.h"

#define FITS  "fits"
#define OTHER "other"

static const struct {
    const char *have, *wanted, *answer;
} cases[] = {
    {"integer", "integer", FITS},
    {"smallint", "integer", "integer"},
    {"integer", "bigint", "bigint"},
    {"bigint", "integer", FITS},
    {"bigint", "numeric(20,0)", "numeric(20,0)"},
    {"integer", "numeric(5,2)", "numeric(12,2)"},
    {"integer", "numeric", "numeric"},
    {"numeric(20,0)", "bigint", FITS},
    {"numeric(5,2)", "bigint", "numeric(21,2)"},
    {"numeric(10,2)", "numeric(12,2)", "numeric(12,2)"},
    {"numeric(12,2)", "numeric(10,2)", FITS},
    {"numeric(10,2)", "numeric(10,4)", "numeric(12,4)"},
    {"numeric(10,4)", "numeric(10,2)", "numeric(12,4)"},
    {"numeric(10,2)", "numeric", "numeric"},
    {"numeric", "numeric(10,2)", FITS},
    {"numeric(900,0)", "numeric(900,900)", "numeric"},
    {"real", "double precision", "double precision"},
    {"double precision", "real", FITS},
    {"smallint", "real", "real"},
    {"integer", "real", "double precision"},
    {"integer", "double precision", "double precision"},
    {"bigint", "double precision", "numeric"},
    {"double precision", "integer", FITS},
    {"real", "integer", "double precision"},
    {"double precision", "bigint", "numeric"},
    {"double precision", "numeric(10,2)", "numeric"},
    {"numeric(10,2)", "double precision", "numeric"},
    {"numeric", "double precision", FITS},
    {"boolean", "smallint", "smallint"},
    {"smallint", "boolean", FITS},
    {"boolean", "numeric", OTHER},
    {"character varying(10)", "character varying(20)", "character varying(20)"},
    {"character varying(20)", "character varying(10)", FITS},
    {"character varying(20)", "text", "text"},
    {"character varying(20)", "integer", "text"},
    {"text", "character varying(20)", FITS},
    {"text", "integer", FITS},
    {"text", "bytea", FITS},
    {"integer", "text", "text"},
    {"integer", "character varying(5)", "text"},
    {"timestamp with time zone", "text", "text"},
    {"jsonb", "text", "text"},
    {"uuid", "text", "text"},
    {"integer[]", "text", "text"},
    {"bytea", "text", OTHER},
    {"bytea", "integer", OTHER},
    {"integer", "bytea", OTHER},
    {"date", "timestamp without time zone", "timestamp without time zone"},
    {"date", "timestamp(3) without time zone", "timestamp(3) without time zone"},
    {"timestamp without time zone", "date", FITS},
    {"timestamp(3) without time zone", "timestamp without time zone",
     "timestamp without time zone"},
    {"timestamp(3) without time zone", "timestamp(6) without time zone",
     "timestamp(6) without time zone"},
    {"timestamp without time zone", "timestamp(3) without time zone", FITS},
    {"timestamp without time zone", "timestamp with time zone", OTHER},
    {"timestamp with time zone", "timestamp without time zone", OTHER},
    {"bigint", "timestamp without time zone", OTHER},
    {"timestamp without time zone", "bigint", OTHER},
    {"time without time zone", "interval", "interval"},
    {"interval", "time without time zone", FITS},
    {"bit(8)", "bit(16)", OTHER},
    {"bit(8)", "bit varying", "bit varying"},
    {"bit varying", "bit(8)", FITS},
    {"json", "jsonb", FITS},
    {"jsonb", "integer", OTHER},
    {"uuid", "integer", OTHER},
    {"integer[]", "bigint[]", "bigint[]"},
    {"bigint[]", "integer[]", FITS},
    {"integer[]", "text[]", "text[]"},
    {"numeric(10,2)[]", "numeric(12,4)[]", "numeric(12,4)[]"},
    {"integer[]", "integer", OTHER},
    {"integer", "integer[]", OTHER},
    {"integer[]", "date[]", OTHER},
    {"hstore", "jsonb", OTHER},
    {"inet", "text", "text"},
};

static const char *answer_of(const char *have, const char *wanted, char *wider, size_t bytes)
{
    switch (widen(have, wanted, wider, bytes)) {
    case WIDEN_FITS:
        return FITS;
    case WIDEN_WIDER:
        return wider;
    default:
        return OTHER;
    }
}

static void test_pairs(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wider[64];
        const char *answer = answer_of(cases[i].have, cases[i].wanted, wider, sizeof wider);
        if (strcmp(answer, cases[i].answer) != 0)
            fail_msg("%s, wanted %s: %s, expected %s", cases[i].have, cases[i].wanted, answer,
                     cases[i].answer);
    }
}

/* The wider type holds both, so that old and new records in turn don't move it any more. */
static void test_it_comes_to_rest(void **state)
{
    size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            char wider[64], again[64];
            const char *have = cases[i].have, *wanted = cases[k].wanted;
            if (widen(have, wanted, wider, sizeof wider) != WIDEN_WIDER)
                continue;
            if (widen(wider, wanted, again, sizeof again) != WIDEN_FITS ||
                widen(wider, have, again, sizeof again) != WIDEN_FITS)
                fail_msg("%s and %s become %s, which does not hold both", have, wanted, wider);
        }
}

static void test_by_way_of(void **state)
{
    assert_null(widen_by_way_of("integer", "bigint"));
    assert_null(widen_by_way_of("boolean", "text"));
    assert_string_equal(widen_by_way_of("boolean", "smallint"), "integer");
    assert_string_equal(widen_by_way_of("double precision", "numeric"), "text");
    assert_string_equal(widen_by_way_of("real[]", "numeric[]"), "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs),
                                       cmocka_unit_test(test_it_comes_to_rest),
                                       cmocka_unit_test(test_by_way_of)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
