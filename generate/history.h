/* What happens in the source: which row of which table is made, changed or deleted next.
 *
 * A row names only others that lived when it was written. The messages of some customers come late,
 * and of a few never. Two histories of one plan are equal, whatever is done with their events.
 */
#ifndef GENERATE_HISTORY_H
#define GENERATE_HISTORY_H

#include "record.h"

struct plan {
    uint64_t seed;
    uint64_t events;       /* over which schema changes and hostile documents are spread */
    bool schema_changes, hostile;
    uint64_t late;         /* events by which a customer's message is late, at most; 0: none is */
};

struct rows {
    struct row *rows; /* by slot, from 1 on */
    uint32_t count, room;
    uint32_t *live, *places;
    uint32_t live_count;
};

struct late {
    uint64_t due;
    uint32_t slot;
};

struct history {
    struct plan plan;
    struct rows tables[TABLES];
    int step;
    uint64_t number, random;
    struct late *late; /* by `due`, the earliest last */
    size_t late_count, late_room;
    struct row moved[2]; /* a changed key: the row before and after */
    const struct table *moving; /* its create is due; NULL: none */
};

void history_init(struct history *history, const struct plan *plan);
void history_done(struct history *history);
void history_next(struct history *history, struct event *event);

#endif
