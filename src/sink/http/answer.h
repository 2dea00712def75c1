/* What an answer, or none, means for the changes of its request. */
#ifndef ANSWER_H
#define ANSWER_H

#include "sink/http/http_sink.h"

enum verdict {
    VERDICT_DONE,
    VERDICT_LETTER, /* a change is at fault */
    VERDICT_AGAIN,  /* an outage */
    VERDICT_STOP,   /* an operator has to act */
};

/* Fills the error unless it is done: code is the status, "" where there was no answer. */
enum verdict answer_judge(const struct http_sink *http, struct http_queue *queue, CURLcode code,
                          struct error *error);

#endif
