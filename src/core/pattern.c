/* See pattern.h. */
#include "core/pattern.h"

#include <stddef.h>
#include <string.h>

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Behind the bracket expression whose "[" is at `at`. In it a backslash is a plain character;
 * *stray: one stands before a letter. */
static const char *pass_bracket(const char *at, bool *stray)
{
    at += 1 + (at[1] == '^');
    for (bool first = true; *at && (*at != ']' || first); first = false) {
        const char end[] = {at[1], ']', '\0'}; /* of [:alpha:], [.x.], [=x=] */
        bool named = *at == '[' && at[1] && strchr(".:=", at[1]);
        const char *close = named ? strstr(at + 2, end) : NULL;
        *stray |= *at == '\\' && is_letter(at[1]);
        at = close ? close + 2 : at + 1 + (at[0] == '\\' && at[1] == '\\');
    }
    return *at ? at + 1 : at;
}

bool pattern_has_edge(const char *pattern)
{
    for (const char *at = strchr(pattern, '\\'); at && at[1]; at = strchr(at + 2, '\\'))
        if (at[1] == 'b' || at[1] == 'B')
            return true;
    return false;
}

const char *pattern_stray(const char *pattern)
{
    bool stray = false;
    for (const char *at = pattern; *at;) {
        char letter = *at == '\\' ? at[1] : '\0';
        if (letter == 'd')
            return "has \\d, which to POSIX is the letter d: write [0-9]";
        if (letter == 'D')
            return "has \\D, which to POSIX is the letter D: write [^0-9]";
        if (is_letter(letter) && !strchr("wWsSbB", letter))
            return "has a backslash before a letter, which to POSIX is the letter alone: only w, "
                   "W, s, S, b and B have a meaning there";
        at = *at == '[' ? pass_bracket(at, &stray) : at + 1 + (letter != '\0');
    }
    return stray ? "has a backslash before a letter in [brackets], where it stands for itself: "
                   "write 0-9 for \\d, A-Za-z0-9_ for \\w, [:space:] for \\s"
                 : NULL;
}

enum ods_status pattern_compile(const char *pattern, int flags, regex_t *regex, struct error *error)
{
    const char *stray = pattern_stray(pattern);
    if (stray)
        return error_set(error, ODS_FATAL, "'%.200s' %s", pattern, stray);
    if (regcomp(regex, pattern, REG_EXTENDED | flags) != 0)
        return error_set(error, ODS_FATAL, "'%.200s' is not a regular expression", pattern);
    return ODS_OK;
}
