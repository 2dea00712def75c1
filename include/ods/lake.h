/*
 * The lake engine: tables of Delta Lake and Iceberg, written exactly once.
 *
 * The engine is a library of its own (libods_lake.so, written in Rust: lake/), loaded with dlopen
 * when a target of this kind is configured, so that nothing else pays for it. Rows go in by the
 * Arrow C Data Interface (two structs, below), settings and answers as JSON.
 *
 * Every function that answers an enum ods_lake_answer takes `char **error` as its last argument
 * (may be NULL). On any answer but OK it is set to a text that says what failed, where, why and
 * what to do next; the caller frees it with ods_lake_free(). It never holds a credential. On OK it
 * is NULL. Strings are UTF-8 and end in NUL. No function throws, aborts or prints: a panic inside
 * becomes FATAL, and the handle that was in use answers FATAL from then on (close it, open it
 * again).
 *
 * Threads: functions of different tables may run at the same time. One table's handle is used by
 * one thread at a time (any thread: put a mutex around a table that several lanes write). An
 * ods_lake may be used by several threads at once. Close tables before their lake.
 */
#ifndef ODS_LAKE_H
#define ODS_LAKE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ods_lake_abi() answers this; another number: the library and the program are not of one build. */
#define ODS_LAKE_ABI 2

/* ------------------------------------------------------------------------------------------------
 * The Arrow C Data Interface, as its specification has it
 * (https://arrow.apache.org/docs/format/CDataInterface.html, CStreamInterface.html).
 */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

/*
 * Ownership: every ArrowSchema and ArrowArray that is given to a function is moved into it,
 * whatever it answers: the library calls `release` (once; at once, or for rows that are staged
 * after the commit or the rollback, from the thread that calls then) and sets the struct's
 * `release` to NULL. The struct itself stays the caller's (it may stand on the stack). Buffers need
 * an alignment of 8 bytes (malloc's is enough); those that are not are copied.
 *
 * The outermost schema and array are a struct ("+s", not nullable), one child a column, in any
 * order; columns are found by name. Formats that are accepted for a column, and what they become:
 *
 *   format          Arrow                     Delta
 *   "b"             boolean                   boolean
 *   "c"  "s"        int8, int16               byte, short
 *   "i"  "l"        int32, int64              integer, long
 *   "f"  "g"        float, double             float, double
 *   "u"             utf8 (32 bit offsets)     string
 *   "z"             binary (32 bit offsets)   binary
 *   "tdD"           date32, days              date
 *   "tsu:UTC"       timestamp µs, UTC         timestamp
 *   "tsu:"          timestamp µs, no zone     timestamp_ntz
 *   "ttu"           time64 µs                 refused
 *   "w:16"          fixed size binary         refused
 *   "d:P,S"         decimal128, P <= 38       decimal(P,S)
 *   "+l" "+s"       list, struct of these     array, struct
 *
 * Anything else (unsigned integers, seconds, milliseconds, nanoseconds, decimals beyond 38 digits,
 * 64 bit offsets, dictionaries) is refused with FATAL: the sink makes it exact or makes it a letter
 * before. A column of an array must have the table's type for it, or one that the table's can be
 * widened from without loss
 * ("c" into "l"), and it is widened. Columns of the table that an array does not have are null.
 * Columns of an array that the table does not have: FATAL (evolve first).
 *
 * Names of columns of a Delta table may not contain space , ; { } ( ) newline tab = (the format's
 * rule without column mapping), and two may not differ in case alone: FATAL from ods_lake_table and
 * ods_lake_evolve.
 */

/* The column of operations of ods_lake_upsert: format "C" (uint8), not nullable. */
#define ODS_LAKE_OP_COLUMN "_ods_op"
enum ods_lake_op {
    ODS_LAKE_OP_UPSERT = 0, /* the row of this key becomes this row, or is added */
    ODS_LAKE_OP_DELETE = 1, /* the row of this key goes, if there is one; only the key is read */
    ODS_LAKE_OP_UPDATE = 2  /* as UPSERT; no such row: nothing */
};

/*
 * Optional column of ods_lake_upsert: format "z" (binary, nullable). Bit i (byte i / 8, bit i % 8,
 * from the lowest) set: of child i of this array (as it stands in the array, every child counted)
 * the value that the table has for this key is kept, and the array's is not looked at. Null or
 * empty: nothing is kept. Where the table (rows staged before included) has no row of the key, the
 * kept values are null (counted in ods_lake_stats: "lost").
 */
#define ODS_LAKE_KEEP_COLUMN "_ods_keep"

enum ods_lake_answer {
    ODS_LAKE_OK = 0,
    /* An outage (storage or catalog away, 429, 5xx, disk full): nothing was committed; what is
     * staged stays; call again later. */
    ODS_LAKE_RETRY = 1,
    /* The answer of a commit was lost: ods_lake_resolve() with the same batch id settles it. */
    ODS_LAKE_UNKNOWN = 2,
    /* The stored offsets are not those expected: another writer has the partition. What was staged
     * is dropped, and nothing was written. Read the offsets again. */
    ODS_LAKE_FENCED = 3,
    /* Does not get better by itself: configuration, a type, a table that is damaged, a feature of
     * the table that the engine does not know, a wrong call. */
    ODS_LAKE_FATAL = 4,
    /* One row cannot be applied (null where the table allows none): *row says which; nothing of the
     * array is staged. */
    ODS_LAKE_ROW = 5,
    /* Of ods_lake_feed and ods_lake_next_events: the version's log or a file of it was deleted. */
    ODS_LAKE_GONE = 6
};

struct ods_lake;       /* where tables live: storage, credentials, catalog */
struct ods_lake_table; /* one table: its version, its index of keys, rows that are staged */

/* ABI of the library, and its version as text ("0.1.0 (delta, iceberg, s3)"; static). */
int ods_lake_abi(void);
const char *ods_lake_version(void);

/* Frees a string that the library handed out. NULL is accepted. */
void ods_lake_free(char *text);

/*
 * Opens a place for tables. Does no I/O beyond reading settings; storage that is away is found by
 * ods_lake_table.
 *
 *   { "format": "delta",                      or "iceberg" (versions 2 and 3 of the format)
 *     "location": "/var/lib/lake",            a folder (absolute; made when absent), or
 *                                             "s3://bucket/prefix"
 *     "catalog": {                            only for iceberg
 *       "uri": "postgresql://u@h/d",          or "sqlite:///file"; default: catalog.sqlite in the
 *                                             location, where that is a folder; "https://h/path" is
 *                                             a REST catalog's, without "/v1"
 *       "name": "ods",                        within its database
 *       "warehouse": "…", "prefix": "…",      of REST catalogs, like all below
 *       "token": "…",                         or "credential": "id:secret", for which a token is
 *       "oauth2_uri": "…", "scope": "catalog",  asked there (default: <uri>/v1/oauth/tokens)
 *       "timeout_ms": 30000 },
 *     "s3": {                                 only for s3://; everything is optional
 *       "endpoint": "http://127.0.0.1:9000",  default: AWS
 *       "region": "us-east-1",
 *       "path_style": true,                   default true when an endpoint is given
 *       "access_key_id": "…", "secret_access_key": "…", "session_token": "…",
 *                                             absent: from the environment (AWS_ACCESS_KEY_ID …),
 *                                             else the machine's role. Files of credentials are
 *                                             the caller's to read
 *       "skip_signature": false,
 *       "timeout_ms": 30000, "retries": 2 }   reads and uploads of new names; a commit is never
 *                                             sent twice
 *   }
 */
enum ods_lake_answer ods_lake_open(const char *json, struct ods_lake **lake, char **error);
void ods_lake_close(struct ods_lake *lake); /* NULL is accepted */

/*
 * Opens a table, or creates it from `schema` (moved in). Reads its state and, for upsert, builds
 * the index of keys (reads the key columns of every file: about 0.4 s of CPU a million rows).
 *
 *   { "namespace": ["shop"], "name": "orders",  Delta: the folder <location>/shop/orders; a part is
 *                                            one folder's or namespace's name and may not be
 *                                            empty, ".", ".." or contain "/"
 *     "mode": "upsert",                      "upsert" (needs "key"), "history" (append only) or
 *                                          "read" (nothing is created or written)
 *     "key": ["id"],                         columns of the key, in this order; null is a value
 *                                            like others; every type of the table above except
 *                                            float, double, list, struct
 *     "create": true,                        false: of an absent table OK and *table = NULL
 *     "change_data": true,                   creation: the change data feed (Delta), default true
 *                                            for upsert
 *     "partition": ["region"],               creation: columns whose values part the files; of
 *                                            Iceberg also "day(at)", "bucket(16, id)" and so on
 *     "sort": ["day"],                       the order of rows in a written or compacted file
 *     "comment": "…",                        creation
 *     "properties": { "delta.…": "…" },      creation: properties of the table
 *     "target_file_bytes": 134217728,        a data file is closed when it is about so large
 *     "small_file_bytes": 33554432,          files below it are to be put together; default: a
 *                                            fourth of the above
 *     "compression": "snappy",               "snappy" (default), "zstd" or "none"
 *     "format_version": 2,                   creation, of Iceberg: 2 (default) or 3
 *     "index_folder": "/var/tmp",            the index's memory is files of this folder, nameless,
 *                                            which the kernel may write out; absent: ordinary
 *                                            memory
 *     "schema": "add" }                      when `schema` has columns that the table lacks: "add"
 *                                            (default; as ods_lake_evolve), "keep" (nothing:
 *                                            `schema` is for creation only) or "refuse" (FATAL)
 * An existing table may have more columns than `schema`: they are null in what is written.
 */
enum ods_lake_answer ods_lake_table(struct ods_lake *lake, const char *json,
                                    struct ArrowSchema *schema, struct ods_lake_table **table,
                                    char **error);
void ods_lake_close_table(
    struct ods_lake_table *table); /* drops what is staged; NULL is accepted */

/*
 * The offsets stored in the newest version (read from storage now), as JSON to be freed:
 *   { "version": 12, "offsets": { "<id>": 1234, … } }
 * An id is any text that the caller makes up for a topic-partition of a pipeline; Delta keeps it as
 * the appId of a `txn` action, Iceberg has all in the table property "ods.offsets"; so give it a
 * name of its own: "ods:<pipeline>:<topic>:<partition>". Iceberg's versions are sequence numbers.
 * The number is the next offset to be read. Ids of other writers are listed too.
 */
enum ods_lake_answer ods_lake_offsets(struct ods_lake_table *table, char **json, char **error);

/*
 * Stages rows for the next commit; nothing is visible before it. May be called several times; in
 * upsert the last row of a key wins, within an array and between arrays. Rows are held in memory
 * until the commit. append: `mode` history only (upsert finds out by its index whether a key is
 * new, which costs nothing). `row` (may be NULL) is set with the answer ODS_LAKE_ROW.
 */
enum ods_lake_answer ods_lake_append(struct ods_lake_table *table, struct ArrowArray *array,
                                     struct ArrowSchema *schema, int64_t *row, char **error);
enum ods_lake_answer ods_lake_upsert(struct ods_lake_table *table, struct ArrowArray *array,
                                     struct ArrowSchema *schema, int64_t *row, char **error);

/*
 * Commits what is staged together with the offsets, as one version of the table.
 *
 *   expect    { "<id>": 1000, "<id2>": null }  what must be stored now (null: nothing), or FENCED
 *   next      { "<id>": 1200, "<id2>": 7 }     what is stored with the rows; others stay
 *   batch_id  a text that is unique to this attempt's content (a UUID): the same one for every
 *             repetition of the same commit, another one for any other
 *
 * May be called with nothing staged: then only the offsets move. RETRY and UNKNOWN keep what is
 * staged: RETRY: call again with the same arguments; UNKNOWN: call ods_lake_resolve first. Versions
 * that other writers committed since (compaction, rows of their own) are read, and the positions
 * are found anew: that alone is not FENCED. *version (may be NULL) is set on OK.
 */
enum ods_lake_answer ods_lake_commit(struct ods_lake_table *table, const char *expect,
                                     const char *next, const char *batch_id, int64_t *version,
                                     char **error);

/*
 * Was the commit of this batch id made? Reads the table. OK: *committed is 1 (what was staged is
 * dropped, the index knows the rows; *version set) or 0 (it was not made and what is staged still
 * stands; commit again with the same arguments). RETRY: storage is still away. FENCED: it was not
 * made and another writer moved the offsets.
 */
enum ods_lake_answer ods_lake_resolve(struct ods_lake_table *table, const char *batch_id,
                                      int *committed, int64_t *version, char **error);

/*
 * Stages that all rows of the table go. What was staged before it goes too; what is
 * staged after it is there once they have gone.
 */
enum ods_lake_answer ods_lake_truncate(struct ods_lake_table *table, char **error);

/* Drops what is staged. */
void ods_lake_rollback(struct ods_lake_table *table);

/*
 * Rows by key. `keys` has the key's columns; *rows (to be released by the caller) gets one row a
 * key, in the same order: all columns of the table and, last, ODS_LAKE_FOUND_COLUMN (format "b"):
 * false where there is no such row. Rows that are staged count. *rows and *rows_schema are filled
 * only on OK.
 */
#define ODS_LAKE_FOUND_COLUMN "_ods_found"
enum ods_lake_answer ods_lake_lookup(struct ods_lake_table *table, struct ArrowArray *keys,
                                     struct ArrowSchema *keys_schema, struct ArrowArray *rows,
                                     struct ArrowSchema *rows_schema, char **error);

/*
 * Takes out every row that has one of these keys, in a commit of its own that moves no offsets: the
 * files that have such rows are written anew without them, so that the newest version has nothing
 * of them left (older ones have it until they expire and are vacuumed). The columns of `keys` are
 * the key, whatever the table's own is; types as in a key. For any mode but "read"; nothing may be
 * staged (FATAL). *rows is how many there are; with `look` they stay. UNKNOWN is never answered
 * (calling it again is right).
 */
enum ods_lake_answer ods_lake_erase(struct ods_lake_table *table, struct ArrowArray *keys,
                                    struct ArrowSchema *keys_schema, int look, int64_t *rows,
                                    char **error);

/*
 * Makes the table have every column of `schema` (moved in), by name: what is absent is added
 * (nullable, at the end); a column whose type can be widened without loss (integers to larger ones,
 * float to double, decimals to more digits before and after the point, date to timestamp without
 * zone) is widened, which rewrites the table's files; of Iceberg only as the format promotes types
 * (int to long, float to double, decimals to more digits before the point), and no file is
 * rewritten; any other difference is FATAL and names the
 * column and both types ("full beside" is the caller's: add a column of another name). Columns that
 * `schema` lacks stay. Nothing may be staged (FATAL). A commit of its own; UNKNOWN is never
 * answered (calling it again is right).
 */
enum ods_lake_answer ods_lake_evolve(struct ods_lake_table *table, struct ArrowSchema *schema,
                                     char **error);

/*
 * The table's schema as it is now: *schema is filled and released by the caller. Metadata of a
 * column: none.
 */
enum ods_lake_answer ods_lake_schema(struct ods_lake_table *table, struct ArrowSchema *schema,
                                     char **error);

/*
 * Maintenance, exact under load; nothing may be staged (FATAL). Each part is optional and does what
 * is due; *report (may be NULL, else to be freed) is JSON with what was done. Runs as long as it
 * takes, within `max_bytes`.
 *
 *   { "compact":    { "files": 16,               small files are put together in partitions that
 *                                                have so many (default 2)
 *                     "deleted_ratio": 0.1,      files with more deleted rows are rewritten
 *                     "max_bytes": 536870912 },  read at most so much (at least one group)
 *     "checkpoint": { "every": 10 },             when so many versions have passed since the last
 *     "expire":     { "retention_ms": 2592000000, "snapshots": 1000 },
 *                                                log entries before a checkpoint that are older;
 *                                                snapshots that are, or are beyond so many
 *     "vacuum":     { "retention_ms": 604800000, "dry_run": false } }
 *                                                files that no younger version names, and orphans
 *   report: { "version": 40,
 *             "compacted": { "read_files": 9, "written_files": 1, "rows": 1000, "bytes": 123456 },
 *             "checkpoint": 40, "expired": 12, "vacuumed": { "files": 3, "bytes": 4567 },
 *             "more": false }
 */
enum ods_lake_answer ods_lake_maintain(struct ods_lake_table *table, const char *json,
                                       char **report, char **error);

/*
 * Reads rows as a stream; *stream is released by the caller, before the table is closed.
 *   { "columns": ["id", "note"],    default: all
 *     "version": 12,                default: the newest (read from storage now)
 *     "changes": { "from": 3, "to": 12, "types": ["insert"] } }
 *                                   instead of rows the changes of these versions (both included;
 *                                   "to" default: newest; "types" default: all): the columns and
 *                                   "_change_type" (insert, update_preimage, update_postimage,
 *                                   delete), "_commit_version" ("l"), "_commit_timestamp"
 *                                   ("tsu:UTC"); of Iceberg "_commit_snapshot" ("l")
 * Staged rows are not seen.
 */
enum ods_lake_answer ods_lake_scan(struct ods_lake_table *table, const char *json,
                                   struct ArrowArrayStream *stream, char **error);

/*
 * Versions of the table that can still be read, the oldest first, as a JSON array to be freed.
 *   { "from": 3, "to": 12, "limit": 50 }   everything is optional; "since_ms": versions committed
 *                                          since then, in place of "from"; "from_snapshot" and
 *                                          "to_snapshot" (Iceberg): by their ids; "limit": the
 *                                          newest; "all": true: FATAL where one has expired
 *   [ { "version": 12, "time_ms": 1795777200000, "operation": "MERGE", "engine": "…",
 *       "rows": { "inserted": 3, "updated": 2, "deleted": 1 },   null: its files are gone
 *       "files_added": 1, "bytes_added": 4096, "files_removed": 0, "bytes_removed": 0,
 *       "offsets": { "<topic>:<partition>": 1200 } } ]   the next ones to be read
 * Only the log is read where the commit says how many rows it changed, as those of ods-sink do.
 * Versions of Iceberg are the sequence numbers of the snapshots that led to the newest; they have
 * "snapshot", the id, too.
 */
enum ods_lake_answer ods_lake_versions(struct ods_lake_table *table, const char *json,
                                       char **versions, char **error);

/*
 * The changes of versions, as lines of JSON: the columns and those that ods_lake_scan adds, and
 * "_commit_offsets" as in ods_lake_versions; of Iceberg "_commit_snapshot", an id. Within a version
 * rows as they were come before rows as they are. Decimals are texts, bytes base64, times ISO 8601.
 *   { "from": 3, "to": 12,                    both included; "since_ms" in place of "from";
 *                                             neither: those that come after the newest;
 *                                             "from_snapshot", "to_snapshot" as above
 *     "types": ["insert", "delete"], "columns": ["id"] }   default: all
 * *from and *to are the versions that are read: *from > *to where there is none yet; the next call
 * begins at *to + 1. FATAL where a version has expired. ods_lake_next_lines hands out up to 1,000
 * lines, to be freed, or NULL at the end. The table may be closed before its lines.
 */
struct ods_lake_lines;
enum ods_lake_answer ods_lake_changes(struct ods_lake_table *table, const char *json,
                                      struct ods_lake_lines **lines, int64_t *from, int64_t *to,
                                      char **error);
enum ods_lake_answer ods_lake_next_lines(struct ods_lake_lines *lines, char **text, char **error);
void ods_lake_close_lines(struct ods_lake_lines *lines); /* NULL is accepted */

/*
 * The same changes as a stream of Arrow's IPC format, "_commit_offsets" a map. *arrow is NULL: the
 * stream begins; else it goes on with these versions (FATAL where the table has other columns by
 * now; on an error it stays as it was). ods_lake_next_arrow hands out some bytes, which stay until
 * the next call, or none at the end: before further versions go on, or the caller writes
 * ODS_LAKE_ARROW_END.
 */
#define ODS_LAKE_ARROW_END "\xff\xff\xff\xff\0\0\0" /* with its NUL: 8 bytes */
struct ods_lake_arrow;
enum ods_lake_answer ods_lake_arrow(struct ods_lake_table *table, const char *json,
                                    struct ods_lake_arrow **arrow, int64_t *from, int64_t *to,
                                    char **error);
enum ods_lake_answer ods_lake_next_arrow(struct ods_lake_arrow *arrow, const uint8_t **bytes,
                                         size_t *size, char **error);
void ods_lake_close_arrow(struct ods_lake_arrow *arrow); /* NULL is accepted */

/*
 * Compares rows of a source with the table's, by the hash of the key and the hash of the row. Both
 * are gone through once for each of `slices` parts of the keys, and all of that twice: only what
 * differs both times, with the same row on either side, counts.
 *   { "key": ["id"], "columns": ["id", "note"],     that are compared; the key's among them
 *     "deleted": { "column": "op", "is": "d" },     rows of the table that are left out
 *     "slices": 1, "limit": 1000 }                  differences that are named
 * ods_lake_compare begins; ods_lake_compare_rows takes all rows of the source, those of other parts
 * are passed over; ods_lake_compared reads the table: *json is NULL while the rows for the next
 * part are to come, else (to be freed) what a look has found:
 *   { "source_rows": 10, "target_rows": 9, "counts": { "missing": 1, "extra": 0, "changed": 0 },
 *     "open": 0,                                    differences that may be on their way
 *     "differences": [ { "kind": "missing", "key": { "id": 7 } } ] }
 */
enum ods_lake_answer ods_lake_compare(struct ods_lake_table *table, const char *json, char **error);
enum ods_lake_answer ods_lake_compare_rows(struct ods_lake_table *table, struct ArrowArray *array,
                                           struct ArrowSchema *schema, char **error);
enum ods_lake_answer ods_lake_compared(struct ods_lake_table *table, char **json, char **error);
/* How many rows the table has, by the same settings. */
enum ods_lake_answer ods_lake_count(struct ods_lake_table *table, const char *json, int64_t *count,
                                    char **error);

/*
 * Figures of the table as the handle knows it (no I/O), JSON to be freed:
 *   { "version": 12, "files": 3, "rows": 1000, "deleted_rows": 12, "bytes": 123456,
 *     "small_files": 2, "crowd": 2, "index_keys": 1000, "index_bytes": 24000, "index_mapped": 0,
 *     "staged_rows": 10, "staged_bytes": 4096, "versions_since_checkpoint": 2, "commits": 9,
 *     "conflicts": 0, "missing": 0, "lost": 0, "indexed": 1 }
 * crowd: the small files of the partition that has most.
 * missing, lost: updates and deletes of rows that were not there, and kept values of such rows,
 * since the handle was opened. indexed: how often the index of keys was read from the files.
 */
enum ods_lake_answer ods_lake_stats(struct ods_lake_table *table, char **json, char **error);

/*
 * The changes of one version as events, in an order of their own that is always the same.
 *   { "version": 12,             none: only *about is asked for
 *     "snapshot": true,          the rows of the version in place of its changes
 *     "skip": 100,               so many events are passed over
 *     "key": ["id"],             default: the key that the table was made with by ods-sink, which
 *                                its property "ods.key" has, of Iceberg its snapshots, else its
 *                                identifier fields; none: events have no key
 *     "topic": "shop.orders", "schema": "shop", "table": "orders" }   names in the events
 * *about is JSON, to be freed: { "version": 13, "key": ["id"] }, the newest version and the key. Of
 * Iceberg a version is the sequence number of a snapshot; a number that none of those has that led
 * to the newest one has no changes.
 * *feed is NULL where the version is not there yet. The table may be closed before its feed.
 *
 * ods_lake_next_events hands out some lines, to be freed, or NULL at the end: the event's number in
 * its version, its key (may be empty) and its value, with tabs between. Key and value are JSON as
 * Debezium's converter writes it, with schemas. An old and a new row of a key are one update; rows
 * of a file that was only written anew are none.
 */
struct ods_lake_feed;
enum ods_lake_answer ods_lake_feed(struct ods_lake_table *table, const char *json,
                                   struct ods_lake_feed **feed, char **about, char **error);
enum ods_lake_answer ods_lake_next_events(struct ods_lake_feed *feed, char **text, char **error);
void ods_lake_close_feed(struct ods_lake_feed *feed); /* NULL is accepted */

/*
 * For tests. ODS_LAKE_FAULT in the environment, read at ods_lake_open: "<what>:<step>:<n>",
 * several with ";".
 *   what   kill (SIGKILL to this process), wait (it stands still for 1.5 s), panic, retry (an
 *          outage is answered in place of the step), stop (a fatal error is), lost (the step is
 *          done, its answer is lost: only for "commit")
 *   step   data, deletes, changes, commit (before the log entry is put), committed (after it,
 *          before the state in memory), checkpoint, compact, vacuum
 *   n      at the n-th time that this process comes there (from 1)
 * ODS_LAKE_HELD: how many bytes of old rows ods_lake_feed holds at once, which decides its order.
 */

#ifdef __cplusplus
}
#endif
#endif
