/* Pipelines whose target is a lake. */
#ifndef VERIFY_LAKE_H
#define VERIFY_LAKE_H

#include "verify/candidates.h"

/* Compares the tables of run->pipeline with those of its database. */
enum ods_status verify_lake(struct run *run, struct error *error);

#endif
