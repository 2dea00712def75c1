/* Substitution in values. Replacements are not substituted again. */
#include "config/substitute.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/named_files.h"

#define SUBSTITUTE_FILE_MAX_BYTES (64 * 1024)
#define SUBSTITUTE_MAX_BYTES (1024 * 1024)

static const char *const places[] = {"topic", "db", "schema", "table"};

/* If the braces hold the name of a place, that name; else NULL. */
static const char *place_of(const char *inside, size_t length)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (strlen(places[i]) == length && memcmp(places[i], inside, length) == 0)
            return places[i];
    return NULL;
}

const char *substitute_place(const char *text)
{
    while ((text = strchr(text, '$'))) {
        const char *end = text[1] == '{' ? strchr(text, '}') : NULL;
        const char *place = end ? place_of(text + 2, (size_t) (end - text - 2)) : NULL;
        if (place)
            return place;
        text += end ? (size_t) (end - text) + 1 : text[1] ? 2 : 1;
    }
    return NULL;
}

static bool name_is_good(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return length > 0;
}

/* Who writes a place wrong means no variable, whose names are in capitals by custom. */
static const char *places_told(const char *name, size_t length)
{
    return strcspn(name, "abcdefghijklmnopqrstuvwxyz") < length
               ? ". What each record says is ${topic}, ${db}, ${schema} and ${table}, in 'schema' "
                 "and 'target' of tables"
               : "";
}

static const char *from_environment(struct load *load, const struct config_source *source, int line,
                                    const char *inside)
{
    size_t length = strcspn(inside, ":");
    const char *fallback = inside[length] ? inside + length : NULL;
    if (!name_is_good(inside, length) || (fallback && strncmp(fallback, ":-", 2) != 0)) {
        findings_error(load->findings, source, line,
                       "cannot substitute ${%s}: expected ${NAME}, ${NAME:-default} or "
                       "${file:/path}; write $$ for a dollar sign%s",
                       inside, places_told(inside, length));
        return "";
    }
    char *name = pool_strndup(&load->scratch, inside, length);
    const char *value = name ? getenv(name) : "";
    if (fallback && (!value || !*value))
        return fallback + 2;
    if (value)
        return value;
    findings_error(load->findings, source, line,
                   "environment variable '%s' is not set; set it, or give a default with "
                   "${%s:-default}%s",
                   name, name, places_told(name, length));
    return "";
}

static const char *from_file(struct load *load, const struct config_source *source, int line,
                             const char *path)
{
    struct config_file file;
    const char *value = "", *resolved = config_file_resolve(&load->scratch, source->folder, path);
    if (!resolved || !*path) {
        findings_error(load->findings, source, line, "${file:} names no file");
        return "";
    }
    named_files_add(load, resolved);
    const char *why = config_file_read(&file, resolved, SUBSTITUTE_FILE_MAX_BYTES);
    if (why) {
        findings_error(load->findings, source, line, "cannot read ${file:%s}: %s", path, why);
        return "";
    }
    if (memchr(file.bytes, 0, file.length)) {
        findings_error(load->findings, source, line, "${file:%s} holds a zero byte", path);
    } else {
        size_t length = file.length;
        if (length && file.bytes[length - 1] == '\n')
            length--;
        if (length && file.bytes[length - 1] == '\r')
            length--;
        value = pool_strndup(&load->scratch, file.bytes, length);
    }
    config_file_done(&file);
    return value ? value : "";
}

/* Append to a text in the scratch pool, growing it by doubling. */
static bool append(struct load *load, char **text, size_t *length, size_t *capacity,
                   const char *more, size_t bytes)
{
    if (*capacity - *length <= bytes) {
        size_t wanted = (*capacity + bytes) * 2 + 64;
        char *grown = pool_alloc(&load->scratch, wanted, 1);
        if (!grown)
            return false;
        if (*length)
            memcpy(grown, *text, *length);
        *text = grown;
        *capacity = wanted;
    }
    if (bytes)
        memcpy(*text + *length, more, bytes);
    *length += bytes;
    (*text)[*length] = 0;
    return true;
}

/* The value of ${inside}. NULL: memory is out. */
static const char *replacement(struct load *load, const struct config_source *source, int line,
                               const char *inside)
{
    if (!inside)
        return NULL;
    if (strncmp(inside, "file:", 5) == 0)
        return from_file(load, source, line, inside + 5);
    return from_environment(load, source, line, inside);
}

const char *substitute_text(struct load *load, const struct config_source *source, int line,
                            const char *text, bool *replaced)
{
    char *out = NULL;
    size_t length = 0, capacity = 0;
    if (!strchr(text, '$'))
        return text;
    while (*text) {
        size_t plain = strcspn(text, "$");
        if (!append(load, &out, &length, &capacity, text, plain))
            return NULL;
        text += plain;
        if (!*text)
            break;
        if (text[1] != '{') {
            if (!append(load, &out, &length, &capacity, "$", 1))
                return NULL;
            text += text[1] == '$' ? 2 : 1;
            continue;
        }
        const char *end = strchr(text, '}');
        if (!end) {
            findings_error(load->findings, source, line,
                           "${ without its }; write $${ for these characters themselves");
            return "";
        }
        if (place_of(text + 2, (size_t) (end - text - 2))) {
            if (!append(load, &out, &length, &capacity, text, (size_t) (end - text + 1)))
                return NULL;
            text = end + 1;
            continue;
        }
        const char *inside = pool_strndup(&load->scratch, text + 2, (size_t) (end - text - 2));
        const char *value = replacement(load, source, line, inside);
        if (!value || !append(load, &out, &length, &capacity, value, strlen(value)))
            return NULL;
        if (length > SUBSTITUTE_MAX_BYTES) {
            findings_error(load->findings, source, line, "the substituted value is beyond 1 MiB");
            return "";
        }
        *replaced = true;
        text = end + 1;
    }
    return out ? out : "";
}
