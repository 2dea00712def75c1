/* See judge.h. */
#include "quality/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transform/words.h"

static bool whole_number(const char *text, int64_t none, int64_t *number)
{
    char *end;
    *number = none;
    if (!*text)
        return true;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return !*end && !errno;
}

enum ods_status judge_open(struct judge *judge, const struct quality_rule *rule,
                           struct error *error)
{
    *judge = (struct judge){.rule = rule};
    buffer_init(&judge->text);
    bool least = whole_number(rule->min, INT64_MIN, &judge->least);
    judge->whole = whole_number(rule->max, INT64_MAX, &judge->most) && least;
    if (rule->check != QUALITY_PATTERN)
        return ODS_OK;
    if (regcomp(&judge->regex, rule->pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return error_set(error, ODS_FATAL, "rule %s: '%.200s' is not a regular expression",
                         rule->name, rule->pattern);
    judge->compiled = true;
    return ODS_OK;
}

void judge_close(struct judge *judge)
{
    if (judge->compiled)
        regfree(&judge->regex);
    buffer_done(&judge->text);
}

/* Texts by their bytes, as the target's collation "C" has them; numbers by their value. */
static bool by_bytes(const struct column *column)
{
    return column->type == SEM_STRING || column->type == SEM_ENUM || column->type == SEM_UUID ||
           column->type == SEM_XML || column->type == SEM_JSON;
}

static int compare(const struct column *column, const char *text, size_t length, const char *with)
{
    size_t other = strlen(with);
    int order;
    if (!by_bytes(column) && words_compare(text, length, with, other, &order))
        return order;
    order = memcmp(text, with, length < other ? length : other);
    return order ? order : length < other ? -1 : length > other;
}

static bool is_listed(const struct column *column, const struct strings *values, const char *text,
                      size_t length)
{
    for (size_t i = 0; i < values->count; i++)
        if (compare(column, text, length, values->items[i]) == 0)
            return true;
    return false;
}

static const char *look_at(const struct judge *judge, const struct column *column,
                           const char *text, size_t length)
{
    const struct quality_rule *rule = judge->rule;
    if (rule->check == QUALITY_RANGE && *rule->min &&
        compare(column, text, length, rule->min) < 0)
        return "is below the least value";
    if (rule->check == QUALITY_RANGE && *rule->max &&
        compare(column, text, length, rule->max) > 0)
        return "is above the greatest value";
    if (rule->check == QUALITY_SET && !is_listed(column, &rule->values, text, length))
        return "is none of the values that are right";
    if (rule->check == QUALITY_PATTERN && !words_match(&judge->regex, text, length))
        return "does not match the pattern";
    return NULL;
}

static bool is_plain_number(const struct column *column, const struct value *value)
{
    return value->kind == VALUE_INT &&
           (column->type == SEM_UNKNOWN ||
            (column->type >= SEM_INT8 && column->type <= SEM_INT64));
}

enum ods_status judge_value(struct judge *judge, const struct column *column,
                            const struct value *value, const char **why, struct error *error)
{
    const char *text;
    size_t length;
    *why = NULL;
    if (value->kind == VALUE_NULL && judge->rule->check == QUALITY_NOT_NULL)
        *why = "is NULL";
    if (value->kind == VALUE_ABSENT || value->kind == VALUE_NULL ||
        judge->rule->check == QUALITY_NOT_NULL)
        return ODS_OK;
    if (judge->rule->check == QUALITY_RANGE && judge->whole && is_plain_number(column, value)) {
        *why = value->integer < judge->least  ? "is below the least value"
               : value->integer > judge->most ? "is above the greatest value"
                                              : NULL;
        return ODS_OK;
    }
    enum ods_status status = words_of(&judge->text, column, value, &text, &length, error);
    if (status == ODS_OK)
        *why = look_at(judge, column, text, length);
    return status;
}
