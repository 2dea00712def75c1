/* The findings of one load, sorted by file and line. */
#include "config/finding.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 63

struct finding_place {
    unsigned order;
    int line;
};

void findings_done(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        free(findings->items[i].text);
    free(findings->items);
    free(findings->places);
    *findings = (struct findings){0};
}

static bool findings_grow(struct findings *findings)
{
    if (findings->count < findings->capacity)
        return true;
    size_t capacity = findings->capacity ? findings->capacity * 2 : 16;
    void *items = realloc(findings->items, capacity * sizeof(*findings->items));
    if (items)
        findings->items = items;
    void *places = realloc(findings->places, capacity * sizeof(*findings->places));
    if (places)
        findings->places = places;
    if (!items || !places)
        return false;
    findings->capacity = capacity;
    return true;
}

static void findings_insert(struct findings *findings, bool warning, struct finding_place place,
                            char *text)
{
    if (!text || !findings_grow(findings)) {
        free(text);
        findings->failed = true;
        return;
    }
    size_t at = findings->count;
    while (at > 0 && (findings->places[at - 1].order > place.order ||
                      (findings->places[at - 1].order == place.order &&
                       findings->places[at - 1].line > place.line))) {
        findings->items[at] = findings->items[at - 1];
        findings->places[at] = findings->places[at - 1];
        at--;
    }
    findings->items[at] = (struct finding){.warning = warning, .text = text};
    findings->places[at] = place;
    findings->count++;
}

static void findings_add(struct findings *findings, bool warning,
                         const struct config_source *source, int line, const char *format,
                         va_list arguments)
{
    if (!warning)
        findings->errors++;
    if (findings->count >= FINDINGS_MAX) {
        findings->dropped++;
        return;
    }
    char *message = NULL, *text = NULL;
    if (vasprintf(&message, format, arguments) < 0)
        message = NULL;
    if (message) {
        int length = line > 0 ? asprintf(&text, "%s:%d: %s", source->name, line, message)
                              : asprintf(&text, "%s: %s", source->name, message);
        if (length < 0)
            text = NULL;
    }
    free(message);
    findings_insert(findings, warning, (struct finding_place){source->order, line}, text);
}

void findings_error(struct findings *findings, const struct config_source *source, int line,
                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    findings_add(findings, false, source, line, format, arguments);
    va_end(arguments);
}

void findings_warn(struct findings *findings, const struct config_source *source, int line,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    findings_add(findings, true, source, line, format, arguments);
    va_end(arguments);
}

void findings_close(struct findings *findings)
{
    char *text = NULL;
    if (!findings->dropped)
        return;
    if (asprintf(&text, "and %zu more findings", findings->dropped) < 0)
        text = NULL;
    findings_insert(findings, false, (struct finding_place){~0u, 0}, text);
    findings->dropped = 0;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned name_distance(const char *one, const char *other)
{
    size_t n = strlen(one), m = strlen(other);
    unsigned before[NAME_MAX_BYTES + 1], last[NAME_MAX_BYTES + 1], row[NAME_MAX_BYTES + 1];
    if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES)
        return ~0u;
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned) j;
    memcpy(before, last, sizeof(before));
    for (size_t i = 1; i <= n; i++) {
        int a = tolower((unsigned char) one[i - 1]);
        row[0] = (unsigned) i;
        for (size_t j = 1; j <= m; j++) {
            int b = tolower((unsigned char) other[j - 1]);
            row[j] = smallest(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b));
            if (i > 1 && j > 1 && a == tolower((unsigned char) other[j - 2]) &&
                b == tolower((unsigned char) one[i - 2]) && row[j] > before[j - 2] + 1)
                row[j] = before[j - 2] + 1;
        }
        memcpy(before, last, sizeof(before));
        memcpy(last, row, sizeof(last));
    }
    return last[m];
}

const char *name_nearest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    unsigned least = (unsigned) (strlen(name) / 3 + 1) + 1;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = name_distance(name, names[i]);
        if (distance < least && distance < strlen(names[i])) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
