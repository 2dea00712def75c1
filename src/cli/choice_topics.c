/* The topics that carry a table. See table_choice.h.
 *
 * Debezium and what routes its records name a topic after the table: <prefix>.<database or schema>.
 * <table>, with "_" for characters that a topic can't have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table_choice.h"
#include "core/exit.h"
#include "source/kafka/kafka_tool.h"

struct finding_topics {
    struct choice_topics *topics;
    const struct table_choice *choice;
    struct strings ends; /* of names: "shop.items" */
    char *items[64];
    enum { BY_ENTRY, BY_NAME, ALL } way;
};

void choice_topics_done(struct choice_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++)
        free(topics->items[i].name);
    free(topics->items);
    *topics = (struct choice_topics){0};
}

static void add_end(struct finding_topics *finding, const char *qualifier, const char *table)
{
    char *end = NULL;
    if (finding->ends.count == sizeof finding->items / sizeof *finding->items || !*table)
        return;
    if (asprintf(&end, "%s%s%s", qualifier, *qualifier ? "." : "", table) < 0) {
        finding->topics->failed = true;
        return;
    }
    for (char *at = end; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *at))
            *at = '_';
    finding->items[finding->ends.count++] = end;
}

static bool add_source(void *context, const char *const *values)
{
    struct finding_topics *finding = context;
    add_end(finding, *values[1] ? values[1] : values[0], values[2]);
    return true;
}

static bool is_named(const struct finding_topics *finding, const char *topic)
{
    size_t length = strlen(topic);
    for (size_t i = 0; i < finding->ends.count; i++) {
        size_t end = strlen(finding->items[i]);
        if (length >= end && strcmp(topic + length - end, finding->items[i]) == 0 &&
            (length == end || topic[length - end - 1] == '.'))
            return true;
    }
    return false;
}

static bool is_wanted(const struct finding_topics *finding, const char *topic)
{
    const struct table_settings *other;
    const struct table_settings *entry =
        pipeline_table_of_topic(finding->choice->pipeline, topic, &other);
    switch (finding->way) {
    case BY_ENTRY:
        return entry && (entry == finding->choice->table || other == finding->choice->table);
    case BY_NAME:
        return !entry && is_named(finding, topic);
    default:
        return !entry;
    }
}

static void take(void *context, const char *topic, int32_t partitions)
{
    struct finding_topics *finding = context;
    struct choice_topics *topics = finding->topics;
    if (!is_wanted(finding, topic))
        return;
    if (topics->count == topics->capacity) {
        size_t larger = topics->capacity ? topics->capacity * 2 : 16;
        struct choice_topic *moved = realloc(topics->items, larger * sizeof *moved);
        topics->failed |= !moved;
        if (!moved)
            return;
        topics->items = moved;
        topics->capacity = larger;
    }
    char *name = strdup(topic);
    topics->failed |= !name;
    if (name)
        topics->items[topics->count++] =
            (struct choice_topic){.name = name, .partitions = partitions};
}

int choice_check_source(const struct table_choice *choice, struct error *error)
{
    const char *type = choice->pipeline->input.type;
    if (strcmp(type, "kafka") == 0)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "the records of pipeline \"%s\" come from a source of type \"%s\", and only Kafka's "
              "can be looked at again",
              choice->pipeline->name, type);
    return CLI_USAGE;
}

static int by_name(const void *left, const void *right)
{
    const struct choice_topic *a = left, *b = right;
    return strcmp(a->name, b->name);
}

int choice_topics_find(struct choice_topics *topics, const struct table_choice *choice,
                      struct reader *reader, struct kafka_tool *tool, struct error *error)
{
    struct finding_topics finding = {.topics = topics, .choice = choice};
    *topics = (struct choice_topics){0};
    enum ods_status status =
        reader ? reader_sources(reader, choice->schema, choice->name, add_source, &finding, error)
               : ODS_OK;
    int code = status == ODS_OK ? CLI_OK : CLI_TARGET;
    if (!finding.ends.count || *choice->qualifier)
        add_end(&finding, choice->qualifier, choice->source);
    for (int way = BY_ENTRY; code == CLI_OK && way <= ALL && !topics->count; way++) {
        finding.way = (typeof(finding.way)) way;
        if (kafka_tool_topics(tool, choice->pipeline, take, &finding, error) != ODS_OK)
            code = CLI_SOURCE;
        topics->all = way == ALL && topics->count > 1;
    }
    for (size_t i = 0; i < finding.ends.count; i++)
        free(finding.items[i]);
    if (code == CLI_OK && topics->failed) {
        error_out_of_memory(error);
        code = CLI_INTERNAL;
    }
    if (topics->count)
        qsort(topics->items, topics->count, sizeof *topics->items, by_name);
    return code;
}
