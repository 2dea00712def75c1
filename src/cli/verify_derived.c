/* See verify_derived.h. */
#include "cli/verify_derived.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "core/exit.h"
#include "derived/inspect.h"
#include "sink/postgres/tables/settings.h"

struct telling {
    const char *table;
    json_t *differences; /* NULL: they are printed */
};

static void differs(void *context, const char *kind, const char *key)
{
    const struct telling *telling = context;
    if (telling->differences)
        json_array_append_new(telling->differences, json_pack("{s:s, s:o}", "kind", kind, "key",
                                                              json_loads(key, 0, NULL)));
    else
        terminal_line(stdout, "%s %s: %s", kind, telling->table, key);
}

static bool stops(void *context)
{
    (void) context;
    return interrupt_came();
}

/* By its name, with or without what stands before the dot. */
static bool is_chosen(const struct strings *tables, const struct derived_settings *derived)
{
    const char *dot = strchr(derived->name, '.');
    for (size_t i = 0; i < tables->count; i++) {
        const char *wanted = tables->items[i], *wanted_dot = strchr(wanted, '.');
        bool same = wanted_dot
                        ? strcmp(wanted_dot + 1, derived->table) == 0 &&
                              strlen(derived->schema) == (size_t) (wanted_dot - wanted) &&
                              strncmp(wanted, derived->schema, strlen(derived->schema)) == 0
                        : strcmp(wanted, dot ? dot + 1 : derived->name) == 0;
        if (same)
            return true;
    }
    return !tables->count;
}

struct result {
    struct inspection found;
    struct error error;
    enum ods_status status;
    bool whole;
};

static const char *verdict(const struct result *result)
{
    const struct inspection *found = &result->found;
    if (result->status != ODS_OK)
        return "failed";
    if (found->missing + found->extra + found->changed)
        return "differs";
    return result->whole ? "equal" : "can't tell";
}

static int code_of(const struct result *result)
{
    const struct inspection *found = &result->found;
    if (result->status != ODS_OK)
        return result->status == ODS_RETRY ? CLI_TARGET : CLI_CANT_TELL;
    if (found->missing + found->extra + found->changed)
        return CLI_NEGATIVE;
    return result->whole ? CLI_OK : CLI_CANT_TELL;
}

static void inspect(const struct settings *settings, const struct derived_settings *derived,
                    struct telling *telling, int64_t limit, struct result *result)
{
    const struct target_settings *target = settings_target(settings, derived->target);
    const struct postgres_settings *own = target->own;
    const struct inspect_listener listener = {differs, stops, telling};
    struct inspector *inspector = NULL;
    error_init(&result->error);
    result->status = inspector_open(&inspector, target->name, &own->session, settings->derived,
                                    settings->derived_count, &result->error);
    if (result->status == ODS_OK)
        result->status = inspect_rows(inspector, derived, &listener, limit, &result->found,
                                      &result->error);
    result->whole = !interrupt_came();
    inspector_close(inspector);
}

static void put_row(struct columns *columns, const struct derived_settings *derived,
                    const struct result *result)
{
    columns_add(columns, derived->name);
    columns_number(columns, result->found.compared);
    columns_number(columns, result->found.waiting);
    columns_number(columns, result->found.missing);
    columns_number(columns, result->found.extra);
    columns_number(columns, result->found.changed);
    columns_add(columns, verdict(result));
    columns_paint(columns, code_of(result) == CLI_OK         ? PAINT_GOOD
                           : code_of(result) == CLI_NEGATIVE ? PAINT_BAD
                                                             : PAINT_WARN);
    if (result->status != ODS_OK)
        terminal_line(stderr, "ods-sink verify: %s: %s", derived->name, result->error.text);
}

static json_t *describe(const struct derived_settings *derived, const struct result *result,
                        json_t *differences)
{
    const struct inspection *found = &result->found;
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "table",
                     cli_json(derived->name), "compared", (json_int_t) found->compared, "waiting",
                     (json_int_t) found->waiting, "missing", (json_int_t) found->missing, "extra",
                     (json_int_t) found->extra, "changed", (json_int_t) found->changed, "result",
                     verdict(result), "error",
                     result->status == ODS_OK ? json_null() : cli_json(result->error.text),
                     "differences", differences);
}

/* A difference is told first, then that the target failed, then that something can't be told. */
static int worse(int one, int other)
{
    static const int order[] = {CLI_NEGATIVE, CLI_TARGET, CLI_CANT_TELL};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (one == order[i] || other == order[i])
            return order[i];
    return one;
}

int verify_derived(const struct call *call, const struct settings *settings,
                   const struct strings *tables, int64_t limit, bool json)
{
    static const char *const names[] = {"DERIVED TABLE", "KEYS",  "WAITING", "MISSING",
                                        "EXTRA",         "CHANGED", "RESULT"};
    struct columns columns;
    json_t *list = json ? json_array() : NULL;
    int code = CLI_OK;
    size_t chosen = 0;
    columns_init(&columns, call->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < settings->derived_count && !interrupt_came(); i++) {
        const struct derived_settings *derived = &settings->derived[i];
        if (!is_chosen(tables, derived))
            continue;
        struct telling telling = {derived->name, json ? json_array() : NULL};
        struct result result = {0};
        chosen++;
        inspect(settings, derived, &telling, limit, &result);
        code = worse(code, code_of(&result));
        if (json)
            json_array_append_new(list, describe(derived, &result, telling.differences));
        else
            put_row(&columns, derived, &result);
    }
    if (json)
        cli_print_json(json_pack("{s:o}", "derived", list));
    else if (chosen && !columns_print(&columns))
        code = CLI_INTERNAL;
    columns_done(&columns);
    if (!chosen && !interrupt_came()) {
        terminal_line(stderr, "ods-sink verify: tables.yaml has no such derived table");
        return CLI_CONFIG;
    }
    return interrupt_came() && code == CLI_OK ? CLI_CANT_TELL : code;
}
