/* Where dead letters are. See letter_store.h. */
#include "cli/letter_store.h"

#include <stdlib.h>

#include "core/utf8.h"
#include "sink/postgres/letters/letters.h"
#include "source/file/file_line.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

enum ods_status letter_store_open(struct letter_store *store, const struct settings *settings,
                                  struct error *error)
{
    const struct dead_letter_settings *own = &settings->dead_letter;
    if (!*own->table) {
        *store = (struct letter_store){.name = own->topic,
                                       .kind = "topic",
                                       .headers = kafka_headers,
                                       .release = kafka_release};
        return kafka_tool_open(&store->tool, settings, settings->kafka.group_id, error);
    }
    *store = (struct letter_store){
        .name = own->table, .kind = "table", .headers = letter_headers, .release = free};
    store->letters = letters_new(settings_postgres(settings, own->target), own->table);
    return store->letters ? ODS_OK : error_out_of_memory(error);
}

void letter_store_close(struct letter_store *store)
{
    kafka_tool_close(store->tool);
    letters_free(store->letters);
}

const char *letter_store_header(const struct letter_store *store, const struct record *letter,
                                const char *name, size_t *length)
{
    return store->tool ? kafka_header(letter, name, length)
                       : letter_header(letter, store->headers, name, length);
}

const char *letter_store_text(const struct letter_store *store, const struct record *letter,
                              const char *name, size_t most, size_t *length)
{
    const char *value = letter_store_header(store, letter, name, length);
    if (value && *length > most)
        *length = utf8_cut(value, most);
    return value;
}

enum ods_status letter_store_partitions(struct letter_store *store, int32_t *count,
                                        struct error *error)
{
    *count = 1;
    return store->tool ? kafka_tool_partitions(store->tool, store->name, count, error) : ODS_OK;
}

/* --- a table ---------------------------------------------------------------------------------- */

struct reading {
    bool (*take)(void *context, const struct record *record);
    void *context;
    struct error *error;
    enum ods_status status;
};

static bool take_line(void *context, int64_t id, int64_t at_ms, const char *letter, size_t length)
{
    struct reading *reading = context;
    struct file_line line;
    struct arena arena;
    struct record record;
    arena_init(&arena);
    reading->status = file_line_read(&line, (struct slice){letter, length}, &arena, reading->error);
    if (reading->status == ODS_OK && !file_line_record(&line, &record))
        reading->status = error_out_of_memory(reading->error);
    arena_done(&arena);
    if (reading->status == ODS_REJECT) { /* a row that somebody else has put there */
        reading->status = ODS_OK;
        return true;
    }
    if (reading->status != ODS_OK)
        return false;
    record.topic = "";
    record.partition = 0;
    record.offset = id;
    record.timestamp_ms = at_ms;
    return reading->take(reading->context, &record);
}

enum ods_status letter_store_read(struct letter_store *store, const int64_t *froms,
                                  bool (*take)(void *context, const struct record *record),
                                  void *context, struct error *error)
{
    struct reading reading = {take, context, error, ODS_OK};
    if (store->tool)
        return kafka_tool_read(store->tool, store->name, froms, take, context, error);
    enum ods_status status =
        letters_read(store->letters, froms ? froms[0] - 1 : 0, take_line, &reading, error);
    return status == ODS_OK ? reading.status : status;
}
