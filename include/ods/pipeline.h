/* What tables.yaml says about a pipeline: its source, its transforms and its tables. Plug-ins may
 * read all of it; it is immutable and lives as long as the configuration.
 */
#ifndef ODS_PIPELINE_H
#define ODS_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/derived.h>
#include <ods/quality.h>
#include <ods/setting.h>

#ifdef __cplusplus
extern "C" {
#endif

enum on_delete { ON_DELETE_SOFT, ON_DELETE_HARD, ON_DELETE_IGNORE };
/* What may happen to a table that the sink made when its source's columns change; each level does
 * what the ones before it do. */
enum evolve {
    EVOLVE_NONE,
    EVOLVE_ADD,   /* new columns */
    EVOLVE_WIDEN, /* types that hold more, NOT NULL dropped */
    EVOLVE_FULL,  /* a column with an incompatible type is made anew, and the old one is kept
                     under another name */
};
enum on_truncate { ON_TRUNCATE_IGNORE, ON_TRUNCATE_APPLY };
/* A record without a value: a delete of its key, or nothing. */
enum on_tombstone { ON_TOMBSTONE_APPLY, ON_TOMBSTONE_IGNORE };
/* Tables without a key: find the row of an update or delete by its before image (an insert is an
 * insert); or append every change as a row; or refuse them. */
enum keyless { KEYLESS_MATCH_BEFORE, KEYLESS_APPEND, KEYLESS_REJECT };

/* A row that a trigger, or another function of the table's own, refuses. */
enum on_trigger_error { ON_TRIGGER_ERROR_DEAD_LETTER, ON_TRIGGER_ERROR_STOP };

/* Updates that carry large values: whether the target compares them with those it has before it
 * writes. */
enum skip_unchanged { SKIP_UNCHANGED_AUTO, SKIP_UNCHANGED_ALWAYS, SKIP_UNCHANGED_NEVER };

/* What a table's changes become: the rows as they are now, every change as a row, or both. */
enum table_mode { MODE_AUTO, MODE_UPSERT, MODE_HISTORY, MODE_BOTH };
enum history_images { IMAGES_AFTER, IMAGES_BOTH };
enum history_partition { PARTITION_NONE, PARTITION_DAY, PARTITION_MONTH };

/* The append-only table beside a table, or in its place. */
struct history_settings {
    bool on;          /* first: `history: true` sets it */
    const char *name; /* "": the table's own and _cdc; as table_settings.target otherwise */
    const char *prefix; /* of the columns that the sink adds, "" for none */
    enum history_images images;
    enum history_partition partition;
    int64_t ahead;     /* partitions that are made before they are needed */
    const char *retain; /* partitions older than that are dropped, as "90 days"; "": none are */
    bool view;         /* makes <table>_asof */
    bool key_index;    /* an index on the source's key */
};

enum name_case { NAME_KEEP, NAME_LOWER };
enum nul { NUL_REJECT, NUL_STRIP };             /* U+0000 in text, which PostgreSQL does not have */
enum zero_dates { ZERO_DATES_NULL, ZERO_DATES_REJECT };
/* Which values may be rounded to the digits that their column has. */
enum inexact { INEXACT_REJECT, INEXACT_NANOSECONDS, INEXACT_ROUND };

struct transform_settings;

/* What holds for a table: the pipeline's defaults overlaid by the table's own entry. */
struct table_settings {
    const char
        *name; /* the source's "table" or "database.table" or "schema.table", or a regular
                  expression that begins with ^; "" in defaults */
    void *pattern; /* the name compiled, a regex_t; NULL: the name is not a pattern */
    /* Both may hold ${topic}, ${db}, ${schema} and ${table}. */
    const char *schema;  /* target schema when `target` names none */
    const char *target;  /* "table" or "schema.table" in the target; "": the source's name */
    enum name_case fold; /* of names that come from the source */
    struct strings key;  /* empty: the record's own key */
    struct strings topics; /* that carry only this table: names, or patterns that begin with ^ */
    bool skip;
    enum table_mode mode;
    struct history_settings history;
    bool outbox; /* what is changed in the target's table goes into its outbox too */
    bool create_tables;
    enum evolve evolve;
    enum on_delete on_delete;
    enum on_truncate on_truncate;
    enum on_tombstone on_tombstone;
    enum keyless keyless;
    enum on_trigger_error on_trigger_error;
    enum skip_unchanged skip_unchanged;
    enum nul nul;
    enum zero_dates zero_dates;
    enum inexact inexact;
    const char *cdc_operation; /* column names; "": off */
    const char *cdc_timestamp;
    struct properties renames; /* by source column: the target's */
    struct strings exclude; /* source column names */
    struct strings include; /* empty: all */
    struct strings redact;  /* source column names whose values are shown nowhere else */
    struct properties source_types; /* by column, as source_type_parse() reads them */
    struct transform_settings *transforms; /* of this table, behind the pipeline's */
    size_t transform_count;
    struct quality_rule *quality; /* of this table, behind the pipeline's */
    size_t quality_count;
};

/* A record that can't be decoded or applied. */
enum on_error { ON_ERROR_DEAD_LETTER, ON_ERROR_STOP };

enum time_unit { UNIT_AUTO, UNIT_DAYS, UNIT_MS, UNIT_US, UNIT_NS };
enum decimal_mode { DECIMAL_AUTO, DECIMAL_PRECISE, DECIMAL_STRING, DECIMAL_DOUBLE };

/* Whether a JSON object is an envelope or a flattened row: told by its members, or always one of
 * them. */
enum source_shape { SHAPE_AUTO, SHAPE_ENVELOPE, SHAPE_FLATTENED };
/* What ExtractNewRecordState adds to flattened rows, as its own settings say it. */
struct metadata_settings {
    const char *add_fields, *add_fields_prefix;
    const char *add_headers, *add_headers_prefix;
};

/* What a record without schema does not say about itself. */
struct source_settings {
    enum source_shape shape;
    const char
        *connector; /* mysql mariadb vitess postgresql sqlserver oracle db2 informix, "": as the
                       record says */
    enum time_unit timestamp_unit; /* auto: Debezium's default by precision */
    enum time_unit time_unit;
    enum decimal_mode decimals;
    const char *unavailable_value; /* "__debezium_unavailable_value" */
    const char *op_field; /* of a plain JSON row: says the operation; "": none */
    const char *schema_topic;      /* the connector's schema changes; "": not read */
    struct metadata_settings metadata;
};

/* Where a pipeline's records come from. */
struct input_settings {
    const char *type;
    const void *own; /* the type's own settings, as its source_ops says; NULL: it has none */
};

struct transform_settings {
    const char *type;
    const void *own; /* the type's own settings, as its transform_ops says */
    struct strings tables; /* only changes of these; empty: of all */
    bool rekey;            /* it may change what is in the key */
    const char *file;      /* where it stands */
    int line;
};

/* How the target is compared with its source. */
enum verify_mode { VERIFY_FULL, VERIFY_SAMPLE, VERIFY_COUNTS };

/* The daemon does it by itself. */
struct verify_settings {
    int64_t every_ms; /* 0: it does not */
    enum verify_mode mode;
    int64_t sample;
};

/* Where the schemas are that records name by their ids. */
struct registry_settings {
    const char *url; /* several are separated by commas; "": none */
    const char *user, *password, *token;
    const char *ca, *client_cert, *client_key; /* files; "": none */
    int64_t timeout_ms;
    int64_t cache;      /* schemas */
    int64_t unknown_ms; /* how long an id is asked for that the registry does not know */
};

struct pipeline_settings {
    const char *name;
    struct input_settings input;
    struct strings topics; /* names, or regular expressions that begin with ^ */
    const char *format;
    const char *target;   /* a target's name */
    const char *database; /* a database's name: where its rows come from; "": it is not known */
    const char *connect; /* a cluster of Kafka Connect, whose connectors write its topics; "": the
                            group `connect` */
    const char *group_id; /* resolved: never "" */
    int64_t lanes;        /* resolved */
    enum on_error on_error;
    struct verify_settings verify;
    struct quality_settings quality;
    struct source_settings source;
    struct registry_settings registry; /* resolved */
    struct transform_settings *transforms; /* in the order in which they are applied */
    size_t transform_count;
    struct table_settings defaults;
    struct table_settings *tables; /* merged over the defaults */
    size_t table_count;
    const struct derived_settings *derived; /* of all targets: what rows leave marks for */
    size_t derived_count;
    const char *file; /* for messages: where it stands */
    int line;
};

/* Does the table have its rows as they are now, and a row for each change? */
static inline bool table_keeps_rows(const struct table_settings *table)
{
    return !table->skip && table->mode != MODE_HISTORY;
}

static inline bool table_keeps_history(const struct table_settings *table)
{
    bool on = table->mode == MODE_AUTO ? table->history.on : table->mode != MODE_UPSERT;
    return !table->skip && on;
}

bool strings_contain(const struct strings *strings, const char *text);

/* NULL: no property has that name. If it is there twice, the last one counts. */
const char *properties_find(const struct properties *properties, const char *name);

/* Is the name "schema.table"? `schema` is the source's, or its database where it has none. */
bool table_name_is_qualified(const char *name, const char *schema, const char *table);
/* Is the topic one of the pipeline's, by name or pattern? Compiles patterns: cold. */
bool pipeline_reads(const struct pipeline_settings *pipeline, const char *topic);

/* The entry for a source table, or the pipeline's defaults. `schema` is the source's schema, or its
 * database where it has none. "schema.table" entries win over "table" ones, and those over the
 * first pattern that matches either. */
const struct table_settings *pipeline_table(const struct pipeline_settings *pipeline,
                                            const char *schema, const char *table);

/* The entry whose `topics` contain the topic; a name goes before a pattern. NULL: none. *other: a
 * second entry with a pattern that matches, NULL if there is only one. Compiles the patterns, so it
 * is not for the hot path. */
const struct table_settings *pipeline_table_of_topic(const struct pipeline_settings *pipeline,
                                                     const char *topic,
                                                     const struct table_settings **other);

#ifdef __cplusplus
}
#endif

#endif
