/* POST /actions/pause, resume, replay, verify: who may, and what they say. See actions.h for what
 * is done. The HTTP server's thread, which waits for none of it: a request's connection is
 * suspended until its action has an answer. */
#ifndef HTTP_ACTIONS_H
#define HTTP_ACTIONS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct actions;
struct http_settings; /* config/settings.h */

#define GUESSERS 64

/* An address from which wrong tokens came. */
struct guesser {
    char address[64];
    unsigned wrong;
    int64_t until_us; /* monotonic: forgotten then; 0: the place is free */
};

/* Zeroed but for the settings: off. */
struct http_actions {
    const struct http_settings *settings;
    struct actions *actions; /* NULL: there are no operators */
    struct guesser guessers[GUESSERS];
};

bool http_actions_meant(const char *url);
/* As libmicrohttpd's handler, from the first call for a request to the last; *state is its own. */
enum MHD_Result http_actions_answer(struct http_actions *http, struct MHD_Connection *connection,
                                    const char *url, const char *method, const char *upload,
                                    size_t *upload_size, void **state);
void http_actions_completed(void **state); /* the connection's request is over; NULL is fine */

#endif
