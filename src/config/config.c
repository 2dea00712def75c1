/* Loading the configuration: read both files, build the neutral tree, fill the structs, check. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/named_files.h"
#include "config/node.h"
#include "config/parse.h"
#include "config/table_pattern.h"
#include "config/validate.h"

struct config {
    struct pool pool; /* the settings' strings and lists */
    struct settings settings;
    struct findings findings;
    struct named_file *files;
    bool loaded;
};

static const struct finding memory_is_out = {.text = "memory is out"};

/* A configuration file, for as long as it is being loaded. */
struct input {
    struct config_source source;
    const char *bytes;
    size_t length;
};

static struct config *start(struct config **config, struct load *load)
{
    *config = calloc(1, sizeof(**config));
    if (!*config)
        return NULL;
    *load = (struct load){.keep = &(*config)->pool, .findings = &(*config)->findings,
                           .files = &(*config)->files};
    return *config;
}

static enum ods_status finish(struct config *config, struct load *load)
{
    findings_close(&config->findings);
    if (config->pool.failed || load->scratch.failed)
        config->findings.failed = true;
    config->loaded = !config->findings.errors && !config->findings.failed;
    pool_done(&load->scratch);
    return config->loaded ? ODS_OK : ODS_FATAL;
}

static void read_tables(struct load *load, struct settings *settings, const struct node *daemon,
                        const struct input *tables)
{
    const struct node *moves =
        tables ? yaml_read(load, &tables->source, tables->bytes, tables->length) : NULL;
    if (moves)
        parse_object(load, &settings_of_moves, moves, settings);
    validate_settings(load, daemon, moves, settings);
}

static const struct node *read_daemon(struct load *load, struct settings *settings,
                                      const struct input *daemon)
{
    const struct node *node = libconfig_read(load, &daemon->source, daemon->bytes, daemon->length);
    parse_object(load, &settings_of_daemon, node, settings);
    return node;
}

/* Open a configuration file; if that fails, a finding at `from` says why. */
static bool open_input(struct load *load, struct input *input, struct config_file *file,
                       const char *path, size_t max_bytes, const struct config_source *from,
                       int line)
{
    const char *name = pool_strdup(load->keep, path);
    const char *folder = config_file_folder(load->keep, path);
    if (!name || !folder)
        return false;
    input->source =
        (struct config_source){.name = name, .folder = folder, .order = load->sources++};
    const char *why = config_file_read(file, path, max_bytes);
    if (why) {
        findings_error(load->findings, from ? from : &input->source, line, "cannot read %s: %s",
                       from ? path : "it", why);
        return false;
    }
    input->source.readable_by_others = file->readable_by_others;
    input->bytes = file->bytes;
    input->length = file->length;
    return true;
}

enum ods_status config_load(struct config **config, const char *path)
{
    struct load load;
    struct config_file daemon_file = {0}, tables_file = {0};
    struct input daemon = {0}, tables = {0};
    if (!start(config, &load))
        return ODS_FATAL;
    struct settings *settings = &(*config)->settings;
    if (!open_input(&load, &daemon, &daemon_file, path, CONFIG_MAX_BYTES, NULL, 0))
        goto out;
    settings->file = daemon.source.name;
    const struct node *node = read_daemon(&load, settings, &daemon);
    named_files_collect(&load, node);
    const char *resolved =
        node ? config_file_resolve(load.keep, daemon.source.folder, settings->tables) : NULL;
    if (!resolved) /* the file was not read, so it does not name the other one */
        goto out;
    settings->tables = resolved;
    if (*settings->dead_letter.public_key)
        settings->dead_letter.public_key = config_file_resolve(load.keep, daemon.source.folder,
                                                               settings->dead_letter.public_key);
    if (!settings->dead_letter.public_key)
        goto out;
    /* Findings of included files stand before those of this file, which is read after them. */
    const struct entry *entry = node_find(node, "tables");
    bool opened = open_input(&load, &tables, &tables_file, resolved, TABLES_MAX_BYTES,
                             entry ? entry->node->source : &daemon.source,
                             entry ? entry->node->line : 0);
    read_tables(&load, settings, node, opened ? &tables : NULL);
    validate_letters(&load, node, settings);
out:
    config_file_done(&daemon_file);
    config_file_done(&tables_file);
    return finish(*config, &load);
}

enum ods_status config_parse(struct config **config, const struct config_text *daemon,
                             const struct config_text *tables)
{
    struct load load;
    if (!start(config, &load))
        return ODS_FATAL;
    struct input first = {{.name = daemon->name, .folder = "."}, daemon->bytes, daemon->length};
    struct input second = {{.name = tables->name, .folder = ".", .order = ~0u - 1},
                           tables->bytes,
                           tables->length};
    load.sources = 1;
    const struct node *node = read_daemon(&load, &(*config)->settings, &first);
    read_tables(&load, &(*config)->settings, node, &second);
    return finish(*config, &load);
}

const struct settings *config_settings(const struct config *config)
{
    return config && config->loaded ? &config->settings : NULL;
}

const struct finding *config_findings(const struct config *config, size_t *count)
{
    if (!config || (config->findings.failed && !config->findings.count)) {
        *count = 1;
        return &memory_is_out;
    }
    *count = config->findings.count;
    return config->findings.items;
}

uint64_t config_files_loaded(const struct config *config)
{
    return named_files_loaded(config->files);
}

uint64_t config_files_now(const struct config *config)
{
    return named_files_now(config->files);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    table_patterns_free(&config->settings);
    findings_done(&config->findings);
    pool_done(&config->pool);
    free(config);
}
