/* dlq list and dlq show. */
#ifndef DLQ_SHOW_H
#define DLQ_SHOW_H

#include "cli/dlq.h"

int dlq_list(struct dlq *dlq, struct error *error);
int dlq_show(struct dlq *dlq, struct error *error);

#endif
