/* Changes of tables of Delta Lake and Iceberg. source_ops say what each function answers.
 *
 * A table is a topic with one partition. Its position is kept by the target, so nobody has to be
 * told what is committed. What a version has changed is always read in the same order, so that a
 * position names the same change for ever.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include "source/lake/feed_reader.h"

struct lake_source {
    struct source base;
    struct source_config config;
    struct feed_reader reader;
    size_t turn; /* whose event is taken next */
    bool failed;
};

extern const struct source_ops delta_source_ops, iceberg_source_ops;

/* Of a topic that this source reads. */
static struct feed_table *table_of(struct lake_source *lake, const char *topic)
{
    struct feed_table *table = NULL;
    for (size_t i = 0; !table && i < lake->reader.count; i++)
        if (strcmp(lake->reader.tables[i].place.topic, topic) == 0)
            table = &lake->reader.tables[i];
    assert(table);
    return table;
}

/* --- taking ----------------------------------------------------------------------------------- */

/* With the mutex held. */
static enum source_event take(struct feed_reader *reader, struct feed_table *table,
                              struct record *record)
{
    struct feed_block *block = table->started || table->gap ? table->first : NULL;
    if (block) {
        size_t limit = (size_t) reader->settings->prefetch_bytes;
        table->first = block->next;
        if (!table->first)
            table->last = &table->first;
        if (table->bytes >= limit && table->bytes - block->bytes < limit)
            feed_nudge(reader);
        table->bytes -= block->bytes;
        table->fresh = false;
        *record = block->record;
        return SOURCE_RECORD;
    }
    record->topic = table->place.topic;
    if (table->gap) {
        table->gap = false;
        table->anew = true;
        return SOURCE_GAP;
    }
    if (table->started && table->end >= 0 && table->end == table->cursor &&
        table->end != table->told_end) {
        record->offset = table->told_end = table->end;
        return SOURCE_END;
    }
    return SOURCE_NOTHING;
}

/* Is it gone what it is to begin with? To begin once more would not help. */
static bool is_refused(const struct lake_source *lake, const struct feed_table *table,
                       struct error *error)
{
    if (!table->fresh)
        return false;
    error_set(error, ODS_FATAL,
              "topic %s can't begin where input.start has it (%s): %s; `ods-sink versions` lists "
              "the versions that there are, and snapshot begins with the newest one",
              table->place.topic, lake->reader.settings->start, table->gone.text);
    return true;
}

static enum source_event lake_next(struct source *source, struct record *record,
                                   struct error *error)
{
    struct lake_source *lake = (struct lake_source *) source;
    struct feed_reader *reader = &lake->reader;
    enum source_event event = SOURCE_NOTHING;
    if (lake->failed) {
        error_set(error, ODS_FATAL, "there is no thread to read the tables with");
        return SOURCE_FAILED;
    }
    pthread_mutex_lock(&reader->mutex);
    for (size_t i = 0; i < reader->count && event == SOURCE_NOTHING; i++) {
        lake->turn = (lake->turn + 1) % reader->count;
        struct feed_table *table = &reader->tables[lake->turn];
        event = take(reader, table, record);
        if (event == SOURCE_GAP && is_refused(lake, table, error))
            event = SOURCE_FAILED;
    }
    if (event == SOURCE_NOTHING && reader->has_failed) {
        *error = reader->failed;
        event = SOURCE_FAILED;
    }
    pthread_mutex_unlock(&reader->mutex);
    return event;
}

/* --- where to read ---------------------------------------------------------------------------- */

/* At 0 and before it there is nothing that was applied. */
static enum ods_status lake_start(struct source *source, struct place *places, size_t count,
                                  struct error *error)
{
    struct lake_source *lake = (struct lake_source *) source;
    struct feed_reader *reader = &lake->reader;
    pthread_mutex_lock(&reader->mutex);
    for (size_t i = 0; i < count; i++) {
        struct feed_table *table = table_of(lake, places[i].topic);
        int64_t from = places[i].offset > 0 ? places[i].offset
                       : table->anew        ? FEED_ANEW
                                            : FEED_BEGIN;
        table->told_end = -1;
        table->fresh = from < 0;
        table->anew = false;
        table->started = true;
        table->gap = false;
        if (from != (table->first ? table->first->record.offset : table->cursor) || from < 0) {
            feed_drop(table);
            table->cursor = from;
            table->end = -1;
        }
    }
    feed_nudge(reader);
    pthread_mutex_unlock(&reader->mutex);
    return ODS_OK;
}

static void lake_pause(struct source *source, const struct place *places, size_t count)
{
    struct lake_source *lake = (struct lake_source *) source;
    pthread_mutex_lock(&lake->reader.mutex);
    for (size_t i = 0; i < count; i++)
        table_of(lake, places[i].topic)->started = false;
    pthread_mutex_unlock(&lake->reader.mutex);
}

static void lake_ack(struct source *source, const struct place *places, size_t count, int wait_ms)
{
    const struct lake_source *lake = (const struct lake_source *) source;
    lake->config.events.acknowledged(lake->config.events.context, places, count);
}

static int64_t end_of(struct lake_source *lake, const char *topic)
{
    const struct feed_table *table = table_of(lake, topic);
    pthread_mutex_lock(&lake->reader.mutex);
    int64_t newest = table->newest;
    pthread_mutex_unlock(&lake->reader.mutex);
    return newest < 0 ? -1 : (newest + 1) * FEED_VERSION;
}

static int64_t lake_known_end(struct source *source, const char *topic, int32_t partition)
{
    return end_of((struct lake_source *) source, topic);
}

static enum ods_status lake_ends(struct source *source, const char *topic, int32_t partition,
                                 int64_t *low, int64_t *high, struct error *error)
{
    *low = 0;
    *high = end_of((struct lake_source *) source, topic);
    return ODS_OK;
}

/* Versions that are not applied whole. */
static int64_t lake_distance(int64_t from, int64_t upto)
{
    int64_t versions = upto / FEED_VERSION - from / FEED_VERSION;
    return versions > 0 ? versions : 0;
}

static void lake_explain(struct source *source, const char *topic, struct error *error)
{
    struct lake_source *lake = (struct lake_source *) source;
    const struct feed_table *table = table_of(lake, topic);
    pthread_mutex_lock(&lake->reader.mutex);
    error_set(error, ODS_FATAL,
              "topic %s: changes that are not applied yet can't be read any more: %s. What is left "
              "is to begin anew with a snapshot, to which `earliest` leads; rows that were deleted "
              "meanwhile stay in the target, so empty its table before",
              topic, table->gone.text);
    pthread_mutex_unlock(&lake->reader.mutex);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void lake_close(struct source *source)
{
    struct lake_source *lake = (struct lake_source *) source;
    if (!lake)
        return;
    feed_reader_done(&lake->reader);
    free(lake);
}

static enum ods_status lake_open(struct source **source, const struct source_config *config,
                                 struct error *error)
{
    enum ods_status status = feed_check_settings(config, error);
    struct lake_source *lake = status == ODS_OK ? calloc(1, sizeof *lake) : NULL;
    *source = NULL;
    if (status != ODS_OK)
        return status;
    if (!lake)
        return error_set(error, ODS_FATAL, "out of memory for a source");
    lake->base.ops = feed_is_iceberg(config) ? &iceberg_source_ops : &delta_source_ops;
    lake->config = *config;
    if (feed_reader_init(&lake->reader, &lake->config)) {
        *source = &lake->base;
        return ODS_OK;
    }
    lake_close(&lake->base);
    return error_set(error, ODS_FATAL, "out of memory for a source");
}

static void lake_join(struct source *source)
{
    struct lake_source *lake = (struct lake_source *) source;
    const struct source_events *events = &lake->config.events;
    for (size_t i = 0; i < lake->reader.count; i++)
        events->assigned(events->context, &lake->reader.tables[i].place, 1);
    lake->failed = !feed_reader_start(&lake->reader);
}

static void lake_leave(struct source *source)
{
    struct lake_source *lake = (struct lake_source *) source;
    const struct source_events *events = &lake->config.events;
    for (size_t i = 0; i < lake->reader.count; i++)
        events->revoked(events->context, &lake->reader.tables[i].place, 1, false);
    feed_reader_stop(&lake->reader);
}

/* An end that the lane could not take is told again. */
static void lake_housekeep(struct source *source)
{
    struct lake_source *lake = (struct lake_source *) source;
    for (size_t i = 0; i < lake->reader.count; i++)
        lake->reader.tables[i].told_end = -1;
}

static void lake_look(const struct source *source, struct source_state *state)
{
    struct lake_source *lake = (struct lake_source *) (uintptr_t) source;
    bool missing = false, up = atomic_load(&lake->reader.up);
    pthread_mutex_lock(&lake->reader.mutex);
    for (size_t i = 0; i < lake->reader.count; i++)
        missing |= lake->reader.tables[i].missing;
    pthread_mutex_unlock(&lake->reader.mutex);
    *state = (struct source_state){.joined = up, .away = !up, .without_topics = missing};
}

static int64_t lake_ahead_bytes(const struct source_config *config)
{
    const struct feed_settings *settings = config->settings;
    return settings->prefetch_bytes;
}

static enum ods_status check_table(const struct feed_reader *reader, const struct feed_table *table,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error)
{
    struct lake_feed_about about;
    char line[4096];
    enum ods_status status = feed_look(reader, table, &about, error);
    if (status == ODS_OK)
        snprintf(line, sizeof line, "topic %.200s: the table in %.2000s is at version %lld%s",
                 table->place.topic, table->path, (long long) about.newest,
                 about.keys ? ""
                            : ", and nothing says what its key is: rows are added, and not changed "
                              "or deleted; `key` in tables.yaml names its columns");
    else if (status == ODS_REJECT)
        snprintf(line, sizeof line,
                 "topic %.200s: there is no table in %.2000s yet; it is read when it is there",
                 table->place.topic, table->path);
    if (status == ODS_OK || status == ODS_REJECT)
        report(context, line);
    return status == ODS_REJECT ? ODS_OK : status;
}

static enum ods_status lake_check(const struct source_config *config,
                                  void (*report)(void *context, const char *line), void *context,
                                  struct error *error)
{
    struct feed_reader reader;
    struct source_config whole = *config;
    struct pipeline_settings pipeline = *config->pipeline;
    size_t lanes = (size_t) pipeline.lanes;
    pipeline.lanes = 1;
    whole.pipeline = &pipeline;
    whole.lane = 0;
    enum ods_status status = ODS_OK;
    if (!feed_reader_init(&reader, &whole))
        status = error_out_of_memory(error);
    for (size_t i = 0; i < reader.count && status == ODS_OK; i++)
        status = check_table(&reader, &reader.tables[i], report, context, error);
    if (status == ODS_OK && lanes > reader.count)
        report(context, "a table is one lane's: of more lanes some have nothing to do");
    feed_reader_done(&reader);
    return status;
}

#define LAKE_SOURCE                                                                                \
    .kind = SOURCE_OFFSETS, .suits = feed_check_settings, .open = lake_open, .join = lake_join,    \
    .next = lake_next, .start = lake_start, .pause = lake_pause, .ack = lake_ack,                  \
    .ends = lake_ends, .known_end = lake_known_end, .distance = lake_distance,                     \
    .explain = lake_explain, .housekeep = lake_housekeep, .look = lake_look, .release = free,      \
    .leave = lake_leave, .close = lake_close, .ahead_bytes = lake_ahead_bytes, .check = lake_check

const struct source_ops delta_source_ops = {
    .type = "delta",
    .summary = "the changes of tables of Delta Lake, from a snapshot or a version on",
    .settings = &feed_delta_settings,
    .provided = "the tables' versions are kept (their log, their files) until they are applied",
    LAKE_SOURCE,
};

const struct source_ops iceberg_source_ops = {
    .type = "iceberg",
    .summary = "the changes of tables of Iceberg, from their rows or a version on",
    .settings = &feed_iceberg_settings,
    .provided = "the tables' snapshots are kept (with their files) until they are applied",
    LAKE_SOURCE,
};
