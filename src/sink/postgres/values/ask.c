/* PostgreSQL's input functions read texts for us. See ask.h.
 *
 * All texts of one kind go in one array, and one answer has all results. When a text is refused the
 * whole statement fails, and names only that one: then each text is sent by itself, still in one
 * round trip.
 */
#include "sink/postgres/values/ask.h"

#include <string.h>

#define ASKED_AT_ONCE  500u

/* A date keeps the time of day that its text has, and the column then refuses it. */
static const char date_as_written[] =
    "case when isfinite(v::date) and v::date > date '4000-01-01 BC' and "
    "v::date < date '290000-01-01' and v::timestamptz <> v::date "
    "then v::timestamptz::timestamp::text else v::date::text end";
/* So does a time its zone. */
static const char time_as_written[] =
    "case when v::pg_catalog.time is null or extract(timezone from v::timetz) = 0 "
    "then v::pg_catalog.time::text else v::timetz::text end";

/* Expressions that turn a text into the type's value, as PostgreSQL writes it by the session's
 * settings: ISO, MDY, UTC. The column's own input function comes first, so that a refusal is in its
 * words. */
static const char *const expressions[READING_KINDS] = {
    [READING_BOOL] = "v::pg_catalog.bool::text",
    [READING_INT2] = "v::pg_catalog.int2::text",
    [READING_INT4] = "v::pg_catalog.int4::text",
    [READING_INT8] = "v::pg_catalog.int8::text",
    [READING_FLOAT4] = "v::pg_catalog.float4::text",
    [READING_FLOAT8] = "v::pg_catalog.float8::text",
    [READING_NUMERIC] = "v::pg_catalog.numeric::text",
    [READING_UUID] = "v::pg_catalog.uuid::text",
    [READING_DATE] = date_as_written,
    [READING_TIME] = time_as_written,
    [READING_TIMESTAMP] =
        "case when v::pg_catalog.timestamp is not null then v::timestamptz::text end",
    [READING_LOCAL_TIMESTAMP] = "v::pg_catalog.timestamp::text",
    [READING_TIMESTAMPTZ] = "v::timestamptz::text",
    [READING_INTERVAL] = "v::pg_catalog.interval::text",
};

/* Is the text only a time of day? Then it is a timestamp with a date before it; a text that has a
 * date itself is none with a second one. */
static const char time_alone[] = "('2001-02-03 ' || v)::pg_catalog.timestamp::text";

struct asking {
    struct conn *conn;
    struct readings *readings;
    struct buffer texts, sql;
    struct reading *items[ASKED_AT_ONCE];
    uint32_t count;
    const char *refusal;  /* the reason of a refusal; NULL: PostgreSQL's own words */
    bool checks;          /* asks only whether a text is refused; the value is not wanted */
    enum ods_status status;
    struct error *error;
};

/* --- answers --------------------------------------------------------------------------------- */

static void take_answer(struct asking *asking, struct reading *reading, const char *text)
{
    if (!asking->checks &&
        !readings_answer(asking->readings, reading, READING_DONE, text, ""))
        asking->status = error_out_of_memory(asking->error);
}

/* Takes the reason without the target's name: "target ods: invalid input syntax …". */
static void take_refusal(struct asking *asking, struct reading *reading, const struct error *why)
{
    const char *words = strstr(why->text, ": ");
    words = asking->refusal ? asking->refusal : words ? words + 2 : why->text;
    if (!readings_answer(asking->readings, reading, READING_REFUSED, words,
                         asking->refusal ? "22007" : why->code))
        asking->status = error_out_of_memory(asking->error);
}

/* --- questions ------------------------------------------------------------------------------- */

static struct conn_params one_parameter(const struct buffer *texts, const char **value, int *length)
{
    static const Oid type = OID_TEXT_ARRAY;
    *value = texts->bytes;
    *length = (int) texts->length;
    return (struct conn_params){.count = 1, .types = &type, .values = value, .lengths = length};
}

static bool put_texts(struct asking *asking, uint32_t first, uint32_t count)
{
    encode_array_begin(&asking->texts, OID_TEXT, count);
    for (uint32_t i = first; i < first + count; i++)
        encode_put_bytes(&asking->texts, asking->items[i]->text, asking->items[i]->length);
    return !asking->texts.failed;
}

/* Asks for each text by itself, in a transaction of its own. */
static void ask_each(struct asking *asking)
{
    struct conn *conn = asking->conn;
    const char *value;
    int length;
    asking->status = conn_pipeline_begin(conn, asking->error);
    for (uint32_t i = 0; asking->status == ODS_OK && i < asking->count; i++) {
        if (!put_texts(asking, i, 1)) {
            asking->status = error_out_of_memory(asking->error);
            break;
        }
        const struct conn_params params = one_parameter(&asking->texts, &value, &length);
        asking->status =
            conn_send_params(conn, buffer_text(&asking->sql), &params, asking->error);
        if (asking->status == ODS_OK)
            asking->status = conn_pipeline_sync(conn, asking->error);
    }
    for (uint32_t i = 0; asking->status == ODS_OK && i < asking->count; i++) {
        PGresult *rows = NULL;
        struct error why;
        error_init(&why);
        enum ods_status status = conn_read_alone(conn, &rows, &why);
        if (status == ODS_OK && PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0))
            take_answer(asking, asking->items[i], PQgetvalue(rows, 0, 0));
        else if (status == ODS_OK || status == ODS_REJECT)
            take_refusal(asking, asking->items[i], &why);
        else
            asking->status = error_set(asking->error, status, "%s", why.text);
        PQclear(rows);
    }
    if (asking->status == ODS_OK)
        asking->status = conn_pipeline_leave(conn, asking->error);
    else
        conn_close(conn); /* it still has results that nobody reads */
}

static void ask_together(struct asking *asking)
{
    struct conn *conn = asking->conn;
    PGresult *rows = NULL;
    const char *value;
    int length;
    if (!put_texts(asking, 0, asking->count)) {
        asking->status = error_out_of_memory(asking->error);
        return;
    }
    const struct conn_params params = one_parameter(&asking->texts, &value, &length);
    asking->status =
        conn_query_params(conn, buffer_text(&asking->sql), &params, &rows, asking->error);
    bool whole = asking->status == ODS_OK && (uint32_t) PQntuples(rows) == asking->count;
    for (uint32_t i = 0; whole && i < asking->count; i++)
        whole = !PQgetisnull(rows, (int) i, 0);
    for (uint32_t i = 0; whole && i < asking->count; i++)
        take_answer(asking, asking->items[i], PQgetvalue(rows, (int) i, 0));
    PQclear(rows);
    if (asking->status == ODS_REJECT || (asking->status == ODS_OK && !whole)) {
        error_init(asking->error);
        ask_each(asking);
    }
}

/* Asks for the texts of a list, ASKED_AT_ONCE at a time. *done: the list of those asked for. */
static void ask_list(struct asking *asking, struct reading *list, const char *expression,
                     struct reading **done)
{
    buffer_reset(&asking->sql);
    buffer_printf(&asking->sql, "select %s from unnest($1) as u(v)", expression);
    if (asking->sql.failed)
        asking->status = error_out_of_memory(asking->error);
    while (list && asking->status == ODS_OK) {
        for (asking->count = 0; list && asking->count < ASKED_AT_ONCE; list = list->next)
            asking->items[asking->count++] = list;
        ask_together(asking);
        for (uint32_t i = 0; done && i < asking->count; i++)
            if (asking->items[i]->state == READING_DONE) {
                asking->items[i]->next = *done;
                *done = asking->items[i];
            }
    }
}

static void ask_kind(struct asking *asking, enum reading_kind kind)
{
    struct readings *readings = asking->readings;
    struct reading *list = readings->waiting[kind], *done = NULL;
    readings->waiting[kind] = NULL;
    ask_list(asking, list, expressions[kind], kind == READING_TIME ? &done : NULL);
    if (!done || asking->status != ODS_OK)
        return;
    asking->checks = true;
    asking->refusal = "a time can't hold the date that the value has";
    ask_list(asking, done, time_alone, NULL);
    asking->checks = false;
    asking->refusal = NULL;
}

/* --- a batch --------------------------------------------------------------------------------- */

static bool may_wait(const struct pg_column *target, const struct value *value)
{
    if (value->kind == VALUE_JSON)
        return target->item != NULL;
    return value->kind == VALUE_TEXT && target->encoding != ENCODE_TEXT &&
           target->encoding != ENCODE_BYTEA && target->encoding < ENCODE_JSON;
}

/* Encodes the image only to note the texts that PostgreSQL has to read; the bytes are dropped. */
static void note_image(struct encoder *encoder, const struct plan *plan,
                       const struct value *image, struct buffer *room)
{
    for (uint32_t i = 0; image && i < plan->shape->column_count; i++) {
        int32_t target = plan->target_of[i];
        struct error ignored;
        if (target < 0 || !may_wait(&plan->table->columns[target], &image[i]))
            continue;
        error_init(&ignored);
        buffer_reset(room);
        encode_value(encoder, room, &plan->table->columns[target], &plan->sources[i], &image[i],
                     &ignored);
    }
}

/* Notes the texts of the whole batch. What the encoder has learned and counted stays as it was. */
static void note_batch(struct encoder *encoder, const struct batch *batch,
                       const struct plan *const *plans)
{
    const struct losses losses = encoder->losses;
    const struct evidence evidence = encoder->evidence;
    struct buffer room;
    buffer_init(&room);
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct plan *plan = plans[i];
        if (batch->changes[i].rejected || !plan || plan->skip || !plan->table)
            continue;
        note_image(encoder, plan, batch->changes[i].before, &room);
        note_image(encoder, plan, batch->changes[i].after, &room);
    }
    buffer_done(&room);
    encoder->losses = losses;
    encoder->evidence = evidence;
}

enum ods_status ask_batch(struct conn *conn, struct encoder *encoder, const struct batch *batch,
                          const struct plan *const *plans, struct error *error)
{
    struct readings *readings = encoder->readings;
    struct asking asking = {.conn = conn, .readings = readings, .error = error};
    note_batch(encoder, batch, plans);
    if (!readings->waiting_count)
        return ODS_OK;
    buffer_init(&asking.texts);
    buffer_init(&asking.sql);
    for (enum reading_kind kind = READING_NONE + 1; kind < READING_KINDS; kind++)
        if (readings->waiting[kind] && asking.status == ODS_OK)
            ask_kind(&asking, kind);
    buffer_done(&asking.texts);
    buffer_done(&asking.sql);
    readings->waiting_count = 0;
    if (asking.status != ODS_OK)
        readings_reset(readings);
    return asking.status;
}
