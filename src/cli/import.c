/* ods-sink import: a JDBC sink connector's configuration becomes ods-sink's two files, and what
 * differs is said property by property. Asks neither Connect nor the database. */
#include "cli/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/json.h"
#include "config/config_file.h"
#include "config/secret.h"

#define FILE_MAX_BYTES (1024 * 1024)

struct import_options {
    const char *file, *folder, *topics;
    bool json, force;
};

static const char *const verdicts[] = {"carried", "same", "differs", "left", "unknown"};

/* --- what the files of it share -------------------------------------------------------------- */

const char *import_value(const struct import *import, const char *property)
{
    return json_string_value(json_object_get(import->config, property));
}

char *copy_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

void import_say(struct import *import, const char *property, enum verdict verdict,
                const char *format, ...)
{
    char note[1024];
    va_list arguments;
    struct report_line *larger =
        realloc(import->lines, (import->line_count + 1) * sizeof *larger);
    if (!larger) {
        import->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(note, sizeof note, format, arguments);
    va_end(arguments);
    const char *value = import->given ? import->given : import_value(import, property);
    bool secret = value && secret_name(property) && !is_reference(value);
    /* A URL may have its user and password among its parameters. */
    char *shown = secret ? strdup(SECRET_MASK)
                  : value && strcmp(property, "connection.url") == 0
                      ? strndup(value, strcspn(value, "?"))
                      : copy_text(value);
    import->lines = larger;
    larger[import->line_count++] = (struct report_line){
        .property = strdup(property), .value = shown, .verdict = verdict, .note = strdup(note)};
}

bool names_add(struct names *names, const char *text, size_t length)
{
    char **larger = realloc(names->items, (names->count + 1) * sizeof *larger);
    if (!larger)
        return false;
    names->items = larger;
    larger[names->count] = strndup(text, length);
    return larger[names->count++] != NULL;
}

bool names_split(struct names *names, const char *list)
{
    while (*list) {
        list += strspn(list, ", \t\n");
        size_t length = strcspn(list, ",");
        const char *next = list + length;
        while (length && strchr(" \t\n", list[length - 1]))
            length--;
        if (length && !names_add(names, list, length))
            return false;
        list = next;
    }
    return true;
}

void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){0};
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void import_done(struct import *import)
{
    for (size_t i = 0; i < import->line_count; i++) {
        free(import->lines[i].property);
        free(import->lines[i].value);
        free(import->lines[i].note);
    }
    for (size_t i = 0; i < import->table_count; i++) {
        free(import->tables[i].name);
        free(import->tables[i].target);
        free(import->tables[i].topic);
    }
    for (size_t i = 0; i < import->router_count; i++) {
        free(import->routers[i].regex);
        free(import->routers[i].replacement);
    }
    struct names *lists[] = {&import->topics, &import->key, &import->include, &import->exclude,
                             &import->renames};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        names_done(lists[i]);
    char *texts[] = {import->bootstrap,     import->auto_offset_reset, import->dead_letter,
                     import->format,        import->group,             import->schema,
                     import->target,        import->cdc_operation,     import->name_format};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    wipe(import->database_secret);
    wipe(import->kafka_secret);
    free(import->lines);
    free(import->tables);
    buffer_done(&import->properties);
    buffer_done(&import->dsn);
    json_decref(import->config);
}

/* --- reading --------------------------------------------------------------------------------- */

/* Connect takes every value as a text, whatever its JSON type is. */
static json_t *texts_of(const json_t *properties)
{
    json_t *texts = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *) properties, name, value)
    {
        char *written = json_is_string(value) ? strdup(json_string_value(value))
                                              : json_dumps(value, JSON_ENCODE_ANY);
        if (!json_is_null(value) && !json_is_object(value) && written)
            json_object_set_new(texts, name, json_string(written));
        free(written);
    }
    return texts;
}

static enum ods_status find_kind(struct import *import, struct error *error)
{
    const char *class = import_value(import, "connector.class");
    if (class && strcmp(class, "io.debezium.connector.jdbc.JdbcSinkConnector") == 0)
        import->kind = JDBC_DEBEZIUM;
    else if (class && strcmp(class, "io.confluent.connect.jdbc.JdbcSinkConnector") == 0)
        import->kind = JDBC_CONFLUENT;
    if (import->kind)
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "%s: connector.class is \"%.100s\": only the JDBC sinks can be imported, "
                     "io.debezium.connector.jdbc.JdbcSinkConnector and "
                     "io.confluent.connect.jdbc.JdbcSinkConnector",
                     import->path, class ? class : "");
}

static enum ods_status read_connector(struct import *import, struct error *error)
{
    struct config_file text;
    json_error_t where;
    const char *why = config_file_read(&text, import->path, FILE_MAX_BYTES);
    if (why)
        return error_set(error, ODS_FATAL, "cannot read %s: %s", import->path, why);
    json_t *root = json_loadb(text.bytes, text.length, JSON_REJECT_DUPLICATES, &where);
    config_file_done(&text);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(error, ODS_FATAL, "%s:%d: %s", import->path, root ? 1 : where.line,
                         root ? "expected an object" : where.text);
    }
    json_t *inner = json_object_get(root, "config");
    import->config = texts_of(json_is_object(inner) ? inner : root);
    if (json_is_object(inner) && json_is_string(json_object_get(root, "name")))
        json_object_set(import->config, "name", json_object_get(root, "name"));
    json_decref(root);
    import->name = import_value(import, "name");
    if (!import->name || !*import->name) {
        json_object_set_new(import->config, "name", json_string("jdbc-sink"));
        import->name = import_value(import, "name");
    }
    return find_kind(import, error);
}

/* Lists of columns are of the names that the connector writes, here they are the source's. */
static void undo_renames(const struct names *renames, struct names *list)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j + 1 < renames->count; j += 2) {
            char *own = strcmp(list->items[i], renames->items[j + 1]) == 0
                            ? strdup(renames->items[j])
                            : NULL;
            if (!own)
                continue;
            free(list->items[i]);
            list->items[i] = own;
            break;
        }
}

/* Confluent's list leaves the key's columns out, which are always written. */
static void complete_columns(struct import *import)
{
    undo_renames(&import->renames, &import->include);
    undo_renames(&import->renames, &import->exclude);
    if (!import->include.count || import->kind != JDBC_CONFLUENT)
        return;
    if (!import->key.count)
        import_say(import, "fields.whitelist", DIFFERS,
                   "the columns of the key have to be in columns.include too: add them");
    for (size_t i = 0; i < import->key.count; i++) {
        bool there = false;
        for (size_t j = 0; j < import->include.count; j++)
            there |= strcmp(import->include.items[j], import->key.items[i]) == 0;
        if (!there)
            import->failed |= !names_add(&import->include, import->key.items[i],
                                         strlen(import->key.items[i]));
    }
}

/* --- writing --------------------------------------------------------------------------------- */

static enum ods_status write_file(const char *folder, const char *name, const char *text,
                                  mode_t mode, bool force, struct error *error)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), mode);
    size_t length = strlen(text), written = 0;
    if (fd >= 0 && force)
        (void) !fchmod(fd, mode);
    while (fd >= 0 && written < length) {
        ssize_t wrote = write(fd, text + written, length - written);
        if (wrote < 0 && errno != EINTR)
            break;
        written += wrote > 0 ? (size_t) wrote : 0;
    }
    bool good = fd >= 0 && written == length;
    if (fd >= 0 && close(fd) != 0)
        good = false;
    if (good)
        return ODS_OK;
    return error_set(error, ODS_FATAL, "cannot write %s: %s%s", path, strerror(errno),
                     errno == EEXIST ? "; --force overwrites it" : "");
}

static enum ods_status write_files(const struct import *import,
                                   const struct import_options *options, struct error *error)
{
    struct buffer daemon, tables;
    const char *folder = options->folder;
    buffer_init(&daemon);
    buffer_init(&tables);
    import_write_daemon(import, &daemon);
    import_write_tables(import, &tables);
    enum ods_status status = daemon.failed || tables.failed || import->failed
                                 ? error_out_of_memory(error)
                                 : ODS_OK;
    if (status == ODS_OK && !folder && !options->json) {
        printf("# ods-sink.conf\n%s\n# tables.yaml\n%s\n", buffer_text(&daemon),
               buffer_text(&tables));
    } else if (status == ODS_OK && folder) {
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            status = error_set(error, ODS_FATAL, "cannot make %s: %s", folder, strerror(errno));
        if (status == ODS_OK)
            status = write_file(folder, "ods-sink.conf", buffer_text(&daemon), 0644,
                                options->force, error);
        if (status == ODS_OK)
            status = write_file(folder, "tables.yaml", buffer_text(&tables), 0644, options->force,
                                error);
        if (status == ODS_OK && import->database_secret)
            status = write_file(folder, "ods-password", import->database_secret, 0600,
                                options->force, error);
        if (status == ODS_OK && import->kafka_secret)
            status = write_file(folder, "kafka-password", import->kafka_secret, 0600,
                                options->force, error);
    }
    buffer_done(&daemon);
    buffer_done(&tables);
    return status;
}

/* --- the report ------------------------------------------------------------------------------ */

static json_t *report_json(const struct import *import)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < import->line_count; i++) {
        const struct report_line *line = &import->lines[i];
        json_array_append_new(
            lines, json_pack("{s:s,s:s?,s:s,s:s}", "property", line->property, "value", line->value,
                             "verdict", verdicts[line->verdict], "note", line->note));
    }
    return lines;
}

/* Those that want a look stand last. */
static bool print_report(const struct import *import, const struct terminal *terminal)
{
    static const char *const names[] = {"VERDICT", "PROPERTY", "VALUE", "WHAT BECOMES OF IT"};
    static const enum paint paints[] = {PAINT_GOOD, PAINT_DIM, PAINT_WARN, PAINT_BAD, PAINT_BAD};
    struct columns table;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    for (enum verdict verdict = CARRIED; verdict <= UNKNOWN; verdict++)
        for (size_t i = 0; i < import->line_count; i++) {
            const struct report_line *line = &import->lines[i];
            if (line->verdict != verdict)
                continue;
            columns_add(&table, verdicts[verdict]);
            columns_paint(&table, paints[verdict]);
            columns_add(&table, line->property);
            columns_add(&table, line->value ? line->value : "(default)");
            columns_add(&table, line->note);
        }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static void print_next(const struct import_options *options)
{
    if (!options->folder)
        return;
    printf("\nwritten: %s/ods-sink.conf and %s/tables.yaml\n"
           "next: look at what differs, then ods-sink check -c %s/ods-sink.conf --connect\n",
           options->folder, options->folder, options->folder);
}

static int run(const struct call *call, void *given)
{
    const struct import_options *options = given;
    struct import import = {.path = options->file, .can_write_secrets = options->folder};
    struct error error;
    error_init(&error);
    enum ods_status status = read_connector(&import, &error);
    if (status == ODS_OK)
        status = import_topics(&import, options->topics, &error);
    if (status == ODS_OK)
        status = import_url(&import, &error);
    if (status == ODS_OK) {
        import.name_format = strdup("${topic}");
        import_properties(&import);
        import_names(&import);
        complete_columns(&import);
        if (!import.bootstrap)
            import_say(&import, "bootstrap.servers", DIFFERS,
                       "the worker knows it: set KAFKA_BOOTSTRAP_SERVERS, or "
                       "kafka.bootstrap_servers");
        import_say(&import, "columns of ods-sink's own", DIFFERS,
                   "cdc_timestamp is off, and cdc_operation too unless add.fields has op, since "
                   "the connector's tables have no such columns");
        status = write_files(&import, options, &error);
    }
    int code = status == ODS_OK ? CLI_OK : CLI_CONFIG;
    if (status != ODS_OK) {
        terminal_line(stderr, "ods-sink %s: %s", call->name, error.text);
    } else if (options->json) {
        json_t *lines = report_json(&import);
        cli_print_json(lines);
    } else {
        code = print_report(&import, call->terminal) ? CLI_OK : CLI_INTERNAL;
        print_next(options);
    }
    import_done(&import);
    return cli_finish(code);
}

static const struct parameter options[] = {
    OPTION(struct import_options, folder, "output", &argument_folder,
           "the folder that gets ods-sink.conf and tables.yaml (default: they are only printed)",
           .letter = 'o'),
    OPTION(struct import_options, topics, "topics", &argument_text,
           "the topics, in place of those that the connector names, separated by commas",
           .value = "LIST"),
    SWITCH(struct import_options, force, "force", "overwrite files that are there"),
    OPTION_JSON(struct import_options),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct import_options, file, "FILE", &argument_file,
            "the connector: `{\"name\": …, \"config\": {…}}`, or the properties alone",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_CONFIG, "The file is not a JDBC sink's, writes to another database, or names its topics "
                 "by an expression that POSIX does not have; or a file is there already."},
    {0}};

static const struct example examples[] = {
    {"ods-sink import jdbc-sink.json", "See what would become of it."},
    {"ods-sink import jdbc-sink.json -o /etc/ods-sink", "Write both files."},
    {0}};

const struct command cli_import = {
    .name = "import",
    .summary = "turn a JDBC sink connector's configuration into ods-sink's files",
    .description =
        "Debezium's JDBC sink and Confluent's are understood, where they write to PostgreSQL. "
        "Every property is accounted for:\n\n"
        "carried\n  It stands in the files.\n\n"
        "same\n  ods-sink does so anyway.\n\n"
        "differs\n  ods-sink does it otherwise, as the line says.\n\n"
        "left\n  There is no counterpart.\n\n"
        "unknown\n  It is not a property of these connectors.\n\n"
        "Defaults that mean something else here are listed too. A password goes into a file of "
        "its own, which only its owner may read, beside ods-sink.conf; where none is written, or "
        "the password is a reference of Connect's, it is expected in an environment variable. The "
        "pipeline gets the connector's consumer group, and so goes on where the connector stands: "
        "stop that one first.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct import_options),
    .run = run,
};
