/* Plans by the number of their shape. See plans.h. */
#include "sink/rows/plans.h"

#include <stdlib.h>
#include <string.h>

void *rows_plans_room(void *items, size_t *count, size_t id)
{
    if (id < *count)
        return items;
    size_t larger = id + 16u;
    void **moved = realloc(items, larger * sizeof *moved);
    if (!moved)
        return NULL;
    memset(moved + *count, 0, (larger - *count) * sizeof *moved);
    *count = larger;
    return moved;
}

enum ods_status rows_plans_refuse(struct error **kept, struct error *error)
{
    *kept = malloc(sizeof **kept);
    if (!*kept)
        return error_out_of_memory(error);
    **kept = *error;
    if ((*kept)->fault == FAULT_NONE)
        (*kept)->fault = FAULT_TABLE;
    error_init(error);
    return ODS_OK;
}
