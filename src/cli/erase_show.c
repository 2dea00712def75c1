/* What is erased, and what can't be reached. See erase.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/columns.h"
#include "cli/erase.h"
#include "cli/json.h"
#include "source/kafka/kafka_admin.h"

#define NOTE_BYTES 640

/* --- what can't be reached -------------------------------------------------------------------- */

static void add(json_t *list, const char *what, const char *why)
{
    json_array_append_new(list, json_pack("{s:o, s:o}", "what", cli_json(what), "why",
                                          cli_json(why)));
}

static void add_source(const struct erase *erase, json_t *list)
{
    static const char *const answers[] = {
        [SOURCE_HAS_NONE] = "the row is not there any more",
        [SOURCE_HAS_ROW] = "the row is still there: its next change brings it back"};
    const struct trace *trace = &erase->trace;
    char why[NOTE_BYTES];
    if (erase->source != SOURCE_UNKNOWN) {
        add(list, "the source database", answers[erase->source]);
        return;
    }
    snprintf(why, sizeof why, "whether it still has the row is not known (%.300s); if it has, the "
                              "row's next change brings it back",
             trace->source_why ? trace->source_why : "it was not asked");
    add(list, "the source database", why);
}

/* How long a topic keeps what is in it, for people. */
static void describe_topic(struct kafka_admin *admin, const char *topic, char *text, size_t size,
                           bool *compacted)
{
    char policy[64] = "", retention[32] = "";
    struct error ignored;
    error_init(&ignored);
    *compacted = false;
    if (!admin ||
        kafka_admin_setting(admin, topic, "cleanup.policy", policy, sizeof policy, &ignored) !=
            ODS_OK ||
        kafka_admin_setting(admin, topic, "retention.ms", retention, sizeof retention, &ignored) !=
            ODS_OK) {
        snprintf(text, size, "as long as the topic keeps them");
        return;
    }
    *compacted = strstr(policy, "compact") != NULL;
    long long ms = strtoll(retention, NULL, 10);
    if (!strstr(policy, "delete"))
        snprintf(text, size, "until the topic is compacted");
    else if (ms < 0)
        snprintf(text, size, "for ever (retention.ms is -1)");
    else if (ms >= 86400000)
        snprintf(text, size, "until retention takes them, %lld days after they were written",
                 ms / 86400000);
    else
        snprintf(text, size, "until retention takes them, %lld minutes after they were written",
                 ms / 60000);
}

static void add_topics(const struct erase *erase, struct kafka_admin *admin, json_t *list)
{
    for (size_t i = 0; i < erase->trace.topics.count; i++) {
        const char *topic = erase->trace.topics.items[i].name;
        char what[300], keeps[160], why[NOTE_BYTES];
        bool compacted;
        describe_topic(admin, topic, keeps, sizeof keeps, &compacted);
        snprintf(what, sizeof what, "topic %s", topic);
        snprintf(why, sizeof why, "the row's records are there %s; reset, resync and replay read "
                                  "them again", keeps);
        add(list, what, why);
    }
}

static void add_letters(const struct erase *erase, struct kafka_admin *admin, json_t *list)
{
    const struct letter_store *store = &erase->trace.store;
    const char *topic = store->name;
    char what[300], keeps[160], why[NOTE_BYTES];
    bool compacted;
    if (!topic)
        return;
    snprintf(what, sizeof what, "dead-letter %s %s", store->kind, topic);
    if (erase->letter_count && store->tool) {
        describe_topic(admin, topic, keeps, sizeof keeps, &compacted);
        snprintf(why, sizeof why,
                 compacted
                     ? "compaction takes the bytes of erased letters away, in its own time; %s"
                     : "commands do not show or replay erased letters; their bytes are there %s",
                 compacted ? "min.cleanable.dirty.ratio and segment.ms say when" : keeps);
        add(list, what, why);
    }
    if (erase->closed) {
        snprintf(why, sizeof why, "%" PRIu64 " encrypted letters can't be looked "
                                  "through: --private-key gives the key that opens them",
                 erase->closed);
        add(list, what, why);
    }
    if (erase->mentions || erase->unreadable) {
        snprintf(why, sizeof why, "%" PRIu64 " letters can't be decoded, of which %" PRIu64
                                  " mention the key: look at them (ods-sink dlq show)",
                 erase->mentions + erase->unreadable, erase->mentions);
        add(list, what, why);
    }
}

/* Pipelines that read the same topics for another table or target. */
static void add_others(const struct erase *erase, json_t *list)
{
    const struct trace *trace = &erase->trace;
    for (size_t i = 0; i < trace->settings->pipeline_count; i++) {
        const struct pipeline_settings *other = &trace->settings->pipelines[i];
        bool reads = false;
        for (size_t k = 0; !reads && k < trace->topics.count; k++)
            reads = pipeline_reads(other, trace->topics.items[k].name);
        if (!reads || other == trace->choice.pipeline)
            continue;
        char what[300], why[NOTE_BYTES];
        snprintf(what, sizeof what, "target %.100s of pipeline %.100s", other->target, other->name);
        snprintf(why, sizeof why, "it reads the same topics: erase the row there too (--pipeline "
                                  "%.100s)", other->name);
        add(list, what, why);
    }
}

static void add_files(const struct erase *erase, json_t *list)
{
    char why[NOTE_BYTES];
    for (size_t i = 0; i < erase->file_names.count; i++) {
        const struct erased_file *file = &erase->files[i];
        if (!file->closed && !file->unreadable)
            continue;
        snprintf(why, sizeof why,
                 "%" PRIu64 " of its letters are encrypted and no --private-key opens them, "
                 "%" PRIu64 " lines can't be read: they stay",
                 file->closed, file->unreadable);
        add(list, file->path, why);
    }
    add(list, "files",
        erase->file_names.count
            ? "recorded files, other letters in files, reports of verify"
            : "letters that replay --dead-letter FILE wrote: name each such file with --letters "
              "FILE; recorded files, reports of verify");
}

static json_t *not_reached(const struct erase *erase)
{
    struct error ignored;
    struct kafka_admin *admin = NULL;
    json_t *list = json_array();
    error_init(&ignored);
    if (kafka_admin_open(&admin, erase->trace.settings, erase->trace.choice.pipeline->group_id,
                         &ignored) != ODS_OK)
        admin = NULL;
    add_source(erase, list);
    if (erase->erasing.behind > 0)
        add(list, "records that are not applied yet",
            "one of the row among them brings it back: erase it again then");
    add_topics(erase, admin, list);
    add_letters(erase, admin, list);
    add_others(erase, list);
    if (*erase->erasing.kept)
        add(list, "the target itself", erase->erasing.kept);
    add(list, "copies of the target", "backups, archived WAL, replicas of other kinds, views that "
                                      "keep rows, and what was exported from it");
    add_files(erase, list);
    add(list, "the daemon's last comparison",
        "ods_sink.verify_runs and status show keys of rows that differed, until the next one ends");
    kafka_admin_close(admin);
    return list;
}

/* --- for people ------------------------------------------------------------------------------- */

static void add_line(struct columns *table, const char *what, const char *schema, const char *name,
                     int64_t count)
{
    char place[300];
    if (count < 0)
        return;
    snprintf(place, sizeof place, "%.100s%s%.150s", schema, *schema ? "." : "", name);
    columns_add(table, what);
    columns_add(table, place);
    columns_number(table, count);
}

void erase_print_plan(const struct erase *erase)
{
    static const char *const names[] = {"WHAT", "WHERE", "COUNT"};
    const struct erasing *erasing = &erase->erasing;
    const struct table_choice *choice = &erase->trace.choice;
    struct columns table;
    size_t i;
    json_t *item, *list = not_reached(erase);
    terminal_line(stdout, "key %s of %s.%s in target \"%s\", pipeline \"%s\"",
                  erase->trace.key_text, choice->schema, choice->name, choice->target->name,
                  choice->pipeline->name);
    columns_init(&table, erase->trace.terminal, names, sizeof names / sizeof *names);
    add_line(&table, "rows", erasing->schema, erasing->table, erasing->rows);
    add_line(&table, "changes in the history", erasing->schema, erasing->history_table,
             erasing->history_rows);
    add_line(&table, "rows of the table that is made anew", erasing->schema, "",
             erasing->shadow_rows);
    if (erase->trace.store.name)
        add_line(&table, "dead letters", "", erase->trace.store.name,
                 (int64_t) erase->letter_count);
    for (i = 0; i < erase->file_names.count; i++)
        add_line(&table, "dead letters", "", erase->files[i].path,
                 (int64_t) erase->files[i].count);
    columns_print(&table);
    columns_done(&table);
    puts("not reached:");
    json_array_foreach(list, i, item)
        terminal_line(stdout, "  %s: %s", json_string_value(json_object_get(item, "what")),
                      json_string_value(json_object_get(item, "why")));
    json_decref(list);
}

/* --- for programs ----------------------------------------------------------------------------- */

static json_t *count_json(int64_t count)
{
    return count < 0 ? json_null() : json_integer(count);
}

void erase_print_json(const struct erase *erase)
{
    static const char *const answers[] = {
        [SOURCE_UNKNOWN] = "unknown", [SOURCE_HAS_NONE] = "gone", [SOURCE_HAS_ROW] = "there"};
    const struct erasing *erasing = &erase->erasing;
    const struct table_choice *choice = &erase->trace.choice;
    json_t *columns = json_array(), *files = json_array();
    for (size_t i = 0; i < erase->file_names.count; i++)
        json_array_append_new(files, json_pack("{s:o, s:I, s:I, s:I}", "file",
                                               cli_json(erase->files[i].path), "letters",
                                               (json_int_t) erase->files[i].count,
                                               "letters_encrypted",
                                               (json_int_t) erase->files[i].closed, "unreadable",
                                               (json_int_t) erase->files[i].unreadable));
    for (size_t i = 0; i < erasing->key_count; i++)
        json_array_append_new(columns, cli_json(erasing->columns[i]));
    cli_print_json(json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:o, "
        "s:o}",
        "pipeline", cli_json(choice->pipeline->name), "target", cli_json(choice->target->name),
        "schema", cli_json(choice->schema), "table", cli_json(choice->name), "key_columns", columns,
        "erased", (int) erase->erased, "dry_run", (int) erase->dry_run, "rows",
        count_json(erasing->rows), "history_rows", count_json(erasing->history_rows),
        "shadow_rows", count_json(erasing->shadow_rows), "letters",
        (json_int_t) erase->letter_count, "letters_encrypted", (json_int_t) erase->closed,
        "letters_unreadable", (json_int_t) erase->mentions + (json_int_t) erase->unreadable,
        "letters_mentioning", (json_int_t) erase->mentions, "not_applied",
        (json_int_t) erasing->behind, "source", answers[erase->source], "files", files,
        "not_reached", not_reached(erase)));
}
