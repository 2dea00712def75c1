/* What the tables, the join and the tables out of XML must be at the end, for psql. */
#ifndef GENERATE_TRUTH_H
#define GENERATE_TRUTH_H

#include "history.h"

struct alert {
    uint32_t order;
    char op;
    int64_t scn;
};

struct alerts {
    struct alert *items;
    size_t count, room;
};

/* Orders from this amount on are alerted of, in hundredths. */
enum { ALERT_AMOUNT = 900000 };

void alerts_take(struct alerts *alerts, const struct style *style, const struct event *event);

/* Into the folder: truth.sql, which makes and fills the schema `truth`, its *.copy files,
 * target.sql (the tables as the target has them at first) and compare.sql, compare_derived.sql. */
void truth_write(const char *folder, const struct history *history, const struct style *style,
                 const struct alerts *alerts);

#endif
