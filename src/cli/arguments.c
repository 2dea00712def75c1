/* The kinds of values that several commands take. */
#include <string.h>

#include "cli/cli.h"
#include "cli/command.h"

static bool parse_text(const struct parameter *row, const char *text, void *member)
{
    *(const char **) member = text;
    return true;
}

/* A name can't be empty: what comes from a variable that is not set is a mistake. */
static bool parse_name(const struct parameter *row, const char *text, void *member)
{
    return *text && parse_text(row, text, member);
}

static bool parse_choice(const struct parameter *row, const char *text, void *member)
{
    size_t length = strlen(text);
    for (const char *at = row->choices; length && *at; at += strspn(at, "|")) {
        size_t bytes = strcspn(at, "|");
        if (bytes == length && memcmp(at, text, length) == 0)
            return parse_text(row, text, member);
        at += bytes;
    }
    return false;
}

static bool parse_number(const struct parameter *row, const char *text, void *member)
{
    int64_t number;
    if (!cli_parse_number(text, row->max ? row->max : INT64_MAX - 1, &number) ||
        number < row->min)
        return false;
    *(int64_t *) member = number;
    return true;
}

static bool parse_seconds(const struct parameter *row, const char *text, void *member)
{
    int64_t seconds;
    if (!cli_parse_number(text, row->max ? row->max : 86400, &seconds) || seconds < row->min)
        return false;
    *(int64_t *) member = seconds * 1000;
    return true;
}

static bool parse_moment(const struct parameter *row, const char *text, void *member)
{
    return cli_parse_moment(text, member);
}

const struct argument argument_text = {"TEXT", "a text", COMPLETE_NOTHING, parse_text};
const struct argument argument_file = {"FILE", "the name of a file", COMPLETE_FILES, parse_name};
const struct argument argument_folder = {"DIR", "the name of a folder", COMPLETE_FOLDERS,
                                         parse_name};
const struct argument argument_choice = {"WORD", "one of them", COMPLETE_CHOICES, parse_choice};
const struct argument argument_number = {"N", "a whole number", COMPLETE_NOTHING, parse_number};
const struct argument argument_seconds = {"SECONDS", "a whole number of seconds, at most a day",
                                          COMPLETE_NOTHING, parse_seconds};
const struct argument argument_moment = {
    "TIME", "a time such as 2026-01-31T12:00:00Z, or how long ago: 90s, 15m, 2h, 3d",
    COMPLETE_NOTHING, parse_moment};
const struct argument argument_pipeline = {"NAME", "the name of a pipeline", COMPLETE_PIPELINES,
                                           parse_name};
const struct argument argument_topic = {"TOPIC", "the name of a topic", COMPLETE_TOPICS,
                                        parse_name};
const struct argument argument_table = {"TABLE", "the name of a table", COMPLETE_TABLES,
                                        parse_name};
