/* What error numbers of MySQL and MariaDB mean. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sink/mysql/wire/fault.h"

static const struct {
    unsigned number;
    const char *state;
    enum ods_status status;
    enum fault fault;
} cases[] = {
    {1021, "HY000", ODS_RETRY, FAULT_OUTAGE},         /* the disk is full */
    {1040, "08004", ODS_RETRY, FAULT_OUTAGE},         /* too many connections */
    {1045, "28000", ODS_RETRY, FAULT_OUTAGE},         /* a password that is being changed */
    {1062, "23000", ODS_REJECT, FAULT_ORDER},         /* a duplicate key */
    {1114, "HY000", ODS_RETRY, FAULT_OUTAGE},         /* the table is full */
    {1142, "42000", ODS_FATAL, FAULT_CONFIGURATION},  /* a right is missing */
    {1146, "42S02", ODS_REJECT, FAULT_TABLE},         /* no such table */
    {1153, "08S01", ODS_REJECT, FAULT_ROW},           /* larger than a packet */
    {1205, "HY000", ODS_RETRY, FAULT_OUTAGE},         /* a lock wait */
    {1213, "40001", ODS_RETRY, FAULT_OUTAGE},         /* a deadlock */
    {1290, "HY000", ODS_RETRY, FAULT_OUTAGE},         /* read-only */
    {1406, "22001", ODS_REJECT, FAULT_ROW},           /* too long */
    {1451, "23000", ODS_REJECT, FAULT_ORDER},         /* a foreign key */
    {1644, "45000", ODS_REJECT, FAULT_ROW},           /* SIGNAL */
    {2006, "HY000", ODS_RETRY, FAULT_OUTAGE},         /* gone away */
    {2013, "HY000", ODS_RETRY, FAULT_OUTAGE},         /* lost */
    {3819, "HY000", ODS_REJECT, FAULT_ROW},           /* a check */
    {9999, "45001", ODS_REJECT, FAULT_ROW},           /* not listed: by its class, */
    {9999, "08S01", ODS_RETRY, FAULT_OUTAGE},
    {9999, "HY000", ODS_FATAL, FAULT_CONFIGURATION},  /* which may be none */
    {1064, "42000", ODS_FATAL, FAULT_CONFIGURATION},
};

static void test_meanings(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum mysql_meaning meaning = mysql_meaning(cases[i].number, cases[i].state);
        assert_int_equal(mysql_meaning_status(meaning), cases[i].status);
        assert_int_equal(mysql_meaning_fault(meaning), cases[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_meanings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
