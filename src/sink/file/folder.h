/* The folder of a group. The sinks of a file target take turns in it. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdatomic.h>

#include <jansson.h>

#include <ods/buffer.h>
#include <ods/sink.h>

#include "sink/file/identities.h"
#include "sink/file/output.h"
#include "sink/file/settings.h"

struct file_sink {
    struct sink sink;
    struct sink_config config;
    const struct file_settings *settings;
    int folder;    /* -1: not open */
    json_t *state; /* as read under the lock: "positions" {topic: {partition: …}} and the places of
                      the data files */
    struct output output;
    struct buffer packed;
    struct identities identities; /* of records from queues */
    atomic_bool interrupted;
};

/* Where the data files of a name end: members of the state itself, or where tables have their own
 * names, of its "files". */
struct file_place {
    json_int_t number;   /* "file": of the current data file; the first is 1 */
    json_int_t length;   /* "length": how many of its bytes are valid */
    json_int_t begun_us; /* "begun_us": when its first line was written, wall clock */
    const char *name;    /* "name", of the state itself: how the file's name begins */
    const char *ending;  /* "ending": "jsonl" */
    const char *header;  /* "header": its first line, CSV; NULL: it has none. The texts are
                            valid until the place is put, or the state read again */
};

int64_t folder_now_us(void); /* wall clock */

/* A failure that may end by itself: ODS_RETRY. `why` is an errno. */
enum ods_status folder_trouble(const struct file_sink *file, const char *what, int why,
                               struct error *error);
/* A failure that somebody must repair; nothing is written until then: ODS_FATAL. */
enum ods_status folder_refuse(const struct file_sink *file, const char *what, const char *why,
                              struct error *error);

/* Make the folder if it is not there, and open it. */
enum ods_status folder_open(struct file_sink *file, struct error *error);
/* Wait for the lock, two seconds at most, and read the state. */
enum ods_status folder_lock(struct file_sink *file, struct error *error);
void folder_unlock(struct file_sink *file);

/* Called with the lock held. False: out of memory; the place is valid once the state is written. */
json_int_t folder_next_number(const struct file_sink *file, const struct file_place *place);
struct file_place folder_files(const struct file_sink *file, const char *name);
bool folder_put_files(struct file_sink *file, const char *name, const struct file_place *place);

/* Called with the lock held: [next offset, when it was stored]; NULL: nothing is stored for the
 * partition. */
json_t *folder_place(const struct file_sink *file, const char *topic, int32_t partition);
int64_t folder_offset(const struct file_sink *file, const char *topic, int32_t partition);
/* Sets an offset, which is valid once the state is written. False: out of memory. */
bool folder_put_offset(struct file_sink *file, const struct claim *claim);
enum ods_status folder_write_state(struct file_sink *file, struct error *error);

#endif
