/* Texts that our own parsers can't read, and what PostgreSQL's input functions make of them.
 *
 * Most values never come here, since a parser of ours reads the text. A text that no parser can
 * read is noted, and the attempt at the batch ends with ODS_RETRY. ask.c then asks PostgreSQL for
 * all such texts of the batch at once, and the next attempt finds the answers: the value as
 * PostgreSQL writes it, which our parsers read, or the reason for a dead letter. So rows, keys and
 * elements of arrays are handled in the same way, whether they go by COPY or by a statement.
 *
 * Lives for one batch, whose texts bound it. Entered by the lane's writer thread.
 */
#ifndef READINGS_H
#define READINGS_H

#include <ods/batch.h>
#include "core/hash_index.h"

/* Which input function is asked, and which part of its answer is wanted. */
enum reading_kind {
    READING_NONE,
    READING_BOOL,
    READING_INT2,
    READING_INT4,
    READING_INT8,
    READING_FLOAT4,
    READING_FLOAT8,
    READING_NUMERIC,
    READING_UUID,
    READING_DATE,
    READING_TIME,
    READING_TIMESTAMP,       /* with a zone it is converted to UTC */
    READING_LOCAL_TIMESTAMP, /* a zone is ignored */
    READING_TIMESTAMPTZ,
    READING_INTERVAL,
    READING_KINDS
};

enum reading_state { READING_WAITS, READING_DONE, READING_REFUSED };

struct reading {
    struct reading *next; /* in the list of its kind that waits for an answer */
    enum reading_kind kind;
    enum reading_state state;
    const char *text, *answer; /* answer: the value as PostgreSQL writes it, or its refusal */
    uint32_t length, answer_length;
    char sqlstate[6];
};

struct readings {
    struct arena arena;
    struct hash_index index; /* of struct reading; without slots nothing is noted */
    struct reading *waiting[READING_KINDS];
    uint32_t waiting_count;
};

void readings_init(struct readings *readings);
void readings_done(struct readings *readings);
void readings_reset(struct readings *readings);

/* Finds the reading of a text; a new one is noted as waiting. NULL: memory is out. */
struct reading *readings_find(struct readings *readings, enum reading_kind kind, const char *text,
                              uint32_t length);
/* Stores the answer. False: memory is out. */
bool readings_answer(struct readings *readings, struct reading *reading, enum reading_state state,
                     const char *answer, const char *sqlstate);

#endif
