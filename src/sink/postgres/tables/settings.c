/* The settings of a target of type "postgres". */
#include "sink/postgres/tables/settings.h"

#define AT(member) offsetof(struct postgres_settings, member)

static const char *const toast_compressions[] = {"auto", "default", NULL};

static const struct setting rows[] = {
    {"dsn", SETTING_STRING, AT(session.dsn), .min = 0, .max = 65536,
     .flags = SETTING_REQUIRED | SETTING_SECRET,
     .doc = "Any libpq connection string, keywords or URI. Empty: libpq's environment variables "
            "and defaults. Put the password into `${NAME}`, `${file:/path}` or libpq's "
            "`passfile`. Several hosts are tried in their order, each for `connect_timeout` (10 "
            "seconds unless set), and `target_session_attrs` is then `read-write` unless set."},
    {"schema", SETTING_STRING, AT(session.schema), "ods_sink", .min = 1,
     .max = 63, .doc = "The schema in the target that holds what ods-sink owns: its offsets."},
    {"synchronous_commit", SETTING_BOOL, AT(session.synchronous_commit),
     "false",
     .doc = "Wait for each commit to reach the target's disk. Not needed for exactness: after a "
            "crash of the target rows and offsets go back together and the records come again. "
            "Inputs of type `amqp`, `messages`, `lines` and `outbox` can't give again what the "
            "target has, so their commits always wait."},
    {"statement_timeout_ms", SETTING_MS, AT(session.statement_timeout_ms),
     "0", .min = 0, .max = INT32_MAX,
     .doc = "PostgreSQL's statement_timeout, for all but the statements that make and change "
            "tables: one that rewrites a large table takes its time. 0: none."},
    {"lock_timeout_ms", SETTING_MS, AT(session.lock_timeout_ms), "10000",
     .min = 0, .max = INT32_MAX,
     .doc = "PostgreSQL's lock_timeout; a batch that runs into it is tried again. 0: none."},
    {"max_prepared_statements", SETTING_INT,
     AT(session.max_prepared_statements), "500", .min = 0, .max = 100000,
     .doc = "How many statements a lane keeps prepared in its session of the target: one for each "
            "table, kind of change and set of columns that changes carry. The one that was used "
            "longest ago makes room. The metric `prepared_statements` shows how many there are; "
            "each takes some tens of KB of the server's memory. 0: none are prepared."},
    {"idle_in_transaction_timeout_ms", SETTING_MS,
     AT(session.idle_in_transaction_timeout_ms), "30000", .min = 0, .max = INT32_MAX,
     .doc = "PostgreSQL's idle_in_transaction_session_timeout: how long a process that stands "
            "still between two statements (stopped, frozen, cut off) keeps its locks, so that "
            "another one can't take its partitions over. Above the time that a dead letter may "
            "take to be written. 0: for ever."},
    {"toast_compression", SETTING_ENUM, AT(making.toast_compression), "auto",
     .choices = toast_compressions,
     .doc = "How PostgreSQL compresses large values of columns that ods-sink makes. `auto`: by lz4 "
            "where the server has it (14 or later, as most are built), which takes a fraction of "
            "pglz's time. `default`: as the server's `default_toast_compression` says; also for "
            "dumps that a server without lz4 must read."},
    {"delivered.keep_ms", SETTING_MS, AT(delivered.keep_ms), "86400000", .min = 1000,
     .max = INT64_C(10) * 365 * 86400 * 1000,
     .doc = "For pipelines whose source is a queue: how long a record that is applied is known by "
            "its identity at least, so that it is dropped when it is delivered again. Longer than "
            "the queue, or who sends to it, may take for that: one that comes later is applied "
            "once more, also over a newer change of its key. It may be half as long again."},
    {"delivered.max_records", SETTING_INT, AT(delivered.most), "10000000", .min = 1000,
     .max = INT64_C(1) << 40,
     .doc = "How many such records are kept at most, of all pipelines into the same `schema`: when "
            "more come within `delivered.keep_ms` the oldest quarter goes earlier, which the log "
            "says. Each takes some 150 bytes of the target's disk; of identities that end in a "
            "number behind a sign, 512 do together."},
};

const struct setting_group postgres_settings_group = {
    .title = "targets of type `postgres`",
    .intro = "PostgreSQL 12 and later.",
    .size = sizeof(struct postgres_settings),
    SETTING_ROWS(rows),
};
