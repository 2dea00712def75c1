/* What to do about an error number: the one table (MySQL's "Server Error Message Reference" and
 * "Client Error Message Reference", MariaDB's "Error Codes"). docs/reliability.md gets its table
 * from here.
 *
 * A number that is not listed is judged by the class of its SQLSTATE, which is how functions and
 * triggers of the target's users are recognised, whose SIGNAL may have any number. What is not
 * known either way stops the lane with the whole error: a guess would lose a row or wait for ever.
 */
#include "sink/mysql/wire/fault.h"

#include <string.h>

static const struct {
    unsigned first, last;
    enum mysql_meaning meaning;
    const char *why;
} numbers[] = {
    {1005, 1007, MYSQL_MEANS_STOP, "a table or database can't be made"},
    {1015, 1016, MYSQL_MEANS_OUTAGE, "a file of the server can't be locked or opened"},
    {1020, 1020, MYSQL_MEANS_OUTAGE, "the row has changed since it was read (MariaDB)"},
    {1021, 1021, MYSQL_MEANS_OUTAGE, "the disk is full"},
    {1022, 1022, MYSQL_MEANS_ORDER, "a duplicate key"},
    {1026, 1026, MYSQL_MEANS_OUTAGE, "a file of the server can't be written"},
    {1030, 1030, MYSQL_MEANS_OUTAGE, "the storage engine: mostly a full disk"},
    {1036, 1036, MYSQL_MEANS_OUTAGE, "the table is read-only"},
    {1037, 1038, MYSQL_MEANS_OUTAGE, "the server is out of memory"},
    {1040, 1040, MYSQL_MEANS_OUTAGE, "too many connections"},
    {1041, 1043, MYSQL_MEANS_OUTAGE, "out of memory, or a handshake that failed"},
    {1045, 1045, MYSQL_MEANS_OUTAGE, "authentication: a password that is just being changed"},
    {1048, 1048, MYSQL_MEANS_ROW, "NULL in a column that takes none"},
    {1049, 1049, MYSQL_MEANS_OUTAGE, "the database is being made or restored"},
    {1053, 1053, MYSQL_MEANS_OUTAGE, "the server shuts down"},
    {1054, 1054, MYSQL_MEANS_TABLE, "an unknown column"},
    {1062, 1062, MYSQL_MEANS_ORDER, "a duplicate key"},
    {1077, 1080, MYSQL_MEANS_OUTAGE, "the server shuts down"},
    {1099, 1100, MYSQL_MEANS_OUTAGE, "the table is locked by LOCK TABLES"},
    {1114, 1114, MYSQL_MEANS_OUTAGE, "the table is full: the disk, or the file's limit"},
    {1118, 1118, MYSQL_MEANS_ROW, "the row is too large"},
    {1129, 1130, MYSQL_MEANS_OUTAGE, "the host is blocked, or may not connect"},
    {1135, 1135, MYSQL_MEANS_OUTAGE, "no thread can be made"},
    {1136, 1136, MYSQL_MEANS_TABLE, "the number of columns has changed"},
    {1146, 1146, MYSQL_MEANS_TABLE, "the table is not there"},
    {1152, 1152, MYSQL_MEANS_OUTAGE, "an aborted connection"},
    {1153, 1153, MYSQL_MEANS_ROW, "larger than max_allowed_packet"},
    {1158, 1161, MYSQL_MEANS_OUTAGE, "the network"},
    {1169, 1169, MYSQL_MEANS_ORDER, "a unique key"},
    {1172, 1172, MYSQL_MEANS_ROW, "more than one row, in a function"},
    {1180, 1181, MYSQL_MEANS_OUTAGE, "an error during the commit"},
    {1184, 1184, MYSQL_MEANS_OUTAGE, "an aborted connection"},
    {1203, 1203, MYSQL_MEANS_OUTAGE, "max_user_connections"},
    {1205, 1206, MYSQL_MEANS_OUTAGE, "a lock wait timed out, or there are too many locks"},
    {1213, 1213, MYSQL_MEANS_OUTAGE, "a deadlock"},
    {1216, 1217, MYSQL_MEANS_ORDER, "a foreign key"},
    {1226, 1226, MYSQL_MEANS_OUTAGE, "a limit of the user's for an hour"},
    {1242, 1242, MYSQL_MEANS_ROW, "a subquery of a trigger has several rows"},
    {1264, 1265, MYSQL_MEANS_ROW, "a value out of range, or cut"},
    {1290, 1290, MYSQL_MEANS_OUTAGE, "the server is read-only: a replica, or a failover"},
    {1292, 1292, MYSQL_MEANS_ROW, "a wrong value"},
    {1305, 1305, MYSQL_MEANS_STOP, "a function that a trigger needs is not there"},
    {1317, 1317, MYSQL_MEANS_OUTAGE, "the statement was killed"},
    {1339, 1339, MYSQL_MEANS_ROW, "case not found, in a function"},
    {1364, 1364, MYSQL_MEANS_ROW, "a column of the target has no default, and no value came"},
    {1365, 1367, MYSQL_MEANS_ROW, "a division by zero, or a wrong value"},
    {1369, 1369, MYSQL_MEANS_ROW, "a view's WITH CHECK OPTION"},
    {1406, 1406, MYSQL_MEANS_ROW, "a value too long"},
    {1411, 1411, MYSQL_MEANS_ROW, "a wrong value for a function"},
    {1416, 1416, MYSQL_MEANS_ROW, "bytes that are no geometry"},
    {1442, 1442, MYSQL_MEANS_ROW, "a trigger that changes the table it is called for"},
    {1451, 1452, MYSQL_MEANS_ORDER, "a foreign key"},
    {1456, 1456, MYSQL_MEANS_ROW, "a function that calls itself too often"},
    {1467, 1467, MYSQL_MEANS_ROW, "no auto_increment value is left"},
    {1526, 1526, MYSQL_MEANS_ROW, "the table has no partition for the value"},
    {1557, 1557, MYSQL_MEANS_ORDER, "a foreign key would make a duplicate"},
    {1586, 1586, MYSQL_MEANS_ORDER, "a duplicate key"},
    {1615, 1615, MYSQL_MEANS_OUTAGE, "a prepared statement has to be prepared again"},
    {1644, 1644, MYSQL_MEANS_ROW, "SIGNAL, in a trigger"},
    {1690, 1690, MYSQL_MEANS_ROW, "a number out of range"},
    {1748, 1748, MYSQL_MEANS_ROW, "a row that does not belong to the partition"},
    {1761, 1762, MYSQL_MEANS_ORDER, "a foreign key would make a duplicate"},
    {1792, 1792, MYSQL_MEANS_OUTAGE, "a read-only transaction: a replica, or a failover"},
    {1836, 1836, MYSQL_MEANS_OUTAGE, "the server is in read-only mode"},
    {1878, 1878, MYSQL_MEANS_OUTAGE, "a temporary file can't be written"},
    {1927, 1927, MYSQL_MEANS_OUTAGE, "the connection was killed"},
    {1969, 1969, MYSQL_MEANS_OUTAGE, "max_statement_time (MariaDB)"},
    {2000, 2050, MYSQL_MEANS_OUTAGE, "the client: connecting, or the connection broke"},
    {2051, 2053, MYSQL_MEANS_STOP, "the client was called in a wrong way"},
    {2055, 2056, MYSQL_MEANS_OUTAGE, "the connection broke"},
    {2058, 2061, MYSQL_MEANS_STOP, "the client lacks the plugin that the account needs"},
    {3024, 3024, MYSQL_MEANS_OUTAGE, "max_execution_time"},
    {3100, 3101, MYSQL_MEANS_OUTAGE, "group replication rolled the transaction back"},
    {3105, 3105, MYSQL_MEANS_TABLE, "the column became generated"},
    {3118, 3118, MYSQL_MEANS_OUTAGE, "the account is locked"},
    {3130, 3158, MYSQL_MEANS_ROW, "JSON that can't be read or compared"},
    {3168, 3169, MYSQL_MEANS_OUTAGE, "the server is not ready, or the session was killed"},
    {3548, 3548, MYSQL_MEANS_ROW, "no such spatial reference system"},
    {3572, 3572, MYSQL_MEANS_OUTAGE, "a lock that is not free"},
    {3616, 3617, MYSQL_MEANS_ROW, "a geometry outside of its reference system"},
    {3643, 3643, MYSQL_MEANS_ROW, "the geometry's SRID is not the column's"},
    {3732, 3732, MYSQL_MEANS_ROW, "a geometry outside of its reference system"},
    {3819, 3819, MYSQL_MEANS_ROW, "a check constraint"},
    {3988, 3988, MYSQL_MEANS_ROW, "a character that the column's set does not have"},
    {4025, 4025, MYSQL_MEANS_ROW, "a check constraint (MariaDB)"},
    {4031, 4031, MYSQL_MEANS_OUTAGE, "the server ended an idle session"},
};

static const struct {
    const char *class;
    enum mysql_meaning meaning;
} classes[] = {
    {"08", MYSQL_MEANS_OUTAGE}, /* connections */
    {"21", MYSQL_MEANS_ROW},    /* cardinality */
    {"22", MYSQL_MEANS_ROW},    /* data */
    {"23", MYSQL_MEANS_ROW},    /* constraints */
    {"40", MYSQL_MEANS_OUTAGE}, /* rolled back */
    {"45", MYSQL_MEANS_ROW},    /* SIGNAL */
};

enum mysql_meaning mysql_meaning(unsigned number, const char *state)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (number >= numbers[i].first && number <= numbers[i].last)
            return numbers[i].meaning;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strncmp(state, classes[i].class, 2) == 0)
            return classes[i].meaning;
    return MYSQL_MEANS_STOP;
}

enum ods_status mysql_meaning_status(enum mysql_meaning meaning)
{
    switch (meaning) {
    case MYSQL_MEANS_OUTAGE:
        return ODS_RETRY;
    case MYSQL_MEANS_ROW:
    case MYSQL_MEANS_ORDER:
    case MYSQL_MEANS_TABLE:
        return ODS_REJECT;
    case MYSQL_MEANS_STOP:
        break;
    }
    return ODS_FATAL;
}

enum fault mysql_meaning_fault(enum mysql_meaning meaning)
{
    switch (meaning) {
    case MYSQL_MEANS_OUTAGE:
        return FAULT_OUTAGE;
    case MYSQL_MEANS_ROW:
        return FAULT_ROW;
    case MYSQL_MEANS_ORDER:
        return FAULT_ORDER;
    case MYSQL_MEANS_TABLE:
        return FAULT_TABLE;
    case MYSQL_MEANS_STOP:
        break;
    }
    return FAULT_CONFIGURATION;
}
