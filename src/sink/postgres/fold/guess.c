/* When to rely on what changes say about the target's rows. See guess.h. */
#include "sink/postgres/fold/guess.h"

#define FIRST_PAUSE   16u
#define LONGEST_PAUSE (1u << 20)

enum guess guess_for(enum change_op oldest)
{
    switch (oldest) {
    case OP_CREATE:
    case OP_READ:
        return GUESS_NEW;
    case OP_UPDATE:
        return GUESS_THERE;
    default:
        return GUESS_NONE;
    }
}

bool guess_is_on(struct pg_table *table, enum guess guess)
{
    struct guess_record *record = &table->guesses[guess];
    if (record->pause) {
        record->pause--;
        return false;
    }
    record->tries++;
    return true;
}

void guess_failed(struct pg_table *table, enum guess guess)
{
    struct guess_record *record = &table->guesses[guess];
    bool again = record->tries <= record->pause_last;
    uint32_t pause = again ? record->pause_last * 2 : FIRST_PAUSE;
    if (pause < FIRST_PAUSE)
        pause = FIRST_PAUSE;
    record->pause = record->pause_last = pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
    record->tries = 0;
}
