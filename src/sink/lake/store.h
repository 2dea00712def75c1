/* What the lanes of a pipeline share in a process: the engine, its open tables and their indexes of
 * keys, which are too large to have once a lane. The lanes take turns by the store's mutex, which
 * all functions here but lake_store_open() and lake_store_close() want held.
 *
 * A table of its own, <group> in the namespace _ods_sink, has the pipeline's offsets. It is
 * committed after the tables of a batch, each of which has offsets too: so after a crash a lane
 * starts at the offset that all tables have reached, and a table that was further passes over what
 * it has.
 */
#ifndef LAKE_STORE_H
#define LAKE_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include <jansson.h>

#include <ods/sink.h>

#include "sink/lake/engine.h"
#include "sink/lake/settings.h"
#include "sink/lake/types.h"

/* What the open tables are, added up. */
enum lake_figure {
    LAKE_FIGURE_FILES,
    LAKE_FIGURE_SMALL_FILES,
    LAKE_FIGURE_ROWS,
    LAKE_FIGURE_DELETED_ROWS,
    LAKE_FIGURE_BYTES,
    LAKE_FIGURE_INDEX_KEYS,
    LAKE_FIGURE_INDEX_BYTES,
    LAKE_FIGURES
};

struct lake_column {
    char *name;
    struct lake_typed type;
    char format[LAKE_FORMAT_BYTES];
};

/* A table's columns as they are from one change of its schema to the next; plans point to them. */
struct lake_columns {
    struct lake_columns *older; /* kept until the store is closed */
    uint32_t count;
    struct lake_column items[];
};

/* Files that are to be put together as soon as may be: where a partition has many, or all that
 * there are, since it was the table's turn. */
enum lake_waits { WAITS_NOT, WAITS, WAITS_ALL };

struct lake_table {
    struct lake_store *store;
    char *schema, *name;
    char *source; /* "database.schema.table" whose rows it has; NULL: not known yet */
    char *key;    /* names of its key's columns, each ended by \n */
    bool appends; /* a history, or rows without a key: nothing is looked up */
    bool unkeyed; /* it was opened for a truncate, whose record tells no key */
    struct ods_lake_table *handle;      /* NULL: it is not open */
    const struct lake_columns *columns; /* NULL: it is not open */
    json_t *offsets;                    /* by id, as stored; NULL: to be read */
    char pending[40];                   /* a commit whose outcome is not known; "": none */
    int64_t missing, lost;              /* what the engine had counted before the last commit */
    int64_t indexed;                    /* how often the index of keys had been read by then */
    int64_t maintained_us;              /* monotonic: when it had its turn; 0: not yet */
    int64_t leased_us;                  /* the lease of maintenance that we have put; 0: none */
    enum lake_waits waits;
    int64_t gathered_us;                /* monotonic: when they were; 0: not yet */
    int64_t figures[LAKE_FIGURES];      /* as they were last told */
    struct lake_table *next;
};

struct lake_store {
    struct lake_store *next; /* of the process */
    unsigned users;
    const void *settings; /* by these two it is found */
    char *group;
    char *target; /* its name, for messages */
    bool iceberg; /* else its tables are of Delta Lake */
    struct lake_engine engine;
    struct ods_lake *lake;
    pthread_mutex_t mutex;
    struct lake_table *tables;
    struct lake_table *control;
    atomic_int_fast64_t figures[LAKE_FIGURES]; /* of all tables; any thread reads them */
    atomic_int_fast64_t maintained, unmaintained; /* how often that changed a table, and failed */
    int64_t rests_us; /* monotonic: until then no files are put together */
    struct apply_hooks hooks; /* notices of the last batch, of whichever user that was; */
    const void *heard;        /* it takes them along */
    const void *teller;       /* the one of its users that tells of what they share */
};

/* The settings of S3, as the engine takes them. It is the caller's. */
json_t *lake_storage_of(const struct lake_settings *settings);
/* The place of the tables, as the engine takes it. To be freed; NULL: memory is out. */
char *lake_place_of(const struct lake_settings *settings, bool iceberg);

/* Those of a catalog of Iceberg, likewise. */
json_t *lake_catalog_of(const struct lake_settings *settings);

/* Loads the engine; does no I/O beside that. `format`: "delta" or "iceberg". */
enum ods_status lake_store_open(struct lake_store **store, const struct sink_config *config,
                                const char *format, struct error *error);
void lake_store_close(struct lake_store *store); /* NULL is fine; the last one closes it */

/* The table's place in the store, which need not be open. NULL: memory is out. */
struct lake_table *lake_store_table(struct lake_store *store, const char *schema, const char *name);
/* Opens the pipeline's own table. With `create` it is made where it is missing. */
enum ods_status lake_store_control(struct lake_store *store, bool create, struct error *error);
/* All offsets are to be read anew. */
void lake_store_forget_offsets(struct lake_store *store);
/* Those of the pipeline's own table are, if it is there: other processes may have moved them. */
enum ods_status lake_store_read_anew(struct lake_store *store, struct error *error);

/* --- tables ----------------------------------------------------------------------------------- */

/* A table as a shape would have it. */
struct lake_wanted {
    const char *const *names;
    const char *const *formats;
    size_t count;
    const char *const *key; /* names */
    size_t key_count;
    bool appends, create;
    bool unkeyed; /* any key will do */
    const char *comment;
};

/* Without one, nothing. Who needs it opens it again. */
void lake_table_close(struct lake_table *table);
enum ods_status lake_table_open(struct lake_table *table, const struct lake_wanted *wanted,
                                struct error *error);
/* Opens it, if it is there, as one that is only appended to: there is no index of its keys. */
enum ods_status lake_table_find(struct lake_table *table, struct error *error);
/* Makes it have these columns, of these types. */
enum ods_status lake_table_evolve(struct lake_table *table, const struct lake_wanted *wanted,
                                  struct error *error);
/* Reads its columns from the handle; those that it had stay until it is freed. */
enum ods_status lake_table_columns(struct lake_table *table, struct error *error);
void lake_table_free(struct lake_table *table); /* of no store's list; NULL is fine */
/* The column's place; -1: there is none. Names that differ in case alone are one. */
int lake_table_column(const struct lake_columns *columns, const char *name);

/* Where a commit's outcome is not known, finds it out; reads the offsets if they are to be read. */
enum ods_status lake_table_ready(struct lake_table *table, struct error *error);
/* --- offsets.c: as they were read --- */

/* OFFSET_NONE: nothing is stored. */
int64_t lake_table_offset(const struct lake_table *table, const char *topic, int32_t partition);
int64_t lake_table_stored_us(const struct lake_table *table, const char *topic, int32_t partition);

enum lake_has {
    LAKE_HAS_NOT,
    LAKE_HAS,        /* the record's changes are in the table */
    LAKE_HAS_ANOTHER /* the place of the record is that of an older one, of a topic that is gone */
};
/* stored: lake_table_offset() of the record's partition. */
enum lake_has lake_table_has(const struct lake_table *table, const struct record *record,
                             int64_t stored);

/* A topic-partition moves with the rows of the next commit. */
bool lake_table_move(const struct lake_table *table, json_t *expect, json_t *next,
                     const char *topic, int32_t partition, int64_t upto);
/* Also when that was; */
bool lake_table_stamp(const struct lake_table *table, json_t *next, const char *topic,
                      int32_t partition, int64_t now_us);
/* the control table's: that it is read again from there. */
bool lake_table_read_again(const struct lake_table *control, json_t *next, const char *topic,
                           int32_t partition, int64_t now_us);

/* Until when one process of the group maintains the table, as the pipeline's own table has it (0:
 * none); the same in a commit of that one. */
int64_t lake_table_lease(const struct lake_table *table);
bool lake_table_lease_put(const struct lake_table *table, json_t *expect, json_t *next,
                          int64_t lease_us);

/* How many offsets of the group the table has. */
int64_t lake_table_offsets_count(const struct lake_table *table);
/* The other groups that have offsets in it. False: no pipeline ever had one. */
bool lake_table_writers(const struct lake_table *table, char *others, size_t size);
/* The group's offsets are none; `again_us`: the control table's, since when all is read again. */
bool lake_table_forget(const struct lake_table *table, json_t *expect, json_t *next,
                       int64_t again_us);

/* --- table.c again --- */

/* Commits what is staged. After any answer but ODS_OK nothing is staged. */
enum ods_status lake_table_commit(struct lake_table *table, json_t *expect, json_t *next,
                                  struct error *error);
/* A notice about the table. */
void lake_table_tell(const struct lake_table *table, const struct apply_hooks *hooks,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Tells of a table that was opened by its key. */
void lake_table_opened(struct lake_table *table, const struct apply_hooks *hooks);
/* What the engine has counted since the last time; an index that was made anew is told. */
void lake_table_count(struct lake_table *table, const struct apply_hooks *hooks, uint64_t *missing,
                      uint64_t *lost);
/* The engine's figures; NULL: it has none to give. */
json_t *lake_table_stats(struct lake_table *table);
int64_t lake_stat(const json_t *stats, const char *name); /* 0: it is not among them */
/* What the engine's answer is, with the table's name before the text, which is freed. ODS_FATAL:
 * the table is closed. */
enum ods_status lake_table_judge(struct lake_table *table, enum ods_lake_answer answer, char *text,
                                 struct error *error);

/* --- maintain.c ------------------------------------------------------------------------------- */

/* Compaction and so on, where it is due. A failure is told by the notice alone: rows don't wait for
 * it. */
void lake_table_maintain(struct lake_table *table, const struct apply_hooks *hooks);
/* The same of one table that is due by the clock (maintenance.every), if there is one: also tables
 * that get no rows let go of what is too old. */
void lake_store_maintain_next(struct lake_store *store, const struct apply_hooks *hooks);
/* Other processes of the group may maintain at once. A store that does not answer holds this up for
 * as long as its time-outs are. */
void lake_store_release(struct lake_store *store);
/* What is too old goes now, unless others see to that (maintenance.enabled). */
enum ods_status lake_table_expire(struct lake_table *table, struct error *error);

#endif
