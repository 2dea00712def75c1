/* How far a pipeline has come. See arrival.h. */
#include "verify/arrival.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "sink/postgres/wire/own_schema.h"
#include "source/kafka/kafka.h"
#include "sql/postgres/offsets_read.h"
#include "verify/tail.h"

#define TAIL_RECORDS 20
#define PAUSE_US     250000
#define LISTED_US    INT64_C(10000000)

void arrival_init(struct arrival *arrival, const struct verify_options *options,
                   const struct pipeline_settings *pipeline, struct target *target)
{
    *arrival = (struct arrival){.options = options,
                                  .pipeline = pipeline,
                                  .target = target,
                                  .newest_us = INT64_MIN};
}

static void forget_topics(struct arrival *arrival)
{
    for (size_t i = 0; i < arrival->count; i++) {
        free(arrival->topics[i].name);
        free(arrival->topics[i].seen);
        free(arrival->topics[i].ends);
        free(arrival->topics[i].stored);
    }
    free(arrival->topics);
    arrival->topics = NULL;
    arrival->count = 0;
}

void arrival_done(struct arrival *arrival)
{
    forget_topics(arrival);
    held_done(&arrival->held);
    kafka_tool_close(arrival->tool);
    arrival->tool = NULL;
}

/* --- topics and offsets --------------------------------------------------------------------- */

struct listing {
    struct arrival *arrival;
    bool failed;
};

static struct topic_tail *find_topic(struct arrival *arrival, const char *name)
{
    for (size_t i = 0; i < arrival->count; i++)
        if (strcmp(arrival->topics[i].name, name) == 0)
            return &arrival->topics[i];
    return NULL;
}

static bool resize(int64_t **numbers, int32_t from, int32_t to, int64_t fill)
{
    int64_t *larger = realloc(*numbers, ((size_t) to + 1) * sizeof *larger);
    if (!larger)
        return false;
    for (int32_t i = from; i < to; i++)
        larger[i] = fill;
    *numbers = larger;
    return true;
}

static void take_topic(void *context, const char *name, int32_t partitions)
{
    struct listing *listing = context;
    struct arrival *arrival = listing->arrival;
    struct topic_tail *topic = find_topic(arrival, name);
    if (!topic) {
        struct topic_tail *larger =
            realloc(arrival->topics, (arrival->count + 1) * sizeof *larger);
        char *copy = strdup(name);
        if (larger)
            arrival->topics = larger;
        if (!larger || !copy) {
            free(copy);
            listing->failed = true;
            return;
        }
        topic = &larger[arrival->count++];
        *topic = (struct topic_tail){.name = copy};
    }
    if (partitions > topic->partitions) {
        listing->failed |= !resize(&topic->seen, topic->partitions, partitions, 0) ||
                           !resize(&topic->ends, topic->partitions, partitions, 0) ||
                           !resize(&topic->stored, topic->partitions, partitions, -1);
        topic->partitions = listing->failed ? topic->partitions : partitions;
    }
}

static enum ods_status list_topics(struct arrival *arrival, struct error *error)
{
    struct listing listing = {.arrival = arrival};
    int64_t now = time_monotonic_us();
    if (!arrival->tool) {
        enum ods_status status = kafka_tool_open(&arrival->tool, arrival->options->settings,
                                                 arrival->pipeline->group_id, error);
        if (status != ODS_OK)
            return status;
    }
    if (arrival->count && now - arrival->listed_us < LISTED_US)
        return ODS_OK;
    enum ods_status status =
        kafka_tool_topics(arrival->tool, arrival->pipeline, take_topic, &listing, error);
    if (status == ODS_OK && listing.failed)
        status = error_out_of_memory(error);
    arrival->listed_us = now;
    return status;
}

static enum ods_status read_ends(struct arrival *arrival, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < arrival->count; i++) {
        struct topic_tail *topic = &arrival->topics[i];
        for (int32_t p = 0; status == ODS_OK && p < topic->partitions; p++) {
            int64_t low, high;
            status = kafka_tool_ends(arrival->tool, topic->name, p, &low, &high, error);
            if (status == ODS_OK) /* 0: an empty partition has nothing to apply */
                topic->ends[p] = low < high ? high : 0;
        }
    }
    return status;
}

static enum ods_status read_stored(struct arrival *arrival, struct error *error)
{
    const char *group[] = {arrival->pipeline->group_id};
    PGresult *rows = NULL;
    enum ods_status status = target_ready(arrival->target, error);
    if (status == ODS_OK)
        status = own_query(&arrival->target->conn, sql_offsets_read, 1, group, &rows, error);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++) {
        struct topic_tail *topic = find_topic(arrival, PQgetvalue(rows, i, 0));
        int32_t partition = (int32_t) strtol(PQgetvalue(rows, i, 1), NULL, 10);
        if (topic && partition < topic->partitions)
            topic->stored[partition] = strtoll(PQgetvalue(rows, i, 2), NULL, 10);
    }
    PQclear(rows);
    if (status == ODS_OK)
        status = held_read(&arrival->held, &arrival->target->conn, arrival->pipeline->group_id,
                           error);
    for (size_t i = 0; i < arrival->count; i++)
        arrival->topics[i].held = held_topic(&arrival->held, arrival->topics[i].name) != NULL;
    return status;
}

enum ods_status arrival_look(struct arrival *arrival, struct error *error)
{
    enum ods_status status = list_topics(arrival, error);
    if (status == ODS_OK)
        status = read_ends(arrival, error);
    return status == ODS_OK ? read_stored(arrival, error) : status;
}

enum ods_status arrival_lag(struct arrival *arrival, int64_t *records, struct error *error)
{
    enum ods_status status = arrival_look(arrival, error);
    *records = 0;
    for (size_t i = 0; status == ODS_OK && i < arrival->count; i++)
        for (int32_t p = 0; !arrival->topics[i].held && p < arrival->topics[i].partitions; p++) {
            const struct topic_tail *topic = &arrival->topics[i];
            int64_t stored = topic->stored[p] > 0 ? topic->stored[p] : 0;
            *records += topic->ends[p] > stored ? topic->ends[p] - stored : 0;
        }
    return status;
}

/* --- what records say about the connector --------------------------------------------------- */

static bool take_record(void *context, const struct record *record)
{
    struct arrival *arrival = context;
    struct told told;
    tail_read(record->value, record->value_length,
              arrival->pipeline->source.metadata.add_fields_prefix, &told);
    if (told.is_change && told.time_us > arrival->newest_us)
        arrival->newest_us = told.time_us;
    if (told.place.known && (!arrival->newest.known ||
                             source_place_compare(&told.place, &arrival->newest) > 0))
        arrival->newest = told.place;
    kafka_release(record->owner);
    return true;
}

static bool records_passed(const struct arrival *arrival, const struct source_place *place)
{
    return (arrival->newest_us != INT64_MIN && arrival->newest_us > place->clock_us) ||
           (place->known && arrival->newest.known &&
            source_place_compare(&arrival->newest, place) >= 0);
}

/* Reads the last records of each partition that were not read yet, until one is past the place. */
static enum ods_status read_tails(struct arrival *arrival, const struct source_place *place,
                                  struct error *error)
{
    enum ods_status status = list_topics(arrival, error);
    if (status == ODS_OK)
        status = read_ends(arrival, error);
    for (size_t i = 0; status == ODS_OK && i < arrival->count && !records_passed(arrival, place);
         i++) {
        struct topic_tail *topic = &arrival->topics[i];
        bool grown = false;
        for (int32_t p = 0; p < topic->partitions; p++) {
            grown |= topic->ends[p] > topic->seen[p];
            if (topic->seen[p] < topic->ends[p] - TAIL_RECORDS)
                topic->seen[p] = topic->ends[p] - TAIL_RECORDS;
        }
        if (!grown)
            continue;
        status = kafka_tool_read(arrival->tool, topic->name, topic->seen, take_record, arrival,
                                 error);
        for (int32_t p = 0; status == ODS_OK && p < topic->partitions; p++)
            topic->seen[p] = topic->ends[p];
    }
    return status;
}

enum ods_status arrival_newest(struct arrival *arrival, struct error *error)
{
    static const struct source_place never = {.clock_us = INT64_MAX};
    enum ods_status status = read_tails(arrival, &never, error);
    kafka_tool_close(arrival->tool);
    arrival->tool = NULL;
    return status;
}

bool arrival_any(const struct arrival *arrival)
{
    bool any = false;
    for (size_t i = 0; i < arrival->count; i++)
        for (int32_t p = 0; p < arrival->topics[i].partitions; p++)
            any |= arrival->topics[i].ends[p] > 0;
    return any;
}

/* Has the connector sent everything that the source had at the place? */
static enum ods_status connector_passed(struct arrival *arrival, struct database *database,
                                        const struct source_table *table,
                                        const struct source_place *place, bool *passed,
                                        struct error *error)
{
    enum touched touched = TOUCHED_UNKNOWN;
    char why[400] = "";
    enum ods_status status = read_tails(arrival, place, error);
    *passed = records_passed(arrival, place);
    if (status != ODS_OK || *passed)
        return status;
    if (place->known)
        status = database->ops->confirmed(database, place, passed, why, sizeof why, error);
    if (status == ODS_OK && !*passed && place->known && arrival->newest.known)
        status = database->ops->touched(database, table, &arrival->newest, place, &touched, why,
                                        sizeof why, error);
    *passed |= touched == TOUCHED_NO;
    if (*passed)
        return status;
    if (touched == TOUCHED_YES)
        snprintf(why, sizeof why,
                 "the connector is behind: its newest record is of %.80s:%llu, the source is at "
                 "%.80s:%llu and has changed the table in between",
                 arrival->newest.file, (unsigned long long) arrival->newest.position,
                 place->file, (unsigned long long) place->position);
    else if (!place->known)
        snprintf(why, sizeof why, "%.250s", place->why);
    else if (!arrival->newest.known && !*why)
        snprintf(why, sizeof why,
                 "no record tells a place in the source's log (flattened records do so with "
                 "add.fields=…,source.file,source.pos or source.lsn)");
    snprintf(arrival->why, sizeof arrival->why,
             "whether the connector has sent all that the source has can't be told: %s",
             *why ? why : "no newer record has come");
    return status;
}

/* --- what the target has -------------------------------------------------------------------- */

static bool take_any(void *context, const struct record *record)
{
    *(bool *) context = true;
    kafka_release(record->owner);
    return false;
}

/* Are there records between the stored offset and the end? There may be none, as the markers of
 * transactions take offsets too. */
static enum ods_status holds_records(struct arrival *arrival, const struct topic_tail *topic,
                                     int32_t partition, bool *holds, struct error *error)
{
    int64_t *froms = calloc((size_t) topic->partitions + 1, sizeof *froms);
    if (!froms)
        return error_out_of_memory(error);
    for (int32_t p = 0; p < topic->partitions; p++)
        froms[p] = INT64_MAX;
    froms[partition] = topic->stored[partition];
    *holds = false;
    enum ods_status status =
        kafka_tool_read(arrival->tool, topic->name, froms, take_any, holds, error);
    free(froms);
    return status;
}

static enum ods_status find_behind(struct arrival *arrival, const struct source_table *table,
                                   bool closely, bool *reached, struct error *error)
{
    enum ods_status status = read_stored(arrival, error);
    *reached = !held_table(&arrival->held, table->database, table->schema, table->name,
                           arrival->why, sizeof arrival->why);
    for (size_t i = 0; status == ODS_OK && *reached && i < arrival->count; i++) {
        const struct topic_tail *topic = &arrival->topics[i];
        for (int32_t p = 0; status == ODS_OK && *reached && !topic->held && p < topic->partitions;
             p++) {
            bool behind = topic->stored[p] < topic->ends[p] && topic->ends[p];
            if (behind && closely && topic->stored[p] >= 0)
                status = holds_records(arrival, topic, p, &behind, error);
            if (!behind)
                continue;
            *reached = false;
            snprintf(arrival->why, sizeof arrival->why,
                     "the pipeline is behind: of topic %.200s, partition %d, %lld records are not "
                     "in the target yet",
                     topic->name, (int) p,
                     (long long) (topic->ends[p] - (topic->stored[p] > 0 ? topic->stored[p] : 0)));
        }
    }
    return status;
}

enum ods_status arrival_wait(struct arrival *arrival, struct database *database,
                              const struct source_table *table, const struct source_place *place,
                              int64_t wait_ms, bool *passed, struct error *error)
{
    int64_t began = time_monotonic_us(), deadline = began + wait_ms * 1000;
    bool sent = false, closely = false;
    enum ods_status status = ODS_OK;
    *passed = false;
    *arrival->why = '\0';
    for (;;) {
        if (!sent) {
            status = connector_passed(arrival, database, table, place, &sent, error);
            /* Records sent before the one that proves it may not have reached their partitions
             * yet. */
            if (status == ODS_OK && sent) {
                usleep(PAUSE_US);
                status = read_ends(arrival, error);
            }
        }
        if (status == ODS_OK && sent)
            status = find_behind(arrival, table, closely, passed, error);
        if (status == ODS_RETRY) { /* Kafka or the target is away: that is the reason */
            snprintf(arrival->why, sizeof arrival->why, "%.500s", error->text);
            error_init(error);
            status = ODS_OK;
        }
        if (status != ODS_OK || *passed || time_monotonic_us() > deadline ||
            verify_stops(arrival->options))
            return status;
        closely = time_monotonic_us() - began > 2000000;
        usleep(PAUSE_US);
    }
}
