/* Asking a connector of Debezium to send rows of a table again, while it streams: its incremental
 * snapshot, asked for by a signal. signals.c finds the connector, and what it lacks;
 * signals_send.c sends, and waits; signals_again.c asks once more where the connector lost a
 * snapshot. One thread. Functions return a cli_exit; where it is not CLI_OK the error says why. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "connect/connect.h"
#include "config/config.h"
#include "core/exit.h"
#include "verify/database.h"

struct kafka_tool;

/* How signals get to a connector. */
enum signal_way { SIGNAL_KAFKA, SIGNAL_TABLE };

/* A connector, as its configuration says. Texts are heap. */
struct signalled {
    char *name, *prefix;
    enum signal_way way;
    char *topic;         /* for signals */
    char *table;         /* for signals, as Debezium writes it; NULL: it has none */
    bool takes_rows;     /* it also takes signals by the table */
    char *notifications; /* the topic in which it tells how far it is; NULL: it does not tell */
    char *collection;    /* "schema.table" of what is asked for now */
};

struct signals {
    const struct settings *settings;
    const char *wanted;  /* the name of a connector; NULL: the one that writes the table's topic */
    int64_t wait_ms;     /* how long to wait while the connector says nothing new */
    bool (*stops)(void); /* asked between steps; true: end now */
    void (*shows)(void *context, const char *text); /* how far a snapshot is; may be NULL */
    void *context;

    struct connect *connect;
    struct kafka_tool *tool;
    struct kafka_producer *producer;
    const struct database_settings *database_settings; /* of the pipeline; NULL: none is named */
    struct database *database; /* for signals by table */
    struct signalled connector;
    int64_t *heard;      /* by partition of the notifications' topic: read up to there */
    int32_t heard_count;
    unsigned asked;      /* how many signals were sent */
    char **conditions;   /* of those whose end was not heard yet; NULL: all rows */
    size_t condition_count;
    unsigned again;      /* how often the connector was asked for them once more */
    int64_t looked_us;   /* when its state was looked at last */
    char id[96];         /* of the last one */
    int64_t begun_ms, over_ms; /* when it began with that, and had sent all; 0: not yet */
};

/* What a connector's configuration lacks, so that rows can be asked for. Nothing is appended if
 * it lacks nothing. */
void signals_lacks(const json_t *config, struct buffer *lacks);

/* The topic by which a connector takes signals; "": by none. `room` for a name. */
const char *signals_topic(const json_t *config, char *room, size_t size);

/* Finds the connector of a table, and looks whether it can be asked. */
int signals_choose(struct signals *signals, const struct pipeline_settings *pipeline,
                   const char *schema, const char *table, struct error *error);
void signals_close(struct signals *signals); /* also for one that was never used */

/* How long a condition may be. */
size_t signals_room(const struct signals *signals);
/* condition NULL: all rows. */
int signals_ask(struct signals *signals, const char *condition, struct error *error);
/* Reads what the connector tells, without waiting. *over: all that was asked for is sent. A
 * snapshot that the connector lost is asked for once more, a few times, and a task that failed in
 * it is restarted. */
int signals_hear(struct signals *signals, bool *over, bool *news, struct error *error);
/* Waits until *sent; with *sent false and CLI_OK nobody knows, and the error may have a reason. */
int signals_await(struct signals *signals, bool *sent, struct error *error);

/* --- between the files --- */

/* A signal of its own; nothing is kept of it but its id. */
int signals_send(struct signals *signals, const char *condition, struct error *error);
/* All that was asked for is sent: nothing of it will be asked for again. */
void signals_settle(struct signals *signals);
/* `status` is that with which the connector ended the scan of a table, other than well. */
int signals_lost(struct signals *signals, const char *status, struct error *error);
/* Looks now and then whether the connector still runs; *news: it had to be restarted. */
int signals_look(struct signals *signals, bool *news, struct error *error);

#endif
