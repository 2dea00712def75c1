/* The two files that an import becomes. */
#include <string.h>

#include "cli/import.h"

/* In libconfig's quotes. */
static void put_quoted(struct buffer *out, const char *text)
{
    buffer_puts(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_puts(out, "\\");
        buffer_add(out, text, 1);
    }
    buffer_puts(out, "\"");
}

/* In YAML's single quotes. A dollar sign is doubled, unless ${…} stands for what a record says. */
static void put_yaml(struct buffer *out, const char *text, bool places)
{
    buffer_puts(out, "'");
    for (; *text; text++) {
        if (*text == '\'' || (*text == '$' && !places))
            buffer_add(out, text, 1);
        buffer_add(out, text, 1);
    }
    buffer_puts(out, "'");
}

void import_write_daemon(const struct import *import, struct buffer *out)
{
    buffer_printf(out, "# How the daemon runs. Every setting: ods-sink reference.\n\nkafka = {\n"
                       "  bootstrap_servers = ");
    put_quoted(out, import->bootstrap ? import->bootstrap
                                      : "${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}");
    buffer_puts(out, ";\n");
    if (import->auto_offset_reset) {
        buffer_puts(out, "  auto_offset_reset = ");
        put_quoted(out, import->auto_offset_reset);
        buffer_puts(out, ";\n");
    }
    if (import->properties.length) {
        buffer_puts(out, "  properties = {\n");
        buffer_add(out, import->properties.bytes, import->properties.length);
        buffer_puts(out, "  };\n");
    }
    buffer_puts(out, "};\n\ntargets = ( { name = \"ods\"; type = \"postgres\";\n    dsn = ");
    put_quoted(out, buffer_text((struct buffer *) &import->dsn));
    buffer_printf(out, "; } );\n\nlanes = %lld;\n", (long long) import->lanes);
    if (import->dead_letter) {
        buffer_puts(out, "dead_letter = { topic = ");
        put_quoted(out, import->dead_letter);
        buffer_puts(out, "; };\n");
    }
    buffer_puts(out, "tables = \"tables.yaml\";\n");
}

static void put_list(struct buffer *out, const char *indent, const char *name,
                     const struct names *names)
{
    if (!names->count)
        return;
    buffer_printf(out, "%s%s: [", indent, name);
    for (size_t i = 0; i < names->count; i++) {
        buffer_puts(out, i ? ", " : "");
        put_yaml(out, names->items[i], false);
    }
    buffer_puts(out, "]\n");
}

static void put_setting(struct buffer *out, const char *name, const char *value, bool places)
{
    if (!value)
        return;
    buffer_printf(out, "      %s: ", name);
    put_yaml(out, value, places);
    buffer_puts(out, "\n");
}

static void put_columns(const struct import *import, struct buffer *out)
{
    if (!import->include.count && !import->exclude.count && !import->renames.count)
        return;
    buffer_puts(out, "      columns:\n");
    put_list(out, "        ", "include", &import->include);
    put_list(out, "        ", "exclude", &import->exclude);
    if (!import->renames.count)
        return;
    buffer_puts(out, "        rename: {");
    for (size_t i = 0; i + 1 < import->renames.count; i += 2) {
        buffer_puts(out, i ? ", " : " ");
        put_yaml(out, import->renames.items[i], false);
        buffer_puts(out, ": ");
        put_yaml(out, import->renames.items[i + 1], false);
    }
    buffer_puts(out, " }\n");
}

static void put_defaults(const struct import *import, struct buffer *out)
{
    buffer_puts(out, "    defaults:\n");
    put_setting(out, "schema", import->schema, false);
    put_setting(out, "target", import->target, true);
    if (import->lower)
        buffer_puts(out, "      fold: lower\n");
    put_list(out, "      ", "key", &import->key);
    buffer_printf(out, "      create_tables: %s\n", import->create_tables ? "true" : "false");
    put_setting(out, "evolve", import->evolve, false);
    put_setting(out, "on_delete", import->on_delete, false);
    put_setting(out, "on_tombstone", import->on_tombstone, false);
    put_setting(out, "on_truncate", import->on_truncate, false);
    put_setting(out, "keyless", import->keyless, false);
    put_setting(out, "cdc_operation", import->cdc_operation ? import->cdc_operation : "off", false);
    put_setting(out, "cdc_timestamp", "off", false);
    put_columns(import, out);
}

static void put_tables(const struct import *import, struct buffer *out)
{
    if (!import->table_count)
        return;
    buffer_puts(out, "    tables:\n");
    for (size_t i = 0; i < import->table_count; i++) {
        const struct import_table *table = &import->tables[i];
        buffer_puts(out, "      ");
        put_yaml(out, table->name, false);
        buffer_puts(out, ": { ");
        if (table->topic) {
            buffer_puts(out, "topics: [");
            put_yaml(out, table->topic, false);
            buffer_puts(out, "], ");
        }
        buffer_puts(out, "target: ");
        put_yaml(out, table->target, false);
        buffer_puts(out, " }\n");
    }
}

void import_write_tables(const struct import *import, struct buffer *out)
{
    buffer_puts(out,
                "# What is moved. Every setting: ods-sink reference.\n\npipelines:\n  - name: ");
    put_yaml(out, import->name, false);
    buffer_puts(out, "\n");
    put_list(out, "    ", "topics", &import->topics);
    buffer_printf(out, "    format: %s\n    target: ods\n    group_id: ",
                  import->format ? import->format : "debezium");
    put_yaml(out, import->group ? import->group : import->name, false);
    buffer_printf(out, "\n    on_error: %s\n", import->stop_on_error ? "stop" : "dead_letter");
    put_defaults(import, out);
    put_tables(import, out);
}
