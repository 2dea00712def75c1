/* See table_choice.h. */
#include "cli/table_choice.h"

#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include <ods/change.h>
#include <ods/sink.h>
#include "cli/interrupt.h"
#include "cli/lake_instead.h"
#include "core/exit.h"
#include "sink/postgres/read/row.h"

#define LOOK_MS    10000
#define LISTED_MAX 8

/* What a name fits best counts: an entry of tables.yaml before what any table falls under. */
enum certainty { BY_DEFAULT = 1, BY_ENTRY };

struct choosing {
    const struct settings *settings;
    const char *text;
    const char *qualifier; /* what stands before the last dot, "" */
    const char *table;
    struct table_choice *items;
    size_t count;
    bool to_erase; /* tables of any target will do that can erase a row */
    const struct pipeline_settings *other; /* has the table, and a target that can't be read */
    bool failed;
};

void table_choice_done(struct table_choice *choice)
{
    free(choice->qualifier);
    free(choice->source);
    free(choice->schema);
    free(choice->name);
    *choice = (struct table_choice){0};
}

static const struct target_settings *target_of(const struct choosing *choosing,
                                               const struct pipeline_settings *pipeline)
{
    return settings_target(choosing->settings, pipeline->target);
}

static struct table_choice *find(struct choosing *choosing,
                                 const struct pipeline_settings *pipeline, const char *schema,
                                 const char *name)
{
    for (size_t i = 0; i < choosing->count; i++) {
        struct table_choice *choice = &choosing->items[i];
        if (choice->pipeline == pipeline && strcmp(choice->schema, schema) == 0 &&
            strcmp(choice->name, name) == 0)
            return choice;
    }
    return NULL;
}

static void add(struct choosing *choosing, const struct table_choice *candidate)
{
    struct table_choice *larger =
        realloc(choosing->items, (choosing->count + 1) * sizeof *larger);
    choosing->failed |= !larger;
    if (!larger)
        return;
    choosing->items = larger;
    struct table_choice *choice = &larger[choosing->count];
    *choice = *candidate;
    choice->qualifier = strdup(candidate->qualifier);
    choice->source = strdup(candidate->source);
    choice->schema = strdup(candidate->schema);
    choice->name = strdup(candidate->name);
    if (choice->qualifier && choice->source && choice->schema && choice->name)
        choosing->count++;
    else {
        table_choice_done(choice);
        choosing->failed = true;
    }
}

/* Is this how the target calls it? */
static bool is_target(const struct choosing *choosing, const char *schema, const char *name)
{
    return strcmp(name, choosing->table) == 0 &&
           (!*choosing->qualifier || strcmp(schema, choosing->qualifier) == 0);
}

static bool is_postgres(const struct target_settings *target)
{
    return strcmp(target->type, "postgres") == 0;
}

static bool will_do(const struct choosing *choosing, const struct target_settings *target)
{
    return is_postgres(target) || (choosing->to_erase && sink_find(target->type)->erase);
}

/* A table of the source; as its target's when only that may be meant. */
static void consider(struct choosing *choosing, const struct pipeline_settings *pipeline,
                     const struct table_settings *table, const char *qualifier,
                     const char *source, bool by_target)
{
    const struct target_settings *target = target_of(choosing, pipeline);
    const struct shape shape = {
        .topic = "", .database = qualifier, .schema = qualifier, .table = source};
    char *schema = NULL, *name = NULL;
    struct error ignored; /* a name that depends on what only a record says */
    error_init(&ignored);
    row_namer *names = target && will_do(choosing, target) && !is_postgres(target)
                           ? sink_find(target->type)->name_table
                           : reader_names;
    if (!target || names(table, &shape, &schema, &name, &ignored) != ODS_OK)
        return;
    if (!by_target || is_target(choosing, schema, name)) {
        struct table_choice candidate = {
            .settings = choosing->settings,
            .pipeline = pipeline,
            .target = target,
            .table = table,
            .qualifier = (char *) qualifier,
            .source = (char *) source,
            .schema = schema,
            .name = name,
            .certainty = table == &pipeline->defaults ? BY_DEFAULT : BY_ENTRY};
        struct table_choice *known = find(choosing, pipeline, schema, name);
        if (!will_do(choosing, target))
            choosing->other = pipeline;
        else if (!known)
            add(choosing, &candidate);
        else if (known->certainty < candidate.certainty)
            known->certainty = candidate.certainty;
    }
    free(schema);
    free(name);
}

static void consider_entries(struct choosing *choosing, const struct pipeline_settings *pipeline)
{
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct table_settings *table = &pipeline->tables[i];
        const char *dot = strrchr(table->name, '.');
        const char *source = dot ? dot + 1 : table->name;
        char *qualifier = dot ? strndup(table->name, (size_t) (dot - table->name)) : strdup("");
        if (qualifier && !table->pattern) {
            bool same = strcmp(source, choosing->table) == 0 &&
                        (!*choosing->qualifier || strcmp(qualifier, choosing->qualifier) == 0);
            consider(choosing, pipeline, table, qualifier, source, !same);
        }
        choosing->failed |= !qualifier;
        free(qualifier);
    }
}

static void consider_pipeline(struct choosing *choosing,
                              const struct pipeline_settings *pipeline)
{
    consider_entries(choosing, pipeline);
    consider(choosing, pipeline,
             pipeline_table(pipeline, choosing->qualifier, choosing->table), choosing->qualifier,
             choosing->table, false);
    if (*choosing->qualifier)
        consider(choosing, pipeline, pipeline_table(pipeline, "", choosing->table), "",
                 choosing->table, true);
}

/* --- which of them ---------------------------------------------------------------------------- */

static void keep(struct choosing *choosing,
                 bool (*good)(const struct choosing *, const struct table_choice *))
{
    size_t kept = 0, any = 0;
    for (size_t i = 0; i < choosing->count; i++)
        any += good(choosing, &choosing->items[i]);
    for (size_t i = 0; any && i < choosing->count; i++) {
        if (good(choosing, &choosing->items[i]))
            choosing->items[kept++] = choosing->items[i];
        else
            table_choice_done(&choosing->items[i]);
    }
    choosing->count = any ? kept : choosing->count;
}

static bool is_certain(const struct choosing *choosing, const struct table_choice *choice)
{
    return choice->certainty == BY_ENTRY;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), of_end = strlen(end);
    return length > of_end && strcmp(text + length - of_end, end) == 0 &&
           text[length - of_end - 1] == '.';
}

static bool has_topic(const struct choosing *choosing, const struct table_choice *choice)
{
    const struct strings *topics = &choice->pipeline->topics;
    for (size_t i = 0; i < topics->count; i++)
        if (ends_with(topics->items[i], choosing->text))
            return true;
    return false;
}

static bool is_there(const struct choosing *choosing, const struct table_choice *choice)
{
    struct reader *reader = NULL;
    const struct read_table *table = NULL;
    struct error ignored; /* whoever asks the target next gets the error */
    error_init(&ignored);
    if (!is_postgres(choice->target))
        return false;
    if (table_reader_open(&reader, choice, LOOK_MS, &ignored) == CLI_OK)
        reader_table(reader, choice->schema, choice->name, &table, &ignored);
    bool there = table != NULL;
    reader_close(reader);
    return there;
}

static bool same_table(const struct table_choice *one, const struct table_choice *other)
{
    return one->target == other->target && strcmp(one->schema, other->schema) == 0 &&
           strcmp(one->name, other->name) == 0;
}

static bool is_settled(const struct choosing *choosing, bool any_pipeline)
{
    for (size_t i = 1; i < choosing->count; i++)
        if (!any_pipeline || !same_table(&choosing->items[0], &choosing->items[i]))
            return false;
    return choosing->count > 0;
}

static int refuse_several(const struct choosing *choosing, struct error *error)
{
    struct buffer list;
    buffer_init(&list);
    for (size_t i = 0; i < choosing->count && i < LISTED_MAX; i++) {
        const struct table_choice *choice = &choosing->items[i];
        buffer_printf(&list, "%s%s%s%s into %s.%s of target \"%s\" (pipeline \"%s\")",
                      i ? "; " : "", choice->qualifier, *choice->qualifier ? "." : "",
                      choice->source, choice->schema, choice->name, choice->target->name,
                      choice->pipeline->name);
    }
    if (choosing->count > LISTED_MAX)
        buffer_printf(&list, "; and %zu more", choosing->count - LISTED_MAX);
    error_set(error, ODS_FATAL,
              "\"%s\" may be one of %zu tables: %s. Give its whole name, or --pipeline",
              choosing->text, choosing->count, buffer_text(&list));
    buffer_done(&list);
    return CLI_USAGE;
}

static int refuse_none(const struct choosing *choosing, const char *pipeline, struct error *error)
{
    if (choosing->other)
        error_set(error, ODS_FATAL,
                  "\"%s\" is a table of pipeline \"%s\", whose target \"%s\" is of type \"%s\": "
                  "only targets of type \"postgres\" can be read%s",
                  choosing->text, choosing->other->name, choosing->other->target,
                  target_of(choosing, choosing->other)->type,
                  lake_instead(target_of(choosing, choosing->other)->type, LAKE_READS));
    else if (pipeline)
        error_set(error, ODS_FATAL, "there is no pipeline \"%s\" that could move a table \"%s\"",
                  pipeline, choosing->text);
    else
        error_set(error, ODS_FATAL, "no pipeline of %s could move a table \"%s\"",
                  choosing->settings->tables, choosing->text);
    return CLI_USAGE;
}

static int choose(struct table_choice *choice, const struct settings *settings, const char *text,
                  const char *pipeline, bool any_pipeline, bool to_erase, struct error *error)
{
    const char *dot = strrchr(text, '.');
    char *qualifier = strndup(text, dot ? (size_t) (dot - text) : 0);
    struct choosing choosing = {.settings = settings,
                                .to_erase = to_erase,
                                .text = text,
                                .table = dot ? dot + 1 : text,
                                .qualifier = qualifier};
    int code = CLI_OK;
    *choice = (struct table_choice){0};
    for (size_t i = 0; qualifier && i < settings->pipeline_count; i++)
        if (!pipeline || strcmp(settings->pipelines[i].name, pipeline) == 0)
            consider_pipeline(&choosing, &settings->pipelines[i]);
    if (choosing.count > 1)
        keep(&choosing, is_certain);
    if (!is_settled(&choosing, any_pipeline))
        keep(&choosing, has_topic);
    if (choosing.count && !is_settled(&choosing, any_pipeline))
        keep(&choosing, is_there);
    if (!qualifier || choosing.failed) {
        error_out_of_memory(error);
        code = CLI_INTERNAL;
    } else if (!choosing.count) {
        code = refuse_none(&choosing, pipeline, error);
    } else if (!is_settled(&choosing, any_pipeline)) {
        code = refuse_several(&choosing, error);
    } else {
        *choice = choosing.items[0];
        choosing.items[0] = (struct table_choice){0};
    }
    for (size_t i = 0; i < choosing.count; i++)
        table_choice_done(&choosing.items[i]);
    free(choosing.items);
    free(qualifier);
    return code;
}

int table_choose(struct table_choice *choice, const struct settings *settings, const char *text,
                 const char *pipeline, bool any_pipeline, struct error *error)
{
    return choose(choice, settings, text, pipeline, any_pipeline, false, error);
}

int table_choose_to_erase(struct table_choice *choice, const struct settings *settings,
                          const char *text, const char *pipeline, struct error *error)
{
    return choose(choice, settings, text, pipeline, false, true, error);
}

/* --- its target ------------------------------------------------------------------------------- */

static void give_up(void *context)
{
    struct reader **reader = context;
    if (interrupt_came() && *reader)
        reader_interrupt(*reader);
}

int table_reader_open(struct reader **reader, const struct table_choice *choice,
                      int64_t timeout_ms, struct error *error)
{
    const struct sink_config config = {.name = choice->target->name,
                                       .settings = choice->target->own,
                                       .pipeline = choice->pipeline,
                                       .group = choice->pipeline->group_id,
                                       .alive = give_up,
                                       .alive_context = reader};
    return reader_open(reader, &config, timeout_ms, error) == ODS_OK ? CLI_OK : CLI_TARGET;
}
