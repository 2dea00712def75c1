/* How far a table is behind, by its topics' ends and its newest change. See query.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/columns.h"
#include "cli/json.h"
#include "cli/query.h"
#include "core/time.h"
#include "source/kafka/kafka_tool.h"

struct place_lag {
    int64_t low, high;
};

struct lagging {
    const struct query *query;
    struct kafka_tool *tool;
    struct choice_topics topics;
    struct position *positions;
    struct place_lag *places;
    size_t count;
    char newest[64]; /* time of the newest change, "": none */
    int64_t newest_us, age_us;
};

static int64_t lag_of(const struct lagging *lagging, size_t i)
{
    int64_t from = lagging->positions[i].offset;
    const struct place_lag *place = &lagging->places[i];
    if (from < place->low)
        from = place->low;
    return place->high > from ? place->high - from : 0;
}

static int ask_kafka(struct lagging *lagging, struct error *error)
{
    const struct choice_topics *topics = &lagging->topics;
    for (size_t i = 0; i < topics->count; i++)
        lagging->count += (size_t) topics->items[i].partitions;
    lagging->positions = calloc(lagging->count + 1, sizeof *lagging->positions);
    lagging->places = calloc(lagging->count + 1, sizeof *lagging->places);
    if (!lagging->positions || !lagging->places) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    size_t at = 0;
    for (size_t i = 0; i < topics->count; i++)
        for (int32_t k = 0; k < topics->items[i].partitions; k++, at++) {
            lagging->positions[at] =
                (struct position){.topic = topics->items[i].name, .partition = k};
            if (kafka_tool_ends(lagging->tool, topics->items[i].name, k, &lagging->places[at].low,
                                &lagging->places[at].high, error) != ODS_OK)
                return CLI_SOURCE;
        }
    return CLI_OK;
}

static bool take_newest(void *context, const char *const *values)
{
    struct lagging *lagging = context;
    if (values[0]) {
        snprintf(lagging->newest, sizeof lagging->newest, "%s", values[0]);
        lagging->newest_us = strtoll(values[1], NULL, 10);
        lagging->age_us = time_wall_us() - lagging->newest_us;
    }
    return true;
}

static int ask_target(struct lagging *lagging, struct error *error)
{
    const struct query *query = lagging->query;
    const struct read_column *timestamp = query->table ? query_timestamp(query) : NULL;
    char *sql = NULL;
    enum ods_status status =
        reader_positions(query->reader, query->choice.pipeline->group_id, lagging->positions,
                         lagging->count, error);
    if (status != ODS_OK || !timestamp)
        return status == ODS_OK ? CLI_OK : CLI_TARGET;
    if (asprintf(&sql,
                 "select m::pg_catalog.text, (extract(epoch from m) * 1000000)::pg_catalog.int8 "
                 "from (select pg_catalog.max(%s)::pg_catalog.timestamptz as m from %s) as n",
                 timestamp->quoted, query->table->quoted) < 0) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    status = reader_rows(query->reader, sql, 0, NULL, take_newest, lagging, error);
    free(sql);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static void print_json(const struct lagging *lagging)
{
    const struct query *query = lagging->query;
    json_t *list = json_array();
    int64_t total = 0;
    for (size_t i = 0; i < lagging->count; i++) {
        const struct position *position = &lagging->positions[i];
        total += lag_of(lagging, i);
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:o, s:I, s:I, s:I}", "topic", position->topic,
                            "partition", (int) position->partition, "stored",
                            position->offset == OFFSET_NONE
                                ? json_null()
                                : json_integer((json_int_t) position->offset),
                            "first", (json_int_t) lagging->places[i].low, "end",
                            (json_int_t) lagging->places[i].high, "lag",
                            (json_int_t) lag_of(lagging, i)));
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:b, s:o, s:I, s:o, s:o}", "pipeline", query->choice.pipeline->name, "table",
        query->choice.name, "all_topics", lagging->topics.all, "partitions", list, "lag",
        (json_int_t) total, "newest_change",
        *lagging->newest ? json_string(lagging->newest) : json_null(), "newest_change_age_s",
        *lagging->newest ? json_real((double) lagging->age_us / 1e6) : json_null());
    cli_print_json(root);
}

static bool print_table(const struct lagging *lagging)
{
    static const char *const names[] = {"TOPIC", "PARTITION", "STORED", "END", "LAG"};
    struct columns table;
    int64_t total = 0;
    columns_init(&table, lagging->query->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < lagging->count; i++) {
        const struct position *position = &lagging->positions[i];
        total += lag_of(lagging, i);
        columns_add(&table, position->topic);
        columns_number(&table, position->partition);
        if (position->offset == OFFSET_NONE)
            columns_add(&table, "none");
        else
            columns_number(&table, position->offset);
        columns_number(&table, lagging->places[i].high);
        columns_number(&table, lag_of(lagging, i));
    }
    bool good = !lagging->count || columns_print(&table);
    columns_done(&table);
    if (!lagging->count)
        printf("no topic of pipeline \"%s\" is there\n", lagging->query->choice.pipeline->name);
    else
        printf("%" PRId64 " record%s behind%s\n", total, total == 1 ? "" : "s",
               lagging->topics.all ? ", of all tables: no topic is named like this one" : "");
    if (*lagging->newest)
        printf("newest change in the table: %s, %.1f s ago\n", lagging->newest,
               (double) lagging->age_us / 1e6);
    return good;
}

int query_lag(const struct query *query, struct error *error)
{
    struct lagging lagging = {.query = query};
    int code = choice_check_source(&query->choice, error);
    if (code == CLI_OK &&
        kafka_tool_open_quick(&lagging.tool, query->settings, query->choice.pipeline->group_id,
                              error) != ODS_OK)
        code = CLI_SOURCE;
    if (code == CLI_OK)
        code = choice_topics_find(&lagging.topics, &query->choice, query->reader, lagging.tool,
                                 error);
    if (code == CLI_OK)
        code = ask_kafka(&lagging, error);
    if (code == CLI_OK)
        code = ask_target(&lagging, error);
    if (code == CLI_OK && query->format == FORMAT_JSON)
        print_json(&lagging);
    else if (code == CLI_OK && !print_table(&lagging))
        code = CLI_INTERNAL;
    kafka_tool_close(lagging.tool);
    choice_topics_done(&lagging.topics);
    free(lagging.positions);
    free(lagging.places);
    return code;
}
