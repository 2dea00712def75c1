/* The columns that a history has behind those of its source: one row for each change. A target that
 * keeps histories makes all of them with the table; a shape has those that its changes tell.
 */
#ifndef ODS_HISTORY_H
#define ODS_HISTORY_H

/* member, name, PostgreSQL's type. The names of all but cdc_timestamp get history.prefix. */
#define HISTORY_COLUMNS(COLUMN)                                                                    \
    COLUMN(OP, "op", "text not null")                                                              \
    COLUMN(TIMESTAMP, "cdc_timestamp", "timestamp with time zone not null")                        \
    COLUMN(TOPIC, "topic", "text collate \"C\" not null")                                          \
    COLUMN(PARTITION, "partition", "integer not null")                                             \
    COLUMN(OFFSET, "offset", "bigint not null")                                                    \
    COLUMN(PART, "part", "smallint not null")                                                      \
    COLUMN(LSN, "lsn", "bigint")                                                                   \
    COLUMN(FILE, "binlog_file", "text")                                                            \
    COLUMN(POS, "binlog_pos", "bigint")                                                            \
    COLUMN(ROW, "binlog_row", "integer")                                                           \
    COLUMN(GTID, "gtid", "text")                                                                   \
    COLUMN(TX, "tx_id", "text")                                                                    \
    COLUMN(TX_ORDER, "tx_order", "bigint")                                                         \
    COLUMN(UNCHANGED, "unchanged", "text[]")                                                       \
    COLUMN(BEFORE, "before", "jsonb")                                                              \
    COLUMN(INGESTED, "ingested_at", "timestamp with time zone not null default now()")

#define HISTORY_NUMBER(member, name, type) HISTORY_##member,
enum history_column { HISTORY_COLUMNS(HISTORY_NUMBER) HISTORY_COLUMN_COUNT };
#undef HISTORY_NUMBER

/* topic, partition, offset, and which of the record's changes: the history's key. */
enum { HISTORY_KEY_FIRST = HISTORY_TOPIC, HISTORY_KEY_COUNT = 4 };

#endif
