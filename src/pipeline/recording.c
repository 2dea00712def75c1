/* Drives a source as a lane does, without any policy. See recording.h. */
#include "pipeline/recording.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <ods/source.h>

struct recording {
    const struct source_ops *ops;
    struct source *source;
    void *settings;
    struct place came; /* a partition that is yet to be started; no topic: none */
    bool (*stop)(void); /* NULL: nobody stops it */
    uint64_t line;
};

static void assigned(void *context, const struct place *places, size_t count)
{
    struct recording *recording = context;
    recording->came = places[0]; /* a file has one first line at a time */
    recording->came.offset = POSITION_BEGINNING;
}

static void revoked(void *context, const struct place *places, size_t count, bool lost)
{
}

static void acknowledged(void *context, const struct place *places, size_t count)
{
}

/* As from tables.yaml, where a file says no more than its path; lines are as long as they may
 * be. */
static void *make_settings(const struct setting_group *group, const char *path)
{
    char *settings = calloc(1, group->size);
    SETTINGS_EACH(row, group)
    {
        void *field = settings ? settings + row->offset : NULL;
        if (field && row->type == SETTING_STRING)
            *(const char **) field = strcmp(row->name, "path") == 0 ? path : "";
        else if (field && row->type == SETTING_BYTES)
            *(int64_t *) field = row->max;
    }
    return settings;
}

enum ods_status recording_open(struct recording **out, const char *path, struct error *error)
{
    struct recording *recording = calloc(1, sizeof *recording);
    enum ods_status status = ODS_FATAL;
    *out = NULL;
    if (!recording)
        return error_set(error, ODS_FATAL, "out of memory");
    recording->ops = source_find("file");
    recording->settings = make_settings(recording->ops->settings, path);
    const struct source_config config = {.settings = recording->settings,
                                         .wake_fd = -1,
                                         .events = {assigned, revoked, acknowledged, recording}};
    if (recording->settings)
        status = recording->ops->open(&recording->source, &config, error);
    else
        error_set(error, ODS_FATAL, "out of memory");
    if (status != ODS_OK) {
        recording_close(recording);
        return status;
    }
    recording->ops->join(recording->source);
    *out = recording;
    return ODS_OK;
}

void recording_close(struct recording *recording)
{
    if (!recording)
        return;
    recording->ops->close(recording->source);
    free(recording->settings);
    free(recording);
}

static enum ods_status append(const struct recording *recording, struct batch *batch,
                              const struct record *record, struct error *error)
{
    struct record *slot = batch_add_record(batch);
    if (!slot) {
        recording->ops->release(record->owner);
        return error_set(error, ODS_FATAL, "out of memory");
    }
    *slot = *record;
    batch->release = recording->ops->release;
    batch->headers = recording->ops->headers;
    batch->payload_bytes += record->key_length + record->value_length;
    return ODS_OK;
}

/* Until there may be more. True: there will be nothing. */
static bool wait_for_more(struct recording *recording)
{
    struct source_state state;
    struct pollfd ready = {.events = POLLIN};
    recording->ops->look(recording->source, &state);
    if (state.ended)
        return true;
    ready.fd = recording->ops->poll_fd(recording->source);
    poll(&ready, 1, (int) recording->ops->turn(recording->source));
    return recording->stop && recording->stop();
}

void recording_stop_when(struct recording *recording, bool (*stop)(void))
{
    recording->stop = stop;
}

enum ods_status recording_read(struct recording *recording, struct batch *batch, bool *end,
                               struct error *error)
{
    struct record record = {0};
    *end = false;
    error_init(error);
    for (;;) {
        enum ods_status status = ODS_OK;
        if (recording->came.topic)
            status = recording->ops->start(recording->source, &recording->came, 1, error);
        if (status != ODS_OK)
            return status;
        recording->came.topic = NULL;
        switch (recording->ops->next(recording->source, &record, error)) {
        case SOURCE_RECORD:
            return append(recording, batch, &record, error);
        case SOURCE_FAILED:
            recording->line = (uint64_t) record.offset;
            return error->fault == FAULT_ROW ? ODS_REJECT : ODS_FATAL;
        case SOURCE_NOTHING:
            *end = !recording->came.topic && wait_for_more(recording);
            break;
        default: /* of a partition: its end */
            break;
        }
        if (*end)
            return ODS_OK;
    }
}

uint64_t recording_line(const struct recording *recording)
{
    return recording->line;
}
