#include "pipeline/exemplar.h"

#include <inttypes.h>
#include <stdio.h>

void exemplar_note(struct exemplar_cell *cell, const char *trace, int64_t value, int64_t at_us)
{
    uint64_t high = 0, low = 0;
    if (sscanf(trace, "%16" SCNx64 "%16" SCNx64, &high, &low) != 2)
        return;
    atomic_fetch_add(&cell->version, 1);
    atomic_store(&cell->trace[0], high);
    atomic_store(&cell->trace[1], low);
    atomic_store(&cell->value, value);
    atomic_store(&cell->at_us, at_us);
    atomic_fetch_add(&cell->version, 1);
}

bool exemplar_read(const struct exemplar_cell *cell, struct exemplar *exemplar)
{
    for (int tries = 0; tries < 3; tries++) {
        uint64_t version = atomic_load(&cell->version);
        if (!version)
            return false;
        exemplar->trace[0] = atomic_load(&cell->trace[0]);
        exemplar->trace[1] = atomic_load(&cell->trace[1]);
        exemplar->value = atomic_load(&cell->value);
        exemplar->at_us = atomic_load(&cell->at_us);
        if (!(version & 1) && atomic_load(&cell->version) == version)
            return true;
    }
    return false;
}
