/* The Debezium decoder's own parts, shared by debezium*.c only.
 *
 * Memory: plans (compiled schemas and layouts) are kept per topic, the most recently used first,
 * and all dropped together when they pass a ceiling, then learned again. Shapes live as long as the
 * decoder (shape.h has their ceiling). One thread: the lane's consumer.
 */
#ifndef DEBEZIUM_H
#define DEBEZIUM_H

#include <ods/buffer.h>
#include <ods/format.h>

#include "config/settings.h"
#include "core/hash_index.h"
#include "core/json_scan.h"
#include <ods/shape.h>
#include "format/connect_schema.h"
#include "format/schema_registry/schema_registry.h"
#include "format/debezium/deletes.h"
#include "format/layout.h"
#include "format/metadata.h"
#include "format/protobuf/proto_record.h"
#include "format/schema_topic.h"
#include "format/unavailable.h"

#define PLANS_MAX    64 /* a list, one a topic and use */
#define BINDINGS_MAX 16 /* a plan: tables that share its columns */
struct avro_plan; /* debezium_avro.h */

#define LANGUAGE_AVRO     1U
#define LANGUAGE_PROTOBUF 2U

#define SILENT_MAX   16 /* a topic: tables of which one is told that they say no operation */

/* The table that a row belongs to. */
struct identity {
    struct slice connector, database, schema, table;
};

/* A plan's columns and a key, bound to a table: a shape. */
struct binding {
    uint64_t key_plan;                    /* 0: no key */
    const struct source_version *version; /* of the schema topic; NULL: the table is not in it */
    const struct shape *shape;
    uint32_t extra_count; /* the number of key columns that the row lacks; they follow its own */
    uint32_t *extra;      /* their indexes in the key's layout */
    /* Columns of the configured key that the record's key lacks: an update may change them. */
    uint32_t watched_count;
    uint32_t *watched;
};

/* What is known in advance about a record's bytes: its schema, or without one its members. */
struct plan {
    uint64_t id; /* never 0, never reused */
    char *text;  /* the schema's bytes; NULL without one */
    size_t text_length;
    bool flattened;
    struct blocks blocks;
    struct connect_schema schema;
    struct layout layout;
    struct avro_plan *avro; /* how its records are read; NULL: they are JSON */
    struct binding bindings[BINDINGS_MAX]; /* most recently used first */
    uint32_t binding_count;
    const struct shape *silent; /* the last shape that was checked for a missing operation */
};

struct plan_list {
    struct plan **items; /* most recently used first */
    uint32_t count;
};

/* The names of an object's members, in the order of the last such object, so that most names need
 * only be compared and not parsed. */
#define EXPECTED_NAMES 24
#define EXPECTED_BYTES 30
struct expected_name {
    uint8_t length;             /* 0: nothing learned yet */
    uint8_t member;             /* what it means to the reader */
    char token[EXPECTED_BYTES]; /* "name": */
};

enum untyped_kind { UNTYPED_UNKNOWN, UNTYPED_ENVELOPE, UNTYPED_ROW, UNTYPED_CLOUDEVENT };

struct topic {
    char *name;
    const char *seen_at; /* the source's own pointer, compared before the text */
    bool heartbeat;
    enum untyped_kind untyped;                   /* what its last record without a schema was */
    struct plan_list values, keys;               /* with schemas */
    struct plan_list value_layouts, key_layouts; /* without */
    struct plan_list avro_values, avro_keys;     /* of Avro schemas */
    struct expected_name envelope[EXPECTED_NAMES], source[EXPECTED_NAMES];
    const struct table_settings *entry, *rival; /* the entry, and a second one, whose `topics`
                                                   contain it; NULL: none */
    struct deletes deletes;
    bool forgetful; /* it was told that its Protobuf schema has no NULL */
    /* Tables whose rows do not say their operation and for which a notice was given: one shape of
     * each. */
    const struct shape *silent[SILENT_MAX];
    uint32_t silent_count;
};

struct debezium {
    struct decoder decoder;
    const struct pipeline_settings *pipeline; /* NULL: none */
    const char *connector; /* source.connector of the settings, "" when the record must say */
    enum source_shape shape;
    bool want_before, want_position;
    void (*notice)(void *context, const char *text);
    void *notice_context;
    bool *told; /* by entry of tables.yaml, the defaults last: has a notice been given? */
    struct metadata metadata; /* of flattened rows */
    struct unavailable unavailable;
    struct shape_table *shapes;
    struct schema_topic schema;
    bool avro, plain;   /* records name schemas of a registry; they are plain rows */
    unsigned languages; /* LANGUAGE_… of these schemas */
    struct schema_registry *registry; /* of Avro */
    struct schema_registry *own;      /* the same, where no helper has it */
    struct buffer json;               /* for what is nested in Avro */
    struct proto_room proto;
    struct hash_index topics; /* of struct topic, by name */
    struct topic *last_topic;
    struct batch *context; /* observed records are decoded into this batch; NULL: none yet */
    uint64_t last_plan_id;
    size_t plan_bytes;
};

/* The state of decoding one record. */
struct reading {
    struct debezium *self;
    struct batch *batch;
    uint32_t index;
    const struct record *record;
    struct topic *topic;
    struct error *error;
    struct layout_reader reader;
    enum tells tells; /* of its key's row */
    struct plan *key; /* NULL: the record has none, or none that is read yet */
    struct value *key_values;
    const char *key_problem; /* why the key is not an object with columns; NULL: it is */
    struct slice scalar;     /* the key as a single value, in JSON: of the one column that
                                tables.yaml names */
    struct slice scalar_schema;
    const struct source_position *position; /* of its changes; NULL: not told, or not wanted */
    int pass;                /* enum pass_reason once the record is known to be no row, else -1 */
};

/* --- debezium_plan.c --- */

struct topic *topic_find(struct debezium *self, const char *name); /* NULL: out of memory */
void topics_free(struct debezium *self);
void plans_trim(struct debezium *self); /* call between records only */

/* The plan whose schema is at the cursor, which moves past it; NULL: the schema is not known. */
struct plan *plan_match(struct plan_list *list, struct json_scan *scan);
/* The plan of this schema text, compiled if it is new. NULL: see *status and the error. */
struct plan *plan_of_schema(struct reading *reading, struct plan_list *list, struct slice text,
                            bool is_key, enum ods_status *status);
/* An empty plan, which goes into the list or is freed. NULL: memory is out. */
struct plan *plan_new(struct debezium *self);
void plan_free(struct plan *plan); /* NULL is fine */
/* Put a new plan first; a list that is full drops the least recently used one. False: memory is
 * out. */
bool plan_add(struct debezium *self, struct plan_list *list, struct plan *plan);
void plan_to_front(struct plan_list *list, uint32_t index);
/* The plan of the members of the object at the cursor, which does not move. */
struct plan *plan_of_object(struct reading *reading, struct plan_list *list, struct json_scan scan,
                            bool flattened, enum ods_status *status);

/* The shape of a plan's rows (bound to the record's key) in the table that identity names, as it
 * was at that time; NULL as above. `key` may be the plan itself: a row of the key alone. */
const struct binding *plan_bind(struct reading *reading, struct plan *plan, const struct plan *key,
                                const struct identity *identity, int64_t source_us,
                                enum ods_status *status);
/* A shape without columns, for truncates. */
const struct shape *bind_table(struct reading *reading, const struct identity *identity, bool typed,
                               enum ods_status *status);

/* --- debezium_identity.c --- */

/* Splits "prefix.database.table" and similar names, of a schema (without its last part) or a topic.
 */
void identity_of_name(struct identity *identity, struct slice name, struct slice connector);
/* Fill in what the record does not say, from tables.yaml, its value's schema (`plan`) or its topic.
 * False: the record contradicts what tables.yaml says about its topic; the error says how. */
bool identity_complete(const struct reading *reading, const struct plan *plan,
                       struct identity *identity);
/* The table of a tombstone of this topic, by the configuration; else by names, and then *derived is
 * true. False: it can't be told; the error says why. */
bool identity_of_tombstone(const struct reading *reading, struct identity *identity, bool *derived);
/* The entry of tables.yaml for the table; NULL: there are no settings. */
const struct table_settings *identity_settings(const struct reading *reading,
                                               const struct identity *identity);

/* --- debezium_key.c --- */

/* Reads the record's key into `reading`. */
enum ods_status key_read(struct reading *reading);
/* `text` as a JSON string; NULL bytes: memory is out. */
struct slice key_quote(struct arena *arena, const char *text, size_t length);
/* If the key is a single value, it becomes the value of the column that tables.yaml names for this
 * table, if it names exactly one. False: see *status and the error. */
bool key_resolve(struct reading *reading, const struct identity *identity,
                 enum ods_status *status);
/* For a key that can't be read: can the rows of this shape be identified without it? False: the
 * error says what is missing. */
bool key_may_be_bad(struct reading *reading, const struct shape *shape);
/* A record without a value. */
enum ods_status tombstone_read(struct reading *reading);

/* --- debezium_envelope.c --- */

struct image {
    const char *start;    /* NULL: null or not there */
    const char *end;      /* set with it */
    struct value *values; /* NULL: not decoded yet */
};

/* What an envelope says. */
struct envelope {
    struct image before, after;
    bool has_images, has_message, has_op, has_source;
    bool misfits;    /* a member has a type that an envelope's can't have, or belongs to
                        flattened rows */
    bool has_others; /* members that no envelope has */
    struct slice op;
    struct slice transaction; /* as JSON; NULL: none */
    struct source_position *position; /* filled as its source is read; NULL: nobody wants it */
    struct identity source;
    struct value source_ts[3], ts[3]; /* us, ns, ms */
};

enum envelope_answer { ENVELOPE_OK, ENVELOPE_NONE, ENVELOPE_FAILED };

/* Decode the envelope at the cursor. `plan` is what its rows are expected to be, NULL when nothing
 * is known. ENVELOPE_NONE: the object is no envelope. ENVELOPE_FAILED: *status, and the error or
 * scan->problem, say why. */
enum envelope_answer envelope_read(struct reading *reading, struct json_scan *scan,
                                   struct plan *plan, enum ods_status *status);
/* The image at the cursor. False: the error or scan->problem says why. */
bool envelope_read_image(struct reading *reading, struct json_scan *scan, bool before,
                         const struct plan *plan, struct envelope *envelope);
/* Append the change of an envelope whose members are read; `scan` ends after its images, and is not
 * used where the plan is Avro's. */
enum ods_status envelope_finish(struct reading *reading, const struct json_scan *scan,
                                struct plan *plan, struct envelope *envelope);
/* Is the before image likely to be needed? If it is not decoded now, it still can be later. */
bool envelope_expects_before(const struct reading *reading, const struct plan *plan);

/* The envelope is MongoDB's: it can't be read. */
enum ods_status document_refuse(struct reading *reading);

/* --- debezium.c --- */

/* Why a record of this kind makes no row change: messages, schema changes, transactions,
 * heartbeats. */
enum pass_reason debezium_pass(enum schema_kind kind);

/* --- debezium_cloudevent.c --- */

/* Decode the CloudEvent at the cursor; answers as envelope_read() does. */
enum envelope_answer cloudevent_read(struct reading *reading, struct json_scan *scan,
                                     enum ods_status *status);

/* --- debezium_row.c --- */

/* Decode the flattened row at the cursor. LAYOUT_OTHER: it has other members than the plan.
 * LAYOUT_BAD: *status, and the error or scan->problem, say why. */
enum layout_answer row_read(struct reading *reading, struct json_scan *scan, struct plan *plan,
                            enum ods_status *status);
/* Append the change of a flattened row that is read into `values` and `meta`. */
enum ods_status row_finish(struct reading *reading, struct plan *plan, struct value *values,
                           const struct value *meta);
enum change_op row_op(const struct value *meta); /* 0: it can't be told */
/* The table that a row belongs to, and its time, by its metadata. INT64_MIN: it does not tell the
 * time. */
struct identity row_identity(const struct value *meta);
int64_t row_time(const struct value *meta);
/* Decode the object at the cursor, which has no schema. */
enum ods_status untyped_read(struct reading *reading, struct json_scan *scan);

/* --- debezium_position.c --- */

/* An empty one in the batch's arena; NULL when memory is out. */
struct source_position *position_new(struct reading *reading);
/* Reads one of the members that tell the place in the source's log: lsn, file, pos, row, gtid,
 * txId, by their number. */
bool position_read(struct reading *reading, struct json_scan *scan, size_t member,
                   struct source_position *position);
/* Sets reading->position from what was read with the envelope's source, and its transaction, or a
 * flattened row's metadata. False: memory is out. */
bool position_of_envelope(struct reading *reading, const struct envelope *envelope);
bool position_of_row(struct reading *reading, const struct value *meta);

/* --- debezium_watched.c --- */

/* Append an update or a delete of a table with watched columns (binding->watched_count is not 0).
 * `before` NULL: it was not sent. */
enum ods_status watched_update(struct reading *reading, const struct binding *binding,
                               struct value *before, struct value *after, int64_t time);
enum ods_status watched_delete(struct reading *reading, const struct binding *binding,
                               struct value *before, int64_t time);

/* --- debezium_repeats.c --- */

/* Is one of the large values of a decoded update the same as in its before image? */
bool image_repeats(const struct plan *plan, const struct image *before, const struct image *after);

/* --- debezium_avro.c --- */

/* Read a record of a pipeline whose format is Avro: the key into `reading`, and the whole record.
 */
enum ods_status avro_read_key(struct reading *reading);
enum ods_status avro_read_record(struct reading *reading);
/* Decode an image of an Avro plan. False: *status and the error say why. */
bool avro_read_image(struct reading *reading, const struct plan *plan, struct image *image,
                     enum ods_status *status);
void avro_plan_free(struct avro_plan *plan); /* NULL is fine */
size_t avro_plan_bytes(const struct avro_plan *plan);

/* --- debezium.c --- */

/* A payload and what is known about it. */
struct payload {
    struct plan *plan;   /* of its schema; NULL: it has none, or is no object */
    bool wrapped;        /* the wrapper's brace follows it */
    struct slice schema; /* set if the whole wrapper was read */
};

/* Move the cursor to the payload: after the schema in a wrapped record, else it stays. */
enum ods_status payload_open(struct reading *reading, struct json_scan *scan,
                             struct plan_list *list, bool is_key, struct payload *payload);
/* False: something follows the payload that does not belong there; scan->problem says what. */
bool payload_close(struct json_scan *scan, const struct payload *payload);

/* Append a change of this row. The arrays of values have room for the key's columns after their
 * own. `before` or `after` may be NULL. */
enum ods_status change_append(struct reading *reading, const struct binding *binding,
                              enum change_op op, struct value *before, struct value *after,
                              int64_t source_us);
/* A delete of which only the key is known, from a tombstone or without its before image. */
enum ods_status change_append_key(struct reading *reading, const struct identity *identity,
                                  int64_t source_us);
struct value *values_alloc(struct reading *reading, const struct plan *plan);
/* A snapshot reads every value, so a text equal to the placeholder is a value there. From here on
 * the record is read that way; true if `values` (NULL: not read yet) must be read again. */
bool snapshot_differs(struct reading *reading, const struct plan *plan, const struct value *values);
/* Turn scan->problem into the error. */
enum ods_status scan_error(struct reading *reading, const struct json_scan *scan, const char *part);
enum ods_status no_memory(struct reading *reading);

/* The source's time in microseconds, given in one of three units; INT64_MIN if there is none. */
int64_t source_time(const struct value *us, const struct value *ns, const struct value *ms);

/* The time in a heartbeat, microseconds since 1970 UTC; 0: it has none. */
int64_t heartbeat_us(const struct record *record);

#endif
