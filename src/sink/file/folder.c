/* The folder of a group: its lock, and state.json, which says which bytes of its files are
 * valid. */
#include "sink/file/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <ods/durable.h>

#define LOCK_STEP_MS 5
#define LOCK_WAIT_MS 2000

int64_t folder_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

enum ods_status folder_trouble(const struct file_sink *file, const char *what, int why,
                               struct error *error)
{
    return error_set(error, ODS_RETRY, "target %s: %s: %s", file->config.name, what, strerror(why));
}

/* A folder that can't be made or opened is an error that somebody must repair; for a full disk the
 * sink waits. */
enum ods_status folder_open(struct file_sink *file, struct error *error)
{
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

/* Somebody must repair the cause; nothing is written until then. */
enum ods_status folder_refuse(const struct file_sink *file, const char *what, const char *why,
                              struct error *error)
{
    return error_set(error, ODS_FATAL,
                     "target %s: %s in %s/%s is not as ods-sink left it (%s): put back a copy of "
                     "it, or move the folder away to begin anew",
                     file->config.name, what, file->settings->directory, file->config.group, why);
}

enum ods_status folder_write_state(struct file_sink *file, struct error *error)
{
    char *text = json_dumps(file->state, JSON_INDENT(1));
    if (!text)
        return error_out_of_memory(error);
    int why = durable_replace(file->folder, "state.json", text, strlen(text));
    free(text);
    return why ? folder_trouble(file, "can't write state.json", why, error) : ODS_OK;
}

/* Is it the name of a data file? */
static bool is_data(const char *name)
{
    static const char *const endings[] = {".jsonl", ".csv", ".gz", ".zst"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const char *at = strrchr(name, '.');
        if (at && strcmp(at, endings[i]) == 0)
            return true;
    }
    return false;
}

/* Writes the first state of an empty folder. A folder that has data files but no state has lost it,
 * which is an error. */
static enum ods_status begin_state(struct file_sink *file, struct error *error)
{
    int copy = openat(file->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    bool begun = false;
    if (!entries)
        return folder_trouble(file, "can't list the folder", errno, error);
    for (struct dirent *entry; !begun && (entry = readdir(entries));)
        begun = is_data(entry->d_name);
    closedir(entries);
    if (begun)
        return folder_refuse(file, "state.json", "it is gone, and files of changes are there",
                             error);
    file->state =
        output_is_single(file->settings)
            ? json_pack("{s:i, s:i, s:i, s:{}}", "file", 1, "length", 0, "begun_us", 0, "positions")
            : json_pack("{s:{}, s:{}}", "files", "positions");
    return file->state ? folder_write_state(file, error) : error_out_of_memory(error);
}

static bool is_place(const json_t *place)
{
    json_int_t number, length, begun_us;
    return json_unpack((json_t *) place, "{s:I, s:I, s:I}", "file", &number, "length", &length,
                       "begun_us", &begun_us) == 0 &&
           number > 0 && length >= 0;
}

/* A folder may have been written under one name, and go on with names of tables, or the other way
 * round. */
static bool is_state(const json_t *state)
{
    const json_t *files = json_object_get(state, "files"), *place;
    const char *name;
    if (!json_is_object(json_object_get(state, "positions")))
        return false;
    if (files && !json_is_object(files))
        return false;
    json_object_foreach((json_t *) files, name, place) if (!is_place(place)) return false;
    return is_place(state) || (files && !json_object_get(state, "file"));
}

static enum ods_status read_state(struct file_sink *file, struct error *error)
{
    json_error_t why = {0};
    int fd = openat(file->folder, "state.json", O_RDONLY | O_CLOEXEC);
    json_decref(file->state);
    file->state = NULL;
    if (fd < 0)
        return errno == ENOENT ? begin_state(file, error)
                               : folder_trouble(file, "can't read state.json", errno, error);
    file->state = json_loadfd(fd, 0, &why);
    close(fd);
    if (is_state(file->state))
        return ODS_OK;
    return folder_refuse(file, "state.json", *why.text ? why.text : "a member is missing", error);
}

static json_t *files_of(const struct file_sink *file, const char *name)
{
    return output_is_single(file->settings)
               ? file->state
               : json_object_get(json_object_get(file->state, "files"), name);
}

/* The largest number that a file of another arrangement may have: one name for all, or names of
 * tables. */
static json_int_t numbers_of_others(const struct file_sink *file)
{
    const json_t *place;
    const char *name;
    if (!output_is_single(file->settings))
        return json_integer_value(json_object_get(file->state, "file"));
    json_int_t most = 0;
    json_object_foreach(json_object_get(file->state, "files"), name, place)
    {
        json_int_t number = json_integer_value(json_object_get(place, "file"));
        most = number > most ? number : most;
    }
    return most;
}

/* A name may have been one of the other arrangement, whose files stay. */
json_int_t folder_next_number(const struct file_sink *file, const struct file_place *place)
{
    json_int_t others = numbers_of_others(file);
    return (place->number > others ? place->number : others) + 1;
}

/* Where the state does not say it, it is from before there were others. */
static const char *text_of(const json_t *place, const char *name, const char *fallback)
{
    const char *text = json_string_value(json_object_get(place, name));
    return text ? text : fallback;
}

struct file_place folder_files(const struct file_sink *file, const char *name)
{
    const json_t *there = files_of(file, name);
    struct file_place place = {
        .number = json_integer_value(json_object_get(there, "file")),
        .length = json_integer_value(json_object_get(there, "length")),
        .begun_us = json_integer_value(json_object_get(there, "begun_us")),
        .name = text_of(there, "name", output_is_single(file->settings) ? "changes" : name),
        .ending = text_of(there, "ending", "jsonl"),
        .header = json_string_value(json_object_get(there, "header")),
    };
    if (place.number < 1)
        place.number = folder_next_number(file, &place);
    return place;
}

bool folder_put_files(struct file_sink *file, const char *name, const struct file_place *place)
{
    json_t *now = json_pack("{s:I, s:I, s:I, s:s, s:s, s:s*}", "file", place->number, "length",
                            place->length, "begun_us", place->begun_us, "name", place->name,
                            "ending", place->ending, "header", place->header);
    bool good;
    if (output_is_single(file->settings)) {
        good = now && json_object_update(file->state, now) == 0;
        json_decref(now);
        return good;
    }
    if (!json_object_get(file->state, "files"))
        json_object_set_new(file->state, "files", json_object());
    return now && json_object_set_new(json_object_get(file->state, "files"), name, now) == 0;
}

/* The entry [next offset, when it was stored]; NULL: there is none. */
json_t *folder_place(const struct file_sink *file, const char *topic, int32_t partition)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int) partition);
    return json_object_get(json_object_get(json_object_get(file->state, "positions"), topic), name);
}

int64_t folder_offset(const struct file_sink *file, const char *topic, int32_t partition)
{
    json_t *place = folder_place(file, topic, partition);
    return place ? json_integer_value(json_array_get(place, 0)) : OFFSET_NONE;
}

bool folder_put_offset(struct file_sink *file, const struct claim *claim)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int) claim->partition);
    json_t *positions = json_object_get(file->state, "positions");
    json_t *place = json_pack("{s:{s:[I,I]}}", claim->topic, name, (json_int_t) claim_end(claim),
                              (json_int_t) folder_now_us());
    bool good = place && json_object_update_recursive(positions, place) == 0;
    json_decref(place);
    return good;
}

enum ods_status folder_lock(struct file_sink *file, struct error *error)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};
    enum ods_status status = folder_open(file, error);
    if (status != ODS_OK)
        return status;
    for (int waited = 0; flock(file->folder, LOCK_EX | LOCK_NB); waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return folder_trouble(file, "can't lock the folder", errno, error);
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
        folder_unlock(file);
    return status;
}

void folder_unlock(struct file_sink *file)
{
    flock(file->folder, LOCK_UN);
}
