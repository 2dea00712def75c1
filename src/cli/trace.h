/* What the files of `ods-sink trace` share: trace.c (the command, in which order), trace_key.c (in
 * which partitions), trace_read.c (the row's records), trace_letters.c, trace_orders.c (pause and
 * skip-until), trace_states.c (what has become of the records), trace_verdict.c (why the row is as
 * it is), trace_source.c (the row at the source), trace_show.c and trace_json.c.
 */
#ifndef TRACE_H
#define TRACE_H

typedef struct json_t json_t;

#include "cli/cli.h"
#include "cli/letter_store.h"
#include "cli/row_key.h"
#include "cli/table_choice.h"
#include "pipeline/worker.h"
#include "sink/postgres/read/row.h"
#include "source/kafka/kafka_tool.h"

/* What has become of a record. */
enum trace_state {
    TRACE_APPLIED,  /* the last one of its partition below the stored offset */
    TRACE_FOLDED,   /* a later change of the row, in the same partition, is below it too */
    TRACE_WAITING,  /* a dead letter */
    TRACE_REPLAYED, /* was one, and has been applied */
    TRACE_SKIPPED,  /* is one that an operator has put away */
    TRACE_PASSED,   /* no change for the target */
    TRACE_LOST,     /* below the stored offset, can't be read, and no letter tells of it */
    TRACE_AHEAD,    /* not applied yet */
    TRACE_STATES
};
const char *trace_state_name(enum trace_state state);

struct trace_letter {
    int32_t partition; /* in the dead-letter topic */
    int64_t offset, time_ms;
    char *stage, *code, *reason;
    int64_t mark; /* OFFSET_NONE: it waits */
};

/* A record of the row, or one that may be. */
struct trace_entry {
    size_t place; /* index into trace.places */
    int64_t offset, time_ms;
    json_t *change; /* what it decodes to, for people; NULL: it can't be read, or is none */
    enum change_op op;
    bool truncates;
    bool unreadable;
    bool maybe; /* its key can't be read either, but the row's key stands in its bytes */
    bool passed;
    enum pass_reason why_passed;
    bool left_out; /* of a table that tables.yaml leaves out */
    char *problem; /* why it is unreadable */
    bool has_letter;
    bool closed; /* an encrypted letter: only its place tells whose it may be */
    struct trace_letter letter;
    bool from_letter; /* the topic has it no more, or not in a partition that was read */
    size_t bytes;
    enum trace_state state;
    char *note; /* for people */
};

struct trace_entries {
    struct trace_entry *items;
    size_t count, capacity, bytes;
    uint64_t dropped; /* the oldest, beyond what is kept */
};

/* A partition of one of the table's topics. */
struct trace_place {
    const char *topic;
    size_t topic_number;
    int32_t partition;
    int64_t low, high; /* of the partition */
    int64_t start;     /* where reading begins: low, or --from */
    int64_t upto;      /* records below it have been read */
    int64_t stored;    /* OFFSET_NONE: the target has none */
    bool wanted;
    struct expected_row expected;
    const char *paused; /* by whom and why; NULL: it is not */
};

/* Records that an operator had passed over. */
struct trace_skip {
    size_t place;
    int64_t from, upto;
    char *text; /* since when, by whom, why */
};

struct trace {
    /* options */
    const char *config, *text, *pipeline, *from;
    struct strings given_key, key_files;
    int64_t timeout_ms;
    bool json;

    bool to_erase; /* a row of any target that can erase one */

    const struct terminal *terminal;
    struct progress progress;
    struct config *loaded;
    const struct settings *settings;
    struct table_choice choice;
    struct reader *reader;          /* NULL: the target is none that is read */
    const struct read_table *table; /* NULL: not there */
    struct row_key key;
    char *key_text;
    struct keyed_row *row;

    struct kafka_tool *tool;
    struct worker_origin origin;
    struct format_helper *helper;
    struct worker worker;
    struct batch *batch, *key_batch;
    struct letter_keys keys; /* of encrypted letters */
    bool opened;             /* the record that is looked at was one: free() frees its owner */

    struct choice_topics topics;
    struct trace_place *places;
    size_t place_count;
    bool told;              /* the partition is known by the key */
    char *raw_keys[8];      /* of records that were the row's */
    size_t raw_lengths[8];
    size_t raw_count;

    struct trace_entries entries; /* of the topics, in order per partition */
    struct trace_entries letters;
    struct trace_skip *skips;
    size_t skip_count;
    struct letter_store store; /* of dead letters; without a name: there are none */
    int64_t *letters_upto;     /* by partition of the dead-letter topic; of a table: its ids */
    int32_t letter_partitions;
    uint64_t scanned, unreadable; /* records; those of other rows that can't be read */
    uint64_t closed;              /* letters of these topics that no key opens */
    int64_t from_offset, from_us; /* of --from; -1, INT64_MIN: not given */

    struct row_look look;
    json_t *source;         /* the row at the source; NULL: not known */
    const char *source_why; /* why not */
    int members; /* of the consumer group, -1: not known */

    char *columns_left_out; /* of the last applied change */
    const char *verdict;    /* a word for programs */
    bool good;              /* the row is as the source's records say */
    struct buffer sentence;
};

/* Everything up to the list of places; then where they end. */
int trace_open(struct trace *trace, struct error *error);
int trace_ask_ends(struct trace *trace, struct error *error);
void trace_done(struct trace *trace);

/* Which partitions hold the row's records: trace.places[].wanted. A cli_exit, as all of these. */
int trace_choose_partitions(struct trace *trace, struct error *error);

/* What the record says of the row, into *entry where it is *found. The record's owner is the
 * batch's afterwards. `apart`: out of its topic's order. *change: in trace->batch, UINT32_MAX:
 * none. */
enum ods_status trace_look(struct trace *trace, const struct record *record, bool apart,
                           struct trace_entry *entry, uint32_t *change, bool *found,
                           struct error *error);
/* Takes the entry over, also when it fails. */
bool trace_keep(struct trace_entries *entries, const struct trace_entry *entry);
void trace_drop(struct trace_entries *entries, size_t index);
void trace_entry_done(struct trace_entry *entry);

/* Where the record of a letter stood; SIZE_MAX: in no topic of this table. */
size_t trace_letter_place(const struct trace *trace, const struct record *letter);
/* What a letter of that place says of the row, as trace_look() does. *closed: it is encrypted, and
 * no key opens it. Takes the letter's owner over. */
enum ods_status trace_look_letter(struct trace *trace, const struct record *letter, size_t place,
                                  struct trace_entry *entry, bool *found, bool *closed,
                                  struct error *error);
/* Finds out where letters are. A cli_exit, as those below. */
int trace_open_letters(struct trace *trace, struct error *error);
/* Letters that came since the last call. */
int trace_read_letters(struct trace *trace, struct error *error);
/* What has become of them. Inside of a reader's transaction. */
int trace_read_marks(struct trace *trace, struct error *error);
/* What operators have ordered about the topics. */
int trace_read_orders(struct trace *trace, struct error *error);
const struct trace_skip *trace_skip_of(const struct trace *trace, size_t place, int64_t offset);

struct trace_entry *trace_letter_of(struct trace *trace, size_t place, int64_t offset);

/* From each wanted partition's upto to its high. */
int trace_read_topics(struct trace *trace, struct error *error);

/* The row as the source has it. */
int trace_read_source(struct trace *trace, struct error *error);

/* One list of entries, oldest first, each with its state and note. False: out of memory. */
bool trace_set_states(struct trace *trace);
bool trace_is_in(const struct trace_entry *entry); /* it changed the row in the target */
const char *trace_pass_text(const struct trace_entry *entry);

/* All of that, and the sentence. */
int trace_judge(struct trace *trace, struct error *error);

int trace_print(struct trace *trace, struct error *error);
int trace_print_json(struct trace *trace, struct error *error);

/* "2026-01-31 12:00:00Z"; "?" below 0. */
void trace_time(char text[40], int64_t ms);

#endif
