/* See kept.h. */
#include "derived/kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/quote.h"

static char *qualified(const char *schema, const char *table)
{
    char *first = quote_name(schema), *second = quote_name(table), *both = NULL;
    if (!first || !second || asprintf(&both, "%s.%s", first, second) < 0)
        both = NULL;
    free(first);
    free(second);
    return both;
}

/* The query may end as it would in psql. */
static char *bare_query(const char *query)
{
    size_t length = strlen(query);
    while (length && strchr(" \t\r\n;", query[length - 1]))
        length--;
    return strndup(query, length);
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t add_texts(uint64_t hash, const struct strings *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        hash = add_text(hash, texts->items[i]);
    return add_text(hash, ";");
}

static void define(struct kept *kept)
{
    const struct derived_settings *settings = kept->settings;
    uint64_t hash = add_text(UINT64_C(14695981039346656037), kept->query);
    hash = add_texts(hash, &settings->key);
    hash = add_texts(hash, &settings->anchor);
    for (size_t i = 0; i < settings->source_count; i++) {
        const struct derived_source *source = &settings->sources[i];
        hash = add_text(add_text(hash, source->name), source->keys);
        hash = add_text(add_texts(hash, &source->by), source->triggers ? "t" : "");
    }
    snprintf(kept->definition, sizeof kept->definition, "%016llx", (unsigned long long) hash);
}

enum ods_status kept_init(struct kept *kept, const struct derived_settings *settings,
                          const struct derived_settings *all, size_t all_count,
                          const char *own_schema, struct error *error)
{
    *kept = (struct kept){.settings = settings, .all = all, .all_count = all_count};
    kept->quoted = qualified(settings->schema, settings->table);
    kept->own = quote_name(own_schema);
    kept->query = bare_query(settings->query);
    kept->sources = calloc(settings->source_count + 1, sizeof *kept->sources);
    bool failed = asprintf(&kept->name, "%s.%s", settings->schema, settings->table) < 0;
    if (failed)
        kept->name = NULL;
    failed |= !kept->quoted || !kept->own || !kept->query || !kept->sources;
    for (size_t i = 0; !failed && i < settings->source_count; i++) {
        const struct derived_source *source = &settings->sources[i];
        kept->sources[i].settings = source;
        kept->sources[i].quoted = qualified(source->schema, source->table);
        kept->sources[i].types = calloc(source->by.count + 1, sizeof(char *));
        failed |= !kept->sources[i].quoted || !kept->sources[i].types;
    }
    if (failed)
        return error_out_of_memory(error);
    define(kept);
    return ODS_OK;
}

static void forget_text(char **text)
{
    free(*text);
    *text = NULL;
}

void kept_forget(struct kept *kept)
{
    for (size_t i = 0; i < kept->column_count; i++) {
        free(kept->columns[i].name);
        free(kept->columns[i].quoted);
        free(kept->columns[i].type);
        free(kept->columns[i].bare);
    }
    free(kept->columns);
    kept->columns = NULL;
    kept->column_count = 0;
    for (size_t i = 0; kept->sources && i < kept->settings->source_count; i++)
        for (size_t k = 0; kept->sources[i].types && k < kept->sources[i].settings->by.count; k++)
            forget_text(&kept->sources[i].types[k]);
    char **texts[] = {&kept->version, &kept->bases, &kept->take,   &kept->compute,
                      &kept->halve,   &kept->heal,  &kept->finish, &kept->look};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        forget_text(texts[i]);
    kept->formed = false;
}

void kept_done(struct kept *kept)
{
    kept_forget(kept);
    for (size_t i = 0; kept->sources && i < kept->settings->source_count; i++) {
        free(kept->sources[i].quoted);
        free(kept->sources[i].types);
    }
    free(kept->sources);
    free(kept->name);
    free(kept->quoted);
    free(kept->own);
    free(kept->query);
    *kept = (struct kept){0};
}

int kept_column(const struct kept *kept, const char *name)
{
    for (size_t i = 0; i < kept->column_count; i++)
        if (strcmp(kept->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}
