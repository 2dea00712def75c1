/* New rows by COPY directly into their table: all rows of a snapshot, and most creates.
 *
 * A group is sent by COPY when its rows are guessed to be new, or have no key. COPY costs
 * PostgreSQL half of what a plain INSERT from arrays does. A refusal is handled like that of any
 * other step; but the error names a row, and steps.c looks there first. Rows and offsets are in one
 * transaction, so a crash in the middle leaves no row for the next try to meet.
 *
 * libpq can't copy inside a pipeline: what was sent is settled before, and a new pipeline is begun
 * afterwards. Entered by the lane's writer thread, between attempt_begin() and attempt_end().
 */
#include "sink/postgres/write/copy.h"

/* For fewer rows the round trips of leaving the pipeline cost more than COPY saves. */
#define COPY_LEAST_ROWS  100
#define COPY_CHUNK_BYTES ((size_t) 64 * 1024)

static bool carries(const struct group *group, uint32_t column)
{
    return group->columns[column / 64] >> (column % 64) & 1;
}

/* Have all columns a binary form? COPY takes nothing else, and can't cast a text as a statement
 * does. */
static bool is_binary(const struct group *group)
{
    const struct pg_table *table = group->plan->table;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (carries(group, i) && table->columns[i].encoding == ENCODE_CAST)
            return false;
    return true;
}

bool copy_takes(const struct attempt *attempt, const struct group *group, uint32_t rows)
{
    if (attempt->caution >= CAUTION_CAREFUL ||
        (group->kind != GROUP_INSERT && group->guess != GUESS_NEW))
        return false;
    return rows >= COPY_LEAST_ROWS && group->plan->table->copyable && is_binary(group);
}

/* --- the data ------------------------------------------------------------------------------- */

static bool put_command(struct buffer *sql, const struct group *group)
{
    const struct pg_table *table = group->plan->table;
    const char *separator = "";
    buffer_printf(sql, "copy %s (", table->quoted);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (carries(group, i)) {
            buffer_printf(sql, "%s%s", separator, table->columns[i].quoted);
            separator = ", ";
        }
    buffer_puts(sql, ") from stdin (format binary)");
    return !sql->failed;
}

static void put_header(struct buffer *data)
{
    static const char signature[11] = "PGCOPY\n\377\r\n";
    buffer_add(data, signature, sizeof signature);
    encode_put32(data, 0); /* flags */
    encode_put32(data, 0); /* length of the header's extension */
}

static enum ods_status put_row(struct attempt *attempt, const struct group *group,
                               const struct statement *statement, const struct row *row,
                               struct buffer *data, struct error *error)
{
    const struct pg_table *table = group->plan->table;
    enum ods_status status = ODS_OK;
    uint16_t fields = 0;
    size_t start = data->length;
    encode_put16(data, 0);
    for (uint32_t i = 0; status == ODS_OK && i < table->column_count; i++)
        if (carries(group, i)) {
            status = upsert_value(statement, row, i, &attempt->postgres->encoder, data, error);
            fields++;
        }
    if (data->failed)
        return error_out_of_memory(error);
    data->bytes[start] = (char) (fields >> 8);
    data->bytes[start + 1] = (char) fields;
    return status;
}

/* Leaves out a row that can't be encoded; the others go on. */
static enum ods_status leave_out(struct attempt *attempt, struct row *row,
                                 const struct error *why)
{
    if (attempt_folds_again(attempt)) {
        attempt_demand(attempt, NEXT_VALIDATE);
        return error_set(attempt->error, ODS_REJECT, "%s", why->text);
    }
    return attempt_set_aside(attempt, row, why);
}

/* Encodes and sends rows into the COPY that is open. *count: how many were sent. */
static enum ods_status put_rows(struct attempt *attempt, const struct group *group, uint32_t first,
                                uint32_t last, struct buffer *data, uint64_t *count)
{
    struct conn *conn = &attempt->postgres->conn;
    struct statement *statement = NULL;
    enum ods_status status = 
        upsert_statement(&conn->statements, group, false, &statement, attempt->error);
    put_header(data);
    for (uint32_t i = first; status == ODS_OK && i < last; i++) {
        size_t start = data->length;
        struct error why;
        if (group->rows[i]->aside)
            continue;
        error_init(&why);
        upsert_look_ahead(group, i, last);
        status = put_row(attempt, group, statement, group->rows[i], data, &why);
        ++*count;
        if (status == ODS_REJECT) {
            data->length = start;
            --*count;
            status = leave_out(attempt, group->rows[i], &why);
        } else if (status != ODS_OK) {
            *attempt->error = why;
        }
        if (status == ODS_OK && data->length >= COPY_CHUNK_BYTES) {
            status = conn_copy_put(conn, data->bytes, data->length, attempt->error);
            buffer_reset(data);
        }
    }
    if (status != ODS_OK)
        return status;
    encode_put16(data, UINT16_MAX); /* the end */
    return data->failed ? error_out_of_memory(attempt->error)
                        : conn_copy_put(conn, data->bytes, data->length, attempt->error);
}

/* --- one COPY ------------------------------------------------------------------------------- */

/* COPY itself is refused: the table has changed, or the reason is one that does not concern INSERT.
 * The batch is then written by INSERT. */
static enum ods_status refused(struct attempt *attempt)
{
    attempt_look_stale(attempt, attempt->error);
    attempt->step = NO_STEP;
    return ODS_REJECT;
}

/* The row that the server's error names. */
static uint32_t suspect(const struct attempt *attempt, const struct group *group, uint32_t first,
                        uint32_t last)
{
    uint64_t line = attempt->postgres->conn.copy_line;
    for (uint32_t i = first; line && i < last; i++)
        if (!group->rows[i]->aside && !--line)
            return i;
    return NO_STEP;
}

static enum ods_status copy(struct attempt *attempt, const struct group *group, uint32_t first,
                            uint32_t last)
{
    struct conn *conn = &attempt->postgres->conn;
    const struct encoder *encoder = &attempt->postgres->encoder;
    const struct losses before = encoder->losses;
    uint64_t count = 0;
    struct buffer sql, data;
    buffer_init(&sql);
    buffer_init(&data);
    enum ods_status status = put_command(&sql, group)
                                 ? conn_copy_begin(conn, buffer_text(&sql), attempt->error)
                                 : error_out_of_memory(attempt->error);
    if (status == ODS_REJECT)
        status = ODS_FATAL; /* PostgreSQL has not got a row yet */
    if (status == ODS_OK) {
        status = put_rows(attempt, group, first, last, &data, &count);
        bool whole = status == ODS_OK;
        enum ods_status ended =
            conn->pg ? conn_copy_end(conn, whole, whole ? attempt->error : NULL) : status;
        if (whole && ended != ODS_OK && conn->pg && *attempt->error->code)
            ended = sqlstate_for_rows(attempt->error, false);
        status = whole ? ended : status;
    }
    if (status == ODS_OK) {
        attempt->result->upserted += count;
        const struct losses losses = losses_since(encoder, &before);
        attempt_count_losses(attempt, &losses);
    } else if (status == ODS_FATAL) {
        status = refused(attempt);
    }
    buffer_done(&sql);
    buffer_done(&data);
    return status;
}

enum ods_status copy_rows(struct attempt *attempt, struct group *group, uint32_t first,
                          uint32_t last)
{
    if (!copy_takes(attempt, group, last - first))
        return attempt_rows(attempt, group, first, last);
    enum ods_status status = attempt_settle(attempt);
    uint32_t refused_step = attempt->refused, named = NO_STEP;
    if (status == ODS_OK) {
        status = copy(attempt, group, first, last);
        refused_step = attempt->step;
        named = suspect(attempt, group, first, last);
    }
    if (!attempt->postgres->conn.pg)
        return status;
    enum ods_status begun = attempt_begin(attempt); /* the caller ends it, whatever happened */
    if (status == ODS_OK)
        return begun;
    attempt->refused = refused_step;
    attempt->suspect = named;
    return status;
}
