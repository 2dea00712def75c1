/* Marks for derived tables (ods/derived.h), written in the rows' own transaction: the values that
 * the columns `by` of changed rows have before the batch and after it.
 *
 * What a row has before, the target knows best: changes do not carry every column, and triggers may
 * write others. So the rows are looked up by their keys, under a lock that the batch takes anyway,
 * and once more before the commit. Where `by` is of the key itself nothing is looked up. Tables on
 * which nothing depends pay a comparison of names for each batch.
 */
#ifndef MARKS_H
#define MARKS_H

#include "sink/postgres/write/attempt.h"

/* Before a batch: sees to it that the tables for marks are there, once a session. */
enum ods_status marks_ready(struct postgres *postgres, struct error *error);
/* Before the first row is written. */
enum ods_status marks_send_before(struct attempt *attempt);
/* Behind the last one, before the commit. */
enum ods_status marks_send_after(struct attempt *attempt);

#endif
