/* What a text could be read as. Only what PostgreSQL's types surely take, and give back as it
 * was told: 007 is no number. */
#include <string.h>

#include "xml/outline.h"

static bool digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static unsigned number_at(const char *text, size_t count)
{
    unsigned number = 0;
    for (size_t i = 0; i < count; i++)
        number = number * 10 + (unsigned) (text[i] - '0');
    return number;
}

static unsigned of_number(const char *text, size_t length)
{
    if (length && *text == '-') {
        text++;
        length--;
    }
    const char *dot = memchr(text, '.', length);
    size_t whole = dot ? (size_t) (dot - text) : length;
    size_t fraction = dot ? length - whole - 1 : 0;
    if (!whole || whole + fraction > 38 || !digits(text, whole) || (whole > 1 && *text == '0') ||
        (dot && (!fraction || !digits(dot + 1, fraction))))
        return 0;
    return dot || whole > 18 ? OUTLINE_NUMERIC : OUTLINE_NUMERIC | OUTLINE_INTEGER;
}

static bool is_date(const char *text)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!digits(text, 4) || text[4] != '-' || !digits(text + 5, 2) || text[7] != '-' ||
        !digits(text + 8, 2))
        return false;
    unsigned year = number_at(text, 4), month = number_at(text + 5, 2);
    unsigned day = number_at(text + 8, 2);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return year && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && leap);
}

/* The length of hh:mm:ss[.ffffff] at the text's beginning, 0: there is none. */
static size_t time_length(const char *text, size_t length)
{
    if (length < 8 || !digits(text, 2) || text[2] != ':' || !digits(text + 3, 2) ||
        text[5] != ':' || !digits(text + 6, 2) || number_at(text, 2) > 23 ||
        number_at(text + 3, 2) > 59 || number_at(text + 6, 2) > 59)
        return 0;
    if (length == 8 || text[8] != '.')
        return 8;
    size_t at = 9;
    while (at < length && text[at] >= '0' && text[at] <= '9')
        at++;
    return at > 9 && at <= 15 ? at : 0;
}

static bool is_zone(const char *text, size_t length)
{
    if (length == 1 && *text == 'Z')
        return true;
    return length == 6 && (*text == '+' || *text == '-') && digits(text + 1, 2) &&
           text[3] == ':' && digits(text + 4, 2) && number_at(text + 1, 2) < 15 &&
           number_at(text + 4, 2) < 60;
}

static unsigned of_moment(const char *text, size_t length)
{
    if (length < 10 || !is_date(text))
        return 0;
    if (length == 10)
        return OUTLINE_DATE;
    size_t time = text[10] == 'T' ? time_length(text + 11, length - 11) : 0;
    if (!time)
        return 0;
    if (11 + time == length)
        return OUTLINE_TIMESTAMP;
    return is_zone(text + 11 + time, length - 11 - time) ? OUTLINE_TIMESTAMPTZ : 0;
}

unsigned outline_kinds(const char *text, size_t length)
{
    if ((length == 4 && memcmp(text, "true", 4) == 0) ||
        (length == 5 && memcmp(text, "false", 5) == 0))
        return OUTLINE_BOOLEAN;
    return of_number(text, length) | of_moment(text, length);
}
