/* latency: how long after a record was sent its row is visible to another connection.
 *
 * One thread produces creates at a steady rate, each to a partition in turn; the main thread asks
 * the target, about every millisecond, for the highest key of each partition. Rows of a partition
 * appear in order, so all keys up to there are visible. Both use one clock. A latency is counted
 * from before the record goes to librdkafka until the answer that shows it is here: it includes
 * the way into the broker (reported apart as `append`) and up to one poll (`poll_gap`), so it is
 * never too small. `after_append` begins when the producer has heard that the record is stored,
 * and is never too large but for the poll: the truth lies between. The DSN comes in
 * $LATENCY_DSN, for it may hold a password. --linger MS: how long the producer gathers records
 * before it sends them, 0 unless said. --samples FILE keeps each latency, for those who change
 * something while it runs: a line each, when it was sent (us of CLOCK_MONOTONIC) and its us.
 */
#include <errno.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "message.h"

enum { PARTITIONS = 4, KEYS_APART = 100000000, POLL_PAUSE_US = 500, READY_S = 120 };

struct lane {
    int64_t *sent_us, *appended_us, *seen_us; /* by sequence within the partition */
    atomic_int sent;
    int seen, room;
};

struct work {
    const char *brokers, *prefix, *samples, *linger;
    enum wire wire;
    int rate, seconds, warm_up, drain;
    struct table table;
    struct maker maker;
    struct lane lanes[PARTITIONS];
    rd_kafka_t *producer;
    PGconn *target;
    struct text key, value;
    int64_t *gaps_us;
    size_t gap_count, gap_room;
    int64_t first_us; /* when the steady rate began */
    atomic_bool over;
};

static int64_t now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t) time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void *room_for(size_t count, size_t size)
{
    void *room = calloc(count, size);
    if (!room)
        die("out of memory");
    return room;
}

/* ---- the producer ------------------------------------------------------------------------------
 */

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void) producer;
    (void) opaque;
    if (message->err)
        die("a record could not be produced: %s", rd_kafka_err2str(message->err));
    *(int64_t *) message->_private = now_us();
}

static void produce(struct work *work, int p)
{
    struct lane *lane = &work->lanes[p];
    struct header headers[MESSAGE_HEADERS];
    int sequence = atomic_load(&lane->sent);
    if (sequence >= lane->room)
        die("more records than were asked for");
    int32_t key = p * KEYS_APART + sequence + 1;
    struct event event = {.op = 'c', .after = {key, 1, 1, false}, .number = sequence};
    rd_kafka_headers_t *carried = rd_kafka_headers_new(MESSAGE_HEADERS);
    maker_headers(&work->maker, headers);
    for (size_t i = 0; i < MESSAGE_HEADERS; i++)
        rd_kafka_header_add(carried, headers[i].name, -1, headers[i].value, -1);
    work->key.length = work->value.length = 0;
    maker_key(&work->key, &work->maker, key);
    maker_value(&work->value, &work->maker, &event);
    lane->sent_us[sequence] = now_us();
    rd_kafka_resp_err_t err = rd_kafka_producev(
        work->producer, RD_KAFKA_V_TOPIC(work->maker.topic), RD_KAFKA_V_PARTITION(p),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(work->key.data, work->key.length),
        RD_KAFKA_V_VALUE(work->value.data, work->value.length), RD_KAFKA_V_HEADERS(carried),
        RD_KAFKA_V_OPAQUE(&lane->appended_us[sequence]), RD_KAFKA_V_END);
    if (err)
        die("cannot produce: %s", rd_kafka_err2str(err));
    atomic_store(&lane->sent, sequence + 1);
    rd_kafka_poll(work->producer, 0);
}

static void *produce_all(void *opaque)
{
    struct work *work = opaque;
    int64_t count = (int64_t) work->rate * (work->warm_up + work->seconds);
    int64_t start = now_us();
    work->first_us = start + (int64_t) work->warm_up * 1000000;
    for (int64_t i = 0; i < count; i++) {
        int64_t due = start + i * 1000000 / work->rate;
        while (now_us() < due) {
            struct timespec until = {due / 1000000, due % 1000000 * 1000};
            rd_kafka_poll(work->producer, 0);
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        produce(work, (int) (i % PARTITIONS));
    }
    rd_kafka_flush(work->producer, 30000);
    atomic_store(&work->over, true);
    return NULL;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        die("%s", text);
}

static void open_producer(struct work *work)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", work->brokers);
    set(conf, "compression.type", "lz4");
    set(conf, "linger.ms", work->linger);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    work->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!work->producer)
        die("%s", text);
}

/* ---- the poller --------------------------------------------------------------------------------
 */

static void open_target(struct work *work)
{
    const char *dsn = getenv("LATENCY_DSN");
    work->target = PQconnectdb(dsn ? dsn : "");
    if (PQstatus(work->target) != CONNECTION_OK)
        die("%s", PQerrorMessage(work->target));
    struct text query = {0};
    text_string(&query, "select ");
    for (int p = 0; p < PARTITIONS; p++)
        text_format(&query,
                    "%scoalesce((select max(customer_id) from customers where customer_id between "
                    "%d and %d), 0)",
                    p ? ", " : "", p * KEYS_APART + 1, p * KEYS_APART + KEYS_APART - 1);
    PQclear(PQexec(work->target, "set enable_seqscan = off; set plan_cache_mode = "
                                 "force_generic_plan"));
    PGresult *result = PQprepare(work->target, "highest", query.data, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die("%s", PQerrorMessage(work->target));
    PQclear(result);
    text_free(&query);
}

/* Mark what became visible; answers whether nothing is missing. */
static bool poll_target(struct work *work)
{
    int sent[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++)
        sent[p] = atomic_load(&work->lanes[p].sent);
    PGresult *result = PQexecPrepared(work->target, "highest", 0, NULL, NULL, NULL, 0);
    int64_t now = now_us();
    bool all = true;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        die("%s", PQerrorMessage(work->target));
    for (int p = 0; p < PARTITIONS; p++) {
        struct lane *lane = &work->lanes[p];
        int highest = atoi(PQgetvalue(result, 0, p)) - p * KEYS_APART;
        for (; lane->seen < highest; lane->seen++)
            lane->seen_us[lane->seen] = now;
        all = all && lane->seen >= sent[p];
    }
    PQclear(result);
    return all;
}

static void pause_us(int64_t us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

/* One record a partition brings every lane of the sink to life, outside of what is measured. */
static void wake_sink(struct work *work)
{
    int64_t until = now_us() + (int64_t) READY_S * 1000000;
    for (int p = 0; p < PARTITIONS; p++)
        produce(work, p);
    rd_kafka_flush(work->producer, 30000);
    while (!poll_target(work)) {
        if (now_us() > until)
            die("the first rows were not visible after %d s", READY_S);
        pause_us(1000);
    }
}

static void watch(struct work *work)
{
    int64_t before = now_us(), deadline = 0;
    for (;;) {
        bool all = poll_target(work);
        int64_t now = now_us();
        if (work->gap_count < work->gap_room)
            work->gaps_us[work->gap_count++] = now - before;
        before = now;
        if (atomic_load(&work->over)) {
            if (!deadline)
                deadline = now + (int64_t) work->drain * 1000000;
            else if (all || now > deadline)
                return;
        }
        pause_us(POLL_PAUSE_US);
    }
}

/* ---- the answer --------------------------------------------------------------------------------
 */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

static double quantile_ms(const int64_t *sorted, size_t count, double q)
{
    if (count == 0)
        return 0;
    size_t at = (size_t) (q * (double) count);
    return (double) sorted[at < count ? at : count - 1] / 1000;
}

static void quantiles(const char *name, int64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_size);
    printf("\"%s\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}",
           name, quantile_ms(values, count, 0.5), quantile_ms(values, count, 0.9),
           quantile_ms(values, count, 0.99), quantile_ms(values, count, 0.999),
           quantile_ms(values, count, 1));
}

static void write_samples(const struct work *work)
{
    FILE *file = fopen(work->samples, "w");
    if (!file)
        die("cannot write %s: %s", work->samples, strerror(errno));
    for (int p = 0; p < PARTITIONS; p++) {
        const struct lane *lane = &work->lanes[p];
        for (int i = 0; i < lane->seen; i++)
            if (lane->sent_us[i] >= work->first_us)
                fprintf(file, "%lld %lld\n", (long long) lane->sent_us[i],
                        (long long) (lane->seen_us[i] - lane->sent_us[i]));
    }
    if (fclose(file) != 0)
        die("cannot write %s: %s", work->samples, strerror(errno));
}

/* A row that never came counts with the time until the watch ended: a lower bound, and `missing`
 * says so. */
static void report(struct work *work)
{
    size_t room = (size_t) work->rate * (size_t) (work->seconds + 1) + PARTITIONS, count = 0;
    int64_t *latencies = room_for(room, sizeof(*latencies));
    int64_t *appends = room_for(room, sizeof(*appends));
    int64_t *afters = room_for(room, sizeof(*afters));
    int64_t end = now_us();
    long missing = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        struct lane *lane = &work->lanes[p];
        for (int i = 0; i < lane->sent && count < room; i++) {
            if (lane->sent_us[i] < work->first_us)
                continue;
            missing += i >= lane->seen;
            int64_t seen = i < lane->seen ? lane->seen_us[i] : end;
            latencies[count] = seen - lane->sent_us[i];
            appends[count] = lane->appended_us[i] - lane->sent_us[i];
            afters[count++] = seen > lane->appended_us[i] ? seen - lane->appended_us[i] : 0;
        }
    }
    printf("{\"rate\": %d, \"seconds\": %d, \"samples\": %zu, \"missing\": %ld, ", work->rate,
           work->seconds, count, missing);
    quantiles("latency_ms", latencies, count);
    printf(", ");
    quantiles("append_ms", appends, count);
    printf(", ");
    quantiles("after_append_ms", afters, count);
    printf(", ");
    quantiles("poll_gap_ms", work->gaps_us, work->gap_count);
    printf("}\n");
    free(latencies);
    free(appends);
    free(afters);
}

static void open_work(struct work *work)
{
    int room = work->rate * (work->warm_up + work->seconds) / PARTITIONS + 16;
    table_init(&work->table, "customers");
    maker_init(&work->maker, &work->table, work->wire, work->prefix, 1, 0);
    for (int p = 0; p < PARTITIONS; p++) {
        struct lane *lane = &work->lanes[p];
        lane->room = room;
        lane->sent_us = room_for((size_t) room, sizeof(int64_t));
        lane->appended_us = room_for((size_t) room, sizeof(int64_t));
        lane->seen_us = room_for((size_t) room, sizeof(int64_t));
    }
    work->gap_room = (size_t) (work->warm_up + work->seconds + work->drain) * 4000;
    work->gaps_us = room_for(work->gap_room, sizeof(int64_t));
    open_producer(work);
    open_target(work);
}

static void close_work(struct work *work)
{
    rd_kafka_destroy(work->producer);
    PQfinish(work->target);
    for (int p = 0; p < PARTITIONS; p++) {
        free(work->lanes[p].sent_us);
        free(work->lanes[p].appended_us);
        free(work->lanes[p].seen_us);
    }
    free(work->gaps_us);
    maker_done(&work->maker);
    text_free(&work->key);
    text_free(&work->value);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"brokers", 1, NULL, 'b'}, {"prefix", 1, NULL, 'p'},
                                          {"wire", 1, NULL, 'w'},    {"rate", 1, NULL, 'r'},
                                          {"seconds", 1, NULL, 's'}, {"warm-up", 1, NULL, 'W'},
                                          {"drain", 1, NULL, 'd'},   {"samples", 1, NULL, 'S'},
                                          {"linger", 1, NULL, 'L'},  {0}};
    struct work work = {
        .prefix = "latency", .linger = "0", .rate = 1000, .seconds = 10, .warm_up = 2, .drain = 30};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (letter == 'b')
            work.brokers = optarg;
        else if (letter == 'p')
            work.prefix = optarg;
        else if (letter == 'w' && (!wire_parse(&work.wire, optarg) || work.wire == WIRE_AVRO))
            die("no wire '%s'", optarg);
        else if (letter == 'r')
            work.rate = atoi(optarg);
        else if (letter == 's')
            work.seconds = atoi(optarg);
        else if (letter == 'W')
            work.warm_up = atoi(optarg);
        else if (letter == 'd')
            work.drain = atoi(optarg);
        else if (letter == 'L')
            work.linger = optarg;
        else if (letter == 'S')
            work.samples = optarg;
        else if (letter == '?')
            return 2;
    }
    if (!work.brokers || work.rate < 1 || work.seconds < 1 || work.warm_up < 0 || work.drain < 1)
        die("usage: latency --brokers LIST --rate N --seconds S [--wire W] [--prefix P]");
    open_work(&work);
    wake_sink(&work);
    pthread_t thread;
    if (pthread_create(&thread, NULL, produce_all, &work) != 0)
        die("cannot start a thread");
    watch(&work);
    pthread_join(thread, NULL);
    report(&work);
    if (work.samples)
        write_samples(&work);
    close_work(&work);
    return 0;
}
