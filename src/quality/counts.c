/* See counts.h. */
#include "quality/counts.h"

#include <stdlib.h>
#include <string.h>

void quality_counts_init(struct quality_counts *counts)
{
    *counts = (struct quality_counts){0};
    pthread_mutex_init(&counts->mutex, NULL);
}

void quality_counts_done(struct quality_counts *counts)
{
    struct quality_count *next;
    for (struct quality_count *count = counts->first; count; count = next) {
        next = count->next;
        free(count->table);
        free(count);
    }
    counts->first = NULL;
    pthread_mutex_destroy(&counts->mutex);
}

static struct quality_count *make(struct quality_counts *counts, const struct quality_rule *rule,
                                  const char *table)
{
    struct quality_count *count = calloc(1, sizeof *count);
    if (!count)
        return NULL;
    count->rule = rule;
    count->table = strdup(table);
    if (!count->table) {
        free(count);
        return NULL;
    }
    count->next = counts->first;
    counts->first = count;
    return count;
}

struct quality_count *quality_count_of(struct quality_counts *counts,
                                       const struct quality_rule *rule, const char *table)
{
    pthread_mutex_lock(&counts->mutex);
    struct quality_count *count = counts->first;
    while (count && (count->rule != rule || strcmp(count->table, table) != 0))
        count = count->next;
    if (!count)
        count = make(counts, rule, table);
    pthread_mutex_unlock(&counts->mutex);
    return count;
}

struct quality_count *quality_counts_first(struct quality_counts *counts)
{
    pthread_mutex_lock(&counts->mutex);
    struct quality_count *first = counts->first;
    pthread_mutex_unlock(&counts->mutex);
    return first;
}
