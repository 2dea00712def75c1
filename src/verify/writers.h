/* Which record wrote a row last, as far as the ends of the table's topic tell: for tables that do
 * not keep it in columns of their own. Used by one thread. */
#ifndef WRITERS_H
#define WRITERS_H

#include <ods/batch.h>
#include "core/hash_index.h"
#include "verify/arrival.h"
#include "verify/comparison.h"
#include "verify/digest.h"

struct writer {
    struct digest key;
    int32_t partition;
    int64_t offset;
};

struct writers {
    char topic[256];     /* "": not known, and nothing is found */
    int64_t *upto;       /* by partition: read up to there */
    int32_t partitions;
    struct hash_index index; /* of struct writer, in the arena */
    struct arena arena;
    const struct verify_options *options; /* of the last reading */
    bool failed; /* Kafka did not answer, and is not asked again */
};

void writers_init(struct writers *writers, const char *topic);
void writers_done(struct writers *writers); /* also for a zeroed one */

/* Can keys of this table be recognized by their columns' texts? Numbers and texts can. */
bool writers_can(const struct comparison *comparison);

/* Reads the last records of the topic that the target has, up to a limit for each partition,
 * unless they were read already. */
void writers_read(struct writers *writers, struct arrival *arrival);

/* A key is the sum over its columns. */
void writers_add_column(struct digest *key, const char *name, const char *text, size_t length);
const struct writer *writers_find(const struct writers *writers, const struct digest *key);

#endif
