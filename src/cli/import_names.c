/* Which topics, and which tables their rows go to: Java's regular expressions in POSIX's words, and
 * a connector's routers and formats tried on the topics' own names. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import.h"

/* --- regular expressions --------------------------------------------------------------------- */

/* What a class of Java's is inside [ ]; in its own brackets outside. NULL: POSIX has none. */
static const char *class_of(char letter)
{
    switch (letter) {
    case 'd':
        return "0-9";
    case 'w':
        return "a-zA-Z0-9_";
    case 's':
        return "[:space:]";
    default:
        return NULL;
    }
}

/* An escape at `at`, which is a backslash; how many bytes it takes, 0: it can't be said. */
static size_t put_escape(struct buffer *out, const char *at, bool inside, bool *minus)
{
    char c = at[1];
    const char *class = class_of(c), *not = class_of((char) (c | 32));
    if (!c || (c >= '0' && c <= '9'))
        return 0;
    if (class) {
        buffer_printf(out, inside ? "%s" : "[%s]", class);
    } else if ((c == 'D' || c == 'W' || c == 'S') && !inside) {
        buffer_printf(out, "[^%s]", not);
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return 0;
    } else if (inside) {
        *minus |= c == '-';
        if (c == ']' || c == '^' || c == '\\' || c == '[')
            return 0; /* their places in POSIX's brackets are few */
        if (c != '-')
            buffer_add(out, &c, 1);
    } else {
        buffer_puts(out, strchr("/-_,:;@%&=!~#<>'\" ", c) ? "" : "\\");
        buffer_add(out, &c, 1);
    }
    return 2;
}

/* A bracket expression from its [ on; the bytes that it takes, 0: it can't be said. */
static size_t put_bracket(struct buffer *out, const char *start)
{
    const char *at = start + 1;
    bool minus = false;
    buffer_puts(out, "[");
    if (*at == '^')
        buffer_add(out, at++, 1);
    for (; *at && *at != ']'; at++) {
        if (*at == '[' || (*at == '&' && at[1] == '&'))
            return 0; /* unions and intersections */
        if (*at == '\\') {
            if (!put_escape(out, at, true, &minus))
                return 0;
            at++;
        } else {
            buffer_add(out, at, 1);
        }
    }
    buffer_puts(out, minus ? "-]" : "]");
    return *at ? (size_t) (at - start) + 1 : 0;
}

/* What follows an opening parenthesis: ?: is a plain group, other ?… are not POSIX's. */
static size_t put_group(struct buffer *out, const char *at, const char **why)
{
    buffer_puts(out, "(");
    if (at[1] != '?')
        return 1;
    if (at[2] == ':')
        return 3;
    *why = at[2] == '=' || at[2] == '!' ? "it looks ahead, (?= or (?!"
           : at[2] == '<'               ? "it looks behind, or names a group, (?<"
                                        : "it has flags, (?…)";
    return 0;
}

char *posix_regex(const char *java, const char **why)
{
    struct buffer out;
    bool ignored;
    size_t taken = 1;
    buffer_init(&out);
    *why = NULL;
    buffer_puts(&out, "^(");
    for (const char *at = java; *at && taken; at += taken) {
        bool quantified = at > java && strchr("*+?}", at[-1]) && (at - java < 2 || at[-2] != '\\');
        taken = 1;
        if (*at == '\\')
            taken = put_escape(&out, at, false, &ignored);
        else if (*at == '[')
            taken = put_bracket(&out, at);
        else if (*at == '(')
            taken = put_group(&out, at, why);
        else if (quantified && *at == '+')
            *why = "a quantifier is possessive";
        else if (!(quantified && *at == '?')) /* a whole text is meant, so lazy is as good */
            buffer_add(&out, at, 1);
        taken = *why ? 0 : taken;
    }
    buffer_puts(&out, ")$");
    if (!taken && !*why)
        *why = "it has an escape or a class that POSIX has not";
    regex_t regex;
    char *text = out.failed || *why ? NULL : strdup(buffer_text(&out));
    if (text && regcomp(&regex, text, REG_EXTENDED) == 0) {
        regfree(&regex);
    } else if (text) {
        *why = "it does not compile";
        free(text);
        text = NULL;
    }
    buffer_done(&out);
    return text;
}

/* --- topics ---------------------------------------------------------------------------------- */

enum ods_status import_topics(struct import *import, const char *instead, struct error *error)
{
    const char *list = import_value(import, "topics");
    const char *pattern = import_value(import, "topics.regex"), *why;
    if (instead) {
        import->failed |= !names_split(&import->topics, instead);
        import_say(import, pattern ? "topics.regex" : "topics", CARRIED,
                   "replaced by the topics of --topics");
        return ODS_OK;
    }
    if (list && *list) {
        import->failed |= !names_split(&import->topics, list);
        import_say(import, "topics", CARRIED, "topics of the pipeline");
        return ODS_OK;
    }
    if (!pattern || !*pattern)
        return error_set(error, ODS_FATAL, "%s: neither \"topics\" nor \"topics.regex\" is set",
                         import->path);
    char *posix = posix_regex(pattern, &why);
    if (!posix)
        return error_set(error, ODS_FATAL,
                         "%s: \"topics.regex\" can't be said as a POSIX regular expression: %s; "
                         "name the topics, or an expression that begins with ^, with --topics",
                         import->path, why);
    import->failed |= !names_add(&import->topics, posix, strlen(posix));
    import_say(import, "topics.regex", CARRIED, "topics of the pipeline, as %s", posix);
    free(posix);
    return ODS_OK;
}

/* --- routers --------------------------------------------------------------------------------- */

#define GROUPS 10

/* $1, ${1} and \$ of Java's replacements. False: it names a group by a word. */
static bool put_replacement(struct buffer *out, const char *text, const char *topic,
                            const regmatch_t groups[GROUPS])
{
    for (; *text; text++) {
        if (*text == '\\' && text[1]) {
            buffer_add(out, ++text, 1);
            continue;
        }
        if (*text != '$') {
            buffer_add(out, text, 1);
            continue;
        }
        bool braces = text[1] == '{';
        char digit = text[1 + braces];
        if (digit < '0' || digit > '9' || (braces && text[3] != '}'))
            return false;
        const regmatch_t *group = &groups[digit - '0'];
        if (group->rm_so >= 0)
            buffer_add(out, topic + group->rm_so, (size_t) (group->rm_eo - group->rm_so));
        text += braces ? 3 : 1;
    }
    return true;
}

/* What a RegexRouter makes of a topic; NULL: it can't be told. Heap. */
static char *routed(const char *regex, const char *replacement, const char *topic)
{
    const char *why;
    regex_t compiled;
    regmatch_t groups[GROUPS], inner[GROUPS];
    /* (?:…) would become a group that counts, and shift the numbers of those after it. */
    char *posix = strstr(regex, "(?:") ? NULL : posix_regex(regex, &why);
    if (!posix || regcomp(&compiled, posix, REG_EXTENDED)) {
        free(posix);
        return NULL;
    }
    free(posix);
    bool matches = regexec(&compiled, topic, GROUPS, groups, 0) == 0;
    regfree(&compiled);
    if (!matches)
        return strdup(topic);
    inner[0] = groups[0];
    for (size_t i = 1; i < GROUPS; i++)
        inner[i] = i + 1 < GROUPS ? groups[i + 1] : (regmatch_t){-1, -1};
    struct buffer out;
    buffer_init(&out);
    bool good = put_replacement(&out, replacement, topic, inner);
    char *text = good && !out.failed ? strdup(buffer_text(&out)) : NULL;
    buffer_done(&out);
    return text;
}

static char *through_routers(const struct import *import, const char *topic)
{
    char *at = strdup(topic);
    for (size_t i = 0; at && i < import->router_count; i++) {
        char *next = routed(import->routers[i].regex, import->routers[i].replacement, at);
        free(at);
        at = next;
    }
    return at;
}

/* --- tables ---------------------------------------------------------------------------------- */

/* prefix.schema.table */
struct parts {
    char schema[256], table[256];
    bool known;
};

static struct parts split(const char *topic)
{
    struct parts parts = {.known = false};
    const char *last = strrchr(topic, '.');
    const char *before = last ? memrchr(topic, '.', (size_t) (last - topic)) : NULL;
    if (before)
        snprintf(parts.schema, sizeof parts.schema, "%.*s", (int) (last - before - 1), before + 1);
    snprintf(parts.table, sizeof parts.table, "%s", last ? last + 1 : topic);
    parts.known = before != NULL;
    return parts;
}

/* The connector's format for a topic: ${topic}, ${source.table} and its like; for Debezium's own
 * strategy a topic's dots are underscores. NULL: it has a place that is not known here. */
static char *formatted(const struct import *import, const char *topic, const struct parts *parts)
{
    struct buffer out;
    buffer_init(&out);
    bool good = true;
    for (const char *at = import->name_format; *at && good;) {
        size_t plain = strcspn(at, "$");
        buffer_add(&out, at, plain);
        at += plain;
        if (!*at)
            break;
        const char *end = strchr(at, '}');
        size_t length = end ? (size_t) (end - at) + 1 : 0;
        static const char *const tables[] = {"${source.table}", "${table}", NULL};
        static const char *const schemas[] = {"${source.schema}", "${source.db}", "${schema}",
                                              NULL};
        bool table = false, schema = false;
        for (size_t i = 0; end && tables[i]; i++)
            table |= strlen(tables[i]) == length && strncmp(at, tables[i], length) == 0;
        for (size_t i = 0; end && schemas[i]; i++)
            schema |= strlen(schemas[i]) == length && strncmp(at, schemas[i], length) == 0;
        if (end && length == 8 && strncmp(at, "${topic}", 8) == 0) {
            for (const char *c = topic; *c; c++)
                buffer_add(&out, import->kind == JDBC_DEBEZIUM && *c == '.' ? "_" : c, 1);
        } else if (table || schema) {
            buffer_puts(&out, table ? parts->table : parts->schema);
        } else {
            good = false;
        }
        at += length ? length : 1;
    }
    char *text = good && !out.failed ? strdup(buffer_text(&out)) : NULL;
    buffer_done(&out);
    return text;
}

/* The table that a topic's rows go to, `table` or `schema.table`; NULL: it can't be told. Heap. */
static char *destination(const struct import *import, const char *topic, const struct parts *parts)
{
    char *to = through_routers(import, topic);
    char *name = to ? formatted(import, to, parts) : NULL;
    free(to);
    /* catalog.schema.table: the catalog is the database that is connected to. */
    const char *last = name ? strrchr(name, '.') : NULL;
    const char *before = last ? memrchr(name, '.', (size_t) (last - name)) : NULL;
    if (before)
        memmove(name, before + 1, strlen(before + 1) + 1);
    for (char *c = name; c && *c && import->lower; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char) (*c | 32);
    return name;
}

static bool add_table(struct import *import, const char *name, const char *target,
                      const char *topic)
{
    struct import_table *larger =
        realloc(import->tables, (import->table_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    import->tables = larger;
    larger[import->table_count++] = (struct import_table){
        .name = copy_text(name), .target = copy_text(target), .topic = copy_text(topic)};
    return true;
}

static const char *format_property(const struct import *import)
{
    return import_value(import, "collection.name.format")    ? "collection.name.format"
           : import_value(import, "collection.table.format") ? "collection.table.format"
           : import_value(import, "table.name.format")       ? "table.name.format"
           : import->kind == JDBC_DEBEZIUM                   ? "collection.name.format"
                                                             : "table.name.format";
}

/* Each topic by name: its table is worked out. */
static void name_each(struct import *import)
{
    const char *property = format_property(import);
    bool all_known = true, all_plain = true;
    for (size_t i = 0; i < import->topics.count; i++) {
        const char *topic = import->topics.items[i];
        struct parts parts = split(topic);
        char *to = destination(import, topic, &parts);
        if (!to) {
            all_known = false;
        } else if (strcmp(to, parts.table) != 0) {
            char name[600];
            snprintf(name, sizeof name, "%s%s%s", parts.schema, parts.known ? "." : "",
                     parts.table);
            import->failed |= !add_table(import, name, to, topic);
            all_plain = false;
        }
        free(to);
    }
    if (!all_known)
        import_say(import, property, LEFT,
                   "which tables it names can't be told: they are called as the source calls them; "
                   "see target in tables.yaml");
    else
        import_say(import, property, CARRIED, "%s",
                   all_plain ? "tables are called as the source calls them"
                             : "target of each table, by its topic");
}

/* The beginning of an expression that stands for itself, with its escapes undone. */
static void literal_prefix(const char *regex, char *out, size_t size)
{
    size_t length = 0;
    for (const char *at = regex; *at && length + 1 < size; at++) {
        bool escape = *at == '\\' && at[1] && strchr(".-_", at[1]);
        if (!escape && strchr("\\.[]()*+?{}|^$", *at))
            break;
        at += escape;
        if (at[1] && strchr("*+?{", at[1]))
            break;
        out[length++] = *at;
    }
    out[length] = '\0';
}

#define TABLE_MARK  "tttablettt"
#define SCHEMA_MARK "ssschemasss"

/* A topic that the expression stands for, with marks for what it leaves open. */
static void sample_topic(const char *regex, char *topic, size_t size)
{
    char prefix[256];
    literal_prefix(regex, prefix, sizeof prefix);
    size_t dots = 0;
    for (const char *at = prefix; *at; at++)
        dots += *at == '.';
    bool at_dot = *prefix && prefix[strlen(prefix) - 1] == '.';
    snprintf(topic, size, "%s%s%s%s", prefix,
             at_dot || !*prefix ? ""
             : dots == 0        ? "."
                                : "",
             dots >= 2 || (dots == 1 && !at_dot) ? ""
             : *prefix                           ? SCHEMA_MARK "."
                                                 : "pppp." SCHEMA_MARK ".",
             TABLE_MARK);
}

/* The name with ${table} and ${db} in place of the marks. Heap. */
static char *with_places(const char *name)
{
    struct buffer out;
    buffer_init(&out);
    while (*name) {
        if (strncmp(name, TABLE_MARK, sizeof TABLE_MARK - 1) == 0) {
            buffer_puts(&out, "${table}");
            name += sizeof TABLE_MARK - 1;
        } else if (strncmp(name, SCHEMA_MARK, sizeof SCHEMA_MARK - 1) == 0) {
            buffer_puts(&out, "${db}");
            name += sizeof SCHEMA_MARK - 1;
        } else {
            buffer_add(&out, name++, 1);
        }
    }
    char *text = out.failed ? NULL : strdup(buffer_text(&out));
    buffer_done(&out);
    return text;
}

/* Topics by an expression: a sample of them is worked out. */
static void name_by_sample(struct import *import)
{
    char topic[600];
    const char *property = format_property(import);
    const char *regex = import_value(import, "topics.regex");
    sample_topic(regex ? regex : import->topics.items[0] + 1, topic, sizeof topic);
    struct parts parts = split(topic);
    char *to = destination(import, topic, &parts);
    char *target = to ? with_places(to) : NULL;
    if (!target || strstr(target, "pppp")) {
        import_say(import, property, LEFT,
                   "which tables it names can't be told: they are called as the source calls them; "
                   "see target in tables.yaml");
    } else if (strcmp(target, "${table}") == 0) {
        import_say(import, property, CARRIED, "tables are called as the source calls them");
    } else if (strstr(target, "${table}")) {
        import->target = strdup(target);
        import_say(import, property, CARRIED,
                   "target: %s, where topics are <prefix>.<database or schema>.<table>", target);
    } else {
        import->failed |= !add_table(import, "^.", target, NULL);
        import_say(import, property, CARRIED, "target of every table: %s", target);
    }
    free(to);
    free(target);
}

void import_names(struct import *import)
{
    if (import->named_by_class) {
        import_say(import, format_property(import), LEFT, "with the class that makes the names");
        return;
    }
    bool expression = false;
    for (size_t i = 0; i < import->topics.count; i++)
        expression |= *import->topics.items[i] == '^';
    if (expression)
        name_by_sample(import);
    else
        name_each(import);
}
