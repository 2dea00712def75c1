/* Tables of Delta Lake and Iceberg, over the lake engine (ods/lake.h), which is a library that is
 * loaded when a lane connects. */
#include "sink/lake/lake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/settings.h"
#include "sink/lake/erase.h"
#include "sink/lake/forget.h"

#define LEAST_SHARE (INT64_C(64) * 1024)

extern const struct sink_ops delta_sink, iceberg_sink;

static struct lake_sink *from_sink(struct sink *sink)
{
    return (struct lake_sink *) sink;
}

static void lake_sink_close(struct sink *sink)
{
    struct lake_sink *lake = from_sink(sink);
    if (!lake)
        return;
    lake_fold_done(&lake->fold);
    lake_plans_clear(&lake->plans);
    arena_done(&lake->scratch);
    if (lake->store) {
        pthread_mutex_lock(&lake->store->mutex);
        if (lake->store->heard == lake)
            lake->store->hooks = (struct apply_hooks){0};
        if (lake->store->teller == lake)
            lake->store->teller = NULL;
        pthread_mutex_unlock(&lake->store->mutex);
    }
    lake_store_close(lake->store);
    free(lake->change_plans);
    free(lake);
}

static int64_t lanes_of(const struct sink_config *config)
{
    return config->pipeline->lanes > 0 ? config->pipeline->lanes : 1;
}

/* Lanes take turns to commit: while one does, another fills its batch, so that each needs one
 * alone. A single lane has two. */
static size_t batches_of(const struct sink_config *config)
{
    return lanes_of(config) > 1 ? 1 : 2;
}

/* What a lane's batch grows to: all lanes of the process share what may wait for a commit. */
static int64_t commit_share(const struct sink_config *config)
{
    const struct lake_settings *settings = config->settings;
    int64_t share = settings->commit_bytes / (lanes_of(config) * (int64_t) batches_of(config));
    return share > LEAST_SHARE ? share : LEAST_SHARE;
}

static enum ods_status open_as(const struct sink_ops *ops, struct sink **sink,
                               const struct sink_config *config, struct error *error)
{
    const struct lake_settings *settings = config->settings;
    struct lake_sink *lake = calloc(1, sizeof *lake);
    *sink = NULL;
    if (!lake)
        return error_out_of_memory(error);
    lake->config = *config;
    lake->sink.ops = ops;
    lake->sink.wants = (struct sink_wants){
        .min_bytes = commit_share(config), .max_wait_ms = settings->commit_ms, .fills = true,
        .batches = batches_of(config)};
    arena_init(&lake->scratch);
    lake_fold_init(&lake->fold);
    lake_plans_init(&lake->plans, &lake->config);
    *sink = &lake->sink;
    return ODS_OK;
}

static enum ods_status delta_open(struct sink **sink, const struct sink_config *config,
                                  struct error *error)
{
    return open_as(&delta_sink, sink, config, error);
}

static enum ods_status iceberg_open(struct sink **sink, const struct sink_config *config,
                                    struct error *error)
{
    return open_as(&iceberg_sink, sink, config, error);
}

/* Loaded, since one that is of another version is as good as none. */
static enum ods_status lake_lacks(const struct sink_config *config, struct error *error)
{
    const struct lake_settings *settings = config->settings;
    struct lake_engine engine = {0};
    return lake_engine_load(&engine, settings->library, error);
}

static enum ods_status lake_sink_connect(struct sink *sink, struct error *error)
{
    struct lake_sink *lake = from_sink(sink);
    enum ods_status status = lake_enter(lake, true, error);
    if (status == ODS_OK)
        lake_leave(lake);
    return status;
}

static enum ods_status read_positions(struct lake_sink *lake, bool create,
                                      struct position *positions, size_t count, struct error *error)
{
    enum ods_status status = lake_enter(lake, create, error);
    if (status != ODS_OK)
        return status;
    struct lake_table *control = lake->store->control;
    status = lake_store_read_anew(lake->store, error);
    for (struct position *at = positions; status == ODS_OK && at < positions + count; at++) {
        at->offset = lake_table_offset(control, at->topic, at->partition);
        at->stored_us = lake_table_stored_us(control, at->topic, at->partition);
    }
    lake_leave(lake);
    return status;
}

static enum ods_status lake_sink_resume(struct sink *sink, struct position *positions, size_t count,
                                        struct error *error)
{
    return read_positions(from_sink(sink), true, positions, count, error);
}

static enum ods_status lake_sink_peek(struct sink *sink, struct position *positions, size_t count,
                                      struct error *error)
{
    return read_positions(from_sink(sink), false, positions, count, error);
}

static enum ods_status lake_sink_apply(struct sink *sink, struct batch *batch,
                                       const struct apply_hooks *hooks, struct apply_result *result,
                                       struct error *error)
{
    struct apply_result ignored = {0};
    return lake_apply_batch(from_sink(sink), batch, hooks, result ? result : &ignored, error);
}

static void lake_sink_rest(struct sink *sink)
{
    struct lake_sink *lake = from_sink(sink);
    struct error ignored;
    error_init(&ignored);
    if (!lake->store || lake_enter(lake, false, &ignored) != ODS_OK)
        return;
    lake_store_maintain_next(lake->store, &lake->store->hooks);
    lake_leave(lake);
}

static enum ods_status lake_sink_forget(struct sink *sink, struct forgotten *tables, size_t count,
                                        bool look, int64_t *offsets, struct error *error)
{
    return lake_forget(from_sink(sink), tables, count, look, offsets, error);
}

static enum ods_status lake_sink_erase(struct sink *sink, struct erasing *erasing, bool look,
                                       struct error *error)
{
    return lake_erase(from_sink(sink), erasing, look, error);
}

/* --- check ------------------------------------------------------------------------------------ */

static enum ods_status check_folder(const struct lake_sink *lake, struct error *error)
{
    const struct lake_settings *settings = lake->config.settings;
    char above[3072];
    size_t length = strlen(settings->location);
    if (*settings->location != '/' || access(settings->location, W_OK | X_OK) == 0)
        return ODS_OK;
    memcpy(above, settings->location, length + 1);
    while (access(above, F_OK) != 0 && strrchr(above, '/') != above)
        *strrchr(above, '/') = '\0';
    if (access(above, W_OK | X_OK) == 0)
        return ODS_OK; /* the folder is made in it */
    return error_set(error, ODS_FATAL, "target %s: the folder %.500s can't be written: %s",
                     lake->config.name, settings->location, strerror(errno));
}

static enum ods_status lake_sink_check(struct sink *sink,
                                       void (*report)(void *context, const char *line),
                                       void *context, struct error *error)
{
    struct lake_sink *lake = from_sink(sink);
    const struct lake_settings *settings = lake->config.settings;
    char line[4096];
    enum ods_status status = check_folder(lake, error);
    if (status == ODS_OK)
        status = lake_enter(lake, false, error); /* is the storage there? */
    if (status != ODS_OK)
        return status;
    lake_leave(lake);
    bool third = lake->store->iceberg && settings->format_version == 3;
    snprintf(line, sizeof line, "target %s: tables in %s%s, lake engine %s", lake->config.name,
             settings->location,
             third ? ", new ones of version 3 of the format (others keep theirs)" : "",
             lake->store->engine.version());
    report(context, line);
    return ODS_OK;
}

/* The library, its threads, and what it writes a file with. */
#define ENGINE_BYTES (INT64_C(32) * 1024 * 1024)

/* What maintenance reads at a time, thrice: as it is read, without the rows that are gone, and as
 * it is encoded. And rows that are sorted at a time. Both are the engine's. */
#define READ_BYTES (3 * INT64_C(8) * 1024 * 1024)
#define SORT_BYTES (INT64_C(256) * 1024 * 1024)
/* What is read for a change feed: of four files at once, of one in a bucket; that, what waits and
 * what is written. */
#define FEED_BYTES(files) (((files) + 2) * INT64_C(8) * 1024 * 1024)

/* With the file that it writes: a group of rows, and then the same in the file. */
static int64_t maintenance_bytes(const struct lake_settings *settings)
{
    if (!settings->maintain)
        return 0;
    return READ_BYTES + 2 * settings->file_bytes + (settings->sort_by.count ? 2 * SORT_BYTES : 0);
}

/* A file of a bucket is whole in memory as long as it is read, by one lane at a time. */
static int64_t read_bytes(const struct lake_settings *settings)
{
    return *settings->location == '/' ? 0 : settings->file_bytes;
}

/* With the feed's file, which is written beside the table's. */
static int64_t feed_bytes(const struct lake_settings *settings, int64_t share)
{
    return settings->change_data ? FEED_BYTES(*settings->location == '/' ? 4 : 1) + share : 0;
}

static int64_t lake_held_bytes(const struct sink_config *config)
{
    int64_t batches = (int64_t) batches_of(config), share = commit_share(config);
    int64_t more = share - config->daemon->batch.max_bytes;
    int64_t maintenance = maintenance_bytes(config->settings) / lanes_of(config);
    /* Batches may be larger than batch.max_bytes; one of them is arrays and then a file as well,
     * and a table is maintained when none is. */
    return (more > 0 ? 2 * batches * more : 0) + ENGINE_BYTES +
           (read_bytes(config->settings) + feed_bytes(config->settings, share)) / lanes_of(config) +
           (2 * share > maintenance ? 2 * share : maintenance);
}

/* --- /metrics --------------------------------------------------------------------------------- */

enum {
    NUMBER_COMMITS,
    NUMBER_MAINTAINED,
    NUMBER_UNMAINTAINED,
    NUMBER_FIGURES,
    NUMBERS = NUMBER_FIGURES + LAKE_FIGURES
};

static const struct number lake_number_rows[NUMBERS + 1] = {
    [NUMBER_COMMITS] = {"lake_commits_total", "counter",
                        "Commits of tables of a lake, those of the pipeline's own table left out",
                        ""},
    [NUMBER_MAINTAINED] = {"lake_maintenance_total", "counter",
                           "Times that the maintenance of a table of a lake changed something, or "
                           "failed",
                           ",outcome=\"success\""},
    [NUMBER_UNMAINTAINED] = {NULL, NULL, NULL, ",outcome=\"failure\""},
    [NUMBER_FIGURES + LAKE_FIGURE_FILES] = {"lake_files", "gauge",
                                            "Data files of the open tables of a lake", ""},
    [NUMBER_FIGURES + LAKE_FIGURE_SMALL_FILES] = {"lake_small_files", "gauge",
                                                  "Of these, the small ones, and files of deletes",
                                                  ""},
    [NUMBER_FIGURES + LAKE_FIGURE_ROWS] = {"lake_rows", "gauge",
                                           "Rows of the open tables of a lake", ""},
    [NUMBER_FIGURES + LAKE_FIGURE_DELETED_ROWS] = {"lake_deleted_rows", "gauge",
                                                   "Rows in their files that are deleted", ""},
    [NUMBER_FIGURES + LAKE_FIGURE_BYTES] = {"lake_file_bytes", "gauge",
                                            "Size of their data files", ""},
    [NUMBER_FIGURES + LAKE_FIGURE_INDEX_KEYS] = {"lake_index_keys", "gauge",
                                                 "Keys in the indexes of the open tables of a lake",
                                                 ""},
    [NUMBER_FIGURES + LAKE_FIGURE_INDEX_BYTES] = {"lake_index_bytes", "gauge",
                                                  "Memory of these indexes", ""},
};

/* What the lanes of a pipeline share, one of them tells. */
static void lake_sink_tell(const struct sink *sink, double *values)
{
    const struct lake_sink *lake = (const struct lake_sink *) sink;
    const struct lake_store *store = atomic_load(&lake->told);
    values[NUMBER_COMMITS] = (double) atomic_load(&lake->commits);
    values[NUMBER_MAINTAINED] = store ? (double) atomic_load(&store->maintained) : 0;
    values[NUMBER_UNMAINTAINED] = store ? (double) atomic_load(&store->unmaintained) : 0;
    for (int i = 0; i < LAKE_FIGURES; i++)
        values[NUMBER_FIGURES + i] = store ? (double) atomic_load(&store->figures[i]) : 0;
}

static void lake_sink_interrupt(struct sink *sink)
{
    atomic_store(&from_sink(sink)->interrupted, true);
}

static void lake_sink_clear_interrupt(struct sink *sink)
{
    atomic_store(&from_sink(sink)->interrupted, false);
}

#define LAKE_SINK                                                                                  \
    .guarantee = EXACT_BY_STORED_OFFSET, .keeps_history = true, .held_bytes = lake_held_bytes,     \
    .connect = lake_sink_connect, .resume = lake_sink_resume, .peek = lake_sink_peek,              \
    .apply = lake_sink_apply, .rest = lake_sink_rest, .name_table = lake_name_table,               \
    .name_history = lake_name_history,                                                             \
    .forget = lake_sink_forget, .erase = lake_sink_erase, .check = lake_sink_check,                \
    .lacks = lake_lacks,                                                                           \
    .numbers = lake_number_rows, .tell = lake_sink_tell,                                           \
    .interrupt = lake_sink_interrupt, .clear_interrupt = lake_sink_clear_interrupt,                \
    .close = lake_sink_close

const struct sink_ops delta_sink = {
    .type = "delta",
    .summary = "tables of Delta Lake: rows and offsets in one commit, with a change data feed",
    .settings = &delta_settings_group,
    .open = delta_open,
    LAKE_SINK,
};

const struct sink_ops iceberg_sink = {
    .type = "iceberg",
    .summary = "tables of Apache Iceberg: rows and offsets in one snapshot, with position deletes",
    .settings = &iceberg_settings_group,
    .open = iceberg_open,
    LAKE_SINK,
};
