/* generate: one load of the benchmark, into Kafka and into files.
 *
 * The same arguments always give the same records. Into --out go target.sql (the tables),
 * reference/<table>.copy (their rows when all is applied), and on request preload.copy, merge.sql
 * (the same events for psql, in batches) and lines.jsonl (records as kcat -J writes them).
 * Prints what it made as JSON.
 */
#include <errno.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "message.h"
#include "state.h"

enum mix { MIX_MIXED, MIX_SNAPSHOT, MIX_HOT };
enum { HOT_KEYS = 100, MERGE_BATCH = 20000, MARKER_KEY = 2000000000, PARTITIONS_MAX = 64 };

struct options {
    enum mix mix;
    enum wire wire;
    const char *table, *prefix, *brokers, *out;
    int tables, partitions;
    int32_t events, preload;
    uint64_t seed;
    bool merge, lines;
};

struct work {
    struct options options;
    struct table *tables;
    struct maker *makers;
    struct state state;
    uint64_t random;
    rd_kafka_t *producer;
    rd_kafka_topic_t **topics;
    FILE *merge, *lines;
    int32_t merged;
    struct text key, value, line;
    int64_t number, records, tombstones, bytes, rows, failed;
    int64_t ops[3]; /* creates, updates, deletes */
};

/* ---- files -------------------------------------------------------------------------------------
 */

static FILE *create(const struct options *options, const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", options->out, name);
    FILE *file = fopen(path, "w");
    if (!file)
        die("cannot create %s: %s", path, strerror(errno));
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    return file;
}

static void put(FILE *file, const struct text *text)
{
    if (fwrite(text->data, 1, text->length, file) != text->length)
        die("cannot write: %s", strerror(errno));
}

static void finish(FILE *file)
{
    if (file && fclose(file) != 0)
        die("cannot write: %s", strerror(errno));
}

static void write_target(struct work *work)
{
    FILE *file = create(&work->options, "target.sql");
    for (int t = 0; t < work->options.tables; t++) {
        const struct table *table = &work->tables[t];
        fprintf(file, "create table %s (", table->name);
        for (size_t i = 0; i < table->count; i++)
            fprintf(file, "%s%s %s%s", i ? ", " : "", table->columns[i].name,
                    kind_target_type(table->columns[i].kind),
                    table->columns[i].kind == KIND_KEY ? " primary key" : "");
        fprintf(file, ");\n");
    }
    finish(file);
}

static void column_list(FILE *file, const struct table *table, const char *format)
{
    for (size_t i = 0; i < table->count; i++) {
        fputs(i ? ", " : "", file);
        fprintf(file, format, table->columns[i].name, table->columns[i].name);
    }
}

/* What a person would write in psql to bring a batch of events: the last event of a key wins. */
static void write_merge(FILE *file, const struct table *table)
{
    const char *key = table->columns[0].name;
    fprintf(file,
            "\\.\ndelete from %s t using (select distinct on (%s) * from batch order by %s, seq "
            "desc) b\n where b.gone and t.%s = b.%s;\ninsert into %s (",
            table->name, key, key, key, key, table->name);
    column_list(file, table, "%s");
    fprintf(file, ")\nselect ");
    column_list(file, table, "%s");
    fprintf(file,
            " from (select distinct on (%s) * from batch order by %s, seq desc) b\n where not "
            "gone\n    on conflict (%s) do update set ",
            key, key, key);
    column_list(file, table, "%s = excluded.%s");
    fprintf(file, ";\ncommit;\n");
}

static void merge_begin(struct work *work)
{
    work->merge = create(&work->options, "merge.sql");
    fprintf(work->merge,
            "\\set ON_ERROR_STOP on\ncreate temp table batch (seq integer, gone boolean, like %s) "
            "on commit delete rows;\n",
            work->tables[0].name);
    for (size_t i = 1; i < work->tables[0].count; i++)
        fprintf(work->merge, "alter table batch alter %s drop not null;\n",
                work->tables[0].columns[i].name);
}

static void merge_event(struct work *work, const struct event *event)
{
    const struct table *table = &work->tables[0];
    if (work->merged % MERGE_BATCH == 0)
        fprintf(work->merge, "begin;\ncopy batch from stdin;\n");
    work->line.length = 0;
    text_integer(&work->line, work->merged);
    text_string(&work->line, event->op == 'd' ? "\tt\t" : "\tf\t");
    row_copy(&work->line, &work->makers[0].style, table,
             event->op == 'd' ? &event->before : &event->after);
    text_bytes(&work->line, "\n", 1);
    put(work->merge, &work->line);
    if (++work->merged % MERGE_BATCH == 0)
        write_merge(work->merge, table);
}

static void write_preload(struct work *work)
{
    FILE *file = create(&work->options, "preload.copy");
    for (int32_t key = 1; key <= work->options.preload; key++) {
        work->state.versions[key] = work->state.bodies[key] = 1;
        state_revive(&work->state, key);
        struct row row = {key, 1, 1, false};
        work->line.length = 0;
        row_copy(&work->line, &work->makers[0].style, &work->tables[0], &row);
        text_bytes(&work->line, "\n", 1);
        put(file, &work->line);
    }
    work->state.last_key = work->options.preload;
    finish(file);
}

/* The registry's file, for the records in Avro. */
static void write_schemas(struct work *work)
{
    FILE *file = create(&work->options, "schemas.json");
    work->line.length = 0;
    for (int t = 0; t < work->options.tables; t++) {
        text_string(&work->line, t ? ",\n" : "{");
        maker_schemas(&work->line, &work->makers[t]);
    }
    text_string(&work->line, "}\n");
    put(file, &work->line);
    finish(file);
}

static void reference_row(struct work *work, FILE *file, int t, const struct row *row)
{
    work->line.length = 0;
    row_copy(&work->line, &work->makers[t].style, &work->tables[t], row);
    text_bytes(&work->line, "\n", 1);
    put(file, &work->line);
    work->rows++;
}

static void write_reference(struct work *work)
{
    const struct options *options = &work->options;
    for (int t = 0; t < options->tables; t++) {
        char name[64];
        snprintf(name, sizeof(name), "reference/%s.copy", work->tables[t].name);
        FILE *file = create(options, name);
        for (int32_t key = t ? t : options->tables; key <= work->state.last_key;
             key += options->tables) {
            struct row row = {key, work->state.versions[key], work->state.bodies[key], false};
            if (work->state.places[key] >= 0)
                reference_row(work, file, t, &row);
        }
        for (int p = 0; p < options->partitions; p++)
            reference_row(work, file, t, &(struct row){MARKER_KEY + p, 1, 1, false});
        finish(file);
    }
}

/* ---- records -----------------------------------------------------------------------------------
 */

static void write_part(struct work *work, const struct maker *maker, const char *name,
                       const struct text *part, bool null)
{
    bool binary = maker->wire == WIRE_AVRO;
    text_format(&work->line, ",\"%s%s\":", name, binary ? "_b64" : "");
    if (null) {
        text_string(&work->line, "null");
    } else if (binary) {
        text_bytes(&work->line, "\"", 1);
        text_base64(&work->line, part->data, part->length);
        text_bytes(&work->line, "\"", 1);
    } else {
        text_json(&work->line, part->data, part->length);
    }
}

static void write_line(struct work *work, const struct maker *maker, int partition, bool tombstone)
{
    struct header headers[MESSAGE_HEADERS];
    maker_headers(maker, headers);
    work->line.length = 0;
    text_format(&work->line,
                "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"tstype\":\"create\","
                "\"ts\":%lld,\"broker\":1,\"headers\":[",
                maker->topic, partition, (long long) work->records,
                (long long) maker->ts_ms + work->number / 10);
    for (size_t i = 0; i < MESSAGE_HEADERS; i++)
        text_format(&work->line, "%s\"%s\",\"%s\"", i ? "," : "", headers[i].name,
                    headers[i].value);
    text_string(&work->line, "]");
    write_part(work, maker, "key", &work->key, false);
    write_part(work, maker, maker->wire == WIRE_AVRO ? "value" : "payload", &work->value,
               tombstone);
    text_string(&work->line, "}\n");
    put(work->lines, &work->line);
}

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct work *work = opaque;
    (void) producer;
    if (message->err)
        work->failed++;
}

static void produce(struct work *work, int t, int32_t partition, bool tombstone)
{
    struct header headers[MESSAGE_HEADERS];
    rd_kafka_headers_t *carried = rd_kafka_headers_new(MESSAGE_HEADERS);
    maker_headers(&work->makers[t], headers);
    for (size_t i = 0; i < MESSAGE_HEADERS; i++)
        rd_kafka_header_add(carried, headers[i].name, -1, headers[i].value, -1);
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            work->producer, RD_KAFKA_V_RKT(work->topics[t]), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(work->key.data, work->key.length),
            RD_KAFKA_V_VALUE(tombstone ? NULL : work->value.data,
                             tombstone ? 0 : work->value.length),
            RD_KAFKA_V_HEADERS(carried), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("cannot produce: %s", rd_kafka_err2str(err));
        rd_kafka_poll(work->producer, 100);
    }
    rd_kafka_poll(work->producer, 0);
}

static void record(struct work *work, int t, int32_t key, int32_t partition, bool tombstone)
{
    if (work->producer)
        produce(work, t, partition, tombstone);
    if (work->lines)
        write_line(work, &work->makers[t],
                   partition == RD_KAFKA_PARTITION_UA ? key % work->options.partitions : partition,
                   tombstone);
    work->records++;
    work->bytes += (int64_t) (work->key.length + (tombstone ? 0 : work->value.length));
}

static void emit(struct work *work, int t, struct event *event, int32_t partition)
{
    const struct maker *maker = &work->makers[t];
    int32_t key = event->op == 'd' ? event->before.key : event->after.key;
    event->number = work->number++;
    work->key.length = work->value.length = 0;
    maker_key(&work->key, maker, key);
    maker_value(&work->value, maker, event);
    record(work, t, key, partition, false);
    if (event->op == 'd') {
        work->tombstones++;
        record(work, t, key, partition, true);
    }
    if (work->merge)
        merge_event(work, event);
}

/* ---- the load ----------------------------------------------------------------------------------
 */

static uint64_t below(struct work *work, uint64_t limit)
{
    work->random = mix64(work->random, 7);
    return (work->random >> 11) % limit;
}

static struct row row_of(struct work *work, int32_t key)
{
    return (struct row){key, work->state.versions[key], work->state.bodies[key], false};
}

/* One create in ten brings a deleted key back. */
static void make_create(struct work *work, struct event *event)
{
    struct state *state = &work->state;
    int32_t key;
    if (work->options.mix == MIX_MIXED && state->dead_count > 0 && below(work, 10) == 0) {
        int32_t which = (int32_t) below(work, (uint64_t) state->dead_count);
        key = state->dead[which];
        state->dead[which] = state->dead[--state->dead_count];
    } else {
        key = ++state->last_key;
    }
    state->bodies[key] = ++state->versions[key];
    state_revive(state, key);
    event->op = work->options.mix == MIX_SNAPSHOT ? 'r' : 'c';
    event->after = row_of(work, key);
    work->ops[0]++;
}

static void make_update(struct work *work, struct event *event)
{
    struct state *state = &work->state;
    int32_t key = state->live[below(work, (uint64_t) state->live_count)];
    bool kept = work->tables[0].connector == CONNECTOR_POSTGRESQL && below(work, 3) == 0;
    event->op = 'u';
    event->before = row_of(work, key);
    state->versions[key]++;
    if (!kept)
        state->bodies[key] = state->versions[key];
    event->after = row_of(work, key);
    event->after.unavailable = kept;
    work->ops[1]++;
}

static void make_delete(struct work *work, struct event *event)
{
    struct state *state = &work->state;
    int32_t key = state->live[below(work, (uint64_t) state->live_count)];
    event->op = 'd';
    event->before = row_of(work, key);
    state_kill(state, key);
    work->ops[2]++;
}

/* The operations come interleaved, in the proportion in which they are left. */
static void make_event(struct work *work, int64_t left[3], struct event *event)
{
    int64_t all = left[0] + left[1] + left[2];
    int64_t pick = (int64_t) below(work, (uint64_t) all);
    int op = pick < left[0] ? 0 : pick < left[0] + left[1] ? 1 : 2;
    if (work->options.mix == MIX_HOT)
        op = left[0] > 0 ? 0 : 1;
    if (op > 0 && work->state.live_count == 0)
        op = 0;
    if (left[op] > 0)
        left[op]--;
    else
        left[left[1] > 0 ? 1 : 2]--;
    *event = (struct event){0};
    (op == 0 ? make_create : op == 1 ? make_update : make_delete)(work, event);
}

static void shares(const struct options *options, int64_t left[3])
{
    int64_t all = options->events;
    left[0] = left[1] = left[2] = 0;
    if (options->mix == MIX_SNAPSHOT) {
        left[0] = all;
    } else if (options->mix == MIX_HOT) {
        left[0] = all < HOT_KEYS ? all : HOT_KEYS;
        left[1] = all - left[0];
    } else { /* 400,000 : 300,000 : 20,000 */
        left[1] = all * 15 / 36;
        left[2] = all / 36;
        left[0] = all - left[1] - left[2];
    }
}

/* The last record of every partition is the create of a row by which the end is known. */
static void make_markers(struct work *work)
{
    for (int t = 0; t < work->options.tables; t++) {
        for (int p = 0; p < work->options.partitions; p++) {
            struct event event = {.op = work->options.mix == MIX_SNAPSHOT ? 'r' : 'c',
                                  .after = {MARKER_KEY + p, 1, 1, false}};
            emit(work, t, &event, p);
        }
    }
}

static void make_load(struct work *work)
{
    int64_t left[3];
    shares(&work->options, left);
    while (left[0] + left[1] + left[2] > 0) {
        struct event event;
        make_event(work, left, &event);
        int32_t key = event.op == 'd' ? event.before.key : event.after.key;
        emit(work, key % work->options.tables, &event,
             work->options.partitions == 1 ? 0 : RD_KAFKA_PARTITION_UA);
    }
    make_markers(work);
}

/* ---- start and end -----------------------------------------------------------------------------
 */

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
    set(conf, "bootstrap.servers", work->options.brokers);
    set(conf, "compression.type", "lz4");
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "20");
    set(conf, "partitioner", "murmur2_random");
    set(conf, "queue.buffering.max.messages", "200000");
    set(conf, "queue.buffering.max.kbytes", "262144");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, work);
    work->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!work->producer)
        die("%s", text);
    work->topics = calloc((size_t) work->options.tables, sizeof(*work->topics));
    for (int t = 0; work->topics && t < work->options.tables; t++)
        work->topics[t] = rd_kafka_topic_new(work->producer, work->makers[t].topic, NULL);
}

static void close_producer(struct work *work)
{
    rd_kafka_resp_err_t err = rd_kafka_flush(work->producer, 120000);
    if (err || work->failed)
        die("%lld records could not be produced (%s)", (long long) work->failed,
            rd_kafka_err2str(err));
    for (int t = 0; t < work->options.tables; t++)
        rd_kafka_topic_destroy(work->topics[t]);
    free(work->topics);
    rd_kafka_destroy(work->producer);
}

static void open_work(struct work *work)
{
    struct options *options = &work->options;
    char path[1024];
    snprintf(path, sizeof(path), "%s/reference", options->out);
    if ((mkdir(options->out, 0755) != 0 && errno != EEXIST) ||
        (mkdir(path, 0755) != 0 && errno != EEXIST))
        die("cannot create %s: %s", path, strerror(errno));
    work->tables = calloc((size_t) options->tables, sizeof(*work->tables));
    work->makers = calloc((size_t) options->tables, sizeof(*work->makers));
    if (!work->tables || !work->makers)
        die("out of memory for %d tables", options->tables);
    for (int t = 0; t < options->tables; t++) {
        if (!table_init(&work->tables[t], options->table))
            die("no table '%s': customers, wide or documents", options->table);
        if (options->tables > 1)
            snprintf(work->tables[t].name, sizeof(work->tables[t].name), "t%03d", t);
        maker_init(&work->makers[t], &work->tables[t], options->wire, options->prefix,
                   options->seed, t);
    }
    work->random = options->seed;
    state_init(&work->state, options->preload + options->events);
    if (options->brokers)
        open_producer(work);
    if (options->merge)
        merge_begin(work);
    if (options->lines)
        work->lines = create(options, "lines.jsonl");
}

static void close_work(struct work *work)
{
    if (work->producer)
        close_producer(work);
    if (work->merge && work->merged % MERGE_BATCH != 0)
        write_merge(work->merge, &work->tables[0]);
    finish(work->merge);
    finish(work->lines);
    for (int t = 0; t < work->options.tables; t++)
        maker_done(&work->makers[t]);
    free(work->makers);
    free(work->tables);
    state_done(&work->state);
    text_free(&work->key);
    text_free(&work->value);
    text_free(&work->line);
}

static int32_t number(const char *text, int32_t least)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < least || value > 1000000000)
        die("'%s' is no number from %d on", text, least);
    return (int32_t) value;
}

static enum mix parse_mix(const char *name)
{
    if (strcmp(name, "mixed") == 0)
        return MIX_MIXED;
    if (strcmp(name, "snapshot") == 0)
        return MIX_SNAPSHOT;
    if (strcmp(name, "hot") == 0)
        return MIX_HOT;
    die("no mix '%s': mixed, snapshot or hot", name);
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {{"mix", 1, NULL, 'm'},        {"wire", 1, NULL, 'w'},
                                          {"table", 1, NULL, 't'},      {"tables", 1, NULL, 'T'},
                                          {"prefix", 1, NULL, 'p'},     {"events", 1, NULL, 'e'},
                                          {"partitions", 1, NULL, 'P'}, {"preload", 1, NULL, 'l'},
                                          {"seed", 1, NULL, 's'},       {"brokers", 1, NULL, 'b'},
                                          {"out", 1, NULL, 'o'},        {"merge", 0, NULL, 'M'},
                                          {"lines", 0, NULL, 'L'},      {0}};
    *options = (struct options){.table = "customers",
                                .prefix = "bench",
                                .tables = 1,
                                .partitions = 4,
                                .events = 720000,
                                .seed = 20251219};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (letter) {
        case 'm':
            options->mix = parse_mix(optarg);
            break;
        case 'w':
            if (!wire_parse(&options->wire, optarg))
                die("no wire '%s': envelope, lean, flat or avro", optarg);
            break;
        case 't':
            options->table = optarg;
            break;
        case 'T':
            options->tables = number(optarg, 1);
            break;
        case 'p':
            options->prefix = optarg;
            break;
        case 'e':
            options->events = number(optarg, 1);
            break;
        case 'P':
            options->partitions = number(optarg, 1);
            break;
        case 'l':
            options->preload = number(optarg, 0);
            break;
        case 's':
            options->seed = (uint64_t) number(optarg, 0);
            break;
        case 'b':
            options->brokers = optarg;
            break;
        case 'o':
            options->out = optarg;
            break;
        case 'M':
            options->merge = true;
            break;
        case 'L':
            options->lines = true;
            break;
        default:
            exit(2);
        }
    }
    if (!options->out || optind != argc)
        die("usage: generate --out DIR [--brokers LIST] [--mix M] [--wire W] [--table T] …");
    if (options->partitions > PARTITIONS_MAX || strlen(options->prefix) > 60)
        die("at most %d partitions, and 60 bytes of prefix", PARTITIONS_MAX);
    if (options->merge && options->tables > 1)
        die("--merge knows one table");
}

int main(int argc, char **argv)
{
    struct work work = {0};
    parse(&work.options, argc, argv);
    open_work(&work);
    write_target(&work);
    if (work.options.wire == WIRE_AVRO)
        write_schemas(&work);
    if (work.options.preload)
        write_preload(&work);
    make_load(&work);
    write_reference(&work);
    printf("{\"events\": %lld, \"records\": %lld, \"tombstones\": %lld, \"bytes\": %lld, "
           "\"rows\": %lld, \"creates\": %lld, \"updates\": %lld, \"deletes\": %lld}\n",
           (long long) work.number, (long long) work.records, (long long) work.tombstones,
           (long long) work.bytes, (long long) work.rows, (long long) work.ops[0],
           (long long) work.ops[1], (long long) work.ops[2]);
    close_work(&work);
    return 0;
}
