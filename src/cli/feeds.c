/* Topics, pipelines and offsets, put side by side. See feeds.h. */
#include "cli/feeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/sink.h>
#include "core/time.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka_admin.h"

/* --- which topics there are ----------------------------------------------------------------- */

struct looking {
    struct feeds *feeds;
    const struct settings *settings;
    const struct pipeline_settings *only;
    bool failed; /* out of memory */
};

static const char *role_of(const struct settings *settings, const char *topic)
{
    if (strcmp(topic, settings->dead_letter.topic) == 0)
        return "dead letters";
    for (size_t i = 0; i < settings->pipeline_count; i++)
        if (strcmp(topic, settings->pipelines[i].source.schema_topic) == 0)
            return "schema changes";
    return NULL;
}

static bool add_feed(struct feeds *feeds, const struct pipeline_settings *pipeline,
                     const char *topic, int32_t partitions)
{
    struct feed *larger = realloc(feeds->feeds, (feeds->feed_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    feeds->feeds = larger;
    struct feed *feed = &larger[feeds->feed_count];
    *feed = (struct feed){.pipeline = pipeline,
                          .topic = strdup(topic),
                          .partitions = calloc((size_t) partitions + 1, sizeof *feed->partitions),
                          .count = partitions,
                          .retention_ms = -1};
    feeds->feed_count++;
    for (int32_t i = 0; feed->partitions && i < partitions; i++)
        feed->partitions[i] = (struct feed_partition){.partition = i,
                                                      .low = -1,
                                                      .high = -1,
                                                      .stored = -1,
                                                      .committed = -1,
                                                      .lag = -1,
                                                      .next_ms = -1,
                                                      .newest_ms = -1,
                                                      .bytes = -1};
    return feed->topic && feed->partitions;
}

static bool add_unread(struct feeds *feeds, const char *topic, int32_t partitions, const char *role)
{
    struct unread *larger = realloc(feeds->unread, (feeds->unread_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    feeds->unread = larger;
    larger[feeds->unread_count] = (struct unread){
        .topic = strdup(topic), .partitions = partitions, .records = -1, .bytes = -1, .role = role};
    return larger[feeds->unread_count++].topic != NULL;
}

/* Kafka's own topics begin with two underscores. */
static void take_topic(void *context, const char *topic, int32_t partitions)
{
    struct looking *looking = context;
    const struct settings *settings = looking->settings;
    const char *role = role_of(settings, topic);
    bool read = false;
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        if (strcmp(topic, settings->dead_letter.topic) == 0 ||
            strcmp(pipeline->input.type, "kafka") != 0 || !pipeline_reads(pipeline, topic))
            continue;
        read = true;
        if (!looking->only || looking->only == pipeline)
            looking->failed |= !add_feed(looking->feeds, pipeline, topic, partitions);
    }
    if (!read && !looking->only && strncmp(topic, "__", 2) != 0)
        looking->failed |= !add_unread(looking->feeds, topic, partitions, role);
}

static int by_pipeline(const void *one, const void *other)
{
    const struct feed *a = one, *b = other;
    return a->pipeline != b->pipeline ? (a->pipeline < b->pipeline ? -1 : 1)
                                      : strcmp(a->topic, b->topic);
}

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct unread *) one)->topic, ((const struct unread *) other)->topic);
}

/* --- which table a topic is of --------------------------------------------------------------- */

/* <prefix>.<schema or database>.<table>, as Debezium names topics. */
static bool split_topic(const char *topic, const char **schema, size_t *schema_length,
                        const char **table)
{
    const char *last = strrchr(topic, '.');
    const char *before = last ? memrchr(topic, '.', (size_t) (last - topic)) : NULL;
    if (!before || last == before + 1 || !last[1])
        return false;
    *schema = before + 1;
    *schema_length = (size_t) (last - before - 1);
    *table = last + 1;
    return true;
}

/* Without a pattern, a name that the configuration gives for a topic is the table's. */
static bool find_names(struct feed *feed, char **schema, char **table)
{
    const struct table_settings *other;
    const struct table_settings *named =
        pipeline_table_of_topic(feed->pipeline, feed->topic, &other);
    const char *start, *name;
    size_t length;
    if (named && !other && !named->pattern) {
        const char *dot = strrchr(named->name, '.');
        *schema = dot ? strndup(named->name, (size_t) (dot - named->name)) : strdup("");
        *table = strdup(dot ? dot + 1 : named->name);
    } else if (strcmp(feed->pipeline->format, "maxwell") != 0 &&
               split_topic(feed->topic, &start, &length, &name)) {
        *schema = strndup(start, length);
        *table = strdup(name);
    }
    return *schema && *table;
}

static void name_history(struct feed *feed, const struct sink_ops *sink, const char *schema,
                         const char *table)
{
    const struct table_settings *settings = pipeline_table(feed->pipeline, schema, table);
    const struct shape shape = {
        .topic = feed->topic, .database = schema, .schema = schema, .table = table};
    char *to_schema = NULL, *to_table = NULL;
    struct error error;
    error_init(&error);
    if (sink->name_history && table_keeps_history(settings) &&
        sink->name_history(settings, &shape, &to_schema, &to_table, &error) == ODS_OK &&
        asprintf(&feed->history, "%s.%s", to_schema, to_table) < 0)
        feed->history = NULL;
    free(to_schema);
    free(to_table);
}

/* What the target would call it; a name that it can't have is left out: `check` tells of it. */
static void name_tables(struct feed *feed, const struct sink_ops *sink)
{
    char *schema = NULL, *table = NULL, *to_schema = NULL, *to_table = NULL;
    struct error error;
    error_init(&error);
    if (find_names(feed, &schema, &table)) {
        const struct shape shape = {
            .topic = feed->topic, .database = schema, .schema = schema, .table = table};
        const struct table_settings *settings = pipeline_table(feed->pipeline, schema, table);
        feed->skipped = settings->skip;
        if (asprintf(&feed->source_table, "%s%s%s", schema, *schema ? "." : "", table) < 0)
            feed->source_table = NULL;
        if (!feed->skipped && sink->name_table &&
            sink->name_table(settings, &shape, &to_schema, &to_table, &error) == ODS_OK &&
            asprintf(&feed->table, "%s.%s", to_schema, to_table) < 0)
            feed->table = NULL;
    }
    free(to_schema);
    free(to_table);
    if (schema && table)
        name_history(feed, sink, schema, table);
    free(schema);
    free(table);
}

/* --- how far they are ------------------------------------------------------------------------ */

/* The partitions of all feeds of one pipeline, one after the other. */
struct span {
    struct feed *feeds;
    size_t feed_count, partitions;
};

static void derive(struct feed_partition *at)
{
    /* Where the target has none a lane starts at the group's offset, and without that, as a rule,
     * at the beginning. */
    int64_t next = at->stored >= 0 ? at->stored : at->committed >= 0 ? at->committed : at->low;
    if (at->low < 0 || at->high < 0)
        return;
    at->lost = next < at->low ? at->low - next : 0;
    at->lag = next < at->low ? at->high - at->low : next > at->high ? 0 : at->high - next;
}

static enum ods_status load_extents(struct kafka_admin *admin, struct span *span,
                                    struct error *error)
{
    struct kafka_extent *extents = calloc(span->partitions + 1, sizeof *extents);
    size_t n = 0;
    if (!extents)
        return error_out_of_memory(error);
    for (size_t i = 0; i < span->feed_count; i++)
        for (int32_t j = 0; j < span->feeds[i].count; j++)
            extents[n++] = (struct kafka_extent){.topic = span->feeds[i].topic, .partition = j};
    enum ods_status status = kafka_admin_extents(admin, extents, n, error);
    n = 0;
    for (size_t i = 0; status == ODS_OK && i < span->feed_count; i++)
        for (int32_t j = 0; j < span->feeds[i].count; j++, n++) {
            span->feeds[i].partitions[j].low = extents[n].low;
            span->feeds[i].partitions[j].high = extents[n].high;
            span->feeds[i].partitions[j].committed = extents[n].committed;
        }
    free(extents);
    return status;
}

static enum ods_status load_stored(const struct settings *settings,
                                   const struct pipeline_settings *pipeline, struct span *span,
                                   struct error *error)
{
    struct sink_config config;
    const struct sink_ops *ops = worker_target(settings, pipeline, &config);
    struct position *positions = calloc(span->partitions + 1, sizeof *positions);
    struct sink *sink = NULL;
    size_t n = 0;
    if (!positions)
        return error_out_of_memory(error);
    for (size_t i = 0; i < span->feed_count; i++)
        for (int32_t j = 0; j < span->feeds[i].count; j++)
            positions[n++] = (struct position){.topic = span->feeds[i].topic, .partition = j};
    enum ods_status status = ops->open(&sink, &config, error);
    if (status == ODS_OK)
        status = ops->peek ? ops->peek(sink, positions, n, error)
                           : ops->resume(sink, positions, n, error);
    n = 0;
    for (size_t i = 0; status == ODS_OK && i < span->feed_count; i++)
        for (int32_t j = 0; j < span->feeds[i].count; j++)
            span->feeds[i].partitions[j].stored = positions[n++].offset;
    ops->close(sink);
    free(positions);
    return status;
}

/* When the next record to apply was written, and the newest of each partition. */
static enum ods_status load_moments(struct kafka_admin *admin, struct span *span, bool newest,
                                    struct error *error)
{
    struct kafka_moment *moments = calloc(span->partitions + 1, sizeof *moments);
    struct feed_partition **whose = calloc(span->partitions + 1, sizeof *whose);
    size_t n = 0;
    enum ods_status status = moments && whose ? ODS_OK : error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < span->feed_count; i++)
        for (int32_t j = 0; j < span->feeds[i].count; j++) {
            struct feed_partition *at = &span->feeds[i].partitions[j];
            if (at->low < 0 || at->high <= at->low || (!newest && at->lag <= 0))
                continue;
            whose[n] = at;
            moments[n++] = (struct kafka_moment){.topic = span->feeds[i].topic,
                                                 .partition = j,
                                                 .offset = newest ? at->high - 1
                                                                  : at->high - at->lag};
        }
    if (status == ODS_OK)
        status = kafka_admin_moments(admin, moments, n, error);
    for (size_t i = 0; status == ODS_OK && i < n; i++)
        *(newest ? &whose[i]->newest_ms : &whose[i]->next_ms) = moments[i].time_ms;
    free(moments);
    free(whose);
    return status;
}

static void load_retention(struct kafka_admin *admin, struct feed *feed)
{
    char policy[64], text[32];
    struct error error;
    error_init(&error);
    if (kafka_admin_setting(admin, feed->topic, "cleanup.policy", policy, sizeof policy, &error) !=
            ODS_OK ||
        !strstr(policy, "delete") ||
        kafka_admin_setting(admin, feed->topic, "retention.ms", text, sizeof text, &error) !=
            ODS_OK ||
        !*text)
        return; /* a broker need not tell */
    feed->retention_ms = strtoll(text, NULL, 10);
}

static enum ods_status load_pipeline(const struct settings *settings, struct feeds *feeds,
                                     struct span *span,
                                     void (*complain)(void *context, const char *text),
                                     void *context, struct error *error)
{
    const struct pipeline_settings *pipeline = span->feeds[0].pipeline;
    struct kafka_admin *admin = NULL;
    struct error trouble;
    error_init(&trouble);
    enum ods_status status = kafka_admin_open(&admin, settings, pipeline->group_id, error);
    if (status == ODS_OK)
        status = load_extents(admin, span, error);
    bool stored = status == ODS_OK &&
                  load_stored(settings, pipeline, span, &trouble) == ODS_OK;
    if (status == ODS_OK && !stored) {
        feeds->failed_target = true;
        complain(context, trouble.text);
    }
    for (size_t i = 0; stored && i < span->feed_count; i++)
        for (int32_t j = 0; j < span->feeds[i].count; j++)
            derive(&span->feeds[i].partitions[j]);
    if (status == ODS_OK)
        status = load_moments(admin, span, true, error);
    if (status == ODS_OK && stored)
        status = load_moments(admin, span, false, error);
    for (size_t i = 0; status == ODS_OK && i < span->feed_count; i++)
        if (feed_lag(&span->feeds[i]) > 0)
            load_retention(admin, &span->feeds[i]);
    kafka_admin_close(admin);
    return status;
}

static enum ods_status load_unread(struct kafka_admin *admin, struct feeds *feeds,
                                   struct error *error)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < feeds->unread_count; i++)
        total += (size_t) feeds->unread[i].partitions;
    struct kafka_extent *extents = calloc(total + 1, sizeof *extents);
    if (!extents)
        return error_out_of_memory(error);
    for (size_t i = 0; i < feeds->unread_count; i++)
        for (int32_t j = 0; j < feeds->unread[i].partitions; j++)
            extents[n++] = (struct kafka_extent){.topic = feeds->unread[i].topic, .partition = j};
    enum ods_status status = kafka_admin_extents(admin, extents, n, error);
    n = 0;
    for (size_t i = 0; status == ODS_OK && i < feeds->unread_count; i++) {
        int64_t sum = 0;
        for (int32_t j = 0; j < feeds->unread[i].partitions; j++, n++)
            sum = sum < 0 || extents[n].low < 0 || extents[n].high < 0
                      ? -1
                      : sum + extents[n].high - extents[n].low;
        feeds->unread[i].records = sum;
    }
    free(extents);
    return status;
}

enum ods_status feeds_load(struct feeds *feeds, const struct settings *settings,
                           const struct pipeline_settings *only,
                           void (*complain)(void *context, const char *text), void *context,
                           struct error *error)
{
    *feeds = (struct feeds){.now_ms = time_wall_us() / 1000};
    struct looking looking = {.feeds = feeds, .settings = settings, .only = only};
    struct kafka_admin *admin = NULL;
    enum ods_status status = kafka_admin_open(&admin, settings, settings->kafka.group_id, error);
    if (status == ODS_OK)
        status = kafka_admin_topics(admin, take_topic, &looking, NULL, error);
    if (status == ODS_OK && looking.failed)
        status = error_out_of_memory(error);
    if (status == ODS_OK)
        status = load_unread(admin, feeds, error);
    kafka_admin_close(admin);
    if (status != ODS_OK)
        return status;
    if (feeds->feed_count)
        qsort(feeds->feeds, feeds->feed_count, sizeof *feeds->feeds, by_pipeline);
    if (feeds->unread_count)
        qsort(feeds->unread, feeds->unread_count, sizeof *feeds->unread, by_name);
    for (size_t at = 0, next; status == ODS_OK && at < feeds->feed_count; at = next) {
        struct span span = {.feeds = &feeds->feeds[at]};
        const struct pipeline_settings *pipeline = span.feeds->pipeline;
        const char *type = settings_target(settings, pipeline->target)->type;
        for (next = at; next < feeds->feed_count && feeds->feeds[next].pipeline == pipeline;
             next++) {
            span.partitions += (size_t) feeds->feeds[next].count;
            name_tables(&feeds->feeds[next], sink_find(type));
        }
        span.feed_count = next - at;
        status = load_pipeline(settings, feeds, &span, complain, context, error);
    }
    return status;
}

bool feeds_add(struct feeds *feeds, const struct settings *settings,
               const struct pipeline_settings *pipeline, const char *topic)
{
    for (size_t i = 0; i < feeds->feed_count; i++)
        if (feeds->feeds[i].pipeline == pipeline && strcmp(feeds->feeds[i].topic, topic) == 0)
            return true;
    if (!add_feed(feeds, pipeline, topic, 0))
        return false;
    name_tables(&feeds->feeds[feeds->feed_count - 1],
                sink_find(settings_target(settings, pipeline->target)->type));
    return true;
}

void feeds_done(struct feeds *feeds)
{
    for (size_t i = 0; i < feeds->feed_count; i++) {
        free(feeds->feeds[i].topic);
        free(feeds->feeds[i].partitions);
        free(feeds->feeds[i].source_table);
        free(feeds->feeds[i].table);
        free(feeds->feeds[i].history);
    }
    for (size_t i = 0; i < feeds->unread_count; i++)
        free(feeds->unread[i].topic);
    free(feeds->feeds);
    free(feeds->unread);
    *feeds = (struct feeds){0};
}

/* --- sums ------------------------------------------------------------------------------------ */

int64_t feed_records(const struct feed *feed)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < feed->count; i++) {
        const struct feed_partition *at = &feed->partitions[i];
        if (at->low < 0 || at->high < 0)
            return -1;
        sum += at->high - at->low;
    }
    return sum;
}

int64_t feed_lag(const struct feed *feed)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < feed->count; i++) {
        if (feed->partitions[i].lag < 0)
            return -1;
        sum += feed->partitions[i].lag;
    }
    return sum;
}

int64_t feed_lost(const struct feed *feed)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < feed->count; i++)
        sum += feed->partitions[i].lost;
    return sum;
}

/* When the oldest record that waits was written; -1: none waits, or it is not known. */
static int64_t oldest_ms(const struct feed *feed)
{
    int64_t oldest = -1;
    for (int32_t i = 0; i < feed->count; i++) {
        int64_t at = feed->partitions[i].next_ms;
        if (at >= 0 && (oldest < 0 || at < oldest))
            oldest = at;
    }
    return oldest;
}

int64_t feed_behind_ms(const struct feeds *feeds, const struct feed *feed)
{
    int64_t lag = feed_lag(feed), oldest = oldest_ms(feed);
    if (lag <= 0)
        return lag;
    return oldest < 0 ? -1 : oldest < feeds->now_ms ? feeds->now_ms - oldest : 0;
}

int64_t feed_left_ms(const struct feeds *feeds, const struct feed *feed)
{
    int64_t oldest = oldest_ms(feed);
    if (feed->retention_ms < 0 || oldest < 0)
        return -1;
    int64_t left = oldest + feed->retention_ms - feeds->now_ms;
    return left > 0 ? left : 0;
}

int64_t feed_newest_ms(const struct feed *feed)
{
    int64_t newest = -1;
    for (int32_t i = 0; i < feed->count; i++)
        if (feed->partitions[i].newest_ms > newest)
            newest = feed->partitions[i].newest_ms;
    return newest;
}
