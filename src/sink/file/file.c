/* Changes as lines of JSON or CSV in rotated files, each exactly once.
 *
 * A group has a folder with changes-000000000001.jsonl and so on, or with such files for each
 * table, and with state.json. That file says how many bytes of the last data file of each name are
 * valid, and the offsets up to which they go. A batch is appended after the valid bytes and made
 * durable; then a new state replaces the old one by rename(2). So rows and offsets become valid
 * together or not at all. The next writer cuts off what a crash has left after the valid bytes.
 * Lanes and processes of a group take turns by a lock on the folder, which is released when its
 * holder ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ods/durable.h>
#include <ods/sink.h>

#include "sink/file/folder.h"
#include "sink/file/pack.h"

extern const struct sink_ops file_sink;

static void file_close(struct sink *sink)
{
    struct file_sink *file = (struct file_sink *) sink;
    if (!file)
        return;
    if (file->folder >= 0)
        close(file->folder);
    json_decref(file->state);
    output_done(&file->output);
    buffer_done(&file->packed);
    identities_done(&file->identities);
    free(file);
}

static enum ods_status file_open(struct sink **sink, const struct sink_config *config,
                                 struct error *error)
{
    struct file_sink *file;
    *sink = NULL;
    if (strchr(config->group, '/'))
        return error_set(error, ODS_FATAL,
                         "target %s: the group \"%s\" is to be the name of a folder and has a / in "
                         "it: give the pipeline another group_id",
                         config->name, config->group);
    file = calloc(1, sizeof *file);
    if (!file)
        return error_out_of_memory(error);
    file->config = *config;
    file->settings = config->settings;
    file->folder = -1;
    output_init(&file->output, file->settings, config->pipeline);
    buffer_init(&file->packed);
    identities_init(&file->identities, file->settings->keep_ms, file->settings->most);
    file->sink.ops = &file_sink;
    file->sink.wants = (struct sink_wants){.min_bytes = file->settings->flush_bytes,
                                           .max_wait_ms = file->settings->flush_ms};
    *sink = &file->sink;
    return ODS_OK;
}

static enum ods_status file_connect(struct sink *sink, struct error *error)
{
    return folder_open((struct file_sink *) sink, error);
}

static enum ods_status file_resume(struct sink *sink, struct position *positions, size_t count,
                                   struct error *error)
{
    struct file_sink *file = (struct file_sink *) sink;
    enum ods_status status = folder_lock(file, error);
    if (status != ODS_OK)
        return status;
    for (struct position *at = positions; at < positions + count; at++) {
        json_t *place = folder_place(file, at->topic, at->partition);
        at->offset = place ? json_integer_value(json_array_get(place, 0)) : OFFSET_NONE;
        at->stored_us = json_integer_value(json_array_get(place, 1));
    }
    folder_unlock(file);
    return ODS_OK;
}

/* --- applying ------------------------------------------------------------------------------- */

/* Are the stored offsets those at which the batch begins? *done: they are those at which it ends,
 * since its state was written by an earlier try whose outcome was not known. */
static enum ods_status check_offsets(const struct file_sink *file, const struct batch *batch,
                                     bool *done, struct error *error)
{
    const struct claim *moved = NULL;
    long long stands = 0;
    *done = batch->claim_count > 0;
    for (uint32_t i = 0; i < batch->claim_count; i++) {
        const struct claim *claim = &batch->claims[i];
        int64_t offset = folder_offset(file, claim->topic, claim->partition);
        *done &= offset == claim_end(claim);
        if (offset != claim->from) {
            moved = claim;
            stands = offset;
        }
    }
    if (*done || !moved)
        return ODS_OK;
    return error_set(error, ODS_FENCED,
                     "topic %s partition %d: the stored offset is %lld, not %lld", moved->topic,
                     (int) moved->partition, stands, (long long) moved->from);
}

static bool begins_anew(const struct file_settings *settings, const struct file_place *place,
                        const struct output_run *run, int64_t now_us)
{
    int64_t age_ms = (now_us - place->begun_us) / 1000;
    if (!place->length)
        return false;
    if (strcmp(place->name, run->name) != 0 || strcmp(place->ending, output_ending(settings)) != 0)
        return true; /* as the settings are now, it would be another file */
    if (run->header && (!place->header || strcmp(run->header, place->header) != 0))
        return true;
    return place->length >= settings->max_bytes ||
           (settings->max_age_ms && age_ms >= settings->max_age_ms);
}

/* What is written: the lines, after the names of the columns where a file of CSV begins, packed. */
static bool pack_run(struct file_sink *file, const struct output_run *run, bool begins)
{
    enum file_compression compression = file->settings->compression;
    buffer_reset(&file->packed);
    if (begins && run->header &&
        !pack(&file->packed, compression, run->header, strlen(run->header)))
        return false;
    return pack(&file->packed, compression, run->bytes.bytes, run->bytes.length);
}

/* Writes the lines after the valid bytes, into a new file when this one is full, and makes the
 * state count them. */
static enum ods_status append_run(struct file_sink *file, const struct output_run *run,
                                  struct error *error)
{
    char path[512];
    int64_t now_us = folder_now_us();
    struct file_place place = folder_files(file, run->name);
    if (begins_anew(file->settings, &place, run, now_us)) {
        place.number = folder_next_number(file, &place);
        place.length = 0;
    }
    if (!place.length)
        place.begun_us = now_us;
    if (!pack_run(file, run, !place.length))
        return error_out_of_memory(error);
    snprintf(path, sizeof path, "%s-%012lld.%s", run->name, (long long) place.number,
             output_ending(file->settings));
    int why =
        durable_append(file->folder, path, file->packed.bytes, file->packed.length, place.length);
    if (why == ENODATA)
        return folder_refuse(file, path, "it is shorter than state.json counts", error);
    if (why)
        return folder_trouble(file, path, why, error);
    place.length += (json_int_t) file->packed.length;
    place.name = run->name;
    place.ending = output_ending(file->settings);
    place.header = run->header;
    return folder_put_files(file, run->name, &place) ? ODS_OK : error_out_of_memory(error);
}

static enum ods_status append(struct file_sink *file, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < file->output.run_count; i++)
        if (file->output.runs[i].bytes.length)
            status = append_run(file, &file->output.runs[i], error);
    return status;
}

static enum ods_status commit(struct file_sink *file, struct batch *batch,
                              const struct apply_hooks *hooks, struct error *error)
{
    bool done = false;
    enum ods_status status = check_offsets(file, batch, &done, error);
    if (status == ODS_OK && done && fsync(file->folder))
        status = folder_trouble(file, "state.json", errno, error);
    if (status != ODS_OK || done)
        return status;
    if (hooks && hooks->before_commit && batch_letters_wait(batch))
        status = hooks->before_commit(hooks->context, batch, error);
    if (status == ODS_OK)
        status = append(file, error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->claim_count; i++)
        if (!folder_put_offset(file, &batch->claims[i]))
            status = error_out_of_memory(error);
    apply_hooks_phase(hooks, APPLY_COMMIT);
    return status == ODS_OK ? folder_write_state(file, error) : status;
}

/* --- records of queues ---------------------------------------------------------------------- */

/* Turns the errno of a failure to read or write the keys into an error; 0 is none. */
static enum ods_status judge_keys(const struct file_sink *file, int why, struct error *error)
{
    if (why == ENODATA)
        return folder_refuse(file, "the files of delivered records",
                             "shorter than state.json counts", error);
    return why ? folder_trouble(file, "delivered records", why, error) : ODS_OK;
}

/* Called with the lock held. Records that the folder has are not written again, but the state that
 * has them must be on disk before they are settled. New ones are stored together with their
 * lines. */
static enum ods_status commit_deliveries(struct file_sink *file, struct batch *batch,
                                         const struct apply_hooks *hooks,
                                         struct apply_result *result, struct error *error)
{
    struct identities *identities = &file->identities;
    enum ods_status status =
        judge_keys(file, identities_look(identities, file->folder, file->state, batch), error);
    if (status == ODS_OK)
        status = output_fill(&file->output, batch, error);
    if (status == ODS_OK && !identities->fresh)
        status = fsync(file->folder) ? folder_trouble(file, "state.json", errno, error) : ODS_OK;
    if (status == ODS_OK && identities->fresh) {
        status = judge_keys(
            file, identities_put(identities, file->folder, file->state, folder_now_us()), error);
        if (status == ODS_OK)
            status = commit(file, batch, hooks, error);
    }
    if (status != ODS_OK)
        return status;
    identities_committed(identities, file->folder);
    result->upserted += file->output.lines;
    result->redelivered += identities_count(identities, batch);
    return ODS_OK;
}

static enum ods_status file_apply(struct sink *sink, struct batch *batch,
                                  const struct apply_hooks *hooks, struct apply_result *result,
                                  struct error *error)
{
    struct file_sink *file = (struct file_sink *) sink;
    enum ods_status status = ODS_OK;
    if (!batch->delivers)
        status = output_fill(&file->output, batch, error);
    if (status == ODS_OK)
        status = folder_lock(file, error);
    if (status != ODS_OK)
        return status;
    status = batch->delivers ? commit_deliveries(file, batch, hooks, result, error)
                             : commit(file, batch, hooks, error);
    folder_unlock(file);
    if (status == ODS_OK && !batch->delivers)
        result->upserted += file->output.lines;
    return status;
}

static enum ods_status file_check(struct sink *sink,
                                  void (*report)(void *context, const char *line), void *context,
                                  struct error *error)
{
    const struct file_sink *file = (const struct file_sink *) sink;
    const char *directory = file->settings->directory;
    char line[4096];
    if (access(directory, W_OK | X_OK))
        return error_set(error, ODS_FATAL, "target %s: the folder %s can't be written: %s",
                         file->config.name, directory, strerror(errno));
    snprintf(line, sizeof line, "target %s: folder %s", file->config.name, directory);
    report(context, line);
    return ODS_OK;
}

static void file_interrupt(struct sink *sink)
{
    atomic_store(&((struct file_sink *) sink)->interrupted, true);
}

static void file_clear_interrupt(struct sink *sink)
{
    atomic_store(&((struct file_sink *) sink)->interrupted, false);
}

const struct sink_ops file_sink = {
    .type = "file",
    .summary = "changes as lines of JSON or CSV in rotated files, offsets beside them",
    .guarantee = EXACT_BY_STORED_OFFSET,
    .identities = "a record is delivered again within the target's delivered.keep_ms, and before "
                  "half of delivered.max_records others",
    .settings = &file_settings_group,
    .open = file_open,
    .connect = file_connect,
    .resume = file_resume,
    .apply = file_apply,
    .check = file_check,
    .interrupt = file_interrupt,
    .clear_interrupt = file_clear_interrupt,
    .close = file_close,
};
