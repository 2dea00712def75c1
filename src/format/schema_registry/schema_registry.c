/* See schema_registry.h. One lock; entries in an array, since only a schema that a lane does not
 * know yet is looked for. */
#include "format/schema_registry/schema_registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/backoff.h"
#include "core/rare.h"
#include "core/time.h"
#include "core/wait.h"

#define BYTES_MAX    ((size_t) 64 * 1024 * 1024)
#define UNKNOWN_US   INT64_C(30000000) /* how long "there is none" is believed */
#define EMPTY_US     INT64_C(60000000) /* how long a registry may be without any schema */
#define FORGET_US    INT64_C(60000000) /* a schema that nobody has waited for in this time */
#define WAIT_MS      30000             /* of a command, for a registry that is away */
#define AGAIN_MS     500               /* between two questions for an id that is not known */

enum entry_state {
    ENTRY_WANTED,
    ENTRY_HERE,
    ENTRY_REFUSED, /* why[] says why; until until_us where the registry does not know it */
};

struct entry {
    struct schema_ref ref;
    enum entry_state state;
    struct schema_texts texts;
    int64_t used_us;    /* when a lane asked last */
    int64_t unknown_us; /* when the registry first said that it does not know it; 0: it did not */
    int64_t next_us;    /* of a wanted one: not asked for before */
    int64_t until_us;   /* of a refused one: asked for again after; INT64_MAX: never */
    bool again;         /* it was refused before */
    char why[400];
};

struct schema_registry {
    struct format_helper base;
    struct helper_config config;
    const struct registry_settings *settings;
    struct registry_client *client; /* entered by one thread: the helper's, or a command's */
    pthread_t thread;
    bool runs;
    bool alone; /* a command's: who asks waits for the answer */
    atomic_bool stop;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something is wanted, or it is time to end */
    struct entry **entries;
    size_t count, capacity, bytes;
    char trouble[400]; /* why the registry does not answer; "": it does */

    /* Of the asking thread only. */
    struct backoff backoff;
    struct rare rare;
    int64_t granted_us; /* when an unknown id was last given time */
    bool empty_told;
    int64_t empty_us;   /* since when it has no schema at all; 0: it has */
    bool away;
};

/* --- entries (all under the lock) --- */

static struct entry *find(struct schema_registry *registry, const struct schema_ref *ref)
{
    for (size_t i = 0; i < registry->count; i++)
        if (schema_ref_same(&registry->entries[i]->ref, ref))
            return registry->entries[i];
    return NULL;
}

static void drop(struct schema_registry *registry, size_t index)
{
    struct entry *entry = registry->entries[index];
    registry->bytes -= entry->texts.bytes;
    schema_texts_done(&entry->texts);
    free(entry);
    registry->entries[index] = registry->entries[--registry->count];
}

/* Forgets the one that was not used for longest; what is being waited for stays. */
static bool drop_oldest(struct schema_registry *registry, const struct entry *but)
{
    size_t oldest = registry->count;
    for (size_t i = 0; i < registry->count; i++) {
        const struct entry *entry = registry->entries[i];
        if (entry != but && entry->state != ENTRY_WANTED &&
            (oldest == registry->count || entry->used_us < registry->entries[oldest]->used_us))
            oldest = i;
    }
    if (oldest == registry->count)
        return false;
    drop(registry, oldest);
    return true;
}

/* NULL: out of memory, or as many as may be kept are all waited for. */
static struct entry *add(struct schema_registry *registry, const struct schema_ref *ref)
{
    if (registry->count >= (size_t) registry->settings->cache && !drop_oldest(registry, NULL))
        return NULL;
    if (registry->count == registry->capacity) {
        size_t larger = registry->capacity ? registry->capacity * 2 : 16;
        struct entry **moved = realloc(registry->entries, larger * sizeof *moved);
        if (!moved)
            return NULL;
        registry->entries = moved;
        registry->capacity = larger;
    }
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry) {
        entry->ref = *ref;
        registry->entries[registry->count++] = entry;
    }
    return entry;
}

static bool copy_texts(struct schema_texts *to, const struct schema_texts *from)
{
    *to = (struct schema_texts){
        .type = from->type, .key_only = from->key_only, .value_only = from->value_only};
    memcpy(to->subject, from->subject, sizeof to->subject);
    for (size_t i = 0; i < from->count; i++) {
        if (schema_texts_add(to, from->names[i], from->items[i].bytes, from->items[i].length))
            continue;
        schema_texts_done(to);
        return false;
    }
    return true;
}

/* --- asking (the helper's thread, or a command's) --- */

static void say(const struct schema_registry *registry, bool warning, const char *text)
{
    if (registry->config.say)
        registry->config.say(registry->config.context, warning, text);
}

static void note_away(struct schema_registry *registry, const struct error *error)
{
    char text[ERROR_TEXT_BYTES + 128];
    snprintf(registry->trouble, sizeof registry->trouble, "%.399s", error->text);
    registry->away = true;
    if (!rare_due(&registry->rare))
        return;
    snprintf(text, sizeof text, "%s; records with schemas that are not known yet wait, trying "
                                "again",
             error->text);
    say(registry, true, text);
}

static void note_answer(struct schema_registry *registry)
{
    registry->trouble[0] = '\0';
    backoff_reset(&registry->backoff);
    if (registry->away)
        say(registry, false, "the schema registry answers again");
    registry->away = false;
    registry->rare = (struct rare){0};
}

/* Is an id that the registry does not know asked for again? A replica of the registry may be
 * behind, or the registry is being restored. Only one id at a time is waited for: many unknown ones
 * are not a replica that is behind, but records that are not Avro. */
static bool is_patient(struct schema_registry *registry, const struct entry *entry, bool empty)
{
    int64_t now_us = time_monotonic_us();
    if (!empty)
        registry->empty_us = 0;
    else if (!registry->empty_us)
        registry->empty_us = now_us;
    if (empty && now_us - registry->empty_us < EMPTY_US)
        return true;
    if (entry->unknown_us)
        return now_us - entry->unknown_us < registry->settings->unknown_ms * 1000;
    return !entry->again && registry->settings->unknown_ms &&
           (!registry->granted_us || now_us - registry->granted_us > EMPTY_US);
}

static void take_unknown(struct schema_registry *registry, struct entry *entry, bool empty,
                         const struct error *error)
{
    int64_t now_us = time_monotonic_us();
    char text[SCHEMA_REF_BYTES];
    snprintf(entry->why, sizeof entry->why, "%s: %.300s%s", schema_ref_text(&entry->ref, text),
             error->text, empty ? ", which has no schema at all: is it being restored?" : "");
    bool patient = is_patient(registry, entry, empty);
    if (patient && empty && !registry->empty_told)
        say(registry, true,
            "the schema registry has no schema at all: is it being restored? Records "
            "with schemas that are not known yet wait for a minute");
    registry->empty_told = empty;
    if (patient) {
        if (!entry->unknown_us)
            entry->unknown_us = registry->granted_us = now_us;
        entry->next_us = now_us + AGAIN_MS * 1000;
        return;
    }
    entry->state = ENTRY_REFUSED;
    entry->again = true;
    entry->unknown_us = 0;
    entry->until_us = now_us + UNKNOWN_US;
}

/* What came for the entry, which may have been forgotten while it was asked for. */
static void take_answer(struct schema_registry *registry, const struct schema_ref *ref,
                        enum ods_status status, bool unknown, bool empty,
                        struct schema_texts *texts, const struct error *error)
{
    char text[SCHEMA_REF_BYTES];
    struct entry *entry = find(registry, ref);
    if (!entry || entry->state != ENTRY_WANTED) {
        schema_texts_done(texts);
        return;
    }
    if (status == ODS_OK) {
        entry->state = ENTRY_HERE;
        entry->texts = *texts;
        registry->bytes += texts->bytes;
        while (registry->bytes > BYTES_MAX && drop_oldest(registry, entry))
            continue;
    } else if (unknown) {
        take_unknown(registry, entry, empty, error);
    } else {
        entry->state = ENTRY_REFUSED;
        entry->until_us = INT64_MAX;
        snprintf(entry->why, sizeof entry->why, "%s: %.300s", schema_ref_text(ref, text),
                 error->text);
    }
}

/* The next schema to ask for; what nobody waits for any more is forgotten. *wait_ms: until when
 * there is none. */
static struct entry *next_wanted(struct schema_registry *registry, int64_t *wait_ms)
{
    int64_t now_us = time_monotonic_us();
    struct entry *next = NULL;
    for (size_t i = registry->count; i-- > 0;) {
        struct entry *entry = registry->entries[i];
        if (entry->state != ENTRY_WANTED)
            continue;
        if (now_us - entry->used_us > FORGET_US)
            drop(registry, i);
        else if (!next || entry->next_us < next->next_us)
            next = entry;
    }
    *wait_ms = !next ? 60000 : (next->next_us - now_us) / 1000;
    return next && next->next_us <= now_us ? next : NULL;
}

/* Asks for one schema, without the lock while the registry answers. ODS_RETRY: it is away. */
static enum ods_status ask(struct schema_registry *registry, struct entry *entry,
                           struct error *error)
{
    struct schema_ref ref = entry->ref;
    struct schema_texts texts;
    bool unknown = false, empty = false;
    enum ods_status status = ODS_OK;
    pthread_mutex_unlock(&registry->lock);
    if (!registry->client)
        status = registry_client_open(&registry->client, registry->settings, &registry->stop,
                                      error);
    if (status == ODS_OK)
        status = registry_client_fetch(registry->client, &ref, &texts, &unknown, error);
    else
        status = ODS_RETRY;
    if (status == ODS_REJECT && unknown)
        empty = registry_client_is_empty(registry->client);
    pthread_mutex_lock(&registry->lock);
    if (status == ODS_RETRY) {
        note_away(registry, error);
        return status;
    }
    note_answer(registry);
    take_answer(registry, &ref, status, unknown, empty, &texts, error);
    return ODS_OK;
}

static void sleep_ms(struct schema_registry *registry, int64_t wait_ms)
{
    struct timespec until = time_deadline(wait_ms);
    if (!atomic_load(&registry->stop))
        pthread_cond_timedwait(&registry->changed, &registry->lock, &until);
}

static void *serve(void *context)
{
    struct schema_registry *registry = context;
    pthread_mutex_lock(&registry->lock);
    while (!atomic_load(&registry->stop)) {
        struct error error;
        int64_t wait_ms;
        error_init(&error);
        struct entry *entry = next_wanted(registry, &wait_ms);
        if (!entry) {
            sleep_ms(registry, wait_ms + 1);
            continue;
        }
        if (ask(registry, entry, &error) == ODS_RETRY) {
            /* One more wanted schema does not shorten the pause. */
            int64_t until_us = time_monotonic_us() + backoff_next_ms(&registry->backoff) * 1000;
            for (int64_t left; (left = until_us - time_monotonic_us()) > 0 &&
                               !atomic_load(&registry->stop);)
                sleep_ms(registry, left / 1000 + 1);
            continue;
        }
        pthread_mutex_unlock(&registry->lock);
        if (registry->config.wake)
            registry->config.wake(registry->config.context);
        pthread_mutex_lock(&registry->lock);
    }
    pthread_mutex_unlock(&registry->lock);
    return NULL;
}

/* A command's thread asks until it is answered, for half a minute. */
static void ask_here(struct schema_registry *registry, struct entry *entry)
{
    struct schema_ref ref = entry->ref;
    int64_t until_us = time_monotonic_us() + INT64_C(1000) * WAIT_MS;
    while (entry && entry->state == ENTRY_WANTED && time_monotonic_us() < until_us) {
        struct error error;
        int64_t wait_ms = AGAIN_MS;
        error_init(&error);
        entry->used_us = time_monotonic_us();
        if (ask(registry, entry, &error) == ODS_RETRY)
            wait_ms = backoff_next_ms(&registry->backoff);
        entry = find(registry, &ref);
        if (entry && entry->state == ENTRY_WANTED)
            sleep_ms(registry, wait_ms);
    }
}

/* --- for decoders --- */

static enum ods_status answer(struct schema_registry *registry, const struct entry *entry,
                              const struct schema_ref *ref, struct schema_texts *texts,
                              struct error *error)
{
    char text[SCHEMA_REF_BYTES];
    if (!entry)
        return error_set(error, ODS_RETRY, "%s: more schemas are waited for than registry.cache "
                                           "(%lld) allows",
                         schema_ref_text(ref, text), (long long) registry->settings->cache);
    switch (entry->state) {
    case ENTRY_HERE:
        return copy_texts(texts, &entry->texts) ? ODS_OK : error_out_of_memory(error);
    case ENTRY_REFUSED:
        return error_set(error, ODS_REJECT, "%s", entry->why);
    case ENTRY_WANTED:
        break;
    }
    const char *why = *registry->trouble ? registry->trouble
                      : *entry->why      ? entry->why
                                         : "the registry is being asked for it";
    error_set(error, ODS_RETRY, "%s is not known yet: %s", schema_ref_text(ref, text), why);
    error->fault = FAULT_OUTAGE;
    return ODS_RETRY;
}

enum ods_status schema_registry_get(struct schema_registry *registry, const struct schema_ref *ref,
                                    struct schema_texts *texts, struct error *error)
{
    int64_t now_us = time_monotonic_us();
    *texts = (struct schema_texts){0};
    pthread_mutex_lock(&registry->lock);
    struct entry *entry = find(registry, ref);
    if (!entry)
        entry = add(registry, ref);
    if (entry)
        entry->used_us = now_us;
    if (entry && entry->state == ENTRY_REFUSED && entry->until_us < now_us) {
        entry->state = ENTRY_WANTED;
        entry->next_us = 0;
    }
    if (entry && entry->state == ENTRY_WANTED) {
        if (registry->alone)
            ask_here(registry, entry);
        else
            pthread_cond_signal(&registry->changed);
        entry = find(registry, ref);
    }
    enum ods_status status = answer(registry, entry, ref, texts, error);
    pthread_mutex_unlock(&registry->lock);
    return status;
}

/* --- the helper --- */

enum ods_status schema_registry_open(struct schema_registry **out,
                                     const struct registry_settings *settings,
                                     struct error *error)
{
    struct schema_registry *registry = calloc(1, sizeof *registry);
    *out = NULL;
    if (!registry)
        return error_set(error, ODS_FATAL, "out of memory for a schema registry");
    registry->settings = settings;
    registry->alone = true;
    backoff_init(&registry->backoff, 100, 5000);
    pthread_mutex_init(&registry->lock, NULL);
    wait_init(&registry->changed);
    *out = registry;
    return ODS_OK;
}

static void registry_stop(struct format_helper *base)
{
    struct schema_registry *registry = (struct schema_registry *) base;
    if (!registry)
        return;
    atomic_store(&registry->stop, true);
    if (!registry->runs)
        return;
    pthread_mutex_lock(&registry->lock);
    pthread_cond_broadcast(&registry->changed);
    pthread_mutex_unlock(&registry->lock);
    pthread_join(registry->thread, NULL);
    registry->runs = false;
}

void schema_registry_close(struct schema_registry *registry)
{
    if (!registry)
        return;
    registry_stop(&registry->base);
    while (registry->count)
        drop(registry, registry->count - 1);
    free(registry->entries);
    registry_client_close(registry->client);
    pthread_cond_destroy(&registry->changed);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static enum ods_status helper_open(struct format_helper **out, const struct helper_config *config,
                                   struct error *error)
{
    struct schema_registry *registry = NULL;
    *out = NULL;
    enum ods_status status =
        schema_registry_open(&registry, &config->pipeline->registry, error);
    if (status != ODS_OK)
        return status;
    registry->base.ops = &schema_registry_ops;
    registry->alone = false;
    registry->config = *config;
    *out = &registry->base;
    return ODS_OK;
}

/* Schemas are asked for as records need them: by the caller's thread from here on. */
static enum ods_status helper_read(struct format_helper *base, struct error *error)
{
    struct schema_registry *registry = (struct schema_registry *) base;
    registry->alone = true;
    return ODS_OK;
}

static enum ods_status helper_start(struct format_helper *base, struct error *error)
{
    struct schema_registry *registry = (struct schema_registry *) base;
    if (pthread_create(&registry->thread, NULL, serve, registry))
        return error_set(error, ODS_FATAL, "can't start the thread that asks the registry");
    registry->runs = true;
    return ODS_OK;
}

static void helper_close(struct format_helper *base)
{
    schema_registry_close((struct schema_registry *) base);
}

struct schema_registry *schema_registry_of(struct format_helper *helper)
{
    return (struct schema_registry *) helper;
}

static enum ods_status helper_check(const struct pipeline_settings *pipeline,
                                    void (*report)(void *context, const char *line),
                                    void *context, struct error *error)
{
    struct registry_client *client;
    enum ods_status status = registry_client_open(&client, &pipeline->registry, NULL, error);
    if (status == ODS_OK)
        status = registry_client_check(client, report, context, error);
    registry_client_close(client);
    return status;
}

const struct format_helper_ops schema_registry_ops = {
    .open = helper_open,
    .read = helper_read,
    .start = helper_start,
    .stop = registry_stop,
    .close = helper_close,
    .check = helper_check,
    .registry = true,
};
