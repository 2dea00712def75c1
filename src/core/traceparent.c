#include "core/traceparent.h"

#include <string.h>
#include <strings.h>

#define LENGTH       55 /* of version 00; later ones may have more behind a "-" */
#define MOST_HEADERS 64 /* of a record, among which the trace's is looked for */

static bool is_hex(const char *at, size_t length)
{
    for (; length; at++, length--)
        if (!((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f')))
            return false;
    return true;
}

static bool is_zero(const char *at, size_t length)
{
    while (length && *at == '0')
        at++, length--;
    return !length;
}

static unsigned digit(char at)
{
    return (unsigned) (at <= '9' ? at - '0' : at - 'a' + 10);
}

static bool has_form(const char *at, size_t length)
{
    if (length < LENGTH || at[2] != '-' || at[35] != '-' || at[52] != '-')
        return false;
    if (!is_hex(at, 2) || !is_hex(at + 3, 32) || !is_hex(at + 36, 16) || !is_hex(at + 53, 2))
        return false;
    if (memcmp(at, "ff", 2) == 0 || is_zero(at + 3, 32) || is_zero(at + 36, 16))
        return false;
    return length == LENGTH || (memcmp(at, "00", 2) != 0 && at[LENGTH] == '-');
}

bool traceparent_parse(struct traceparent *parent, const char *bytes, size_t length)
{
    *parent = (struct traceparent){.sampled = false};
    while (length && (*bytes == ' ' || *bytes == '\t'))
        bytes++, length--;
    while (length && (bytes[length - 1] == ' ' || bytes[length - 1] == '\t'))
        length--;
    if (!has_form(bytes, length))
        return false;
    memcpy(parent->trace, bytes + 3, 32);
    memcpy(parent->span, bytes + 36, 16);
    parent->sampled = digit(bytes[54]) & 1;
    return true;
}

bool traceparent_of(struct traceparent *parent, traceparent_headers *read,
                    const struct record *record)
{
    struct header headers[MOST_HEADERS];
    size_t count = read ? read(record, headers, MOST_HEADERS) : 0;
    if (count > MOST_HEADERS)
        count = MOST_HEADERS;
    for (size_t i = 0; i < count; i++)
        if (headers[i].value && strcasecmp(headers[i].name, "traceparent") == 0 &&
            traceparent_parse(parent, headers[i].value, headers[i].length))
            return true;
    *parent = (struct traceparent){.sampled = false};
    return false;
}
