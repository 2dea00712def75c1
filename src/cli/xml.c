/* ods-sink xml suggest: entries of `derived:` for the XML documents in a column. */
#include "cli/xml.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "core/log.h"

/* --- what to print --------------------------------------------------------------------------- */

static const struct outline_node *commonest_root(const struct outline *outline)
{
    const struct outline_node *found = outline->root.child;
    for (const struct outline_node *node = found; node; node = node->next)
        if (node->seen > found->seen)
            found = node;
    return found;
}

static void fill_base(struct suggest_base *base, const struct xml_samples *samples)
{
    *base = (struct suggest_base){.schema = samples->schema ? samples->schema : "",
                                  .table = samples->table ? samples->table : "documents",
                                  .column = samples->column ? samples->column : "document"};
    for (size_t i = 0; i < samples->key_count; i++)
        base->key[base->key_count++] = samples->keys[i];
    if (!base->key_count)
        base->key[base->key_count++] = "id";
}

/* In a comment, which a line's end would end. */
static void put_plain(struct buffer *out, const char *text)
{
    for (; *text; text++)
        buffer_add(out, (unsigned char) *text < ' ' ? "?" : text, 1);
}

/* Comments above the entries: what they were made from, and what is not in them. */
static void put_notes(struct buffer *out, const struct xml_samples *samples,
                      const struct suggested *suggested, const struct outline_node *root)
{
    const char *file = samples->options->file;
    buffer_printf(out, "# From %" PRIu64 " document%s", samples->read,
                  samples->read == 1 ? "" : "s");
    if (samples->source_column) {
        buffer_puts(out, " in ");
        put_plain(out, samples->source_column);
        buffer_puts(out, " of ");
        put_plain(out, samples->source_table);
    }
    buffer_printf(out, " (%s %s).\n", file ? "file" : "topic",
                  file ? file : samples->options->topic);
    if (samples->refused) {
        buffer_printf(out, "# Not looked at: %" PRIu64 ", as ", samples->refused);
        put_plain(out, samples->refusal);
        buffer_puts(out, ".\n");
    }
    for (const struct outline_node *node = samples->outline.root.child; node; node = node->next)
        if (node != root)
            buffer_printf(out, "# Documents that are <%s> instead, %" PRIu64 ", give no rows.\n",
                          node->name, node->seen);
    if (!samples->table)
        buffer_puts(out, "# Replace documents, document and id: table, column and key.\n");
    else if (!samples->key_count)
        buffer_puts(out, "# The records have no key: replace id.\n");
    if (suggested->left_out)
        buffer_puts(out, "# There are more elements and attributes than are looked at.\n");
    buffer_puts(out, "# Types are what these documents suggest; an element that repeats in others "
                     "only is taken\n# for one that does not.\n");
}

static int print_yaml(const struct xml_samples *samples, const struct suggested *suggested,
                      const struct suggest_base *base, const struct outline_node *root)
{
    struct buffer out;
    buffer_init(&out);
    put_notes(&out, samples, suggested, root);
    buffer_puts(&out, "derived:\n");
    bool fine = suggested_yaml(suggested, base, &out) &&
                fwrite(out.bytes, 1, out.length, stdout) == out.length;
    buffer_done(&out);
    return fine ? CLI_OK : CLI_INTERNAL;
}

static json_t *names_json(char *const *names, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, cli_json(names[i]));
    return list;
}

static int print_json(const struct xml_samples *samples, const struct suggested *suggested,
                      const struct suggest_base *base)
{
    json_t *entries = json_array();
    for (size_t i = 0; i < suggested->count; i++) {
        const struct suggested_table *table = &suggested->tables[i];
        json_t *by = json_pack("{s:o}", "by", names_json(table->keys, table->anchors));
        json_t *depends = json_object();
        bool plain = !*base->schema || strcmp(base->schema, "public") == 0;
        char name[200];
        snprintf(name, sizeof name, "%s%s%s", plain ? "" : base->schema, plain ? "" : ".",
                 base->table);
        json_object_set_new(depends, name, by);
        json_array_append_new(
            entries, json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", cli_json(table->name), "anchor",
                               names_json(table->keys, table->anchors), "key",
                               names_json(table->keys, table->key_count), "query",
                               cli_json(table->query), "depends", depends));
    }
    json_t *all = json_pack("{s:I, s:I, s:o, s:o}", "documents", (json_int_t) samples->read,
                            "refused", (json_int_t) samples->refused, "refusal",
                            samples->refused ? cli_json(samples->refusal) : json_null(), "derived",
                            entries);
    bool fine = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n';
    json_decref(all);
    return fine ? CLI_OK : CLI_INTERNAL;
}

static int print(const struct xml_samples *samples, struct error *error)
{
    struct suggest_base base;
    struct suggested *suggested = calloc(1, sizeof *suggested);
    const struct outline_node *root = commonest_root(&samples->outline);
    int code = CLI_INTERNAL;
    fill_base(&base, samples);
    if (!suggested)
        error_out_of_memory(error);
    else if (suggest(suggested, &samples->outline, root, &base, error) == ODS_OK)
        code = samples->options->json ? print_json(samples, suggested, &base)
                                      : print_yaml(samples, suggested, &base, root);
    if (suggested)
        suggested_done(suggested);
    free(suggested);
    return code;
}

/* --- the command ----------------------------------------------------------------------------- */

static int explain_nothing(const struct xml_samples *samples, struct error *error)
{
    if (samples->refused)
        error_set(error, ODS_FATAL, "no document can be read: %s", samples->refusal);
    else if (!samples->source_table)
        error_set(error, ODS_FATAL, "none of the %" PRIu64 " records has a column %s",
                  samples->looked_at, samples->options->column);
    else
        error_set(error, ODS_FATAL, "in %" PRIu64 " records %s is never carried",
                  samples->looked_at, samples->options->column);
    return CLI_NEGATIVE;
}

static int suggest_tables(const struct call *call, const struct xml_options *options)
{
    struct xml_samples samples = {.options = options};
    struct config *config = NULL;
    struct error error;
    error_init(&error);
    int code = options->config ? cli_load(&config, options->config) : CLI_OK;
    outline_init(&samples.outline);
    if (code == CLI_OK && config) {
        samples.settings = config_settings(config);
        log_configure(&samples.settings->log);
    }
    if (code == CLI_OK)
        code = samples_load(&samples, &error);
    if (code == CLI_OK && !samples.read)
        code = explain_nothing(&samples, &error);
    if (code == CLI_OK)
        code = print(&samples, &error);
    if (code != CLI_OK && *error.text)
        terminal_line(stderr, "ods-sink %s: %s", call->name, error.text);
    samples_done(&samples);
    config_free(config);
    return cli_finish(code);
}

static int run_suggest(const struct call *call, void *given)
{
    const struct xml_options *options = given;
    if (!options->topic == !options->file)
        return cli_usage(call->name, "it is either --topic TOPIC or --file FILE");
    if (options->topic && !options->config)
        return cli_usage(call->name, "--topic needs -c ods-sink.conf");
    if (options->topic && !options->column)
        return cli_usage(call->name, "--column is missing");
    return suggest_tables(call, options);
}

static const struct xml_options defaults = {.samples = 200, .column = ""};

static const struct parameter options[] = {
    OPTION(struct xml_options, topic, "topic", &argument_topic,
           "the topic of Kafka whose newest records are looked at; needs `-c`"),
    OPTION(struct xml_options, file, "file", &argument_file,
           "in its place a file of records, one a line, as `kcat -C -J` writes them (`-` is "
           "standard input), or one XML document"),
    OPTION(struct xml_options, column, "column", &argument_text,
           "the column that has the documents, by the source's name", .value = "NAME"),
    OPTION(struct xml_options, table, "table", &argument_text,
           "the source's table (default: that of the first record that has the column)",
           .value = "NAME"),
    OPTION(struct xml_options, samples, "samples", &argument_number,
           "how many documents to look at (default: 200)", .value = "N", .min = 1, .max = 100000),
    SWITCH(struct xml_options, lower, "lower",
           "names of the source are in lower case in the target; `-c` knows by itself"),
    OPTION(struct xml_options, config, "config", &argument_file,
           "ods-sink.conf, for names as the target has them", .letter = 'c'),
    OPTION_JSON(struct xml_options),
    {0}};

static const struct exit_meaning suggest_exits[] = {
    {CLI_NEGATIVE, "There is no document, or none that can be read."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "The file or the topic can't be read."},
    {0}};

static const struct example suggest_examples[] = {
    {"ods-sink xml suggest -c ods-sink.conf --topic ora.SHOP.ORDERS --column DOC",
     "From the newest records of a topic."},
    {"ods-sink xml suggest --file order.xml", "From one document."},
    {0}};

static const struct command cli_xml_suggest = {
    .name = "suggest",
    .summary = "write the `derived:` entries that make tables of a column's XML",
    .description =
        "Looks at samples of the documents in a column and writes what tables.yaml needs so that "
        "the target keeps tables of what is in them: a table of the elements and attributes that a "
        "document has once, and below it one for each element that repeats, with a query "
        "(`xmltable`), guessed types and namespaces. Ready to edit; nothing is changed.\n\n"
        "Documents of more than 16 MiB, more than 64 levels or with entities of their own are not "
        "looked at; nothing but the document is ever read.",
    .options = {{.options = options}},
    .exits = suggest_exits,
    .examples = suggest_examples,
    .options_size = sizeof(struct xml_options),
    .defaults = &defaults,
    .run = run_suggest,
};

static const struct command *const xml_commands[] = {&cli_xml_suggest, NULL};

const struct command cli_xml = {
    .name = "xml",
    .summary = "tables out of XML",
    .description = "Columns that hold XML become tables of the target by an entry of `derived:`.",
    .commands = xml_commands,
};
