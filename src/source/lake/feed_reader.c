/* The thread that reads the changes of tables. See feed_reader.h. */
#include "source/lake/feed_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ods/pipeline.h>
#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"

#define AGAIN_US   INT64_C(1000000) /* before what is away or missing is looked for again */
#define LONGEST_MS INT64_C(1000)

#define LOG_FIELDS(reader)                                                                         \
    (const char *[])                                                                               \
    {                                                                                              \
        "pipeline", (reader)->config->pipeline->name, NULL                                         \
    }

/* --- what both threads do --------------------------------------------------------------------- */

static void free_blocks(struct feed_block *block)
{
    while (block) {
        struct feed_block *next = block->next;
        free(block);
        block = next;
    }
}

void feed_drop(struct feed_table *table)
{
    free_blocks(table->first);
    table->first = NULL;
    table->last = &table->first;
    table->bytes = 0;
    table->epoch++;
}

void feed_nudge(struct feed_reader *reader)
{
    reader->news = true;
    pthread_cond_signal(&reader->work);
}

static void wake_lane(const struct feed_reader *reader)
{
    uint64_t one = 1;
    ssize_t sent = write(reader->config->wake_fd, &one, sizeof one);
    (void) sent;
}

/* --- one table -------------------------------------------------------------------------------- */

/* What the thread is to do, as it was asked at one moment. */
struct task {
    bool started, room;
    unsigned epoch;
    int64_t cursor, newest;
};

static struct task look(struct feed_reader *reader, const struct feed_table *table)
{
    pthread_mutex_lock(&reader->mutex);
    const struct task task = {
        .started = table->started,
        .room = table->bytes < (size_t) reader->settings->prefetch_bytes,
        .epoch = table->epoch,
        .cursor = table->cursor,
        .newest = table->newest,
    };
    pthread_mutex_unlock(&reader->mutex);
    return task;
}

static void note_missing(struct feed_reader *reader, struct feed_table *table, bool missing)
{
    pthread_mutex_lock(&reader->mutex);
    bool tell = missing && !table->told_missing;
    table->missing = missing;
    table->told_missing |= missing;
    pthread_mutex_unlock(&reader->mutex);
    if (tell)
        log_event(LOG_INFO, LOG_FIELDS(reader),
                  "topic %s: there is no table of %s in %s yet; it is read when it appears",
                  table->place.topic, feed_format(reader->config), table->path);
}

/* ODS_REJECT: it is not there. */
static enum ods_status open_reader(const struct feed_reader *reader,
                                   const struct feed_table *table, struct lake_reader **made,
                                   struct error *error)
{
    const struct lake_settings *lake = feed_lake(reader->config);
    if (!feed_is_iceberg(reader->config))
        return lake_reader_open(made, table->path, lake, error);
    char *location = strndup(table->path, table->location);
    enum ods_status status =
        location ? lake_reader_open_iceberg(made, location, table->path + table->location + 1,
                                            lake, error)
                 : error_out_of_memory(error);
    free(location);
    return status;
}

static enum ods_status open_table(struct feed_reader *reader, struct feed_table *table,
                                  struct error *error)
{
    enum ods_status status = open_reader(reader, table, &table->reader, error);
    note_missing(reader, table, status == ODS_REJECT);
    if (status != ODS_REJECT)
        return status;
    table->look_us = time_monotonic_us() + AGAIN_US;
    return ODS_OK;
}

/* The lane decides what to do about it. */
static void note_gone(struct feed_reader *reader, struct feed_table *table, const struct task *task,
                      const struct error *why)
{
    pthread_mutex_lock(&reader->mutex);
    if (table->epoch == task->epoch) {
        table->gone = *why;
        table->gap = true;
        table->started = false;
    }
    pthread_mutex_unlock(&reader->mutex);
    wake_lane(reader);
}

/* All below the cursor has been read. */
static void note_end(struct feed_reader *reader, struct feed_table *table, const struct task *task,
                     int64_t cursor, int64_t newest)
{
    pthread_mutex_lock(&reader->mutex);
    if (newest > table->newest)
        table->newest = newest;
    if (table->epoch == task->epoch) {
        table->cursor = cursor;
        if (cursor % FEED_VERSION == 0)
            table->end = cursor;
    }
    pthread_mutex_unlock(&reader->mutex);
    wake_lane(reader);
}

static struct lake_feed_query query_of(const struct feed_table *table, int64_t cursor)
{
    int64_t row = cursor % FEED_VERSION;
    bool snapshot = row >= FEED_SNAPSHOT;
    return (struct lake_feed_query){.version = cursor < 0 ? -1 : cursor / FEED_VERSION,
                                    .snapshot = snapshot,
                                    .skip = snapshot ? row - FEED_SNAPSHOT : row,
                                    .key = table->key,
                                    .topic = table->place.topic,
                                    .schema = table->schema,
                                    .table = table->name};
}

static int64_t first_cursor(const struct feed_settings *settings, int64_t cursor, int64_t newest)
{
    int64_t version = feed_start_version(settings);
    if (cursor == FEED_ANEW)
        return newest * FEED_VERSION + FEED_SNAPSHOT;
    if (version >= 0)
        return version * FEED_VERSION;
    return strcmp(settings->start, "latest") == 0 ? (newest + 1) * FEED_VERSION
                                                  : newest * FEED_VERSION + FEED_SNAPSHOT;
}

static void tell_keyless(struct feed_reader *reader, struct feed_table *table)
{
    if (!table->keyless)
        log_event(LOG_WARN, LOG_FIELDS(reader),
                  "topic %s: neither tables.yaml nor the table in %s says which columns are its "
                  "key: rows can be added by it, and not changed or deleted; tables: %s: key names "
                  "them",
                  table->place.topic, table->path, table->name);
    table->keyless = true;
}

/* Does the table end before what was applied of it? */
static enum ods_status check_order(const struct feed_table *table, int64_t cursor, int64_t newest,
                                   struct error *error)
{
    if (cursor / FEED_VERSION <= newest + 1)
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "the newest version of the table in %s is %lld, and what comes next is "
                     "version %lld: the table was made anew, or set back",
                     table->path, (long long) newest, (long long) (cursor / FEED_VERSION));
}

/* Begins with the version of the cursor, if it is there. */
static enum ods_status begin(struct feed_reader *reader, struct feed_table *table,
                             const struct task *task, struct error *error)
{
    int64_t cursor = task->cursor;
    struct lake_feed_about about;
    struct lake_feed_query query = query_of(table, cursor);
    enum ods_status status = lake_reader_feed(table->reader, &query, &about, error);
    if (status == ODS_OK && cursor < 0) {
        cursor = first_cursor(reader->settings, cursor, about.newest);
        query = query_of(table, cursor);
        status = lake_reader_feed(table->reader, &query, &about, error);
    }
    if (status == ODS_OK)
        status = check_order(table, cursor, about.newest, error);
    if (status != ODS_OK)
        return status;
    if (!about.keys)
        tell_keyless(reader, table);
    if (about.begun)
        table->reading = cursor;
    else
        table->look_us = time_monotonic_us() + reader->settings->poll_ms * 1000;
    note_end(reader, table, task, cursor, about.newest);
    return ODS_OK;
}

/* --- events ----------------------------------------------------------------------------------- */

/* A line's number, key and value, with tabs between. NULL: memory is out. */
static struct feed_block *block_of(const struct feed_table *table, const char *line, size_t length,
                                   int64_t base)
{
    char *after;
    int64_t number = strtoll(line, &after, 10);
    size_t head = (size_t) (after + 1 - line);
    struct feed_block *block = malloc(sizeof *block + length - head);
    if (!block)
        return NULL;
    char *text = (char *) (block + 1);
    memcpy(text, line + head, length - head);
    char *tab = memchr(text, '\t', length - head);
    size_t key_length = (size_t) (tab - text);
    *block = (struct feed_block){.bytes = sizeof *block + length - head,
                                 .record = {.topic = table->place.topic,
                                            .offset = base + number,
                                            .timestamp_ms = -1,
                                            .key = key_length ? text : NULL,
                                            .key_length = key_length,
                                            .value = tab + 1,
                                            .value_length = length - head - key_length - 1,
                                            .owner = block}};
    return block;
}

/* Gives them to the lane, unless it has asked for others meanwhile. */
static void hand_over(struct feed_reader *reader, struct feed_table *table,
                      const struct task *task, struct feed_block *first, struct feed_block **last)
{
    pthread_mutex_lock(&reader->mutex);
    if (table->epoch == task->epoch) {
        table->cursor = table->reading;
        for (const struct feed_block *block = first; block; block = block->next)
            table->bytes += block->bytes;
        *table->last = first;
        table->last = last;
        first = NULL;
    }
    pthread_mutex_unlock(&reader->mutex);
    free_blocks(first);
    wake_lane(reader);
}

static enum ods_status read_some(struct feed_reader *reader, struct feed_table *table,
                                 const struct task *task, struct error *error)
{
    struct feed_block *first = NULL, **last = &first;
    const char *lines = NULL, *end;
    int64_t version = table->reading / FEED_VERSION, row = table->reading % FEED_VERSION;
    int64_t base = version * FEED_VERSION + (row >= FEED_SNAPSHOT ? FEED_SNAPSHOT : 0);
    enum ods_status status = lake_reader_events(table->reader, &lines, error);
    if (status != ODS_OK)
        return status;
    if (!lines) {
        table->reading = -1;
        table->look_us = 0;
        note_end(reader, table, task, (version + 1) * FEED_VERSION, version);
        return ODS_OK;
    }
    for (; (end = strchr(lines, '\n')); lines = end + 1) {
        struct feed_block *block = block_of(table, lines, (size_t) (end - lines), base);
        if (!block) {
            free_blocks(first);
            return error_out_of_memory(error);
        }
        *last = block;
        last = &block->next;
        table->reading = block->record.offset + 1;
    }
    if (first)
        hand_over(reader, table, task, first, last);
    return ODS_OK;
}

/* True: there is more to be done at once. */
static enum ods_status serve(struct feed_reader *reader, struct feed_table *table, bool *more,
                             struct error *error)
{
    const struct task task = look(reader, table);
    enum ods_status status = ODS_OK;
    if (task.epoch != table->read_epoch) {
        table->read_epoch = task.epoch;
        table->reading = -1;
        table->look_us = 0;
    }
    if (!task.started || !task.room || time_monotonic_us() < table->look_us)
        return ODS_OK;
    if (!table->reader)
        status = open_table(reader, table, error);
    if (status != ODS_OK || !table->reader)
        return status;
    if (table->reading < 0)
        status = begin(reader, table, &task, error);
    else
        status = read_some(reader, table, &task, error);
    if (status == ODS_REJECT) {
        note_gone(reader, table, &task, error);
        status = ODS_OK;
        table->reading = -1;
    } else if (status == ODS_OK) {
        table->away = false;
        *more |= table->look_us < time_monotonic_us();
    }
    return status;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void say_away(struct feed_reader *reader, struct feed_table *table,
                     const struct error *error)
{
    table->reading = -1;
    table->look_us = time_monotonic_us() + AGAIN_US;
    if (rare_due(&table->losses))
        log_event(LOG_WARN, LOG_FIELDS(reader), "topic %s can't be read: %s; it is tried again",
                  table->place.topic, error->text);
}

static void say_failed(struct feed_reader *reader, const struct feed_table *table,
                       struct error *error)
{
    error_prefix(error, "topic %s: ", table->place.topic);
    pthread_mutex_lock(&reader->mutex);
    reader->failed = *error;
    reader->has_failed = true;
    pthread_mutex_unlock(&reader->mutex);
    wake_lane(reader);
}

/* One look at all tables. */
static bool work(struct feed_reader *reader)
{
    struct error error;
    bool more = false, away = false;
    for (size_t i = 0; i < reader->count; i++) {
        struct feed_table *table = &reader->tables[i];
        error_init(&error);
        enum ods_status status = serve(reader, table, &more, &error);
        if (status == ODS_RETRY) {
            table->away = true;
            say_away(reader, table, &error);
        } else if (status != ODS_OK) {
            say_failed(reader, table, &error);
            table->look_us = INT64_MAX;
        }
        away |= table->away;
    }
    atomic_store(&reader->up, !away);
    return more;
}

/* How long the thread may sleep. */
static int64_t due_ms(const struct feed_reader *reader)
{
    int64_t now_us = time_monotonic_us(), wait_ms = LONGEST_MS;
    for (size_t i = 0; i < reader->count; i++) {
        int64_t left_ms = (reader->tables[i].look_us - now_us + 999) / 1000;
        if (left_ms > 0 && left_ms < wait_ms)
            wait_ms = left_ms;
    }
    return wait_ms;
}

/* Until the next look is due, or the lane wants something. True: the thread goes on. */
static bool await(struct feed_reader *reader, bool more)
{
    const struct timespec until = time_deadline(more ? 0 : due_ms(reader));
    pthread_mutex_lock(&reader->mutex);
    while (!more && !reader->stop && !reader->news &&
           pthread_cond_timedwait(&reader->work, &reader->mutex, &until) == 0)
        ;
    reader->news = false;
    bool go_on = !reader->stop;
    pthread_mutex_unlock(&reader->mutex);
    return go_on;
}

static void *read_main(void *context)
{
    struct feed_reader *reader = context;
    bool more;
    do
        more = work(reader);
    while (await(reader, more));
    return NULL;
}

enum ods_status feed_look(const struct feed_reader *reader, const struct feed_table *table,
                          struct lake_feed_about *about, struct error *error)
{
    struct lake_reader *opened = NULL;
    const struct lake_feed_query query = query_of(table, -1);
    enum ods_status status = open_reader(reader, table, &opened, error);
    if (status == ODS_OK)
        status = lake_reader_feed(opened, &query, about, error);
    lake_reader_close(opened);
    return status;
}

/* --- its life --------------------------------------------------------------------------------- */

/* "shop.orders" stands in <location>/shop/orders. */
static bool init_table(struct feed_reader *reader, struct feed_table *table, const char *topic)
{
    const char *location = feed_location(reader->config), *dot = strrchr(topic, '.');
    size_t length = strlen(location);
    while (length > 1 && location[length - 1] == '/')
        length--;
    *table = (struct feed_table){.place = {.topic = topic},
                                 .location = length,
                                 .name = dot ? dot + 1 : topic,
                                 .reading = -1,
                                 .cursor = FEED_BEGIN,
                                 .newest = -1,
                                 .end = -1,
                                 .told_end = -1};
    table->last = &table->first;
    error_init(&table->gone);
    size_t room = length + strlen(topic) + 2;
    table->path = malloc(room);
    table->schema = strndup(topic, dot ? (size_t) (dot - topic) : 0);
    if (!table->path || !table->schema)
        return false;
    snprintf(table->path, room, "%.*s/%s", (int) length, location, topic);
    for (char *at = table->path + length; *at; at++)
        *at = *at == '.' ? '/' : *at;
    const char *inner = strrchr(table->schema, '.');
    table->key =
        &pipeline_table(reader->config->pipeline, inner ? inner + 1 : table->schema, table->name)
             ->key;
    return true;
}

bool feed_reader_init(struct feed_reader *reader, const struct source_config *config)
{
    const struct strings *topics = &config->pipeline->topics;
    size_t lanes = (size_t) config->pipeline->lanes;
    bool good = true;
    *reader = (struct feed_reader){.config = config, .settings = config->settings};
    atomic_store(&reader->up, true);
    pthread_mutex_init(&reader->mutex, NULL);
    wait_init(&reader->work);
    reader->tables = calloc(topics->count + 1, sizeof *reader->tables);
    /* Topic i is lane i's; with more of them than lanes they are dealt out. */
    for (size_t i = config->lane; reader->tables && good && i < topics->count; i += lanes)
        good = init_table(reader, &reader->tables[reader->count++], topics->items[i]);
    return good && reader->tables;
}

void feed_reader_done(struct feed_reader *reader)
{
    feed_reader_stop(reader);
    for (size_t i = 0; i < reader->count; i++) {
        struct feed_table *table = &reader->tables[i];
        feed_drop(table);
        lake_reader_close(table->reader);
        free(table->path);
        free(table->schema);
    }
    free(reader->tables);
    pthread_cond_destroy(&reader->work);
    pthread_mutex_destroy(&reader->mutex);
}

bool feed_reader_start(struct feed_reader *reader)
{
    if (reader->count)
        reader->runs = pthread_create(&reader->thread, NULL, read_main, reader) == 0;
    return reader->runs || !reader->count;
}

void feed_reader_stop(struct feed_reader *reader)
{
    if (!reader->runs)
        return;
    pthread_mutex_lock(&reader->mutex);
    reader->stop = true;
    pthread_cond_broadcast(&reader->work);
    pthread_mutex_unlock(&reader->mutex);
    pthread_join(reader->thread, NULL);
    reader->runs = false;
}
