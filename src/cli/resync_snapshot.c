/* A table made anew from a snapshot that its connector is asked for. See resync.h.
 *
 * The new table begins empty, where the topics end. From then on it gets all changes, and in
 * between the snapshot's rows; the connector sees to it that no such row comes after a change that
 * is newer. When it says that it has sent all of them, and the records up to there are applied, the
 * new table is what the source's is: what was changed before is in the snapshot, what is changed
 * later comes after it. A run that is killed before that asks for all rows once more.
 */
#include <string.h>
#include <unistd.h>

#include <ods/pipeline.h>
#include "cli/interrupt.h"
#include "cli/resync.h"
#include "core/time.h"

#define PAUSE_US   300000
#define WAIT_MS    120000 /* for a sign of the connector */
#define STILL_US   INT64_C(60000000) /* a group that goes on moves its offsets sooner */

static void show(void *context, const char *text)
{
    struct resync *resync = context;
    progress_show(&resync->progress, "%s", text);
}

static int refuse_paused(struct resync *resync, struct error *error)
{
    struct orders orders = {0};
    int code = table_look(&resync->table, &orders, error);
    for (size_t i = 0; code == CLI_OK && i < orders.count; i++)
        if (orders.items[i].state == ORDER_PAUSED) {
            error_set(error, ODS_FATAL,
                      "%s is paused, so that a snapshot's rows would not be applied: ods-sink "
                      "resume lets it go on",
                      resync->table.options->name);
            code = CLI_NEGATIVE;
        }
    orders_done(&orders);
    return code;
}

int resync_choose_connector(struct resync *resync, const struct pipeline_settings *pipeline,
                            const char *name, const char *schema, const char *table,
                            struct error *error)
{
    resync->signals = (struct signals){.settings = resync->table.settings,
                                       .wanted = name,
                                       .wait_ms = WAIT_MS,
                                       .stops = interrupt_came,
                                       .shows = show,
                                       .context = resync};
    int code = signals_choose(&resync->signals, pipeline, schema, table, error);
    if (code == CLI_OK && !resync->signals.connector.notifications) {
        error_set(error, ODS_FATAL,
                  "connector %s does not tell when a snapshot is over: ods-sink connectors apply "
                  "FILE --set notification.enabled.channels=sink --set "
                  "notification.sink.topic.name=NAME, with a name that no pipeline reads",
                  resync->signals.connector.name);
        code = CLI_CONFIG;
    }
    return code;
}

int resync_find_connector(struct resync *resync, const char *name, struct error *error)
{
    const struct topic_table *from = resync->table.goes_to;
    int code = resync_choose_connector(resync, resync->table.pipeline, name,
                                       *from->schema ? from->schema : from->database, from->table,
                                       error);
    return code == CLI_OK ? refuse_paused(resync, error) : code;
}

static int wait_a_moment(void)
{
    usleep(PAUSE_US);
    return interrupt_came() ? interrupt_code() : CLI_OK;
}

/* Reads on until the connector says that all rows are sent. */
static int await_sent(struct resync *resync, struct error *error)
{
    struct signals *signals = &resync->signals;
    int64_t heard_us = time_monotonic_us();
    bool over = false, news;
    int code = CLI_OK;
    while (code == CLI_OK && !over) {
        code = signals_hear(signals, &over, &news, error);
        if (code == CLI_OK)
            code = table_measure(&resync->table, error);
        if (code == CLI_OK)
            code = resync_catch_up(resync, error);
        if (news)
            heard_us = time_monotonic_us();
        if (code == CLI_OK && !over && time_monotonic_us() - heard_us > WAIT_MS * INT64_C(1000)) {
            error_set(error, ODS_RETRY,
                      "connector %s has told nothing of the snapshot for %d s: its log says why; "
                      "what was read is kept",
                      signals->connector.name, WAIT_MS / 1000);
            return CLI_SOURCE;
        }
        if (code == CLI_OK)
            code = wait_a_moment();
    }
    return code;
}

static bool is_there(const struct resync *resync, const int64_t *ends)
{
    for (size_t i = 0; i < resync->table.count; i++)
        if (resync->places[i].next < ends[i])
            return false;
    return true;
}

/* Reads on until the records up to these ends are in the new table, which never stands before the
 * group does. */
static int await_ends(struct resync *resync, const int64_t *ends, struct error *error)
{
    int64_t moved_us = time_monotonic_us(), before = resync->records;
    int code = CLI_OK;
    while (code == CLI_OK && !is_there(resync, ends)) {
        code = table_measure(&resync->table, error);
        if (code == CLI_OK)
            code = resync_catch_up(resync, error);
        if ((int64_t) resync->records != before)
            moved_us = time_monotonic_us();
        before = (int64_t) resync->records;
        if (code == CLI_OK && time_monotonic_us() - moved_us > STILL_US) {
            error_set(error, ODS_RETRY,
                      "the snapshot's rows are in Kafka, and no process of group %s has applied "
                      "one for %d s: see ods-sink status; what was read is kept",
                      resync->table.pipeline->group_id, (int) (STILL_US / 1000000));
            return CLI_NEGATIVE;
        }
        if (code == CLI_OK)
            code = wait_a_moment();
    }
    return code;
}

int resync_take_snapshot(struct resync *resync, struct error *error)
{
    struct table *table = &resync->table;
    int code = table_measure(table, error);
    if (code == CLI_OK)
        code = resync_start_at_ends(resync, error);
    if (code == CLI_OK)
        code = signals_ask(&resync->signals, NULL, error);
    if (code == CLI_OK)
        code = await_sent(resync, error);
    if (code == CLI_OK)
        code = wait_a_moment(); /* what was sent before may reach its partition a moment later */
    if (code == CLI_OK)
        code = table_measure(table, error);
    int64_t *ends = code == CLI_OK ? calloc(table->count + 1, sizeof *ends) : NULL;
    if (code == CLI_OK && !ends) {
        error_out_of_memory(error);
        code = CLI_INTERNAL;
    }
    if (code == CLI_OK) {
        memcpy(ends, table->highs, table->count * sizeof *ends);
        code = await_ends(resync, ends, error);
    }
    free(ends);
    return code;
}

int resync_keep_deleted(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    const struct topic_table *from = table->goes_to;
    const struct table_settings *settings =
        pipeline_table(table->pipeline, *from->schema ? from->schema : from->database, from->table);
    if (settings->on_delete != ON_DELETE_SOFT || !*settings->cdc_operation)
        return CLI_OK;
    enum ods_status status = table->sink->ops->control->shadow_keep(
        table->sink, &resync->shadow, settings->cdc_operation, error);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}
