/* See kafka_record.h. */
#include "source/kafka/kafka_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/kafka/kafka.h"

_Static_assert(POSITION_BEGINNING == RD_KAFKA_OFFSET_BEGINNING, "they are passed on as they are");

rd_kafka_topic_partition_list_t *kafka_list(const struct place *places, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)->offset =
            places[i].offset;
    return list;
}

/* Beside an offset of the group a text can be kept, by which our own are told from others'. */
#define FIRST_TEXT "ods-sink first="
#define FIRST_NONE "unknown"

rd_kafka_topic_partition_list_t *kafka_commits(const struct place *places, size_t count)
{
    rd_kafka_topic_partition_list_t *list = kafka_list(places, count);
    for (int i = 0; i < list->cnt; i++) {
        char text[64];
        int64_t first = places[i].first;
        if (first == FIRST_UNTOLD)
            continue;
        if (first == FIRST_UNKNOWN)
            snprintf(text, sizeof text, FIRST_TEXT FIRST_NONE);
        else
            snprintf(text, sizeof text, FIRST_TEXT "%lld", (long long) first);
        list->elems[i].metadata = strdup(text);
        list->elems[i].metadata_size = list->elems[i].metadata ? strlen(text) : 0;
    }
    return list;
}

static int64_t first_of(const rd_kafka_topic_partition_t *entry)
{
    char text[64];
    char *end;
    const size_t length = strlen(FIRST_TEXT);
    if (!entry->metadata || entry->metadata_size >= sizeof text)
        return FIRST_UNTOLD;
    memcpy(text, entry->metadata, entry->metadata_size);
    text[entry->metadata_size] = '\0';
    if (strncmp(text, FIRST_TEXT, length) != 0)
        return FIRST_UNTOLD;
    long long first = strtoll(text + length, &end, 10);
    return end == text + length || *end || first < 0 ? FIRST_UNKNOWN : first;
}

void kafka_committed(const rd_kafka_topic_partition_list_t *list, struct place *places)
{
    kafka_answers(list, places);
    for (int i = 0; i < list->cnt; i++)
        places[i].first = first_of(&list->elems[i]);
}

static bool is_of(const rd_kafka_topic_partition_t *entry, const struct place *place)
{
    return entry->partition == place->partition && strcmp(entry->topic, place->topic) == 0;
}

void kafka_answers(const rd_kafka_topic_partition_list_t *list, struct place *places)
{
    for (int i = 0; i < list->cnt; i++) {
        places[i].failed = list->elems[i].err || !is_of(&list->elems[i], &places[i]);
        places[i].offset = list->elems[i].offset;
    }
}

struct place *kafka_places(const rd_kafka_topic_partition_list_t *list)
{
    struct place *places = calloc((size_t) list->cnt + 1, sizeof *places);
    for (int i = 0; places && i < list->cnt; i++)
        places[i] = (struct place){.topic = list->elems[i].topic,
                                   .partition = list->elems[i].partition,
                                   .offset = list->elems[i].offset,
                                   .failed = list->elems[i].err != 0};
    return places;
}

/* --- what a record owns ----------------------------------------------------------------------- */

void kafka_release(void *owner)
{
    rd_kafka_message_destroy(owner);
}

size_t kafka_headers(const struct record *record, struct header *headers, size_t max)
{
    rd_kafka_headers_t *list;
    if (rd_kafka_message_headers(record->owner, &list))
        return 0;
    size_t count = rd_kafka_header_cnt(list);
    for (size_t i = 0; i < count && i < max; i++) {
        const void *value;
        rd_kafka_header_get_all(list, i, &headers[i].name, &value, &headers[i].length);
        headers[i].value = value;
    }
    return count;
}

const char *kafka_header(const struct record *record, const char *name, size_t *length)
{
    rd_kafka_headers_t *list;
    const void *value;
    if (rd_kafka_message_headers(record->owner, &list) ||
        rd_kafka_header_get_last(list, name, &value, length))
        return NULL;
    return value;
}
