/* See forecast.h. */
#include "sink/postgres/read/forecast.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/plan.h"
#include "sink/postgres/tables/rehearsal.h"
#include "sink/postgres/tables/settings.h"

struct forecast {
    struct sink_config config;
    struct forecast_listener listener;
    struct conn conn;
    struct catalog catalog;
    struct plans plans;
    struct rehearsal *rehearsal;
    struct apply_result result;
    const struct shape **said; /* shapes that the listener knows */
    size_t said_count;
};

static void take(void *context, const struct rehearsed *statement)
{
    const struct forecast *forecast = context;
    forecast->listener.statement(forecast->listener.context, statement);
}

static void take_narrow(void *context, const char *text)
{
    const struct forecast *forecast = context;
    forecast->listener.notice(forecast->listener.context, text);
}

enum ods_status forecast_open(struct forecast **out, const struct sink_config *config,
                              const struct forecast_listener *listener, struct error *error)
{
    const struct postgres_settings *settings = config->settings;
    struct forecast *forecast = calloc(1, sizeof *forecast);
    *out = NULL;
    if (!forecast)
        return error_out_of_memory(error);
    forecast->config = *config;
    forecast->listener = *listener;
    plans_init(&forecast->plans, &forecast->config, &settings->making, &forecast->catalog,
               &forecast->conn);
    bool good = conn_init(&forecast->conn, config->name, &settings->session);
    forecast->conn.hides = config->pipeline;
    forecast->rehearsal = forecast->conn.rehearsal = rehearsal_new(take, forecast);
    if (forecast->rehearsal)
        rehearsal_hear_narrow(forecast->rehearsal, take_narrow);
    enum ods_status status = good && forecast->rehearsal ? conn_open(&forecast->conn, error)
                                                         : error_out_of_memory(error);
    if (status == ODS_OK)
        status = rehearsal_begin(forecast->rehearsal, &forecast->conn, error);
    if (status == ODS_OK)
        *out = forecast;
    else
        forecast_close(forecast);
    return status;
}

void forecast_close(struct forecast *forecast)
{
    if (!forecast)
        return;
    plans_clear(&forecast->plans);
    catalog_done(&forecast->catalog);
    conn_done(&forecast->conn);
    rehearsal_free(forecast->rehearsal);
    free(forecast->said);
    free(forecast);
}

void forecast_interrupt(struct forecast *forecast)
{
    conn_interrupt(&forecast->conn);
}

bool forecast_makes_own_schema(const struct forecast *forecast)
{
    return !rehearsal_has_own_schema(forecast->rehearsal);
}

static bool is_in_key(const struct pg_table *table, const char *column)
{
    const struct pg_unique *key = catalog_key(table);
    for (uint16_t k = 0; key && k < key->count; k++)
        if (strcmp(table->columns[key->columns[k]].name, column) == 0)
            return true;
    return false;
}

enum ods_status forecast_key(struct forecast *forecast, const struct shape *names,
                             const char *const *columns, size_t count, bool *key, bool *there,
                             struct error *error)
{
    const struct table_settings *settings =
        pipeline_table(forecast->config.pipeline,
                       names->schema[0] ? names->schema : names->database, names->table);
    struct pg_table *table = NULL;
    char *schema = NULL, *name = NULL;
    enum ods_status status = name_table(settings, names, &schema, &name, error);
    if (status == ODS_OK)
        status = catalog_find(&forecast->catalog, &forecast->conn, schema, name, &table, error);
    free(schema);
    free(name);
    *there = table != NULL;
    for (size_t i = 0; status == ODS_OK && i < count; i++) {
        char *column = NULL;
        status = name_column(settings, columns[i], &column, error);
        key[i] = table && column && is_in_key(table, column);
        free(column);
    }
    return status;
}

/* False: the listener has heard of the shape already, or memory is out. */
static bool is_news(struct forecast *forecast, const struct shape *shape, enum ods_status *status,
                    struct error *error)
{
    for (size_t i = 0; i < forecast->said_count; i++)
        if (forecast->said[i] == shape)
            return false;
    const struct shape **larger =
        realloc(forecast->said, (forecast->said_count + 1) * sizeof *larger);
    if (!larger) {
        *status = error_out_of_memory(error);
        return false;
    }
    forecast->said = larger;
    forecast->said[forecast->said_count++] = shape;
    return true;
}

static void tell(const struct forecast *forecast, const struct plan *plan)
{
    const struct forecast_listener *listener = &forecast->listener;
    listener->table(listener->context, plan->shape, plan->skip ? NULL : plan->schema,
                    plan->skip ? NULL : plan->name);
    if (plan->refusal)
        listener->refused(listener->context, plan->shape, NULL, false, plan->refusal->text);
    for (uint32_t i = 0; !plan->skip && !plan->refusal && i < plan->column_count; i++)
        if (plan->sources[i].refusal)
            listener->refused(listener->context, plan->shape, plan->shape->columns[i].name, false,
                              plan->sources[i].refusal);
        else if (plan->meets && plan->meets[i])
            listener->refused(listener->context, plan->shape, plan->shape->columns[i].name, false,
                              plan->meets[i]->text);
}

static enum ods_status look(struct forecast *forecast, const struct batch *batch,
                            const struct change *change, struct error *error)
{
    struct plan_listener listener = {.notice = forecast->listener.notice,
                                     .context = forecast->listener.context,
                                     .batch = batch,
                                     .result = &forecast->result};
    struct plan *plan = NULL;
    bool changed = false;
    enum ods_status status = plan_find(&forecast->plans, change, &listener, &plan, &changed, error);
    if (status == ODS_OK && plan->complete && is_news(forecast, change->shape, &status, error))
        tell(forecast, plan);
    if (status == ODS_FATAL && !rehearsal_failed(forecast->rehearsal)) {
        status = ODS_OK;
        if (is_news(forecast, change->shape, &status, error))
            forecast->listener.refused(forecast->listener.context, change->shape, NULL, true,
                                       error->text);
        if (status == ODS_OK)
            error_init(error);
    }
    return status;
}

enum ods_status forecast_batch(struct forecast *forecast, const struct batch *batch,
                               struct error *error)
{
    enum ods_status status = ODS_OK;
    forecast->plans.epoch++;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++)
        if (!batch->changes[i].rejected)
            status = look(forecast, batch, &batch->changes[i], error);
    return status;
}
