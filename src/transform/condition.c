/* See condition.h. */
#include "transform/condition.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "core/pattern.h"
#include "transform/words.h"

enum word { WORD_IS, WORD_NOT, WORD_MATCHES, WORD_NULL, WORD_GT, WORD_GE, WORD_LT, WORD_LE };

const char *const condition_words[] = {"", "not", "matches", "null", "gt", "ge", "lt", "le", NULL};

struct test {
    enum word word;
    const struct term *term;
    regex_t regex; /* of MATCHES */
    bool compiled;
};

struct condition {
    struct test *tests;
    size_t count;
    struct buffer text;
};

static enum ods_status open_test(struct test *test, struct error *error)
{
    const struct term *term = test->term;
    bool one = term->values.count == 1 && !term->list;
    while (strcmp(condition_words[test->word], term->word) != 0)
        test->word++;
    if (test->word == WORD_NULL && !(one && (!strcmp(term->values.items[0], "true") ||
                                             !strcmp(term->values.items[0], "false"))))
        return error_set(error, ODS_FATAL, "column %s: null expects true or false", term->column);
    if (test->word >= WORD_MATCHES && !one)
        return error_set(error, ODS_FATAL, "column %s: %s expects one value", term->column,
                         term->word);
    if (test->word != WORD_MATCHES)
        return ODS_OK;
    enum ods_status status =
        pattern_compile(term->values.items[0], REG_NOSUB, &test->regex, error);
    if (status != ODS_OK)
        error_prefix(error, "column %s: ", term->column);
    test->compiled = status == ODS_OK;
    return status;
}

enum ods_status condition_open(struct condition **condition, const struct terms *terms,
                               struct error *error)
{
    enum ods_status status = ODS_OK;
    *condition = NULL;
    if (!terms->count)
        return ODS_OK;
    struct condition *made = calloc(1, sizeof *made);
    if (made)
        made->tests = calloc(terms->count, sizeof *made->tests);
    if (!made || !made->tests) {
        free(made);
        return error_out_of_memory(error);
    }
    buffer_init(&made->text);
    for (size_t i = 0; status == ODS_OK && i < terms->count; i++) {
        made->tests[i].term = &terms->items[i];
        made->count++;
        status = open_test(&made->tests[i], error);
    }
    if (status == ODS_OK)
        *condition = made;
    else
        condition_close(made);
    return status;
}

void condition_close(struct condition *condition)
{
    if (!condition)
        return;
    for (size_t i = 0; i < condition->count; i++)
        if (condition->tests[i].compiled)
            regfree(&condition->tests[i].regex);
    buffer_done(&condition->text);
    free(condition->tests);
    free(condition);
}

static bool is_listed(const struct term *term, const char *text, size_t length)
{
    for (size_t i = 0; i < term->values.count; i++)
        if (strlen(term->values.items[i]) == length &&
            memcmp(term->values.items[i], text, length) == 0)
            return true;
    return false;
}

/* Numbers by their value, anything else by its bytes, as ISO dates are. */
static int compare(const char *text, size_t length, const char *with)
{
    size_t other = strlen(with);
    int order;
    if (words_compare(text, length, with, other, &order))
        return order;
    order = memcmp(text, with, length < other ? length : other);
    return order ? order : length < other ? -1 : length > other;
}


static bool holds(const struct test *test, const char *text, size_t length)
{
    const struct term *term = test->term;
    const char *first = term->values.count ? term->values.items[0] : "";
    switch (test->word) {
    case WORD_IS:
        return is_listed(term, text, length);
    case WORD_NOT:
        return !is_listed(term, text, length);
    case WORD_MATCHES:
        return words_match(&test->regex, text, length);
    case WORD_NULL:
        return *first == 'f';
    case WORD_GT:
        return compare(text, length, first) > 0;
    case WORD_GE:
        return compare(text, length, first) >= 0;
    case WORD_LT:
        return compare(text, length, first) < 0;
    case WORD_LE:
        return compare(text, length, first) <= 0;
    }
    return false;
}

static bool holds_for_null(const struct test *test)
{
    const struct strings *values = &test->term->values;
    bool names_null = !values->count && !test->term->list;
    return (test->word == WORD_IS && names_null) || (test->word == WORD_NOT && !names_null) ||
           (test->word == WORD_NULL && *values->items[0] == 't');
}

static enum ods_status judge(struct condition *condition, const struct test *test,
                             const struct shape *shape, const struct value *image,
                             enum verdict *verdict, struct error *error)
{
    const char *name = test->term->column, *text;
    size_t length;
    int column = shape_column(shape, name, strlen(name));
    if (column < 0)
        return error_set(error, ODS_REJECT,
                         "table %s has no column %s (tables: [...] chooses tables)", shape->table,
                         name);
    if (image[column].kind == VALUE_ABSENT) {
        *verdict = VERDICT_UNKNOWN;
        return ODS_OK;
    }
    if (image[column].kind == VALUE_NULL) {
        *verdict = holds_for_null(test) ? VERDICT_YES : VERDICT_NO;
        return ODS_OK;
    }
    enum ods_status status = words_of(&condition->text, &shape->columns[column], &image[column],
                                      &text, &length, error);
    if (status == ODS_OK)
        *verdict = holds(test, text, length) ? VERDICT_YES : VERDICT_NO;
    return status;
}

enum ods_status condition_judge(struct condition *condition, const struct shape *shape,
                                const struct value *image, enum verdict *verdict,
                                struct error *error)
{
    enum ods_status status = ODS_OK;
    enum verdict all = VERDICT_YES;
    for (size_t i = 0; status == ODS_OK && all != VERDICT_NO && i < condition->count; i++) {
        enum verdict one = VERDICT_UNKNOWN;
        status = judge(condition, &condition->tests[i], shape, image, &one, error);
        if (one != VERDICT_YES)
            all = one;
    }
    *verdict = all;
    return status;
}
