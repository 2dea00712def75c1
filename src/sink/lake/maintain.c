/* Maintenance: after commits, where there is enough to do, and of each table from time to time.
 *
 * Processes of a group may have the same table. One of them has its lease, which stands beside the
 * offsets of the pipeline's own table: a moment until which no other one maintains it. It is taken
 * and renewed by compare-and-swap, so who put it there knows it for its own, and given back at the
 * end. Nothing is wrong where two maintain at once, as their clocks may disagree; one of them has
 * read and written for nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/lake/lake.h"
#include "sink/lake/store.h"

/* The pipeline's own table is read for its newest snapshot alone. */
#define OWN_SNAPSHOTS 20
/* After a table was opened, when those that a batch needs are at work. */
#define FIRST_US INT64_C(60000000)
#define BRIEF_US INT64_C(100000)

/* For tests, which see files go in seconds: ODS_LAKE_KEPT_MS in the environment says how long
 * things are kept, less than any setting may. Files of a commit that takes longer are lost, so what
 * is not a number as a whole says nothing. */
static json_int_t kept_ms(int64_t set_ms)
{
    const char *asked = getenv("ODS_LAKE_KEPT_MS");
    bool is_number = asked && *asked && !asked[strspn(asked, "0123456789")];
    return is_number ? strtoll(asked, NULL, 10) : set_ms;
}

/* What is too old goes. */
static void put_expiry(const struct lake_table *table, json_t *parts)
{
    const struct lake_settings *settings = table->store->settings;
    json_object_set_new(parts, "checkpoint", json_pack("{s:i}", "every", 1));
    json_object_set_new(parts, "expire",
                        json_pack("{s:I}", "retention_ms", kept_ms(settings->expire_ms)));
    if (table->store->iceberg) {
        bool own = table == table->store->control;
        json_t *expire = json_object_get(parts, "expire");
        json_object_set_new(expire, "snapshots",
                            json_integer(own ? OWN_SNAPSHOTS : settings->snapshots));
        json_object_set_new(expire, "keep_ms", json_integer(own ? 0 : settings->keep_ms));
    }
    json_object_set_new(parts, "vacuum",
                        json_pack("{s:I}", "retention_ms", kept_ms(settings->vacuum_ms)));
}

/* Are there files to be put together? After a commit, where one partition has many: a table of many
 * partitions always has small files, of which nearly all are where nothing comes any more. */
static bool is_crowded(const struct lake_settings *settings, const json_t *stats, bool of_all)
{
    int64_t deleted = lake_stat(stats, "deleted_rows"), rows = lake_stat(stats, "rows") + deleted;
    return lake_stat(stats, of_all ? "small_files" : "crowd") >= settings->small_files ||
           deleted * 100 > rows * settings->deleted_percent;
}

static json_t *due(struct lake_table *table, const json_t *stats, bool its_turn, bool of_all)
{
    const struct lake_settings *settings = table->store->settings;
    json_t *parts = json_object();
    bool crowded = is_crowded(settings, stats, of_all);
    bool rests = time_monotonic_us() < table->store->rests_us;
    table->waits = !crowded || !rests ? WAITS_NOT : of_all ? WAITS_ALL : WAITS;
    if (crowded && !rests)
        json_object_set_new(parts, "compact",
                            json_pack("{s:I, s:f, s:I}", "files",
                                      (json_int_t) (of_all ? 2 : settings->small_files),
                                      "deleted_ratio",
                                      (double) settings->deleted_percent / 100, "max_bytes",
                                      (json_int_t) settings->compact_bytes));
    if (its_turn || lake_stat(stats, "versions_since_checkpoint") >= settings->checkpoint_every)
        put_expiry(table, parts);
    return parts;
}

/* Those that put files together take turns with those that commit. What is over in no time does not
 * count. */
static void rest(struct lake_table *table, int64_t begun_us, enum lake_waits waits)
{
    const struct lake_settings *settings = table->store->settings;
    int64_t now_us = time_monotonic_us(), took_us = now_us - begun_us;
    if (took_us >= BRIEF_US)
        table->store->rests_us =
            now_us + took_us * (100 - settings->busy_percent) / settings->busy_percent;
    table->gathered_us = now_us;
    table->waits = waits;
}

/* Has the maintenance changed anything? And is there more to be put together? */
static bool is_news(const char *report, bool *more)
{
    json_t *read = json_loads(report, 0, NULL);
    *more = json_is_true(json_object_get(read, "more"));
    bool news = lake_stat(json_object_get(read, "compacted"), "read_files") > 0 ||
                lake_stat(read, "expired") > 0 || lake_stat(read, "checkpoint") > 0 ||
                lake_stat(json_object_get(read, "vacuumed"), "files") > 0;
    json_decref(read);
    return news;
}

/* --- the lease -------------------------------------------------------------------------------- */

/* Of this table, or of all whose leases we have (NULL), in one commit. */
static bool swap_leases(struct lake_store *store, const struct lake_table *only, int64_t lease_us)
{
    int64_t now_us = time_wall_us();
    json_t *expect = json_object(), *next = json_object();
    struct error ignored;
    bool good = expect && next;
    error_init(&ignored);
    for (const struct lake_table *table = store->tables; good && table; table = table->next)
        if (only ? table == only : table->leased_us > now_us)
            good = lake_table_lease_put(table, expect, next, lease_us);
    if (good && json_object_size(next))
        good = lake_table_commit(store->control, expect, next, &ignored) == ODS_OK;
    json_decref(expect);
    json_decref(next);
    return good;
}

/* Is the pipeline's own table as it was read, so that a lease can stand in it? */
static bool can_lease(const struct lake_store *store)
{
    const struct lake_table *control = store->control;
    return control && control->handle && control->offsets && !*control->pending;
}

/* Whose lease is another's reads it anew: it may have been given back. */
static void look_again(struct lake_table *table, int64_t now_us)
{
    struct lake_table *control = table->store->control;
    int64_t lease_us = lake_table_lease(table);
    struct error ignored;
    if (lease_us <= now_us || lease_us == table->leased_us)
        return;
    error_init(&ignored);
    json_decref(control->offsets);
    control->offsets = NULL;
    lake_table_ready(control, &ignored);
}

static bool has_lease(struct lake_table *table)
{
    const struct lake_settings *settings = table->store->settings;
    int64_t now_us = time_wall_us(), length_us = settings->lease_ms * 1000;
    if (!length_us)
        return true;
    if (can_lease(table->store))
        look_again(table, now_us);
    if (!can_lease(table->store)) /* also where that could not be read */
        return false;
    int64_t lease_us = lake_table_lease(table);
    bool own = lease_us && lease_us == table->leased_us;
    if (own ? lease_us - now_us > length_us / 2 : lease_us > now_us)
        return own;
    bool good = swap_leases(table->store, table, now_us + length_us);
    table->leased_us = good ? now_us + length_us : 0;
    return good;
}

void lake_store_release(struct lake_store *store)
{
    if (can_lease(store))
        swap_leases(store, NULL, 0);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Who has not the lease looks again when it may have ended, though it is no turn's time yet. */
static int64_t sooner_us(const struct lake_settings *settings)
{
    return settings->every_ms > settings->lease_ms
               ? (settings->every_ms - settings->lease_ms) * 1000
               : 0;
}

static void maintain(struct lake_table *table, bool its_turn, const struct apply_hooks *hooks)
{
    const struct lake_engine *engine = &table->store->engine;
    const struct lake_settings *settings = table->store->settings;
    json_t *stats = lake_table_stats(table); /* also for the figures of who does not maintain */
    bool of_all = its_turn || table->waits == WAITS_ALL;
    json_t *parts = stats && settings->maintain ? due(table, stats, its_turn, of_all) : NULL;
    bool others = json_object_size(parts) && !has_lease(table);
    if (others)
        json_object_clear(parts);
    char *request = json_object_size(parts) ? json_dumps(parts, JSON_COMPACT) : NULL;
    char *report = NULL, *text = NULL;
    int64_t begun_us = time_monotonic_us();
    bool failed = request &&
                  engine->maintain(table->handle, request, &report, &text) != ODS_LAKE_OK;
    bool more = false, news = !failed && report && is_news(report, &more);
    if (json_object_get(parts, "compact"))
        rest(table, begun_us, !more ? WAITS_NOT : of_all ? WAITS_ALL : WAITS);
    if (failed)
        lake_table_tell(table, hooks, "maintenance: %s", text ? text : "it failed");
    else if (news)
        lake_table_tell(table, hooks, "maintenance: %s", report);
    atomic_fetch_add(&table->store->maintained, news);
    atomic_fetch_add(&table->store->unmaintained, failed);
    json_t *now = news || failed ? lake_table_stats(table) : NULL; /* also for the figures */
    if (failed && !now) /* an error of the engine's own: the next batch opens it anew */
        lake_table_close(table);
    json_decref(now);
    if (its_turn || json_object_get(parts, "expire")) /* also where it failed: not at once again */
        table->maintained_us = time_monotonic_us() - (others ? sooner_us(settings) : 0);
    engine->free(report);
    engine->free(text);
    free(request);
    json_decref(parts);
    json_decref(stats);
}

void lake_table_maintain(struct lake_table *table, const struct apply_hooks *hooks)
{
    maintain(table, false, hooks);
}

/* Is there something of which nobody knows yet whether it was committed? */
static bool is_quiet(const struct lake_table *table)
{
    return table->handle && !*table->pending;
}

void lake_store_maintain_next(struct lake_store *store, const struct apply_hooks *hooks)
{
    const struct lake_settings *settings = store->settings;
    int64_t now_us = time_monotonic_us(), every_us = settings->every_ms * 1000;
    struct lake_table *next = NULL, *waiting = NULL;
    if (!settings->maintain || !every_us)
        return;
    for (struct lake_table *table = store->tables; table; table = table->next) {
        if (!is_quiet(table))
            continue;
        if (table->waits && now_us >= store->rests_us &&
            (!waiting || table->gathered_us < waiting->gathered_us))
            waiting = table;
        if (!table->maintained_us)
            table->maintained_us = now_us - (every_us > FIRST_US ? every_us - FIRST_US : 0);
        if (now_us - table->maintained_us >= every_us &&
            (!next || table->maintained_us < next->maintained_us))
            next = table;
    }
    /* Where there is always something to put together, the turns come nevertheless. */
    bool late = next && now_us - next->maintained_us >= 2 * every_us;
    if (waiting && !late)
        maintain(waiting, false, waiting == store->control ? NULL : hooks);
    else if (next)
        maintain(next, true, next == store->control ? NULL : hooks);
}

enum ods_status lake_table_expire(struct lake_table *table, struct error *error)
{
    const struct lake_engine *engine = &table->store->engine;
    const struct lake_settings *settings = table->store->settings;
    char *report = NULL, *text = NULL;
    if (!settings->maintain)
        return ODS_OK;
    json_t *parts = json_object();
    put_expiry(table, parts);
    char *request = json_dumps(parts, JSON_COMPACT);
    json_decref(parts);
    if (!request)
        return error_out_of_memory(error);
    enum ods_lake_answer answer = engine->maintain(table->handle, request, &report, &text);
    enum ods_status status = lake_table_judge(table, answer, text, error);
    engine->free(report);
    free(request);
    return status;
}
