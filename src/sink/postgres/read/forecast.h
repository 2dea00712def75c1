/* What changes would do to the tables of a PostgreSQL target, found by the sink's own planner,
 * which tries it on copies (tables/rehearsal.h). Rows are not looked at further: no value is
 * written. One thread. */
#ifndef FORECAST_H
#define FORECAST_H

#include <ods/sink.h>
#include "sink/postgres/tables/rehearsed.h"

struct forecast;

/* Who hears what would happen. Texts live as long as the call. */
struct forecast_listener {
    void (*statement)(void *context, const struct rehearsed *statement);
    /* `stops`: the lane stops there, else the records are set aside. `column`: of the source's
     * table whose values alone are refused, with their records; NULL: all rows are. */
    void (*refused)(void *context, const struct shape *shape, const char *column, bool stops,
                    const char *why);
    void (*notice)(void *context, const char *text);
    /* A source's table and the target's that takes its rows; both NULL: tables.yaml skips it. */
    void (*table)(void *context, const struct shape *shape, const char *schema, const char *name);
    void *context;
};

enum ods_status forecast_open(struct forecast **forecast, const struct sink_config *config,
                              const struct forecast_listener *listener, struct error *error);
void forecast_close(struct forecast *forecast);     /* NULL is fine */
void forecast_interrupt(struct forecast *forecast); /* any thread: ends the present wait */
/* Will the sink make its own schema at its first connection? */
bool forecast_makes_own_schema(const struct forecast *forecast);

/* Which of the source's columns are in the key of the target's table as it is: for a schema that
 * says nothing of keys. *there: is there such a table? `names`: a shape's names are enough. */
enum ods_status forecast_key(struct forecast *forecast, const struct shape *names,
                             const char *const *columns, size_t count, bool *key, bool *there,
                             struct error *error);

/* The changes of a batch, in their order. */
enum ods_status forecast_batch(struct forecast *forecast, const struct batch *batch,
                               struct error *error);

#endif
