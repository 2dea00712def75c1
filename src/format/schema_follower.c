/* See schema_follower.h. It learns into a store from which the lanes' decoders read. */
#include "format/schema_follower.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ods/pipeline.h>
#include <ods/source.h>

#include "core/json_scan.h"
#include "core/rare.h"
#include "core/time.h"
#include "format/schema_topic.h"

#define POLL_MS    100
/* how often to look for a topic that does not exist yet, or for new partitions */
#define LOOK_US    INT64_C(30000000)
#define PAUSE_US   INT64_C(1000000)  /* the pause after the source did not answer */
#define SILENCE_US INT64_C(30000000) /* existing records arrive sooner than this */

struct follower {
    struct format_helper base;
    struct helper_config config;
    const char *topic;
    struct source_schema *schema;
    struct topic_reader *reader;
    pthread_t thread;
    bool runs;
    atomic_bool stop;

    /* Used by the reading thread only. */
    int64_t *next; /* by partition: the first record not yet learned */
    int32_t count;
    int64_t looked_us, caught_up_us;
    bool missing_told;
    struct rare rare;
};

static void __attribute__((format(printf, 3, 4)))
say(const struct follower *follower, bool warning, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES + 512];
    va_list arguments;
    if (!follower->config.say)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    follower->config.say(follower->config.context, warning, text);
}

static void say_trouble(struct follower *follower, const struct error *error)
{
    if (rare_due(&follower->rare))
        say(follower, true, "schema topic %s: %s; trying again", follower->topic, error->text);
}

/* Learns from the record, again and again while memory is out, since no statement may be lost.
 * False: the thread has to end. */
static bool stay(struct follower *follower, const struct error *error)
{
    say_trouble(follower, error);
    usleep(POLL_MS * 1000);
    return !atomic_load(&follower->stop);
}

static void learn(struct follower *follower, const struct record *record)
{
    const struct slice value = json_of_record(record->value, record->value_length);
    struct error error;
    unsigned tables = 0;
    enum ods_status status;
    do {
        error_init(&error);
        status = source_schema_learn(follower->schema, value.bytes, value.length, &tables, &error);
    } while (status == ODS_RETRY && stay(follower, &error));
    if (status != ODS_OK)
        say(follower, true, "topic %s partition %d offset %lld: %s", follower->topic,
            (int) record->partition, (long long) record->offset, error.text);
    else if (tables && follower->caught_up_us)
        say(follower, false, "the schema topic describes %u table%s (offset %lld)", tables,
            tables == 1 ? "" : "s", (long long) record->offset);
}

/* Starts the topic's partitions, each where reading stopped before. */
static enum ods_status look(struct follower *follower, struct error *error)
{
    struct topic_reader *reader = follower->reader;
    int32_t count;
    enum ods_status status = reader->ops->partitions(reader, follower->topic, &count, error);
    if (status != ODS_OK || count <= follower->count) {
        if (status == ODS_OK && !count && !follower->missing_told)
            say(follower, true,
                "topic %s (source.schema_topic) does not exist yet: until it does, the types in "
                "records without schema are told by their values alone",
                follower->topic);
        follower->missing_told |= status == ODS_OK && !count;
        return status;
    }
    int64_t *next = realloc(follower->next, (size_t) count * sizeof *next);
    if (!next)
        return error_out_of_memory(error);
    follower->next = next;
    while (follower->count < count)
        next[follower->count++] = 0;
    return reader->ops->follow(reader, follower->topic, next, count, error);
}

/* Has everything been learned that was in the topic when this pass began? */
static enum ods_status compare(struct follower *follower, bool *caught_up, struct error *error)
{
    struct topic_reader *reader = follower->reader;
    *caught_up = true;
    for (int32_t i = 0; i < follower->count; i++) {
        int64_t low, high;
        enum ods_status status =
            reader->ops->ends(reader, follower->topic, i, &low, &high, error);
        if (status != ODS_OK)
            return status;
        *caught_up &= low >= high || follower->next[i] >= high;
    }
    return ODS_OK;
}

static enum ods_status look_and_compare(struct follower *follower, struct error *error)
{
    int64_t now_us = time_monotonic_us();
    bool wanted = !follower->caught_up_us ||
                  source_schema_wanted_us(follower->schema) > follower->caught_up_us;
    bool caught_up = false;
    enum ods_status status = ODS_OK;
    if (wanted || now_us - follower->looked_us > LOOK_US) {
        status = look(follower, error);
        follower->looked_us = now_us;
    }
    if (status == ODS_OK && wanted)
        status = compare(follower, &caught_up, error);
    if (status == ODS_OK && caught_up) {
        follower->caught_up_us = now_us;
        source_schema_caught_up(follower->schema, now_us);
        if (follower->config.wake)
            follower->config.wake(follower->config.context);
    }
    return status;
}

/* False: nothing came in that time. */
static bool take(struct follower *follower, int wait_ms)
{
    struct topic_reader *reader = follower->reader;
    struct record record = {0};
    enum source_event event = reader->ops->next(reader, wait_ms, &record);
    if (event == SOURCE_NOTHING)
        return false;
    bool ours = record.partition >= 0 && record.partition < follower->count;
    /* At the end of a partition: the last offsets before it may be a transaction's markers, which
     * are no records. */
    if (ours && event == SOURCE_END)
        follower->next[record.partition] = record.offset;
    if (ours && event == SOURCE_RECORD) {
        learn(follower, &record);
        follower->next[record.partition] = record.offset + 1;
    }
    if (record.owner)
        reader->ops->release(record.owner);
    return true;
}

static void pause_after(struct follower *follower, const struct error *error)
{
    say_trouble(follower, error);
    int64_t until_us = time_monotonic_us() + PAUSE_US;
    while (!atomic_load(&follower->stop) && time_monotonic_us() < until_us)
        take(follower, POLL_MS);
}

static void *follow(void *context)
{
    struct follower *follower = context;
    while (!atomic_load(&follower->stop)) {
        struct error error;
        error_init(&error);
        if (look_and_compare(follower, &error) != ODS_OK)
            pause_after(follower, &error);
        bool more = take(follower, POLL_MS);
        while (more)
            more = take(follower, 0);
    }
    return NULL;
}

/* --- the helper ----------------------------------------------------------------------------- */

static enum ods_status follower_open(struct format_helper **out, const struct helper_config *config,
                                     struct error *error)
{
    *out = NULL;
    if (!schema_topic_is_set(config->pipeline))
        return ODS_OK;
    struct follower *follower = calloc(1, sizeof *follower);
    if (follower)
        follower->schema = schema_topic_store(&config->pipeline->source);
    if (!follower || !follower->schema) {
        free(follower);
        return error_set(error, ODS_FATAL, "out of memory to follow the schema topic");
    }
    follower->base.ops = &schema_follower_ops;
    follower->config = *config;
    follower->topic = config->pipeline->source.schema_topic;
    *out = &follower->base;
    return ODS_OK;
}

static enum ods_status open_reader(struct follower *follower, struct error *error)
{
    if (follower->reader)
        return ODS_OK;
    return follower->config.open_reader(follower->config.reader_context, &follower->reader, error);
}

static enum ods_status follower_read(struct format_helper *base, struct error *error)
{
    struct follower *follower = (struct follower *) base;
    bool caught_up = false;
    int64_t heard_us = time_monotonic_us();
    enum ods_status status = open_reader(follower, error);
    if (status == ODS_OK)
        status = look(follower, error);
    while (status == ODS_OK && !caught_up) {
        while (take(follower, POLL_MS))
            heard_us = time_monotonic_us();
        status = compare(follower, &caught_up, error);
        if (status == ODS_OK && !caught_up && time_monotonic_us() - heard_us > SILENCE_US)
            status = error_set(error, ODS_RETRY, "schema topic %s: nothing came for %lld s",
                               follower->topic, (long long) (SILENCE_US / 1000000));
    }
    if (status == ODS_OK)
        source_schema_caught_up(follower->schema, INT64_MAX);
    return status;
}

static enum ods_status follower_start(struct format_helper *base, struct error *error)
{
    struct follower *follower = (struct follower *) base;
    enum ods_status status = open_reader(follower, error);
    if (status == ODS_OK && pthread_create(&follower->thread, NULL, follow, follower))
        status = error_set(error, ODS_FATAL, "can't start the thread that follows the schema "
                                             "topic");
    follower->runs = status == ODS_OK;
    return status;
}

static void follower_stop(struct format_helper *base)
{
    struct follower *follower = (struct follower *) base;
    if (!follower || !follower->runs)
        return;
    atomic_store(&follower->stop, true);
    pthread_join(follower->thread, NULL);
    follower->runs = false;
}

static void follower_close(struct format_helper *base)
{
    struct follower *follower = (struct follower *) base;
    if (!follower)
        return;
    follower_stop(base);
    if (follower->reader)
        follower->reader->ops->close(follower->reader);
    source_schema_free(follower->schema);
    free(follower->next);
    free(follower);
}

const struct format_helper_ops schema_follower_ops = {
    .open = follower_open,
    .read = follower_read,
    .start = follower_start,
    .stop = follower_stop,
    .close = follower_close,
};

struct source_schema *schema_follower_store(struct format_helper *helper)
{
    return helper ? ((struct follower *) helper)->schema : NULL;
}
