/* Rows that transactions have left in the outbox of a PostgreSQL target. source_ops say what each
 * function answers.
 *
 * A row's place among those of its name is its offset. It is given once, before the row is handed
 * out, and kept where the row is (sql/postgres/outbox_read.sql): so a target that stores offsets
 * applies each row once, and to all others a row comes again under the same number. A name belongs
 * to the lane whose session holds its lock; a lane that waits for one has no partition of it yet.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include "config/settings.h"
#include "core/time.h"
#include "source/outbox/outbox_reader.h"

struct outbox_source {
    struct source base;
    struct source_events events;
    struct outbox_reader reader;
    size_t turn; /* whose row is taken next */
    bool failed, left;
};

extern const struct source_ops outbox_source_ops;

/* Of a place that this source has given. */
static struct outbox_name *name_of(struct outbox_source *outbox, const struct place *place)
{
    struct outbox_name *name = NULL;
    for (size_t i = 0; !name && i < outbox->reader.name_count; i++)
        if (strcmp(outbox->reader.names[i].place.topic, place->topic) == 0)
            name = &outbox->reader.names[i];
    assert(name);
    return name;
}

/* --- whose it is ------------------------------------------------------------------------------ */

/* Batches of it are finished, as nothing tells whether another process has it already. */
static void give_up(struct outbox_source *outbox, struct outbox_name *name)
{
    name->announced = name->gap = false;
    outbox->events.revoked(outbox->events.context, &name->place, 1, false);
}

/* What the thread has got and lost since. */
static void announce(struct outbox_source *outbox, struct outbox_name *name)
{
    struct outbox_reader *reader = &outbox->reader;
    pthread_mutex_lock(&reader->mutex);
    bool held = name->held;
    unsigned tenure = name->tenure;
    pthread_mutex_unlock(&reader->mutex);
    if (name->announced && (!held || tenure != name->announced_tenure))
        give_up(outbox, name);
    if (name->announced || !held || outbox->left)
        return;
    name->announced = true;
    name->announced_tenure = tenure;
    outbox->events.assigned(outbox->events.context, &name->place, 1);
}

/* --- taking ----------------------------------------------------------------------------------- */

static bool take(struct outbox_reader *reader, struct outbox_name *name, struct record *record)
{
    pthread_mutex_lock(&reader->mutex);
    struct outbox_block *block =
        name->announced && name->started && name->tenure == name->announced_tenure ? name->first
                                                                                   : NULL;
    if (block) {
        size_t half = (size_t) reader->settings->prefetch_bytes / 2;
        name->first = block->next;
        if (!name->first)
            name->end = &name->first;
        if (name->bytes >= half && name->bytes - block->bytes < half)
            outbox_reader_nudge(reader);
        name->bytes -= block->bytes;
        *record = block->record;
    }
    pthread_mutex_unlock(&reader->mutex);
    return block != NULL;
}

static enum source_event outbox_next(struct source *source, struct record *record,
                                     struct error *error)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    struct outbox_reader *reader = &outbox->reader;
    if (outbox->failed) {
        error_set(error, ODS_FATAL, "there is no thread to read the outbox with");
        return SOURCE_FAILED;
    }
    for (size_t i = 0; i < reader->name_count; i++) {
        outbox->turn = (outbox->turn + 1) % reader->name_count;
        struct outbox_name *name = &reader->names[outbox->turn];
        announce(outbox, name);
        if (name->gap) {
            name->gap = false;
            record->topic = name->place.topic;
            return SOURCE_GAP;
        }
        if (take(reader, name, record))
            return SOURCE_RECORD;
    }
    return SOURCE_NOTHING;
}

/* Places below what is settled are deleted, and places that were never given are of an outbox that
 * was made anew: the pipeline decides what to do about both. */
static enum ods_status outbox_start(struct source *source, struct place *places, size_t count,
                                    struct error *error)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    struct outbox_reader *reader = &outbox->reader;
    pthread_mutex_lock(&reader->mutex);
    for (size_t i = 0; i < count; i++) {
        struct outbox_name *name = name_of(outbox, &places[i]);
        int64_t from = places[i].offset < 0 ? name->settled : places[i].offset;
        places[i].failed = name->tenure != name->announced_tenure || !name->held;
        name->gap = !places[i].failed && (from < name->settled || from > name->next_place);
        name->started = !name->gap && !places[i].failed;
        if (name->started && from != (name->first ? name->first->record.offset : name->cursor)) {
            outbox_name_drop(name);
            name->cursor = from;
        }
    }
    outbox_reader_nudge(reader);
    pthread_mutex_unlock(&reader->mutex);
    return ODS_OK;
}

static void outbox_pause(struct source *source, const struct place *places, size_t count)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    pthread_mutex_lock(&outbox->reader.mutex);
    for (size_t i = 0; i < count; i++)
        name_of(outbox, &places[i])->started = false;
    pthread_mutex_unlock(&outbox->reader.mutex);
}

/* --- settling --------------------------------------------------------------------------------- */

/* The thread deletes; waits for it until then. True: it has. */
static bool await_settled(struct outbox_reader *reader, const struct outbox_name *name,
                          int64_t offset, int wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (int64_t) (wait_ms % 1000) * 1000000;
    until.tv_sec += wait_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    while (name->held && name->settled < offset && wait_ms &&
           pthread_cond_timedwait(&reader->settled, &reader->mutex, &until) == 0)
        ;
    return name->settled >= offset;
}

static void outbox_ack(struct source *source, const struct place *places, size_t count, int wait_ms)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    struct outbox_reader *reader = &outbox->reader;
    pthread_mutex_lock(&reader->mutex);
    for (size_t i = 0; i < count; i++) {
        struct outbox_name *name = name_of(outbox, &places[i]);
        if (name->tenure == name->announced_tenure && places[i].offset > name->wanted)
            name->wanted = places[i].offset;
    }
    outbox_reader_nudge(reader);
    for (size_t i = 0; i < count; i++) {
        const struct outbox_name *name = name_of(outbox, &places[i]);
        struct place place = places[i];
        place.failed = !await_settled(reader, name, place.offset, wait_ms);
        pthread_mutex_unlock(&reader->mutex);
        outbox->events.acknowledged(outbox->events.context, &place, 1);
        pthread_mutex_lock(&reader->mutex);
    }
    pthread_mutex_unlock(&reader->mutex);
}

static enum ods_status outbox_acked(struct source *source, struct place *places, size_t count,
                                    struct error *error)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    pthread_mutex_lock(&outbox->reader.mutex);
    for (size_t i = 0; i < count; i++) {
        places[i].offset = name_of(outbox, &places[i])->wanted;
        places[i].first = FIRST_UNTOLD;
    }
    pthread_mutex_unlock(&outbox->reader.mutex);
    return ODS_OK;
}

static enum ods_status outbox_ends(struct source *source, const char *topic, int32_t partition,
                                   int64_t *low, int64_t *high, struct error *error)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    const struct place place = {.topic = topic};
    const struct outbox_name *name = name_of(outbox, &place);
    pthread_mutex_lock(&outbox->reader.mutex);
    *low = name->settled;
    *high = name->next_place;
    pthread_mutex_unlock(&outbox->reader.mutex);
    return ODS_OK;
}

/* What waits unread has no places yet, but counts. */
static int64_t outbox_known_end(struct source *source, const char *topic, int32_t partition)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    const struct place place = {.topic = topic};
    const struct outbox_name *name = name_of(outbox, &place);
    pthread_mutex_lock(&outbox->reader.mutex);
    int64_t end = name->settled + name->waiting;
    end = end > name->next_place ? end : name->next_place;
    pthread_mutex_unlock(&outbox->reader.mutex);
    return end;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void outbox_close(struct source *source)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    if (!outbox)
        return;
    outbox_reader_done(&outbox->reader);
    free(outbox);
}

static enum ods_status outbox_open(struct source **source, const struct source_config *config,
                                   struct error *error)
{
    enum ods_status status = outbox_check_settings(config, error);
    struct outbox_source *outbox = status == ODS_OK ? calloc(1, sizeof *outbox) : NULL;
    *source = NULL;
    if (status != ODS_OK)
        return status;
    if (!outbox)
        return error_set(error, ODS_FATAL, "out of memory for a source");
    outbox->base.ops = &outbox_source_ops;
    outbox->events = config->events;
    if (outbox_reader_init(&outbox->reader, config, outbox_target(config))) {
        *source = &outbox->base;
        return ODS_OK;
    }
    outbox_close(&outbox->base);
    return error_set(error, ODS_FATAL, "out of memory or file descriptors for a source");
}

static void outbox_join(struct source *source)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    outbox->failed = !outbox_reader_start(&outbox->reader);
}

static void outbox_leave(struct source *source)
{
    struct outbox_source *outbox = (struct outbox_source *) source;
    outbox->left = true;
    for (size_t i = 0; i < outbox->reader.name_count; i++)
        if (outbox->reader.names[i].announced)
            give_up(outbox, &outbox->reader.names[i]);
    outbox_reader_stop(&outbox->reader);
}

static void outbox_source_look(const struct source *source, struct source_state *state)
{
    const struct outbox_source *outbox = (const struct outbox_source *) source;
    bool up = atomic_load(&outbox->reader.up);
    *state = (struct source_state){.joined = up, .away = !up};
}

static int64_t outbox_ahead_bytes(const struct source_config *config)
{
    const struct outbox_settings *settings = config->settings;
    return 2 * settings->prefetch_bytes;
}

static enum ods_status outbox_check(const struct source_config *config,
                                    void (*report)(void *context, const char *line), void *context,
                                    struct error *error)
{
    const struct target_settings *target = outbox_target(config);
    const struct strings *topics = &config->pipeline->topics;
    struct outbox *outbox = outbox_new(target);
    bool there = false;
    char line[400];
    if (!outbox)
        return error_out_of_memory(error);
    enum ods_status status = outbox_look(outbox, &there, error);
    if (status == ODS_OK && !there) {
        snprintf(line, sizeof line, "target %s: the outbox will be made at the first start",
                 target->name);
        report(context, line);
    }
    for (size_t i = 0; there && status == ODS_OK && i < topics->count; i++) {
        int64_t count = 0;
        status = outbox_waiting(outbox, topics->items[i], 10000, &count, error);
        snprintf(line, sizeof line, "target %s: outbox %.200s: %s%lld row%s wait%s", target->name,
                 topics->items[i], count < 10000 ? "" : "at least ", (long long) count,
                 count == 1 ? "" : "s", count == 1 ? "s" : "");
        if (status == ODS_OK)
            report(context, line);
    }
    if ((size_t) config->pipeline->lanes > topics->count)
        report(context, "an outbox's name is one lane's: of more lanes some have nothing to do");
    outbox_free(outbox);
    return status;
}

const struct source_ops outbox_source_ops = {
    .type = "outbox",
    .summary = "what transactions have left in a PostgreSQL target's outbox, in commit order",
    .settings = &outbox_settings_group,
    .kind = SOURCE_NUMBERED,
    .awaits_acks = true,
    .suits = outbox_check_settings,
    .open = outbox_open,
    .join = outbox_join,
    .next = outbox_next,
    .start = outbox_start,
    .pause = outbox_pause,
    .ack = outbox_ack,
    .acked = outbox_acked,
    .ends = outbox_ends,
    .known_end = outbox_known_end,
    .look = outbox_source_look,
    .release = outbox_block_release,
    .headers = outbox_block_headers,
    .leave = outbox_leave,
    .close = outbox_close,
    .ahead_bytes = outbox_ahead_bytes,
    .check = outbox_check,
};
