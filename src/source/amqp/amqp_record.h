/* A message that was received: its bytes, and what a record needs of it. Shared by the queue, which
 * keeps it until it is settled, and the batch whose record points into it. */
#ifndef AMQP_RECORD_H
#define AMQP_RECORD_H

#include <ods/batch.h>
#include "source/amqp/amqp_message.h"

struct amqp_block;

/* With room for so many bytes; NULL when memory is out. */
struct amqp_block *amqp_block_new(size_t room);
/* Room at its end for `more` bytes, which then count; the block may move. NULL when memory is out:
 * *block is as it was. */
char *amqp_block_take(struct amqp_block **block, size_t more);
/* More than is allowed has come: what is kept of it becomes a dead letter that says so. */
void amqp_block_cut(struct amqp_block *block);
size_t amqp_block_length(const struct amqp_block *block); /* of the message, up to now */
size_t amqp_block_bytes(const struct amqp_block *block);  /* of memory */

/* All of it is there. `identity` and `key` say where a message has them. */
void amqp_block_read(struct amqp_block *block, const char *identity, const char *key);
/* The record, without topic and offset; it owns a share of the block. */
void amqp_block_record(struct amqp_block *block, struct record *record);

void amqp_block_release(void *block); /* a share of it. Any thread */
/* The application's properties. */
size_t amqp_block_headers(const struct record *record, struct header *headers, size_t max);

#endif
