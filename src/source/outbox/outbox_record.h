/* A row of an outbox as a record: an envelope as Debezium writes them. */
#ifndef OUTBOX_RECORD_H
#define OUTBOX_RECORD_H

#include <ods/batch.h>
#include "sink/postgres/outbox/outbox.h"

/* A record and what it points to, in one piece of memory. */
struct outbox_block {
    struct outbox_block *next;
    struct record record; /* record.owner is the block; record.topic is the caller's to set */
    size_t bytes;
    char id[24];
    char *name;
};

/* NULL: memory is out. */
struct outbox_block *outbox_block_new(const char *name, const struct outbox_row *row);
void outbox_block_release(void *owner);
size_t outbox_block_headers(const struct record *record, struct header *headers, size_t max);

#endif
