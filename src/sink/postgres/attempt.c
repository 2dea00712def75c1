/* What an attempt sends, and what came of it. See attempt.h. */
#include "sink/postgres/attempt.h"

#include "sink/postgres/offsets.h"

/* Rows of one statement: enough to make a statement's own cost vanish, not enough to matter. */
#define STATEMENT_BYTES ((size_t) 1024 * 1024)

static struct sent *add_sent(struct attempt *attempt, unsigned commands)
{
    struct sent *sent = arena_alloc(&attempt->postgres->scratch, sizeof *sent);
    if (!sent)
        return NULL;
    *sent = (struct sent){.commands = commands};
    *attempt->sent_tail = sent;
    attempt->sent_tail = &sent->next;
    return sent;
}

enum ods_status attempt_send(struct attempt *attempt, const char *sql)
{
    enum ods_status status = conn_send(&attempt->postgres->conn, sql, attempt->error);
    if (status == ODS_OK && !add_sent(attempt, 1))
        status = error_out_of_memory(attempt->error);
    return status;
}

enum ods_status attempt_offsets(struct attempt *attempt)
{
    struct postgres *postgres = attempt->postgres;
    if (!attempt->batch->range_count)
        return ODS_OK;
    enum ods_status status = offsets_send(&postgres->conn, postgres->config.group, attempt->batch,
                                          postgres->offsets, attempt->error);
    if (status == ODS_OK && !add_sent(attempt, 1))
        status = error_out_of_memory(attempt->error);
    return status;
}

/* Encode and send rows [first, last) of a group. What can't be encoded is set aside, and from then
 * on nothing more is sent: the batch will be folded again without it. */
enum ods_status attempt_rows(struct attempt *attempt, struct group *group, uint32_t first,
                             uint32_t last)
{
    struct postgres *postgres = attempt->postgres;
    struct statement *statement = NULL;
    enum ods_status status =
        upsert_statement(group, attempt->batch->guard_time, &statement, attempt->error);
    while (status == ODS_OK && first < last) {
        uint64_t stripped = postgres->encoder.stripped;
        uint32_t upto;
        struct error why;
        error_init(&why);
        status = upsert_encode(group, statement, &postgres->encoder, &postgres->arrays, first, last,
                               STATEMENT_BYTES, &upto, &why);
        if (status == ODS_REJECT) {
            attempt->unencodable = true;
            return error_set(attempt->error, ODS_REJECT, "%s", why.text);
        }
        if (status != ODS_OK)
            return error_set(attempt->error, status, "%s", why.text);
        unsigned commands = 0;
        status =
            upsert_send(statement, &postgres->conn, &postgres->arrays, &commands, attempt->error);
        struct sent *sent = status == ODS_OK ? add_sent(attempt, commands) : NULL;
        if (status == ODS_OK && !sent)
            status = error_out_of_memory(attempt->error);
        if (sent) {
            sent->statement = statement;
            sent->kind = group->kind;
            sent->rows = upto - first;
            sent->stripped = postgres->encoder.stripped - stripped;
            sent->counts = true;
        }
        first = upto;
    }
    return status;
}

/* A result that counts: what the target was sent, and what was not there. */
static void count_rows(struct attempt *attempt, const struct sent *sent, uint64_t rows)
{
    struct apply_result *result = attempt->result;
    if (!sent->counts)
        return;
    result->nul_stripped += sent->stripped;
    if (attempt->batch->guard_time && sent->statement && sent->kind != GROUP_INSERT) {
        attempt->kept += rows;
        rows = sent->rows - rows;
    }
    if (sent->kind == GROUP_DELETE || sent->kind == GROUP_SOFT_DELETE) {
        result->deleted += rows;
        result->missing += sent->rows > rows ? sent->rows - rows : 0;
    } else {
        result->upserted += sent->rows;
    }
}

/* Read all results. The first error is the answer; what follows it was not run. */
static enum ods_status read_results(struct attempt *attempt)
{
    enum ods_status first = ODS_OK;
    for (struct sent *sent = attempt->sent; sent; sent = sent->next) {
        for (unsigned i = 0; i < sent->commands; i++) {
            uint64_t rows = 0;
            bool aborted, last = i + 1 == sent->commands;
            struct error why;
            error_init(&why);
            enum ods_status status = conn_read(&attempt->postgres->conn, &rows, &aborted, &why);
            if (status == ODS_OK && last)
                count_rows(attempt, sent, rows);
            if (status != ODS_OK && !last)
                upsert_unprepare(sent->statement);
            if (status == ODS_REJECT && !last)
                status = ODS_FATAL; /* the statement itself is refused, whatever its rows */
            if (status != ODS_OK && first == ODS_OK) {
                first = status;
                attempt->stale = !attempt->refreshed && sqlstate_is_stale_catalog(why.sqlstate);
                if (attempt->error)
                    *attempt->error = why;
            }
            if (!attempt->postgres->conn.pg)
                return first;
        }
    }
    return first;
}

enum ods_status attempt_begin(struct attempt *attempt)
{
    attempt->sent = NULL;
    attempt->sent_tail = &attempt->sent;
    return conn_pipeline_begin(&attempt->postgres->conn, attempt->error);
}

/* Close the pipeline and read it, whatever happened while filling it. */
enum ods_status attempt_end(struct attempt *attempt, enum ods_status sending)
{
    struct conn *conn = &attempt->postgres->conn;
    if (!conn->pg)
        return sending;
    enum ods_status status = conn_pipeline_sync(conn, sending == ODS_OK ? attempt->error : NULL);
    struct error *error = attempt->error;
    struct error ignored;
    if (sending != ODS_OK)
        attempt->error = &ignored; /* the first failure is the one to tell */
    if (status == ODS_OK)
        status = read_results(attempt);
    if (conn->pg) {
        enum ods_status ended = conn_pipeline_end(conn, status == ODS_OK ? attempt->error : NULL);
        status = status == ODS_OK ? ended : status;
    }
    attempt->error = error;
    return sending == ODS_OK ? status : sending;
}

void attempt_roll_back(struct attempt *attempt)
{
    if (attempt->postgres->conn.pg)
        conn_script(&attempt->postgres->conn, "rollback", NULL);
}

/* --- what a table's work sends -------------------------------------------------------------- */

enum ods_status attempt_truncate(struct attempt *attempt, const struct table_work *work)
{
    const struct plan *plan = work->truncate_plan;
    struct buffer sql;
    buffer_init(&sql);
    if (plan->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0) {
        const char *operation = plan->table->columns[plan->operation_column].quoted;
        buffer_printf(&sql, "update %s set %s = 'd' where %s is distinct from 'd'",
                      plan->table->quoted, operation, operation);
    } else {
        buffer_printf(&sql, "truncate %s", plan->table->quoted);
    }
    enum ods_status status =
        sql.failed ? error_out_of_memory(attempt->error) : attempt_send(attempt, buffer_text(&sql));
    buffer_done(&sql);
    attempt->result->truncated++;
    return status;
}

/* A run of inserts into a table without key, as a group of its own. *loose ends behind the run. */
static enum ods_status insert_group(struct attempt *attempt, struct loose **loose,
                                    struct group **made)
{
    struct arena *arena = &attempt->postgres->scratch;
    const struct plan *plan = (*loose)->plan;
    uint32_t count = 0;
    struct loose *end = *loose;
    for (; end && end->plan == plan && loose_is_insert(attempt->batch, end); end = end->next)
        count++;
    struct group *group = arena_alloc(arena, sizeof *group);
    struct row **rows = arena_alloc(arena, count * sizeof *rows);
    struct row *items = arena_alloc(arena, count * sizeof *items);
    if (!group || !rows || !items)
        return error_out_of_memory(attempt->error);
    for (uint32_t i = 0; i < count; i++, *loose = (*loose)->next) {
        const struct change *change = &attempt->batch->changes[(*loose)->change];
        items[i] = (struct row){.plan = plan,
                                .last = (*loose)->change,
                                .chain = 1,
                                .image = change->after ? change->after : change->before,
                                .stamp = change};
        rows[i] = &items[i];
    }
    *group = (struct group){
        .kind = GROUP_INSERT, .plan = plan, .columns = plan->columns, .rows = rows, .count = count};
    *made = group;
    return ODS_OK;
}

enum ods_status attempt_loose(struct attempt *attempt, const struct loose *loose)
{
    struct postgres *postgres = attempt->postgres;
    struct error why;
    error_init(&why);
    uint64_t stripped = postgres->encoder.stripped;
    enum ods_status status =
        loose_compile(&postgres->loose, attempt->batch, loose, &postgres->encoder, &why);
    if (status == ODS_REJECT) {
        status = fold_reject(attempt->batch, loose->change, &why, attempt->error);
        if (status != ODS_OK)
            return status;
        attempt->refold = true;
        return error_set(attempt->error, ODS_REJECT, "%s", why.text);
    }
    if (status != ODS_OK)
        return error_set(attempt->error, status, "%s", why.text);
    status = loose_send(&postgres->loose, &postgres->conn, attempt->error);
    struct sent *sent = status == ODS_OK ? add_sent(attempt, 1) : NULL;
    if (status == ODS_OK && !sent)
        status = error_out_of_memory(attempt->error);
    if (sent) {
        bool delete = attempt->batch->changes[loose->change].op == OP_DELETE;
        sent->kind = delete ? GROUP_DELETE : GROUP_UPSERT;
        sent->rows = 1;
        sent->stripped = postgres->encoder.stripped - stripped;
        sent->counts = true;
    }
    return status;
}

/* One table: truncate, deletes, whole rows, rows that lack values, then what has no key. */
enum ods_status attempt_work(struct attempt *attempt, const struct table_work *work,
                             row_sender *send, loose_sender *send_loose)
{
    enum ods_status status = ODS_OK;
    for (enum group_kind kind = GROUP_DELETE; kind <= GROUP_PARTIAL; kind++)
        for (struct group *group = work->groups[kind]; status == ODS_OK && group;
             group = group->next)
            status = send(attempt, group, 0, group->count);
    for (struct loose *loose = work->loose; status == ODS_OK && loose;) {
        if (!loose_is_insert(attempt->batch, loose)) {
            status = send_loose(attempt, loose);
            loose = loose->next;
            continue;
        }
        struct group *group = NULL;
        status = insert_group(attempt, &loose, &group);
        if (status == ODS_OK)
            status = send(attempt, group, 0, group->count);
    }
    return status;
}
