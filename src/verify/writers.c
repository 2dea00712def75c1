/* Which record wrote a row last. See writers.h. */
#include "verify/writers.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/kafka/kafka.h"

#define RECORDS_MAX 20000 /* of all partitions together, at one time */

void writers_init(struct writers *writers, const char *topic)
{
    *writers = (struct writers){0};
    snprintf(writers->topic, sizeof writers->topic, "%s", topic);
    arena_init(&writers->arena);
}

void writers_done(struct writers *writers)
{
    free(writers->upto);
    hash_index_done(&writers->index);
    arena_done(&writers->arena);
    *writers = (struct writers){0};
}

bool writers_can(const struct comparison *comparison)
{
    const struct shape *shape = comparison->plan->shape;
    for (uint32_t k = 0; k < comparison->keys; k++)
        switch (shape->columns[comparison->columns[k].source].type) {
        case SEM_INT8:
        case SEM_INT16:
        case SEM_INT32:
        case SEM_INT64:
        case SEM_STRING:
        case SEM_UUID:
            break;
        default: /* a record writes it in another form */
            return false;
        }
    return comparison->keys > 0;
}

void writers_add_column(struct digest *key, const char *name, const char *text, size_t length)
{
    struct digest both[2] = {digest_of(name, strlen(name)), digest_of(text, length)};
    const struct digest column = digest_of(both, sizeof both);
    digest_add(key, &column);
}

static struct writer *find(const struct writers *writers, const struct digest *key)
{
    size_t at = hash_index_start(key->a);
    struct writer *writer;
    while ((writer = hash_index_next(&writers->index, key->a, &at)))
        if (digest_same(&writer->key, key))
            return writer;
    return NULL;
}

const struct writer *writers_find(const struct writers *writers, const struct digest *key)
{
    return find(writers, key);
}

/* --- reading -------------------------------------------------------------------------------- */

/* A record's key is an object of the key's columns, with a schema around it or without. */
static bool read_key(const struct record *record, struct digest *key)
{
    json_t *root = record->key ? json_loadb(record->key, record->key_length, 0, NULL) : NULL;
    json_t *payload = json_object_get(root, "payload"), *value;
    const json_t *members = json_is_object(payload) ? payload : root;
    const char *name;
    bool good = json_object_size(members) > 0;
    *key = (struct digest){0};
    json_object_foreach((json_t *) (uintptr_t) members, name, value)
    {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long) json_integer_value(value));
        good &= json_is_string(value) || json_is_integer(value);
        const char *text = json_is_string(value) ? json_string_value(value) : number;
        writers_add_column(key, name, text, strlen(text));
    }
    json_decref(root);
    return good;
}

/* A tombstone only repeats the delete before it. Within a partition the later record wins. */
static bool take_record(void *context, const struct record *record)
{
    struct writers *writers = context;
    struct digest key;
    if (record->value && read_key(record, &key)) {
        struct writer *writer = find(writers, &key);
        if (!writer && hash_index_reserve(&writers->index) &&
            (writer = arena_alloc(&writers->arena, sizeof *writer)))
            hash_index_add(&writers->index, key.a, writer);
        if (writer)
            *writer = (struct writer){key, record->partition, record->offset};
    }
    kafka_release(record->owner);
    return !verify_stops(writers->options);
}

static const struct topic_tail *tail_of(const struct writers *writers,
                                        const struct arrival *arrival)
{
    for (size_t i = 0; i < arrival->count; i++)
        if (*writers->topic && strcmp(arrival->topics[i].name, writers->topic) == 0)
            return &arrival->topics[i];
    return NULL;
}

void writers_read(struct writers *writers, struct arrival *arrival)
{
    const struct topic_tail *tail = tail_of(writers, arrival);
    struct error ignored;
    size_t count = 0;
    error_init(&ignored);
    writers->options = arrival->options;
    if (!tail || writers->failed || tail->partitions <= 0)
        return;
    if (!writers->upto) {
        writers->upto = calloc((size_t) tail->partitions, sizeof *writers->upto);
        writers->partitions = writers->upto ? tail->partitions : 0;
    }
    struct kafka_span *spans = calloc((size_t) writers->partitions + 1, sizeof *spans);
    int64_t most = writers->partitions ? RECORDS_MAX / writers->partitions : 0;
    for (int32_t p = 0; spans && p < writers->partitions && p < tail->partitions; p++) {
        int64_t upto = tail->stored[p], from = writers->upto[p];
        from = from > upto - most ? from : upto - most;
        if (upto <= from)
            continue;
        spans[count++] = (struct kafka_span){p, from > 0 ? from : 0, upto};
        writers->upto[p] = upto;
    }
    if (count && kafka_tool_read_spans(arrival->tool, tail->name, spans, count, take_record,
                                       NULL, writers, &ignored) != ODS_OK)
        writers->failed = true;
    free(spans);
}
