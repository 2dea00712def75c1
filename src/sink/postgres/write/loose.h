/* Changes of tables without a key: inserts in bulk, the others by their before image, in order. */
#ifndef LOOSE_H
#define LOOSE_H

#include "sink/postgres/fold/fold.h"

/* One statement with its parameters, ready to send. */
struct loose_statement {
    struct buffer sql;
    struct buffer values; /* the elements in order, without gaps */
    size_t offsets[1664];
    int lengths[1664];
    Oid types[1664];
    int count;
};

void loose_done(struct loose_statement *statement);

/* Is this change an insert that can go into a GROUP_INSERT with others? */
bool loose_is_insert(const struct batch *batch, const struct loose *loose);

/* Compiles the update or delete of one row that equals the before image. ODS_REJECT: there is no
 * before image, or it can't be encoded. */
enum ods_status loose_compile(struct loose_statement *statement, const struct batch *batch,
                              const struct loose *loose, struct encoder *encoder,
                              struct error *error);

enum ods_status loose_send(struct loose_statement *statement, struct conn *conn,
                           struct error *error);

#endif
