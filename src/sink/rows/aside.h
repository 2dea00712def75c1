/* Changes that a target of rows does not apply: those that are set aside, and those that wait for
 * another transaction. */
#ifndef ROWS_ASIDE_H
#define ROWS_ASIDE_H

#include <ods/batch.h>

/* Is it one of several changes of its record? */
bool rows_is_part(const struct batch *batch, uint32_t change);

/* Marks the change, and the others of its record, and adds the reject: once for a record, whose
 * row is at fault unless the reason names its table or the order of rows. */
enum ods_status rows_set_aside(struct batch *batch, uint32_t change, const struct error *why,
                               struct error *error);

/* The change waits for a later transaction, and with it what follows in its partition. The delete
 * of a changed key stays with the create. */
void rows_hold(struct batch *batch, uint32_t change);

#endif
