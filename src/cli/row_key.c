/* See row_key.h. */
#include "cli/row_key.h"

#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include "cli/redact.h"
#include "core/exit.h"

struct parsing {
    struct row_key *key;
    const struct table_choice *choice;
    const struct read_table *table; /* or NULL */
    struct error *error;
};

/* The target's name of a column that the source calls so. */
static const char *renamed(const struct parsing *parsing, const char *name)
{
    const char *target = properties_find(&parsing->choice->table->renames, name);
    return target ? target : name;
}

static bool is_plain(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' ||
              (*at >= '0' && *at <= '9')))
            return false;
    return *name != '\0';
}

/* "name=" at the beginning of the text: the target's name, and where the value begins. */
static bool begins_value(const struct parsing *parsing, char *text, const char **name,
                         char **value)
{
    for (char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
        *equals = '\0';
        const char *target = renamed(parsing, text);
        const struct read_column *column =
            parsing->table ? read_column(parsing->table, target) : NULL;
        bool known = parsing->table ? column != NULL : is_plain(text);
        *equals = '=';
        if (known) {
            *value = equals + 1;
            *name = column ? column->name : NULL;
            if (!column) {
                *equals = '\0';
                *name = text;
            }
            return true;
        }
    }
    return false;
}

static bool add(struct parsing *parsing, const char *name, const char *value)
{
    struct row_key *key = parsing->key;
    struct key_text *larger = realloc(key->items, (key->count + 1) * sizeof *larger);
    if (!larger)
        return false;
    key->items = larger;
    key->items[key->count++] = (struct key_text){.name = name, .value = value};
    return true;
}

/* Value after value of one --key. */
static bool parse_text(struct parsing *parsing, char *text)
{
    const char *name = NULL, *next_name;
    char *value, *next_value;
    if (!begins_value(parsing, text, &name, &value))
        return add(parsing, NULL, text);
    for (char *comma = strchr(value, ','); comma; comma = strchr(comma + 1, ',')) {
        if (!begins_value(parsing, comma + 1, &next_name, &next_value))
            continue;
        *comma = '\0';
        if (!add(parsing, name, value))
            return false;
        name = next_name;
        value = next_value;
        comma = next_value - 1;
    }
    return add(parsing, name, value);
}

static int check(struct parsing *parsing)
{
    const struct row_key *key = parsing->key;
    for (size_t i = 0; i < key->count; i++) {
        for (size_t k = 0; k < i; k++)
            if (!key->items[i].name || !key->items[k].name ||
                strcmp(key->items[i].name, key->items[k].name) == 0) {
                error_set(parsing->error, ODS_FATAL,
                          "the key has two values for %s: give each column once, as column=value",
                          key->items[i].name ? key->items[i].name : "one column");
                return CLI_USAGE;
            }
    }
    if (key->count == 1 && !key->items[0].name && parsing->table &&
        parsing->table->key_count != 1) {
        error_set(parsing->error, ODS_FATAL, "the key of %s has %zu columns: give %s",
                  parsing->table->quoted, parsing->table->key_count,
                  parsing->table->key_count ? "each of them, as column=value,column=value"
                                            : "the columns that tell the row, as column=value");
        return CLI_USAGE;
    }
    return CLI_OK;
}

int row_key_parse(struct row_key *key, const struct strings *given,
                  const struct table_choice *choice, const struct read_table *table,
                  struct error *error)
{
    struct parsing parsing = {.key = key, .choice = choice, .table = table, .error = error};
    size_t length = 0;
    *key = (struct row_key){0};
    for (size_t i = 0; i < given->count; i++)
        length += strlen(given->items[i]) + 1;
    char *at = key->texts = malloc(length + 1);
    bool good = at != NULL;
    for (size_t i = 0; good && i < given->count; i++) {
        size_t size = strlen(given->items[i]) + 1;
        memcpy(at, given->items[i], size);
        good = parse_text(&parsing, at);
        at += size;
    }
    if (good)
        return check(&parsing);
    error_out_of_memory(error);
    return CLI_INTERNAL;
}

void row_key_done(struct row_key *key)
{
    free(key->items);
    free(key->texts);
    *key = (struct row_key){0};
}

char *row_key_text(const struct row_key *key, const struct table_choice *choice)
{
    struct buffer text;
    buffer_init(&text);
    for (size_t i = 0; i < key->count; i++) {
        const struct key_text *item = &key->items[i];
        bool hidden = item->name && is_redacted_target(choice->table, item->name);
        buffer_printf(&text, "%s%s%s%s", i ? ", " : "", item->name ? item->name : "",
                      item->name ? "=" : "", hidden ? REDACTED : item->value);
    }
    char *copy = text.failed ? NULL : strdup(buffer_text(&text));
    buffer_done(&text);
    return copy;
}
