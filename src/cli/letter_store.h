/* Where dead letters are, for commands: a topic of Kafka, or a table of a PostgreSQL target, whose
 * letters are in partition 0 under their ids as offsets. */
#ifndef LETTER_STORE_H
#define LETTER_STORE_H

#include "cli/letter.h"

struct settings; /* config/settings.h */

struct letter_store {
    const char *name; /* the topic, or the table */
    const char *kind; /* "topic" or "table" */
    letter_headers_of *headers;
    void (*release)(void *owner);
    struct kafka_tool *tool; /* one of both */
    struct letters *letters;
};

/* ODS_FATAL: there is no such place, or the configuration does not do. */
enum ods_status letter_store_open(struct letter_store *store, const struct settings *settings,
                                  struct error *error);
void letter_store_close(struct letter_store *store);

/* The last header of that name; NULL: there is none. */
const char *letter_store_header(const struct letter_store *store, const struct record *letter,
                                const char *name, size_t *length);
/* The same, of a header with a text: of a longer one its first `most` bytes, without a part of a
 * character. */
const char *letter_store_text(const struct letter_store *store, const struct record *letter,
                              const char *name, size_t most, size_t *length);
enum ods_status letter_store_partitions(struct letter_store *store, int32_t *count,
                                        struct error *error);
/* As kafka_tool_read(): take() owns the record's owner, which store->release() frees. */
enum ods_status letter_store_read(struct letter_store *store, const int64_t *froms,
                                  bool (*take)(void *context, const struct record *record),
                                  void *context, struct error *error);

#endif
