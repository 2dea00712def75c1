/* The settings of a target of type "mysql". */
#include "sink/mysql/settings.h"

#include "sink/mysql/write/attempt.h"

#define AT(member) offsetof(struct mysql_settings, member)

static const struct setting rows[] = {
    {"dsn", SETTING_STRING, AT(session.dsn), .min = 1, .max = 65536,
     .flags = SETTING_REQUIRED | SETTING_SECRET,
     .doc = "`host=… port=… user=… password=… dbname=…`, or `mysql://user@host:port/name`: libpq's "
            "forms of both, as for databases of type `mysql`. A host that begins with `/` is a "
            "socket. `sslmode` is `disable` (the default), `require`, or `verify-full`, which "
            "compares the server's certificate with `sslrootcert`; `sslcert` and `sslkey` are the "
            "client's. Put the password into `${NAME}` or `${file:/path}`. Tables go into "
            "`dbname`, unless the pipeline's `schema` or `target` names another database."},
    {"schema", SETTING_STRING, AT(schema), "", .max = 64, .inherits = "the dsn's `dbname`",
     .doc = "The database with ods-sink's own tables: `ods_sink_offsets`, in which the offsets are "
            "kept that are committed with the rows, and `ods_sink_tables`, which says which group "
            "writes which table, for `reset`. They are made if they are missing."},
    {"load_data", SETTING_BOOL, AT(load_data), "true",
     .doc = "Write many rows of a table by `LOAD DATA LOCAL INFILE` where the server allows it "
            "(`local_infile = ON`): rows of a snapshot and creates as they are, and others with "
            "`REPLACE` where that does what an upsert does ([docs/targets.md](targets.md#mysql) "
            "says where). Rows that the server would change go by statements all the same. No "
            "file is read, whatever the server asks for."},
    {"lock_timeout_ms", SETTING_MS, AT(session.lock_timeout_ms), "10000", .min = 0,
     .max = INT64_C(1000) * 31536000,
     .doc = "`innodb_lock_wait_timeout` and `lock_wait_timeout`, in whole seconds; a batch that "
            "runs into one is tried again. 0: none."},
    {"idle_in_transaction_timeout_ms", SETTING_MS, AT(session.idle_in_transaction_timeout_ms),
     "30000", .min = 0, .max = INT64_C(1000) * 31536000,
     .doc = "`wait_timeout` of the session: how long a process that stands still between two "
            "statements (stopped, frozen, cut off) keeps its locks, so that another one can't "
            "take its partitions over. Above the time that a dead letter may take to be written. "
            "A session that was idle for half of it is opened anew. 0: the server's longest."},
};

const struct setting_group mysql_settings_group = {
    .title = "targets of type `mysql`",
    .intro = "MySQL 8.0 and later, MariaDB 10.6 and later; tables of InnoDB. "
             "[docs/targets.md](targets.md#mysql) says what is written how.",
    .size = sizeof(struct mysql_settings),
    SETTING_ROWS(rows),
};
