/* What to do about a SQLSTATE: the one table (PostgreSQL documentation, appendix A).
 *
 * The longest prefix that matches decides. What is not listed stops the lane with the whole error:
 * a guess would either lose a row or wait for ever. Each class is listed, also one that no
 * statement of ours can meet, so that nothing is left out by accident (tests/unit/sqlstates.txt has
 * every code). docs/reliability.md gets its table from here: tests/fault/publish.py reads it.
 *
 * The code alone is not enough. Triggers and other functions in the target may raise any code, for
 * reasons of their own: sqlstate_for_rows() recognizes them by the error's origin.
 */
#include "sink/postgres/wire/sqlstate.h"

#include <string.h>

static const struct {
    const char *prefix;
    enum sqlstate_meaning meaning;
    const char *why;
} sqlstates[] = {
    {"", SQLSTATE_OUTAGE, "no SQLSTATE: the connection broke"},
    {"00", SQLSTATE_STOP, "success, which is no error"},
    {"01", SQLSTATE_STOP, "warnings, which are no errors"},
    {"02", SQLSTATE_STOP, "no data, which is no error"},
    {"03", SQLSTATE_STOP, "SQL statement not yet complete"},
    {"08", SQLSTATE_OUTAGE, "connection exceptions"},
    {"09", SQLSTATE_ROW, "triggered action exceptions"},
    {"0A", SQLSTATE_TABLE_OR_ROW, "what PostgreSQL can't do with the table, or with this row"},
    {"0B", SQLSTATE_ROW, "invalid transaction initiation, in a function"},
    {"0F", SQLSTATE_ROW, "locators of large objects, in a function"},
    {"0L", SQLSTATE_STOP, "invalid grantor"},
    {"0P", SQLSTATE_STOP, "invalid role"},
    {"0Z", SQLSTATE_ROW, "diagnostics exceptions, in a function"},
    {"10", SQLSTATE_ROW, "XQuery errors, in a function"},
    {"20", SQLSTATE_ROW, "case not found, in a function"},
    {"21", SQLSTATE_ROW, "cardinality: two keys of a batch that the column's type calls equal"},
    {"22", SQLSTATE_ROW, "data exceptions: the value does not fit"},
    {"23", SQLSTATE_ROW, "integrity constraints; unique and foreign keys after a wait"},
    {"24", SQLSTATE_ROW, "invalid cursor state, in a function"},
    {"25", SQLSTATE_STOP, "invalid transaction state"},
    {"25006", SQLSTATE_OUTAGE, "read-only transaction: a standby after a failover"},
    {"25P03", SQLSTATE_OUTAGE, "idle in a transaction for too long: the process stood still"},
    {"25P04", SQLSTATE_OUTAGE, "transaction_timeout"},
    {"26", SQLSTATE_TABLE, "a prepared statement is not there: a pooler changed servers"},
    {"27", SQLSTATE_ROW, "triggered data change: a trigger changed the row that it was called for"},
    {"28", SQLSTATE_OUTAGE, "authentication: a password that is just being changed"},
    {"2B", SQLSTATE_STOP, "dependent objects still exist"},
    {"2D", SQLSTATE_ROW, "invalid transaction termination, in a function"},
    {"2F", SQLSTATE_ROW, "SQL routine exceptions"},
    {"2F003", SQLSTATE_STOP, "a foreign server wants a password for the user"},
    {"34", SQLSTATE_ROW, "invalid cursor name, in a function"},
    {"38", SQLSTATE_ROW, "external routine exceptions"},
    {"39", SQLSTATE_ROW, "external routine invocation exceptions"},
    {"3B", SQLSTATE_STOP, "savepoint exceptions"},
    {"3D", SQLSTATE_OUTAGE, "the database is being made or restored"},
    {"3F", SQLSTATE_TABLE, "undefined schema"},
    {"40", SQLSTATE_OUTAGE, "serialization failures and deadlocks"},
    {"42", SQLSTATE_STOP, "syntax and access rules: a statement of ours is wrong"},
    {"42501", SQLSTATE_STOP, "a right is missing (what row security refuses is of the row)"},
    {"42601", SQLSTATE_ROW, "syntax errors of hstore's and ltree's input functions"},
    {"42703", SQLSTATE_TABLE, "undefined column"},
    {"42704", SQLSTATE_TABLE, "undefined type"},
    {"42804", SQLSTATE_TABLE_OR_ROW, "datatype mismatch"},
    {"428C9", SQLSTATE_TABLE, "the column became generated"},
    {"42P01", SQLSTATE_TABLE, "undefined table"},
    {"42P10", SQLSTATE_TABLE, "no unique index for ON CONFLICT any more"},
    {"44", SQLSTATE_ROW, "a view's WITH CHECK OPTION"},
    {"53", SQLSTATE_OUTAGE, "out of disk, memory or connections"},
    {"54", SQLSTATE_ROW, "program limits: an index row too large, a document nested too deep"},
    {"55", SQLSTATE_STOP, "object not in the state that is needed"},
    {"55006", SQLSTATE_OUTAGE, "object in use"},
    {"55P03", SQLSTATE_OUTAGE, "lock not available"},
    {"57", SQLSTATE_OUTAGE, "shutdown, crash, cancel, cannot connect now"},
    {"58", SQLSTATE_OUTAGE, "system errors outside PostgreSQL"},
    {"72", SQLSTATE_OUTAGE, "snapshot too old"},
    {"F0", SQLSTATE_OUTAGE, "the server can't read its configuration"},
    {"HV", SQLSTATE_STOP, "foreign data wrappers: the foreign table is set up wrongly"},
    {"HV001", SQLSTATE_OUTAGE, "a foreign data wrapper is out of memory"},
    {"HV00N", SQLSTATE_OUTAGE, "a foreign server can't be reached"},
    {"P0", SQLSTATE_ROW, "PL/pgSQL: RAISE EXCEPTION, ASSERT, no or too many rows"},
    {"XX", SQLSTATE_STOP, "internal errors, corrupted data"},
    {"OS001", SQLSTATE_FENCE, "ods_sink.advance(): the stored offset is elsewhere"},
    {"OS002", SQLSTATE_OUTAGE, "ods_sink.deliver(): a record was applied meanwhile"},
};

enum sqlstate_meaning sqlstate_meaning(const char *sqlstate)
{
    enum sqlstate_meaning meaning = SQLSTATE_UNKNOWN;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof sqlstates / sizeof *sqlstates; i++) {
        size_t length = strlen(sqlstates[i].prefix);
        bool matches = length ? strncmp(sqlstate, sqlstates[i].prefix, length) == 0 : !*sqlstate;
        if (matches && length >= longest) {
            longest = length;
            meaning = sqlstates[i].meaning;
        }
    }
    return meaning;
}

enum ods_status sqlstate_status(const char *sqlstate)
{
    switch (sqlstate_meaning(sqlstate)) {
    case SQLSTATE_ROW:
    case SQLSTATE_TABLE_OR_ROW:
        return ODS_REJECT;
    case SQLSTATE_OUTAGE:
        return ODS_RETRY;
    case SQLSTATE_FENCE:
        return ODS_FENCED;
    case SQLSTATE_TABLE:
    case SQLSTATE_STOP:
    case SQLSTATE_UNKNOWN:
        break;
    }
    return ODS_FATAL;
}

enum fault sqlstate_fault(const char *sqlstate)
{
    if (sqlstate_wants_partner(sqlstate))
        return FAULT_ORDER;
    switch (sqlstate_meaning(sqlstate)) {
    case SQLSTATE_ROW:
        return FAULT_ROW;
    case SQLSTATE_TABLE:
    case SQLSTATE_TABLE_OR_ROW:
        return FAULT_TABLE;
    case SQLSTATE_OUTAGE:
        return FAULT_OUTAGE;
    case SQLSTATE_FENCE:
    case SQLSTATE_STOP:
    case SQLSTATE_UNKNOWN:
        break;
    }
    return FAULT_CONFIGURATION;
}

static bool is_corruption(const char *sqlstate)
{
    return strcmp(sqlstate, "XX001") == 0 || strcmp(sqlstate, "XX002") == 0;
}

/* May this be an input function's word about a value that was sent as text? Such functions, and
 * above all those of extensions, use any code: for a regclass that does not exist it is "undefined
 * table", and PostGIS reports a geometry that it can't read as an internal error. */
static bool is_of_input(const char *sqlstate)
{
    static const char *const codes[] = {"3F000", "42602", "42704", "42725",
                                        "42883", "42P01", "XX000"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(sqlstate, codes[i]) == 0)
            return true;
    return sqlstate_meaning(sqlstate) == SQLSTATE_UNKNOWN;
}

enum ods_status sqlstate_for_rows(const struct error *error, bool casts)
{
    enum ods_status status = sqlstate_status(error->code);
    if (status == ODS_RETRY || status == ODS_REJECT)
        return status;
    switch (error->origin) {
    case ORIGIN_RAISED:
    case ORIGIN_ROW_CHECK:
        return ODS_REJECT;
    case ORIGIN_ROUTINE:
        return is_corruption(error->code) ? status : ODS_REJECT;
    case ORIGIN_VALUE_MEMORY:
        return status == ODS_FATAL ? ODS_REJECT : status;
    case ORIGIN_SERVER:
        break;
    }
    return casts && is_of_input(error->code) ? ODS_REJECT : status;
}

/* The offsets were moved in the same transaction, so the target itself is up and takes writes. */
bool sqlstate_is_doubtful(const struct error *error, bool statement_timeout)
{
    if (sqlstate_meaning(error->code) != SQLSTATE_OUTAGE || !*error->code)
        return false;
    return error->origin == ORIGIN_RAISED ||
           (statement_timeout && strcmp(error->code, "57014") == 0) ||
           strcmp(error->code, "25006") == 0 || /* a function made the transaction read-only */
           strcmp(error->code, "08P01") == 0;   /* a message that can't be read */
}

/* Somebody else has changed the table since the statement was prepared. */
bool sqlstate_is_stale_catalog(const char *sqlstate)
{
    enum sqlstate_meaning meaning = sqlstate_meaning(sqlstate);
    return meaning == SQLSTATE_TABLE || meaning == SQLSTATE_TABLE_OR_ROW;
}

/* The row may be right, but another row has to be written or deleted first. */
bool sqlstate_wants_partner(const char *sqlstate)
{
    return strcmp(sqlstate, "23503") == 0 || /* foreign key */
           strcmp(sqlstate, "23505") == 0 || /* unique */
           strcmp(sqlstate, "23P01") == 0;   /* exclusion */
}

/* Nobody can make or change a table in this way: the names or types in its records are at fault. A
 * missing right, or another object that has the schema's name, is not listed: configuration solves
 * that. */
bool sqlstate_is_of_table(const char *sqlstate)
{
    static const char *const prefixes[] = {
        "0A000", /* a feature that PostgreSQL lacks */
        "22",    /* values in the table don't fit the new type */
        "2BP01", /* an object depends on what would change */
        "42601", /* an empty name */
        "42602", /* an invalid name */
        "42611", /* an invalid definition of a column */
        "42622", /* a name that is too long */
        "42701", /* a column twice, or with the name of a system column */
        "42704", /* a type that does not exist */
        "42710", /* an object of that name exists */
        "42804", /* the present type can't become the new one, */
        "42846", /* also not by a cast */
        "42939", /* a reserved name */
        "42P16", /* an invalid definition of a table, */
        "42P17", /* or of another object */
        "54",    /* limits: columns, bytes of a row, size of a statement */
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(sqlstate, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}
