/* What to do about a SQLSTATE: the one table (PostgreSQL documentation, appendix A).
 *
 * The longest prefix that matches decides. What is not listed stops the lane with the whole error:
 * a guess would either lose a row or wait for ever.
 */
#include <string.h>

#include "sink/postgres/conn.h"

static const struct {
    const char *prefix;
    enum ods_status status;
} sqlstates[] = {
    {"", ODS_RETRY},       /* no SQLSTATE: the connection broke */
    {"08", ODS_RETRY},     /* connection exceptions */
    {"21000", ODS_REJECT}, /* two keys of a batch that the column's type calls equal */
    {"22", ODS_REJECT},    /* data exceptions: the value does not fit */
    {"23", ODS_REJECT},    /* integrity constraints */
    {"25006", ODS_RETRY},  /* read-only transaction: a standby after a failover */
    {"25P03", ODS_RETRY},  /* idle in a transaction for too long: the process stood still */
    {"25P04", ODS_RETRY},  /* transaction_timeout */
    {"28", ODS_RETRY},     /* authentication: a password that is just being changed */
    {"3D000", ODS_RETRY},  /* the database is being made or restored */
    {"40", ODS_RETRY},     /* serialization failures and deadlocks */
    {"42601", ODS_REJECT}, /* hstore's and ltree's input functions; of a statement: see apply.c */
    {"42501", ODS_FATAL},  /* insufficient privilege */
    {"42804", ODS_REJECT}, /* datatype mismatch */
    {"53", ODS_RETRY},     /* out of disk, memory or connections */
    {"55006", ODS_RETRY},  /* object in use */
    {"55P03", ODS_RETRY},  /* lock not available */
    {"57", ODS_RETRY},     /* shutdown, crash, cancel, cannot connect now */
    {"58", ODS_RETRY},     /* system errors outside PostgreSQL */
    {"OS001", ODS_FENCED}, /* ods_sink.advance(): the stored offset is elsewhere */
};

enum ods_status sqlstate_status(const char *sqlstate)
{
    enum ods_status status = ODS_FATAL;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof sqlstates / sizeof *sqlstates; i++) {
        size_t length = strlen(sqlstates[i].prefix);
        bool matches = length ? strncmp(sqlstate, sqlstates[i].prefix, length) == 0 : !*sqlstate;
        if (matches && length >= longest) {
            longest = length;
            status = sqlstates[i].status;
        }
    }
    return status;
}

/* The table is not as it was when a statement was prepared: somebody else changed it. */
bool sqlstate_is_stale_catalog(const char *sqlstate)
{
    static const char *const stale[] = {
        "42P01", /* undefined table */
        "42703", /* undefined column */
        "42804", /* datatype mismatch */
        "42P10", /* no unique index for ON CONFLICT any more */
        "428C9", /* the column became generated */
        "0A000", /* cached plan must not change result type */
        "26000", /* prepared statement does not exist: a pooler changed servers */
        "42704", /* undefined type */
        "3F000", /* undefined schema */
    };
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
        if (strcmp(sqlstate, stale[i]) == 0)
            return true;
    return false;
}

/* The row may be right, and another one has to come or to go first. */
bool sqlstate_wants_partner(const char *sqlstate)
{
    return strcmp(sqlstate, "23503") == 0 || /* foreign key */
           strcmp(sqlstate, "23505") == 0 || /* unique */
           strcmp(sqlstate, "23P01") == 0;   /* exclusion */
}

/* A table can't be made or changed so by anyone: the names or types that its records bring are at
 * fault. A missing right or a schema in the way is not listed, since configuration mends it. */
bool sqlstate_is_of_table(const char *sqlstate)
{
    static const char *const prefixes[] = {
        "0A000", /* a feature that PostgreSQL lacks */
        "22",    /* values that are there and don't fit the new type */
        "2BP01", /* something depends on what would change */
        "42601", /* an empty name */
        "42602", /* a name that can't be one */
        "42611", /* a column that can't be defined so */
        "42622", /* a name that is too long */
        "42701", /* a column twice, or named like one of the system's */
        "42704", /* a type that is not there */
        "42710", /* an object of that name */
        "42804", /* a type that can't be had from the present one */
        "42846", /* nor cast */
        "42939", /* a reserved name */
        "42P16", /* a table that can't be defined so */
        "42P17", /* nor this object */
        "54",    /* limits: columns, bytes of a row, size of a statement */
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(sqlstate, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}
