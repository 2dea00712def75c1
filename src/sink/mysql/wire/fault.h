/* What an error number of MySQL or MariaDB means. */
#ifndef MYSQL_FAULT_H
#define MYSQL_FAULT_H

#include <ods/status.h>

enum mysql_meaning {
    MYSQL_MEANS_OUTAGE, /* it passes by itself */
    MYSQL_MEANS_ROW,    /* the row can't be written */
    MYSQL_MEANS_ORDER,  /* a unique or foreign key: another row may have to be written first */
    MYSQL_MEANS_TABLE,  /* the table is not as it was read */
    MYSQL_MEANS_STOP,   /* somebody has to see to it */
};

/* `state`: the SQLSTATE, for numbers that are not listed; "" if there is none. */
enum mysql_meaning mysql_meaning(unsigned number, const char *state);

/* The answer and the fault of an error, also of one that a table's name is to blame for. */
enum ods_status mysql_meaning_status(enum mysql_meaning meaning);
enum fault mysql_meaning_fault(enum mysql_meaning meaning);

#endif
