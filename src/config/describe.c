/* The settings as text: what `check` prints, what a reload compares. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/pool.h"
#include "config/secret.h"
#include "config/setting.h"
#include "config/table.h"
#include <ods/buffer.h>

/* One setting with the value that is in effect. */
struct line {
    const char *path;  /* "targets[ods].dsn" */
    const char *shown; /* secrets hidden */
    const char *exact;
    const char *json;  /* shown, as JSON */
    bool reload;
};

struct listing {
    struct pool pool;
    struct line *lines;
    size_t count, capacity;
    bool failed;
};

static void listing_done(struct listing *listing)
{
    pool_done(&listing->pool);
    free(listing->lines);
}

static void add(struct listing *listing, const struct line *line)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 128;
        struct line *lines = realloc(listing->lines, capacity * sizeof(*lines));
        if (!lines) {
            listing->failed = true;
            return;
        }
        listing->lines = lines;
        listing->capacity = capacity;
    }
    if (line->path && line->shown && line->exact && line->json)
        listing->lines[listing->count++] = *line;
    else
        listing->failed = true;
}

/* How a value is written. */
enum form {
    FORM_SHOWN, /* without secrets */
    FORM_EXACT,
    FORM_JSON, /* without secrets */
};

/* In quotes, on one line, so that a log or a terminal shows it as it is. */
static void put_text(struct buffer *out, const char *text, enum form form)
{
    const char *escape = form == FORM_JSON ? "\\u%04x" : "\\x%02x";
    buffer_puts(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_printf(out, "\\%c", *text);
        else if ((unsigned char) *text < ' ' || *text == 127)
            buffer_printf(out, escape, (unsigned char) *text);
        else
            buffer_add(out, text, 1);
    }
    buffer_puts(out, "\"");
}

static void put_strings(struct buffer *out, const struct strings *list, enum form form)
{
    buffer_puts(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        buffer_puts(out, i ? ", " : "");
        put_text(out, list->items[i], form);
    }
    buffer_puts(out, "]");
}

static void put_properties(struct buffer *out, const struct properties *list, const char *equals,
                           enum form form)
{
    bool hide = form != FORM_EXACT && *equals != ':'; /* of librdkafka: may be a password */
    buffer_puts(out, "{");
    for (size_t i = 0; i < list->count; i++) {
        const struct property *property = &list->items[i];
        buffer_puts(out, i ? ", " : "");
        put_text(out, property->name, form);
        buffer_puts(out, form == FORM_JSON ? ": " : equals);
        put_text(out, hide && secret_name(property->name) ? SECRET_MASK : property->value, form);
    }
    buffer_puts(out, "}");
}

static void put_duration(struct buffer *out, int64_t ms, enum form form)
{
    char text[32];
    put_text(out, setting_duration_text(ms, text, sizeof text), form);
}

static void put_term_value(struct buffer *out, const struct term *term, bool hide, enum form form)
{
    if (hide && term->values.count)
        put_text(out, SECRET_MASK, form);
    else if (term->list)
        put_strings(out, &term->values, form);
    else if (term->values.count)
        put_text(out, term->values.items[0], form);
    else
        buffer_puts(out, "null");
}

/* Terms of one column stand behind each other. */
static void put_terms(struct buffer *out, const struct terms *terms, const struct setting *row,
                      enum form form)
{
    buffer_puts(out, "{");
    for (size_t i = 0; i < terms->count; i++) {
        const struct term *term = &terms->items[i];
        bool hide = form != FORM_EXACT && row->flags & SETTING_SECRET &&
                    strcmp(term->word, "hmac") == 0;
        bool more = i && term->column == terms->items[i - 1].column;
        buffer_puts(out, i ? ", " : "");
        if (!more) {
            put_text(out, term->column, form);
            buffer_puts(out, *term->word ? ": {" : ": ");
        }
        if (*term->word) {
            put_text(out, term->word, form);
            buffer_puts(out, ": ");
        }
        put_term_value(out, term, hide, form);
        if (*term->word && (i + 1 == terms->count || terms->items[i + 1].column != term->column))
            buffer_puts(out, "}");
    }
    buffer_puts(out, "}");
}

/* Of a URL no more than where it leads, and without who signs in. NULL: memory is out. */
static const char *host_alone(const char *url, struct pool *pool)
{
    const char *authority = strstr(url, "://");
    size_t scheme = authority ? (size_t) (authority + 3 - url) : 0;
    size_t length = scheme + strcspn(url + scheme, "/?#{");
    if (!authority || memchr(url, '@', length))
        return SECRET_MASK;
    return url[length] ? pool_printf(pool, "%.*s/%s", (int) length, url, SECRET_MASK) : url;
}

static void put_value(struct buffer *out, const struct setting *row, const void *object,
                      enum form form, struct pool *pool)
{
    const void *value = (const char *) object + row->offset;
    const char *text;
    int choice;
    switch (row->type) {
    case SETTING_STRING:
    case SETTING_CHOICE:
    case SETTING_COLUMN:
        text = *(const char *const *) value;
        if (form != FORM_EXACT && row->flags & SETTING_SECRET && row->flags & SETTING_HIDDEN)
            text = host_alone(text, pool);
        else if (form != FORM_EXACT && row->flags & SETTING_SECRET)
            text = secret_redact_dsn(pool, text, NULL);
        else if (form != FORM_EXACT && *text &&
                 (row->flags & SETTING_HIDDEN || secret_name(row->name)))
            text = SECRET_MASK;
        put_text(out, text ? text : "", form);
        break;
    case SETTING_ENUM:
        memcpy(&choice, value, sizeof(choice));
        if (form == FORM_JSON)
            put_text(out, row->choices[choice], form);
        else
            buffer_puts(out, row->choices[choice]);
        break;
    case SETTING_BOOL:
        buffer_puts(out, *(const bool *) value ? "true" : "false");
        break;
    case SETTING_INT:
    case SETTING_MS:
    case SETTING_BYTES:
        buffer_printf(out, "%" PRId64, *(const int64_t *) value);
        break;
    case SETTING_DURATION:
        put_duration(out, *(const int64_t *) value, form);
        break;
    case SETTING_STRINGS:
        put_strings(out, value, form);
        break;
    case SETTING_PROPERTIES:
        put_properties(out, value, " = ", form);
        break;
    case SETTING_RENAMES:
    case SETTING_TYPES:
    case SETTING_VALUES:
        put_properties(out, value, ": ", form);
        break;
    case SETTING_TERMS:
        put_terms(out, value, row, form);
        break;
    case SETTING_OBJECT:
    case SETTING_OBJECTS:
    case SETTING_NAMED:
    case SETTING_PLUGIN:
        break; /* its members are listed one by one */
    }
}

static const char *value_text(struct listing *listing, const struct setting *row,
                              const void *object, enum form form)
{
    struct buffer out;
    buffer_init(&out);
    put_value(&out, row, object, form, &listing->pool);
    const char *text =
        out.failed ? NULL : pool_strndup(&listing->pool, out.bytes ? out.bytes : "", out.length);
    if (out.bytes)
        explicit_bzero(out.bytes, out.length);
    buffer_done(&out);
    return text;
}

static bool is_same(struct listing *listing, const struct setting *row, const void *one,
                    const void *other)
{
    const char *text = value_text(listing, row, one, FORM_EXACT);
    const char *other_text = value_text(listing, row, other, FORM_EXACT);
    return text && other_text && strcmp(text, other_text) == 0;
}

/* With a template (NULL: none) only settings that differ from it, so that a thousand tables stay
 * readable. */
static void walk(struct listing *listing, const struct setting_group *group, const char *prefix,
                 const void *object, const void *template)
{
    SETTINGS_EACH (row, group) {
        const char *value = (const char *) object + row->offset;
        if (row->type == SETTING_OBJECT) {
            const char *inner = pool_printf(&listing->pool, "%s%s.", prefix, row->name);
            if (inner)
                walk(listing, row->of, inner, value,
                     template ? (const char *) template + row->offset : NULL);
        } else if (row->type == SETTING_PLUGIN) {
            const void *own = *(const void *const *) value;
            if (own)
                walk(listing, setting_plugin_of(group, row, object), prefix, own, NULL);
        } else if (row->type == SETTING_OBJECTS || row->type == SETTING_NAMED) {
            const char *items = *(const char *const *) value;
            size_t count = *(const size_t *) ((const char *) object + row->count_offset);
            for (size_t i = 0; i < count; i++) {
                const void *item = items + i * row->of->size;
                const char *inner = pool_printf(&listing->pool, "%s%s[%s].", prefix, row->name,
                                                setting_object_name(item));
                if (inner)
                    walk(listing, row->of, inner, item, setting_template(group, row, object));
            }
        } else if (strcmp(row->name, "name") != 0 &&
                   !(template && is_same(listing, row, object, template))) {
            add(listing,
                &(struct line){.path = pool_printf(&listing->pool, "%s%s", prefix, row->name),
                               .shown = value_text(listing, row, object, FORM_SHOWN),
                               .exact = value_text(listing, row, object, FORM_EXACT),
                               .json = value_text(listing, row, object, FORM_JSON),
                               .reload = (row->flags & SETTING_RELOAD) != 0});
        }
    }
}

/* False when memory is out. */
static bool list_settings(struct listing *listing, const struct settings *settings)
{
    *listing = (struct listing){0};
    walk(listing, &settings_of_daemon, "", settings, NULL);
    walk(listing, &settings_of_moves, "", settings, NULL);
    return !listing->failed && !listing->pool.failed;
}

void config_print(const struct config *config, FILE *out)
{
    const struct settings *settings = config_settings(config);
    struct listing listing;
    if (!settings)
        return;
    if (!list_settings(&listing, settings))
        fputs("memory is out: this list is not complete\n", out);
    for (size_t i = 0; i < listing.count; i++)
        fprintf(out, "%s = %s\n", listing.lines[i].path, listing.lines[i].shown);
    listing_done(&listing);
}

/* The line that is in effect: settings that a reload may change are few. */
static const struct line *in_effect(const struct line *line, const struct listing *reloaded)
{
    for (size_t i = 0; i < reloaded->count && line->reload; i++)
        if (strcmp(reloaded->lines[i].path, line->path) == 0)
            return &reloaded->lines[i];
    return line;
}

bool config_each(const struct config *config, const struct config *reloaded,
                 void (*each)(void *context, const char *path, const char *json), void *context)
{
    struct listing listing, renewed = {0};
    bool whole = list_settings(&listing, config_settings(config)) &&
                 (!reloaded || list_settings(&renewed, config_settings(reloaded)));
    for (size_t i = 0; i < listing.count; i++)
        each(context, listing.lines[i].path, in_effect(&listing.lines[i], &renewed)->json);
    listing_done(&listing);
    listing_done(&renewed);
    return whole;
}

static int by_path(const void *one, const void *other)
{
    return strcmp(((const struct line *) one)->path, ((const struct line *) other)->path);
}

/* Both lists are sorted, so they are compared in one pass. */
static size_t compare(const struct listing *old, const struct listing *new, FILE *out)
{
    size_t i = 0, j = 0, count = 0;
    while (i < old->count || j < new->count) {
        const struct line *before = i < old->count ? &old->lines[i] : NULL;
        const struct line *after = j < new->count ? &new->lines[j] : NULL;
        int order = !before ? 1 : !after ? -1 : by_path(before, after);
        i += order <= 0;
        j += order >= 0;
        if (order == 0 && (after->reload || strcmp(before->exact, after->exact) == 0))
            continue;
        bool same_text = order == 0 && strcmp(before->shown, after->shown) == 0;
        count++;
        if (order > 0)
            fprintf(out, "%s = %s is new and needs a restart\n", after->path, after->shown);
        else if (order < 0)
            fprintf(out, "%s = %s is gone and needs a restart\n", before->path, before->shown);
        else if (same_text)
            fprintf(out, "%s has another secret and needs a restart\n", after->path);
        else
            fprintf(out, "%s = %s, before %s, needs a restart\n", after->path, after->shown,
                    before->shown);
    }
    return count;
}

size_t config_compare(const struct config *old, const struct config *new, FILE *out)
{
    const struct settings *before = config_settings(old), *after = config_settings(new);
    struct listing old_list = {0}, new_list = {0};
    size_t count = 1;
    if (before && after && list_settings(&old_list, before) && list_settings(&new_list, after)) {
        if (old_list.count)
            qsort(old_list.lines, old_list.count, sizeof(struct line), by_path);
        if (new_list.count)
            qsort(new_list.lines, new_list.count, sizeof(struct line), by_path);
        count = compare(&old_list, &new_list, out);
    } else {
        fputs("the two configurations can't be compared\n", out);
    }
    listing_done(&old_list);
    listing_done(&new_list);
    return count;
}
