/* Names and patterns of topics. See kafka_topics.h. */
#include "source/kafka/kafka_topics.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "source/kafka/kafka.h"

#define MANY_NAMES 16 /* so many questions cost more than one for all topics */

struct pattern {
    char *name;
    regex_t regex;
    bool is_regex;
};

struct patterns {
    struct pattern *items;
    size_t count;
};

struct kafka_topics {
    struct patterns wanted, unwanted;
    bool by_regex; /* any of the wanted ones */
};

/* A pattern that does not compile matches nothing. */
static bool add(struct patterns *patterns, const char *text, size_t length)
{
    struct pattern *larger = realloc(patterns->items, (patterns->count + 1) * sizeof *larger);
    if (!larger)
        return false;
    patterns->items = larger;
    struct pattern *pattern = &larger[patterns->count];
    *pattern = (struct pattern){.name = strndup(text, length)};
    if (!pattern->name)
        return false;
    pattern->is_regex = *pattern->name == '^' &&
                        regcomp(&pattern->regex, pattern->name, REG_EXTENDED | REG_NOSUB) == 0;
    patterns->count++;
    return true;
}

static bool matches(const struct patterns *patterns, const char *topic)
{
    for (size_t i = 0; i < patterns->count; i++) {
        const struct pattern *pattern = &patterns->items[i];
        if (pattern->is_regex ? regexec(&pattern->regex, topic, 0, NULL, 0) == 0
                              : strcmp(pattern->name, topic) == 0)
            return true;
    }
    return false;
}

static void clear(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (patterns->items[i].is_regex)
            regfree(&patterns->items[i].regex);
        free(patterns->items[i].name);
    }
    free(patterns->items);
}

static bool add_wanted(struct kafka_topics *topics, const struct pipeline_settings *pipeline)
{
    for (size_t i = 0; i < pipeline->topics.count; i++) {
        const char *text = pipeline->topics.items[i];
        if (!add(&topics->wanted, text, strlen(text)))
            return false;
        topics->by_regex |= *text == '^';
    }
    return true;
}

/* Dead letters of this daemon never come back through a pattern. topic.blacklist is a list that is
 * separated by commas. */
static bool add_unwanted(struct kafka_topics *topics, const struct settings *settings)
{
    const char *own = settings->dead_letter.topic;
    const char *theirs = properties_find(&settings->kafka.properties, "topic.blacklist");
    if (*own && !add(&topics->unwanted, own, strlen(own)))
        return false;
    while (theirs && *theirs) {
        size_t length = strcspn(theirs, ",");
        if (length && !add(&topics->unwanted, theirs, length))
            return false;
        theirs += length + (theirs[length] == ',');
    }
    return true;
}

struct kafka_topics *kafka_topics_new(const struct settings *settings,
                                      const struct pipeline_settings *pipeline)
{
    struct kafka_topics *topics = calloc(1, sizeof *topics);
    if (topics && (!add_wanted(topics, pipeline) || !add_unwanted(topics, settings))) {
        kafka_topics_free(topics);
        topics = NULL;
    }
    return topics;
}

void kafka_topics_free(struct kafka_topics *topics)
{
    if (!topics)
        return;
    clear(&topics->wanted);
    clear(&topics->unwanted);
    free(topics);
}

bool kafka_topics_match(const struct kafka_topics *topics, const char *topic)
{
    return matches(&topics->wanted, topic) && !matches(&topics->unwanted, topic);
}

static int order_of(const void *topic, const void *element)
{
    return strcmp(topic, ((const rd_kafka_topic_partition_t *) element)->topic);
}

/* The list is sorted; librdkafka's own search goes through it one by one, which makes seconds of a
 * look at ten thousand topics. */
static bool lists(const rd_kafka_topic_partition_list_t *list, const char *topic)
{
    return list && bsearch(topic, list->elems, (size_t) list->cnt, sizeof *list->elems, order_of);
}

static bool contains(rd_kafka_topic_partition_list_t *list, const char *topic)
{
    return rd_kafka_topic_partition_list_find(list, topic, RD_KAFKA_PARTITION_UA);
}

/* How many partitions the known topics have, as far as the metadata tells. */
static int count_partitions(const struct rd_kafka_metadata *metadata,
                            const rd_kafka_topic_partition_list_t *known)
{
    int count = 0;
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (lists(known, metadata->topics[i].topic))
            count += metadata->topics[i].partition_cnt;
    return count;
}

/* Answers how many partitions they have. */
static int take(const struct kafka_topics *topics, const struct rd_kafka_metadata *metadata,
                const rd_kafka_topic_partition_list_t *known,
                rd_kafka_topic_partition_list_t *found)
{
    int count = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        bool usable = !topic->err && topic->partition_cnt > 0;
        bool gone = topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if ((usable || (!gone && lists(known, topic->topic))) &&
            kafka_topics_match(topics, topic->topic)) {
            rd_kafka_topic_partition_list_add(found, topic->topic, RD_KAFKA_PARTITION_UA);
            count += topic->partition_cnt;
        }
    }
    return count;
}

/* Asks for the metadata of one topic, or of all. */
static bool ask_for(const struct kafka_topics *topics, rd_kafka_t *rk, const char *name,
                    rd_kafka_topic_partition_list_t *known, rd_kafka_topic_partition_list_t *found,
                    int *partitions, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = name ? rd_kafka_topic_new(rk, name, NULL) : NULL;
    if (name && !topic)
        return false;
    bool answered = rd_kafka_metadata(rk, !name, topic, &metadata, timeout_ms) == 0;
    if (topic)
        rd_kafka_topic_destroy(topic);
    if (!answered)
        return false;
    int taken = take(topics, metadata, known, found);
    *partitions += known ? count_partitions(metadata, known) : taken;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* Of the topics that the client has to do with, in one question. */
static bool ask_for_partitions(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *known,
                               int *partitions, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata;
    if (!known || !known->cnt)
        return true;
    if (rd_kafka_metadata(rk, 0, NULL, &metadata, timeout_ms))
        return false;
    *partitions = count_partitions(metadata, known);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* Names alone: only what is missing is asked for, one by one, since a cluster may have thousands of
 * other topics. librdkafka itself notices when one goes, and within minutes when one has more
 * partitions. */
static bool ask_for_names(const struct kafka_topics *topics, rd_kafka_t *rk,
                          rd_kafka_topic_partition_list_t *known,
                          rd_kafka_topic_partition_list_t *found, int *partitions, int timeout_ms)
{
    bool answered = ask_for_partitions(rk, known, partitions, timeout_ms);
    int none = 0;
    for (size_t i = 0; answered && i < topics->wanted.count; i++) {
        const char *name = topics->wanted.items[i].name;
        if (contains(found, name))
            continue;
        if (lists(known, name))
            rd_kafka_topic_partition_list_add(found, name, RD_KAFKA_PARTITION_UA);
        else
            answered = ask_for(topics, rk, name, NULL, found, known ? &none : partitions,
                               timeout_ms);
    }
    return answered;
}

rd_kafka_topic_partition_list_t *kafka_topics_look(const struct kafka_topics *topics,
                                                   rd_kafka_t *rk,
                                                   rd_kafka_topic_partition_list_t *known,
                                                   int *partitions, int timeout_ms)
{
    *partitions = 0;
    size_t missing = topics->wanted.count - (size_t) (known ? known->cnt : 0);
    rd_kafka_topic_partition_list_t *found = rd_kafka_topic_partition_list_new(8);
    if (topics->by_regex || missing > MANY_NAMES
            ? ask_for(topics, rk, NULL, known, found, partitions, timeout_ms)
            : ask_for_names(topics, rk, known, found, partitions, timeout_ms))
        return found;
    rd_kafka_topic_partition_list_destroy(found);
    return NULL;
}

const char *kafka_topics_missing(const struct kafka_topics *topics,
                                 rd_kafka_topic_partition_list_t *list, size_t *at)
{
    while (*at < topics->wanted.count) {
        const struct pattern *pattern = &topics->wanted.items[(*at)++];
        if (*pattern->name != '^' && !lists(list, pattern->name))
            return pattern->name;
    }
    return NULL;
}
