/* Targets that are a lake: their tables are read and compared by the lake engine, twice.
 *
 * A difference counts if it is there at both looks, with the same row on either side, and the
 * pipeline has by the second one applied all that Kafka had after the first. Else it may be on its
 * way, and nothing is certain about it.
 */
#include "verify/lake.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "sink/lake/compare.h"
#include "sink/lake/settings.h"
#include "source/kafka/kafka_tool.h"
#include "verify/passage.h"

#define POLL_MS  200
#define PAUSE_MS 1000 /* between two looks, beside what a commit waits */

struct lake_run {
    struct run *run;
    struct sink_config config;
    struct lake_progress *progress;
    json_t *ends; /* of Kafka, after the first look: "topic:partition" → offset */
};

/* One table. */
struct looking {
    struct lake_run *lake;
    struct source_table source;
    struct verify_table result;
    struct shape_table *shapes;
    const struct shape *shape;
    bool *passed_over; /* by the source's column */
    char *list;        /* SQL: the columns that are read */
    struct passage passage;
    struct arena arena;
    struct value *values;
    struct lake_compare *compare;
    int64_t refused; /* rows that the sink would not write */
    bool extras;     /* a row that only the table has is a difference */
    char place[300], notes[512];
};

/* --- how far the pipeline is ------------------------------------------------------------------ */

/* Ends of the topics that the pipeline has read. */
static enum ods_status read_ends(struct lake_run *lake, struct error *error)
{
    struct run *run = lake->run;
    struct kafka_tool *tool = NULL;
    const char *place;
    json_t *offsets = NULL, *offset;
    enum ods_status status = lake_progress_read(lake->progress, &offsets, error);
    json_decref(lake->ends);
    lake->ends = json_object();
    if (status == ODS_OK && strcmp(run->pipeline->input.type, "kafka") == 0 &&
        json_object_size(offsets))
        status = kafka_tool_open_quick(&tool, run->options->settings, run->pipeline->group_id,
                                       error);
    json_object_foreach(tool ? offsets : NULL, place, offset)
    {
        const char *colon = strrchr(place, ':');
        char *topic = colon ? strndup(place, (size_t) (colon - place)) : NULL;
        int64_t low = 0, high = 0;
        if (status == ODS_OK && topic)
            status = kafka_tool_ends(tool, topic, (int32_t) strtol(colon + 1, NULL, 10), &low,
                                     &high, error);
        if (status == ODS_OK)
            json_object_set_new(lake->ends, place, json_integer(high));
        free(topic);
    }
    kafka_tool_close(tool);
    json_decref(offsets);
    return status;
}

static enum ods_status has_arrived(struct lake_run *lake, bool *arrived, struct error *error)
{
    const char *place;
    json_t *offsets = NULL, *end;
    enum ods_status status = lake_progress_read(lake->progress, &offsets, error);
    *arrived = status == ODS_OK;
    json_object_foreach(lake->ends, place, end)
        if (json_integer_value(json_object_get(offsets, place)) < json_integer_value(end))
            *arrived = false;
    json_decref(offsets);
    return status;
}

/* Until what came before is applied, and a commit later. *arrived false: it is not, in time. */
static enum ods_status wait_for(struct lake_run *lake, bool *arrived, struct error *error)
{
    const struct verify_options *options = lake->run->options;
    const struct lake_settings *settings = lake->config.settings;
    int64_t began_us = time_monotonic_us();
    int64_t least_us = (PAUSE_MS + settings->commit_ms) * 1000;
    enum ods_status status = ODS_OK;
    for (*arrived = false; status == ODS_OK && !verify_stops(options);) {
        struct timespec nap = {0, POLL_MS * 1000000};
        int64_t passed_us = time_monotonic_us() - began_us;
        status = has_arrived(lake, arrived, error);
        if ((*arrived && passed_us >= least_us) ||
            (!*arrived && passed_us >= least_us + options->wait_ms * 1000))
            break;
        nanosleep(&nap, NULL);
    }
    return status;
}

/* --- the source ------------------------------------------------------------------------------- */

static bool is_read(const struct source_table *source, uint32_t column)
{
    /* MySQL shows six digits of its float, and the table has them all. */
    return source->forms[column].form != FORM_NONE && !source->forms[column].is_float;
}

static enum ods_status open_source(struct looking *looking, struct error *error)
{
    struct source_table *source = &looking->source;
    const struct database *database = looking->lake->run->database;
    struct buffer sql;
    const struct shape shape = {.topic = "",
                                .database = source->database,
                                .schema = source->schema,
                                .table = source->name,
                                .connector = database->ops->connector,
                                .typed = true,
                                .column_count = source->column_count,
                                .columns = source->columns,
                                .key_count = source->key_count,
                                .key = source->key};
    looking->passed_over = calloc(source->column_count + 1u, sizeof *looking->passed_over);
    looking->values = calloc(source->column_count + 1u, sizeof *looking->values);
    if (!looking->passed_over || !looking->values)
        return error_out_of_memory(error);
    buffer_init(&sql);
    for (uint32_t i = 0; i < source->column_count; i++) {
        looking->passed_over[i] = !is_read(source, i);
        buffer_printf(&sql, "%s%s", i ? ", " : "",
                      looking->passed_over[i] ? "null" : source->quoted_columns[i]);
    }
    looking->list = sql.failed ? NULL : strdup(buffer_text(&sql));
    buffer_done(&sql);
    enum ods_status status = looking->list ? passage_open(&looking->passage,
                                                          looking->lake->run->pipeline, &shape,
                                                          error)
                                           : error_out_of_memory(error);
    if (status == ODS_OK)
        looking->shape = looking->passage.shape;
    if (status == ODS_OK && looking->passage.transforms)
        return error_set(error, ODS_REJECT, "its rows go through transforms, which are not "
                                            "followed into a lake");
    return status;
}

static enum ods_status take_row(struct looking *looking, const struct field *cells,
                                struct error *error)
{
    struct error why;
    enum ods_status status = ODS_OK;
    error_init(&why);
    for (uint32_t i = 0; status == ODS_OK && i < looking->source.column_count; i++)
        if (looking->passed_over[i])
            looking->values[i] = (struct value){.kind = VALUE_NULL};
        else
            status = form_value(&looking->source.forms[i], &cells[i], &looking->arena,
                                &looking->values[i], &why);
    if (status == ODS_OK)
        status = lake_compare_row(looking->compare, looking->values, &why);
    arena_reset(&looking->arena, 1 << 20);
    looking->result.source_rows++;
    if (status != ODS_REJECT) {
        if (status != ODS_OK)
            *error = why;
        return status;
    }
    looking->refused++; /* the table is expected not to have it */
    return ODS_OK;
}

static enum ods_status read_source(struct looking *looking, struct error *error)
{
    struct database *database = looking->lake->run->database;
    const struct field *cells;
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "select %s from %s", looking->list, looking->source.quoted);
    looking->result.source_rows = looking->refused = 0;
    enum ods_status status = database->ops->query(database, buffer_text(&sql), error);
    while (status == ODS_OK) {
        status = database->ops->next(database, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        status = take_row(looking, cells, error);
        if (verify_stops(looking->lake->run->options))
            status = error_set(error, ODS_REJECT, "interrupted");
    }
    buffer_done(&sql);
    return status;
}

/* --- looks ------------------------------------------------------------------------------------ */

static enum ods_status look(struct looking *looking, json_t **found, struct error *error)
{
    enum ods_status status = ODS_OK;
    *found = NULL;
    while (status == ODS_OK && !*found) {
        status = read_source(looking, error);
        if (status == ODS_OK)
            status = lake_compare_end(looking->compare, found, error);
    }
    return status;
}

static const struct table_settings *settings_of(const struct looking *looking)
{
    const struct source_table *source = &looking->source;
    return pipeline_table(looking->lake->run->pipeline,
                          *source->schema ? source->schema : source->database, source->name);
}

static int64_t counted(const json_t *found, const char *kind)
{
    return json_integer_value(json_object_get(json_object_get(found, "counts"), kind));
}

/* A value as people read it. */
static const char *shown(const struct looking *looking, const char *column, const json_t *value,
                         struct arena *arena)
{
    if (strings_contain(&settings_of(looking)->redact, column))
        return NULL;
    if (json_is_string(value))
        return json_string_value(value);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *kept = text ? arena_strndup(arena, text, strlen(text)) : "?";
    free(text);
    return kept;
}

static void tell(struct looking *looking, const json_t *difference)
{
    static const char *const kinds[] = {"missing", "extra", "changed"};
    const struct verify_listener *listener = looking->lake->run->listener;
    const char *kind = json_string_value(json_object_get(difference, "kind")), *name;
    struct verify_value key[32];
    struct verify_difference told = {
        .key = key, .operation = "", .timestamp = "", .topic = "", .partition = "", .offset = ""};
    json_t *value;
    for (int k = 0; k < 3; k++)
        if (strcmp(kind, kinds[k]) == 0)
            told.kind = (enum verify_kind) k;
    json_object_foreach(json_object_get(difference, "key"), name, value)
        if (told.key_count < 32) {
            const char *text = shown(looking, name, value, &looking->arena);
            key[told.key_count++] = (struct verify_value){name, text, text};
        }
    listener->differs(listener->context, &looking->result, &told);
    arena_reset(&looking->arena, 1 << 20);
}

/* What both looks found. */
static void conclude(struct looking *looking, const json_t *found, bool arrived)
{
    struct verify_table *result = &looking->result;
    size_t i;
    json_t *difference;
    result->missing = counted(found, "missing");
    result->extra = looking->extras ? counted(found, "extra") : 0;
    result->changed = counted(found, "changed");
    result->unsettled = json_integer_value(json_object_get(found, "open"));
    if (!arrived && result->missing + result->extra + result->changed) {
        result->unsettled += result->missing + result->extra + result->changed;
        result->missing = result->extra = result->changed = 0;
        snprintf(result->why, sizeof result->why,
                 "the pipeline has not applied yet what was in Kafka when its rows were read");
        return;
    }
    if (result->unsettled)
        snprintf(result->why, sizeof result->why, "rows that change while they are read");
    json_array_foreach(json_object_get(found, "differences"), i, difference)
        if ((int64_t) i < looking->lake->run->options->limit &&
            (looking->extras ||
             strcmp(json_string_value(json_object_get(difference, "kind")), "extra") != 0))
            tell(looking, difference);
}

static enum ods_status compare_rows(struct looking *looking, struct error *error)
{
    json_t *found = NULL;
    bool arrived = true;
    looking->result.method = "all rows, by hashes";
    enum ods_status status = look(looking, &found, error);
    int64_t open = json_integer_value(json_object_get(found, "open"));
    looking->result.looked_again = open;
    if (status == ODS_OK && open) {
        json_decref(found);
        found = NULL;
        status = read_ends(looking->lake, error);
        if (status == ODS_OK)
            status = wait_for(looking->lake, &arrived, error);
        if (status == ODS_OK)
            status = look(looking, &found, error);
    }
    if (status == ODS_OK) {
        looking->result.target_rows = json_integer_value(json_object_get(found, "target_rows"));
        conclude(looking, found, arrived);
    }
    json_decref(found);
    return status;
}

static enum ods_status count(struct looking *looking, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "select count(*) from %s", looking->source.quoted);
    enum ods_status status = database_number(looking->lake->run->database, buffer_text(&sql),
                                             &looking->result.source_rows, error);
    buffer_done(&sql);
    return status == ODS_OK
               ? lake_compare_count(looking->compare, &looking->result.target_rows, error)
               : status;
}

static enum ods_status compare_counts(struct looking *looking, struct error *error)
{
    struct verify_table *result = &looking->result;
    bool arrived = true;
    result->method = "counts";
    enum ods_status status = count(looking, error);
    int64_t source = result->source_rows, target = result->target_rows;
    if (status != ODS_OK || source == target)
        return status;
    status = read_ends(looking->lake, error);
    if (status == ODS_OK)
        status = wait_for(looking->lake, &arrived, error);
    if (status == ODS_OK)
        status = count(looking, error);
    if (status != ODS_OK || result->source_rows == result->target_rows)
        return status;
    int64_t more = result->source_rows - result->target_rows;
    bool still = source == result->source_rows && target == result->target_rows;
    if (!arrived || !still) {
        result->unsettled = llabs(more);
        snprintf(result->why, sizeof result->why, "%s",
                 arrived ? "both sides change while they are counted"
                         : "the pipeline has not applied yet what was in Kafka");
    } else if (more > 0) {
        result->missing = more;
    } else if (looking->extras) {
        result->extra = -more;
    }
    return ODS_OK;
}

/* --- one table -------------------------------------------------------------------------------- */

static enum ods_status compare(struct looking *looking, struct error *error)
{
    const struct verify_options *options = looking->lake->run->options;
    bool by_counts = options->mode == VERIFY_COUNTS;
    if (!by_counts && (options->mode != VERIFY_FULL || options->since_us != INT64_MIN))
        return error_set(error, ODS_REJECT,
                         "a table of a lake is compared whole, or by --counts: --sample and "
                         "--since are not for it");
    looking->extras = settings_of(looking)->on_delete != ON_DELETE_IGNORE;
    if (!looking->extras)
        snprintf(looking->result.notes, sizeof looking->result.notes,
                 "rows that only the target has are not looked for: deletes are not applied");
    if (options->channel)
        return error_set(error, ODS_REJECT, "rows of a lake are not repaired: --repair is not for "
                                            "it");
    enum ods_status status = open_source(looking, error);
    if (status == ODS_OK)
        status = lake_compare_open(&looking->compare, looking->lake->progress, looking->shape,
                                   looking->passed_over, by_counts, error);
    if (status != ODS_OK)
        return status;
    snprintf(looking->place, sizeof looking->place, "%.290s",
             lake_compare_place(looking->compare));
    looking->result.target = looking->place;
    const char *left_out = lake_compare_left_out(looking->compare);
    if (*left_out && !by_counts)
        snprintf(looking->result.notes, sizeof looking->result.notes, "not compared: %.400s",
                 left_out);
    return by_counts ? compare_counts(looking, error) : compare_rows(looking, error);
}

static void looking_done(struct looking *looking)
{
    lake_compare_close(looking->compare);
    passage_close(&looking->passage);
    source_table_done(&looking->source);
    arena_done(&looking->arena);
    free(looking->passed_over);
    free(looking->values);
    free(looking->list);
}

static void decide(struct looking *looking, enum ods_status status, const struct error *error)
{
    struct verify_table *result = &looking->result;
    if (status == ODS_REJECT) {
        result->verdict = VERIFY_SKIPPED;
        snprintf(result->why, sizeof result->why, "%.500s", error->text);
    } else if (result->missing + result->extra + result->changed) {
        result->verdict = VERIFY_DIFFERS;
    } else {
        result->verdict = result->unsettled ? VERIFY_UNSETTLED : VERIFY_EQUAL;
    }
    if (looking->refused && !*result->notes)
        snprintf(result->notes, sizeof result->notes,
                 "%lld rows of the source are none that the sink would write",
                 (long long) looking->refused);
}

static enum ods_status one_table(struct lake_run *lake, const struct candidate *candidate,
                                 struct error *error)
{
    struct run *run = lake->run;
    char name[600];
    bool found = false;
    int64_t began_us = time_monotonic_us();
    snprintf(name, sizeof name, "%.290s.%.290s", candidate->schema, candidate->name);
    struct looking looking = {
        .lake = lake,
        .result = {.pipeline = run->pipeline->name, .source = name, .target = "", .method = ""}};
    arena_init(&looking.arena);
    enum ods_status status = run->database->ops->describe(
        run->database, candidate->schema, candidate->name, &looking.source, &found, error);
    if (status == ODS_OK && !found) {
        looking_done(&looking);
        return ODS_OK;
    }
    run->listener->begins(run->listener->context, &looking.result);
    if (status == ODS_OK)
        status = compare(&looking, error);
    looking.result.seconds = (double) (time_monotonic_us() - began_us) / 1e6;
    if (status == ODS_OK || status == ODS_REJECT) {
        decide(&looking, status, error);
        run->verdicts[looking.result.verdict]++;
        run->listener->ends(run->listener->context, &looking.result);
        error_init(error);
        status = ODS_OK;
    }
    looking_done(&looking);
    return status;
}

/* --- a pipeline ------------------------------------------------------------------------------- */

/* Tables of the topics that the pipeline has read, and those that are named. */
static enum ods_status find_tables(struct lake_run *lake, struct error *error)
{
    struct run *run = lake->run;
    const char *place;
    json_t *offsets = NULL, *offset;
    enum ods_status status = lake_progress_read(lake->progress, &offsets, error);
    json_object_foreach(offsets, place, offset)
    {
        const char *colon = strrchr(place, ':');
        char *topic = status == ODS_OK && colon ? strndup(place, (size_t) (colon - place)) : NULL;
        if (topic)
            status = candidates_list_topic(run, topic, error);
        free(topic);
    }
    json_decref(offsets);
    return status == ODS_OK ? candidates_list_named(run, error) : status;
}

bool verify_is_lake(const char *type)
{
    return strcmp(type, "delta") == 0 || strcmp(type, "iceberg") == 0;
}

enum ods_status verify_lake(struct run *run, struct error *error)
{
    struct lake_run lake = {.run = run,
                            .config = {.name = run->target_settings->name,
                                       .settings = run->target_settings->own,
                                       .pipeline = run->pipeline,
                                       .group = run->pipeline->group_id,
                                       .daemon = run->options->settings}};
    run->database = database_new(run->database_settings);
    enum ods_status status = run->database ? run->database->ops->open(run->database, error)
                                           : error_out_of_memory(error);
    if (status == ODS_OK)
        status = lake_progress_open(&lake.progress, &lake.config, run->target_settings->type,
                                    error);
    if (status == ODS_OK)
        status = find_tables(&lake, error);
    if (status == ODS_OK && !run->candidates.count) {
        char text[300];
        snprintf(text, sizeof text, "pipeline %.200s: the target has no table of it yet",
                 run->pipeline->name);
        run->listener->notice(run->listener->context, text);
    }
    for (size_t i = 0; status == ODS_OK && i < run->candidates.count &&
                       !verify_stops(run->options); i++)
        status = one_table(&lake, &run->candidates.items[i], error);
    lake_progress_close(lake.progress);
    json_decref(lake.ends);
    database_free(run->database);
    run->database = NULL;
    candidates_done(&run->candidates);
    return status;
}
