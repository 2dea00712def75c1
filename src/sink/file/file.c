/* Changes as JSON lines in rotated files, each exactly once.
 *
 * A group has a folder: changes-000000000001.jsonl and so on, and state.json, which says how many
 * bytes of the last one count and which records they come from. A batch is appended behind that
 * length and made durable, then a new state takes the place of the old one by rename(2): rows and
 * offsets are there together or not at all. What a crash left behind the length is cut off by the
 * next writer. Lanes and processes of a group take turns by a lock on the folder, which ends with
 * its holder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include <ods/durable.h>
#include <ods/lines.h>
#include <ods/sink.h>

#define LOCK_STEP_MS 5
#define LOCK_WAIT_MS 2000
#define MIB          INT64_C(1048576)

struct file_settings {
    const char *directory;
    int64_t max_bytes, max_age_ms, flush_bytes, flush_ms;
};

struct file_sink {
    struct sink sink;
    struct sink_config config;
    const struct file_settings *settings;
    int folder;          /* -1: not open */
    json_t *state;       /* as read under the lock: "positions" {topic: {partition: …}} and */
    json_int_t number;   /* "file": of the data file that is being written, from 1 */
    json_int_t length;   /* "length": the bytes of it that count */
    json_int_t begun_us; /* "begun_us": when its first line was written, wall clock */
    struct buffer lines;
    atomic_bool interrupted;
};

extern const struct sink_ops file_sink;

#define AT(member) offsetof(struct file_settings, member)

static const struct setting rows[] = {
    {"directory", SETTING_STRING, AT(directory), .min = 1, .max = 3000, .flags = SETTING_REQUIRED,
     .doc = "A folder that is there. Each pipeline's group has its own in it: "
            "`changes-000000000001.jsonl` and so on, a JSON object a change, and `state.json`. A "
            "reader takes the files whose numbers are below the `file` of `state.json` whole, and "
            "of that one the first `length` bytes: what lies behind them is not committed. "
            "`dlq replay --force` writes letters apart, into a folder named `<group>.dlq`."},
    {"max_bytes", SETTING_BYTES, AT(max_bytes), "134217728", .min = 1024, .max = MIB * MIB,
     .doc = "A new file begins when this one has so many bytes."},
    {"max_age_ms", SETTING_MS, AT(max_age_ms), "0", .min = 0, .max = INT64_C(31536000000),
     .doc = "Or, with the next changes, when its first ones are so old. 0: never."},
    {"flush_bytes", SETTING_BYTES, AT(flush_bytes), "1048576", .min = 0, .max = 1024 * MIB,
     .doc = "Changes are written when their records have so many bytes together."},
    {"flush_ms", SETTING_MS, AT(flush_ms), "1000", .min = 0, .max = 600000,
     .doc = "Or when the oldest has waited so long. Each time costs two fsyncs."},
};

static const struct setting_group settings_group = {
    .title = "targets of type `file`",
    .intro = "Changes as JSON lines: operation, table, key, before, after, the source's time and the "
             "record's place. Nothing is folded: each change is a line, exactly once, in the order "
             "of its partition. Of a table's settings `skip` and `columns.*` count. Where `state.json` "
             "or lines are not as they were left, the pipeline stops and touches nothing. A process "
             "that stands still while it writes holds the others up until it goes on or ends.",
    .size = sizeof(struct file_settings),
    SETTING_ROWS(rows),
};

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static enum ods_status trouble(const struct file_sink *file, const char *what, int why,
                               struct error *error)
{
    return error_set(error, ODS_RETRY, "target %s: %s: %s", file->config.name, what, strerror(why));
}

static void file_close(struct sink *sink)
{
    struct file_sink *file = (struct file_sink *) sink;
    if (!file)
        return;
    if (file->folder >= 0)
        close(file->folder);
    json_decref(file->state);
    buffer_done(&file->lines);
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
    file->sink.ops = &file_sink;
    file->sink.wants = (struct sink_wants){.min_bytes = file->settings->flush_bytes,
                                           .max_wait_ms = file->settings->flush_ms};
    *sink = &file->sink;
    return ODS_OK;
}

/* --- the folder and its state --------------------------------------------------------------- */

/* A folder that can't be made or entered is for somebody to see to; a full disk passes. */
static enum ods_status file_connect(struct sink *sink, struct error *error)
{
    struct file_sink *file = (struct file_sink *) sink;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", file->settings->directory, file->config.group);
    if (file->folder < 0 && (mkdir(path, 0755) == 0 || errno == EEXIST))
        file->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder >= 0)
        return ODS_OK;
    return error_set(error, errno == ENOSPC || errno == EMFILE ? ODS_RETRY : ODS_FATAL,
                     "target %s: can't make or open the folder %s: %s", file->config.name, path,
                     strerror(errno));
}

/* It is for somebody to see to, and nothing is written until then. */
static enum ods_status refuse(const struct file_sink *file, const char *what, const char *why,
                              struct error *error)
{
    return error_set(error, ODS_FATAL,
                     "target %s: %s in %s/%s is not as ods-sink left it (%s): put back a copy of it, "
                     "or move the folder away to begin anew",
                     file->config.name, what, file->settings->directory, file->config.group, why);
}

static enum ods_status write_state(struct file_sink *file, struct error *error)
{
    bool good = json_object_set_new(file->state, "file", json_integer(file->number)) == 0 &&
                json_object_set_new(file->state, "length", json_integer(file->length)) == 0 &&
                json_object_set_new(file->state, "begun_us", json_integer(file->begun_us)) == 0;
    char *text = good ? json_dumps(file->state, JSON_INDENT(1)) : NULL;
    if (!text)
        return error_out_of_memory(error);
    int why = durable_replace(file->folder, "state.json", text, strlen(text));
    free(text);
    return why ? trouble(file, "can't write state.json", why, error) : ODS_OK;
}

/* A folder without files begins with a state that says so: where files are, a state was. */
static enum ods_status begin_state(struct file_sink *file, struct error *error)
{
    int copy = openat(file->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    bool begun = false;
    if (!entries)
        return trouble(file, "can't list the folder", errno, error);
    for (struct dirent *entry; !begun && (entry = readdir(entries));)
        begun = strncmp(entry->d_name, "changes-", strlen("changes-")) == 0;
    closedir(entries);
    if (begun)
        return refuse(file, "state.json", "it is gone, and files of changes are there", error);
    file->state = json_pack("{s:{}}", "positions");
    file->number = 1;
    file->length = file->begun_us = 0;
    return file->state ? write_state(file, error) : error_out_of_memory(error);
}

static enum ods_status read_state(struct file_sink *file, struct error *error)
{
    json_error_t why = {0};
    json_t *positions;
    int fd = openat(file->folder, "state.json", O_RDONLY | O_CLOEXEC);
    json_decref(file->state);
    file->state = NULL;
    if (fd < 0)
        return errno == ENOENT ? begin_state(file, error)
                               : trouble(file, "can't read state.json", errno, error);
    file->state = json_loadfd(fd, 0, &why);
    close(fd);
    if (json_unpack(file->state, "{s:I, s:I, s:I, s:o}", "file", &file->number, "length",
                    &file->length, "begun_us", &file->begun_us, "positions", &positions) == 0 &&
        json_is_object(positions) && file->number > 0 && file->length >= 0)
        return ODS_OK;
    return refuse(file, "state.json", *why.text ? why.text : "a member is missing", error);
}

/* [next offset, when it was stored]; NULL: nothing is. */
static json_t *place_of(const struct file_sink *file, const char *topic, int32_t partition)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int) partition);
    return json_object_get(json_object_get(json_object_get(file->state, "positions"), topic), name);
}

static int64_t offset_of(const struct file_sink *file, const char *topic, int32_t partition)
{
    json_t *place = place_of(file, topic, partition);
    return place ? json_integer_value(json_array_get(place, 0)) : OFFSET_NONE;
}

static bool put_offset(struct file_sink *file, const struct claim *claim)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int) claim->partition);
    json_t *positions = json_object_get(file->state, "positions");
    json_t *place = json_pack("{s:{s:[I,I]}}", claim->topic, name, (json_int_t) claim_end(claim),
                              (json_int_t) wall_us());
    bool good = place && json_object_update_recursive(positions, place) == 0;
    json_decref(place);
    return good;
}

static enum ods_status lock(struct file_sink *file, struct error *error)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};
    enum ods_status status = file_connect(&file->sink, error);
    if (status != ODS_OK)
        return status;
    for (int waited = 0; flock(file->folder, LOCK_EX | LOCK_NB); waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return trouble(file, "can't lock the folder", errno, error);
        if (atomic_exchange(&file->interrupted, false))
            return error_set(error, ODS_RETRY, "target %s: interrupted", file->config.name);
        if (waited >= LOCK_WAIT_MS)
            return error_set(error, ODS_RETRY,
                             "target %s: another lane or process of group %s holds the folder",
                             file->config.name, file->config.group);
        nanosleep(&step, NULL);
    }
    status = read_state(file, error);
    if (status != ODS_OK)
        flock(file->folder, LOCK_UN);
    return status;
}

static enum ods_status file_resume(struct sink *sink, struct position *positions, size_t count,
                                   struct error *error)
{
    struct file_sink *file = (struct file_sink *) sink;
    enum ods_status status = lock(file, error);
    if (status != ODS_OK)
        return status;
    for (struct position *at = positions; at < positions + count; at++) {
        json_t *place = place_of(file, at->topic, at->partition);
        at->offset = place ? json_integer_value(json_array_get(place, 0)) : OFFSET_NONE;
        at->stored_us = json_integer_value(json_array_get(place, 1));
    }
    flock(file->folder, LOCK_UN);
    return ODS_OK;
}

/* --- applying ------------------------------------------------------------------------------- */

/* Do the stored offsets stand where the batch begins? *done: they stand where it ends, as its state
 * was written and only the answer was lost. */
static enum ods_status check_offsets(const struct file_sink *file, const struct batch *batch,
                                     bool *done, struct error *error)
{
    const struct claim *moved = NULL;
    long long stands = 0;
    *done = batch->claim_count > 0;
    for (uint32_t i = 0; i < batch->claim_count; i++) {
        const struct claim *claim = &batch->claims[i];
        int64_t offset = offset_of(file, claim->topic, claim->partition);
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

/* Put the lines behind what counts, and count them; in a new file when this one is full. */
static enum ods_status append(struct file_sink *file, struct error *error)
{
    const struct file_settings *settings = file->settings;
    int64_t now_us = wall_us(), age_ms = (now_us - file->begun_us) / 1000;
    char name[64];
    if (!file->lines.length)
        return ODS_OK;
    if (file->length && (file->length >= settings->max_bytes ||
                         (settings->max_age_ms && age_ms >= settings->max_age_ms))) {
        file->number++;
        file->length = 0;
    }
    if (!file->length)
        file->begun_us = now_us;
    snprintf(name, sizeof name, "changes-%012lld.jsonl", (long long) file->number);
    int why =
        durable_append(file->folder, name, file->lines.bytes, file->lines.length, file->length);
    if (why == ENODATA)
        return refuse(file, name, "it is shorter than state.json counts", error);
    file->length += (json_int_t) file->lines.length;
    return why ? trouble(file, name, why, error) : ODS_OK;
}

static enum ods_status commit(struct file_sink *file, struct batch *batch,
                              const struct apply_hooks *hooks, struct error *error)
{
    bool done = false;
    enum ods_status status = check_offsets(file, batch, &done, error);
    if (status == ODS_OK && done && fsync(file->folder))
        status = trouble(file, "state.json", errno, error);
    if (status != ODS_OK || done)
        return status;
    if (hooks && hooks->before_commit && batch_letters_wait(batch))
        status = hooks->before_commit(hooks->context, batch, error);
    if (status == ODS_OK)
        status = append(file, error);
    for (uint32_t i = 0; status == ODS_OK && i < batch->claim_count; i++)
        if (!put_offset(file, &batch->claims[i]))
            status = error_out_of_memory(error);
    return status == ODS_OK ? write_state(file, error) : status;
}

static enum ods_status file_apply(struct sink *sink, struct batch *batch,
                                  const struct apply_hooks *hooks, struct apply_result *result,
                                  struct error *error)
{
    struct file_sink *file = (struct file_sink *) sink;
    uint64_t count = 0;
    buffer_reset(&file->lines);
    enum ods_status status =
        lines_put_all(&file->lines, batch, file->config.pipeline, &count, error);
    if (status == ODS_OK)
        status = lock(file, error);
    if (status != ODS_OK)
        return status;
    status = commit(file, batch, hooks, error);
    flock(file->folder, LOCK_UN);
    result->upserted += status == ODS_OK ? count : 0;
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
    .summary = "changes as JSON lines in rotated files, offsets beside them",
    .guarantee = EXACT_BY_STORED_OFFSET,
    .settings = &settings_group,
    .open = file_open,
    .connect = file_connect,
    .resume = file_resume,
    .apply = file_apply,
    .check = file_check,
    .interrupt = file_interrupt,
    .clear_interrupt = file_clear_interrupt,
    .close = file_close,
};
