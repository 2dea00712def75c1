/* One request, of the first changes that wait in a queue. */
#ifndef REQUEST_H
#define REQUEST_H

#include "sink/http/http_sink.h"

/* What all requests of a handle have in common. */
CURLcode request_prepare(const struct http_sink *http, CURL *easy, char *reason);

/* Takes as many changes from the queue as go into one request, and sets the handle up for them.
 * Changes that can't be sent are set aside. queue->first is HTTP_NONE afterwards where nothing is
 * left to be sent. */
enum ods_status request_begin(struct http_sink *http, struct http_queue *queue,
                              struct error *error);

/* The request is over; its changes are answered, or wait again at the head of the queue. */
void request_answered(struct http_sink *http, struct http_queue *queue);
void request_put_back(struct http_sink *http, struct http_queue *queue);

#endif
