/* Requests and answers of a batch. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "sink/http/http_sink.h"

/* Send what waits in the queues until all is answered. ODS_RETRY: an outage, or an interrupt; what
 * was answered counts. */
enum ods_status exchange_all(struct http_sink *http, struct error *error);

/* One request alone, by a handle of its own, which is set up. ODS_RETRY: an interrupt; *code is
 * how it ended otherwise. */
enum ods_status exchange_one(struct http_sink *http, CURL *easy, CURLcode *code,
                             struct error *error);

/* Wait until then (monotonic time), or for an interrupt: ODS_RETRY. */
enum ods_status exchange_wait(struct http_sink *http, int64_t until_us, struct error *error);

#endif
