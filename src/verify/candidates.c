/* See candidates.h. */
#include "verify/candidates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/offsets_read.h"
#include "sql/postgres/table_sources.h"

struct candidate *candidates_add(struct candidates *candidates, const char *schema,
                                 const char *name)
{
    for (size_t i = 0; i < candidates->count; i++)
        if (strcmp(candidates->items[i].schema, schema) == 0 &&
            strcmp(candidates->items[i].name, name) == 0)
            return &candidates->items[i];
    struct candidate *larger =
        realloc(candidates->items, (candidates->count + 1) * sizeof *larger);
    if (!larger)
        return NULL;
    candidates->items = larger;
    struct candidate *added = &larger[candidates->count];
    *added = (struct candidate){.schema = strdup(schema), .name = strdup(name)};
    if (added->schema && added->name) {
        candidates->count++;
        return added;
    }
    free(added->schema);
    free(added->name);
    return NULL;
}

/* That of the topic "<prefix>.<schema>.<table>"; other topics have none. False: out of memory. */
static bool add_topic(struct candidates *candidates, const char *topic)
{
    char schema[256];
    const char *table = strrchr(topic, '.'), *from = table;
    while (from && from > topic && from[-1] != '.')
        from--;
    if (!table || from == topic || (size_t) (table - from) >= sizeof schema)
        return true;
    snprintf(schema, sizeof schema, "%.*s", (int) (table - from), from);
    return candidates_add(candidates, schema, table + 1);
}

void candidates_done(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++) {
        free(candidates->items[i].schema);
        free(candidates->items[i].name);
    }
    free(candidates->items);
    *candidates = (struct candidates){0};
}

/* --- those of a pipeline -------------------------------------------------------------------- */

/* Has the user named this table? By "table" or "schema.table" of the source or the target. */
static bool is_meant(struct run *run, const char *schema, const char *name,
                     const char *other_schema, const char *other)
{
    bool meant = run->options->table_count == 0;
    for (size_t i = 0; i < run->options->table_count; i++) {
        const char *asked = run->options->tables[i], *dot = strrchr(asked, '.');
        const char *last = dot ? dot + 1 : asked;
        size_t first = dot ? (size_t) (dot - asked) : 0;
        bool source = strcmp(last, name) == 0 &&
                      (!dot || (strlen(schema) == first && strncmp(asked, schema, first) == 0));
        bool target = other && strcmp(last, other) == 0 &&
                      (!dot || (strlen(other_schema) == first &&
                                strncmp(asked, other_schema, first) == 0));
        if (source || target)
            run->named[i] = meant = true;
    }
    return meant;
}

/* Do this pipeline's settings put this source table into this table of the target? */
static bool leads_there(struct run *run, const PGresult *rows, int row)
{
    const char *database = PQgetvalue(rows, row, 0), *schema = PQgetvalue(rows, row, 1);
    const struct shape shape = {.topic = "",
                                .database = *database ? database : schema,
                                .schema = *database ? schema : "",
                                .table = PQgetvalue(rows, row, 2)};
    const struct table_settings *settings = pipeline_table(run->pipeline, schema, shape.table);
    char *target_schema = NULL, *target = NULL;
    struct error ignored;
    error_init(&ignored);
    bool open = strstr(settings->target, "${topic}") || strstr(settings->schema, "${topic}");
    bool leads = table_keeps_rows(settings);
    if (leads && !open)
        leads = name_table(settings, &shape, &target_schema, &target, &ignored) == ODS_OK &&
                strcmp(target_schema, PQgetvalue(rows, row, 3)) == 0 &&
                strcmp(target, PQgetvalue(rows, row, 4)) == 0;
    free(target_schema);
    free(target);
    return leads;
}

enum ods_status candidates_list_known(struct run *run, struct error *error)
{
    PGresult *rows = NULL;
    bool present;
    enum ods_status status = own_schema_is_there(&run->target.conn, &present, error);
    if (status == ODS_OK && present)
        status = own_query(&run->target.conn, sql_table_sources, 0, NULL, &rows, error);
    for (int i = 0; status == ODS_OK && rows && i < PQntuples(rows); i++) {
        const char *schema = PQgetvalue(rows, i, 1), *name = PQgetvalue(rows, i, 2);
        if (!leads_there(run, rows, i) ||
            !is_meant(run, schema, name, PQgetvalue(rows, i, 3), PQgetvalue(rows, i, 4)))
            continue;
        struct candidate *candidate = candidates_add(&run->candidates, schema, name);
        if (!candidate) {
            status = error_out_of_memory(error);
            break;
        }
        candidate->shared = strtol(PQgetvalue(rows, i, 5), NULL, 10) > 1;
        candidate->known = true;
    }
    PQclear(rows);
    return status;
}

static enum ods_status add_named(struct run *run, const char *name, bool asked, struct error *error)
{
    const char *dot = strrchr(name, '.');
    char schema[512];
    if (!dot || (size_t) (dot - name) >= sizeof schema)
        return ODS_OK;
    memcpy(schema, name, (size_t) (dot - name));
    schema[dot - name] = '\0';
    if (!table_keeps_rows(pipeline_table(run->pipeline, schema, dot + 1)) && !asked)
        return ODS_OK;
    struct candidate *candidate = candidates_add(&run->candidates, schema, dot + 1);
    if (!candidate)
        return error_out_of_memory(error);
    candidate->asked |= asked;
    return ODS_OK;
}

enum ods_status candidates_list_named(struct run *run, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < run->pipeline->table_count; i++) {
        const struct table_settings *settings = &run->pipeline->tables[i];
        const char *dot = strrchr(settings->name, '.');
        char schema[512];
        if (settings->pattern || !dot || !table_keeps_rows(settings) ||
            dot - settings->name > 500)
            continue;
        snprintf(schema, sizeof schema, "%.*s", (int) (dot - settings->name), settings->name);
        if (is_meant(run, schema, dot + 1, NULL, NULL))
            status = add_named(run, settings->name, false, error);
    }
    for (size_t i = 0; status == ODS_OK && i < run->options->table_count; i++)
        if (!run->named[i])
            status = add_named(run, run->options->tables[i], true, error);
    return status;
}

enum ods_status candidates_list_topic(struct run *run, const char *topic, struct error *error)
{
    struct candidates one = {0};
    bool good = add_topic(&one, topic);
    for (size_t i = 0; good && i < one.count; i++) {
        const char *schema = one.items[i].schema, *name = one.items[i].name;
        if (table_keeps_rows(pipeline_table(run->pipeline, schema, name)) &&
            is_meant(run, schema, name, NULL, NULL))
            good = candidates_add(&run->candidates, schema, name);
    }
    candidates_done(&one);
    return good ? ODS_OK : error_out_of_memory(error);
}

enum ods_status candidates_list_sources(struct run *run, struct candidates *sources,
                                        struct error *error)
{
    const char *group[] = {run->pipeline->group_id};
    PGresult *rows = NULL;
    bool good = true;
    enum ods_status status = own_query(&run->target.conn, sql_offsets_read, 1, group, &rows, error);
    for (int i = 0; status == ODS_OK && good && rows && i < PQntuples(rows); i++)
        good = add_topic(sources, PQgetvalue(rows, i, 0));
    PQclear(rows);
    for (size_t i = 0; i < run->pipeline->table_count && good; i++) {
        const struct table_settings *settings = &run->pipeline->tables[i];
        const char *dot = settings->pattern ? NULL : strrchr(settings->name, '.');
        char schema[512];
        if (!dot || dot - settings->name > 500)
            continue;
        snprintf(schema, sizeof schema, "%.*s", (int) (dot - settings->name), settings->name);
        good = candidates_add(sources, schema, dot + 1);
    }
    return status == ODS_OK && !good ? error_out_of_memory(error) : status;
}
