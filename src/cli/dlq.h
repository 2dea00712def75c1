/* What the files of `ods-sink dlq` share: dlq.c (the command line), dlq_letters.c (reading the
 * dead-letter topic, and what has become of each letter), dlq_show.c (list, show), dlq_replay.c
 * (replay, skip). */
#ifndef DLQ_H
#define DLQ_H

#include <jansson.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/letter.h"
#include "cli/letter_store.h"
#include "pipeline/worker.h"
#include "sink/postgres/letters/letters.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

/* What has become of a letter: a number that the target keeps, OFFSET_NONE while there is none. */
#define MARK_SKIPPED 0 /* from 1 on: how many times it was replayed */

/* A dead letter: where it stands in the dead-letter topic, and what its headers say of the record.
 */
struct letter {
    int32_t partition;
    int64_t offset, time_ms;
    const char *pipeline, *topic, *stage, *code;
    const char *reason; /* the error, cut */
    int32_t record_partition;
    int64_t record_offset, record_time_ms;
    const char *identity; /* of a record of a queue, whose offset is of one delivery; NULL: none */
    size_t identity_length;
    struct route *route; /* NULL: its pipeline is not configured any more */
    int64_t mark;
    bool wanted; /* by the filter */
    bool copy;   /* the same record has a later letter, which counts */
};

/* A pipeline of the configuration, and its target under the group of replays. */
struct route {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    char *group; /* "<the pipeline's>.dlq" */
    struct worker worker;
    struct worker_origin origin;
    struct format_helper *helper; /* NULL: there is none */
    struct batch *batch;
    int64_t wait_ms;
    struct error refusal; /* why the last letter was refused */
    bool refused;
};

struct offset_range {
    int64_t first, last; /* last -1: any */
};

/* What a letter is about. */
struct dlq_record {
    struct record record;
    void (*release)(void *owner);
    letter_headers_of *headers;
    bool opened; /* it was encrypted */
    bool taken;  /* its owner is a batch's */
};

struct filter {
    const char *pipeline, *topic, *stage, *code, *reason;
    int64_t partition;     /* -1: any */
    struct offset_range offsets;
    int64_t since_us;      /* of the letter, INT64_MIN: any */
    int64_t letter_offset; /* in the dead-letter topic, -1: any */
};

struct dlq {
    const char *config;
    struct filter filter;
    bool json, all, places, again, force;
    int64_t wait_ms;
    const char *which; /* show: the letter */
    struct strings key_files;

    const struct terminal *terminal;
    struct config *loaded;
    const struct settings *settings;
    struct letter_store store;
    struct route *routes;
    size_t route_count;
    struct arena arena;     /* texts of the letters */
    struct letter *letters; /* wanted ones, by partition and offset */
    size_t count, capacity;
    uint64_t foreign; /* records in the topic that ods-sink did not write */
    uint64_t copies;
    struct letter_keys keys;
    struct letter_place *erased; /* letters that `erase` took */
    size_t erased_count, erased_capacity;
};

struct letter_place {
    int32_t partition;
    int64_t offset;
};

/* Read the dead-letter topic and ask the targets; an exit code. */
int dlq_load(struct dlq *dlq, struct error *error);
void dlq_done(struct dlq *dlq);

/* Read letters [0, count) that `chosen` answers true for once more, whole. take() owns the record's
 * owner and answers false to end. */
enum ods_status dlq_read(struct dlq *dlq, bool (*chosen)(const struct dlq *, const struct letter *),
                         bool (*take)(void *context, struct letter *letter,
                                      const struct record *record),
                         void *context, struct error *error);

/* The key under which the target keeps what has become of a letter: as if each were a partition of
 * its own. It names the time too, so that a topic made anew starts afresh. In the arena; NULL when
 * out of memory. */
const char *dlq_mark_topic(const char *store, struct arena *arena, const struct letter *letter);

/* The letter's record: the message itself, or what is encrypted in it, which takes its place; the
 * message's owner is freed then. ODS_REJECT: it can't be opened. */
enum ods_status dlq_open(const struct dlq *dlq, const struct record *message,
                         struct dlq_record *record, struct error *error);
void dlq_record_done(struct dlq_record *record);
/* That record, decoded into the route's empty batch; the batch owns its owner on ODS_OK and
 * ODS_REJECT, which says that it can't be decoded. */
enum ods_status dlq_decode(struct letter *letter, struct dlq_record *record, struct error *error);

const char *dlq_state(const struct letter *letter);

int dlq_replay(struct dlq *dlq, struct error *error);
int dlq_skip(struct dlq *dlq, struct error *error);

#endif
