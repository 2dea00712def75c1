/* Where a MySQL connector stands, by Kafka Connect's REST: the place in the binary log from which
 * it goes on when it starts again. */
#ifndef CONNECTOR_PLACE_H
#define CONNECTOR_PLACE_H

#include <stdatomic.h>

#include "verify/arrival.h"

/* Of the connectors whose topics the arrival knows: the earliest place, with the source's time of
 * it in clock_us, 0 where Connect does not tell. place->known is false where none has one. */
enum ods_status connector_place(const struct connect_settings *settings,
                                const struct arrival *arrival, const atomic_bool *stop,
                                struct source_place *place, struct error *error);

#endif
