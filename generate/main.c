/* ods-generate: changes of an Oracle-shaped source, as Debezium writes them, into a broker of AMQP
 * 1.0, Kafka or a file; and what all tables must be at the end. `ods-generate --help` has the
 * options. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "output.h"
#include "truth.h"

struct options {
    struct output_options output;
    struct wire wire;
    struct plan plan;
    uint64_t stop_after, duplicates;
    int64_t per_minute; /* 0: as fast as it goes */
    bool tombstones, quiet;
    const char *truth, *sent;
};

struct work {
    const struct options *options;
    struct history history;
    struct maker *maker;
    struct output *output;
    struct alerts alerts;
    struct text key, value, moved;
    FILE *sent;
    uint64_t messages, bytes, ops[4]; /* c u d r */
};

static void usage(FILE *out)
{
    fputs(
        "Usage: ods-generate --to WHERE [option]...\n"
        "Changes of five tables (orders, customers, products, payments, shipments) as Debezium's\n"
        "Oracle connector writes them, with XML in all shapes, late and missing partners and\n"
        "schema changes. The same options give the same changes.\n"
        "\n"
        "  --to WHERE              amqp://HOST[:PORT], amqps://..., kafka://HOST:PORT, file:PATH\n"
        "                          (as kcat -J writes records), - for standard output\n"
        "  --address PATTERN       of AMQP (default: ${topic}, which is PREFIX.SHOP.TABLE)\n"
        "  --user NAME             of AMQP; the password is in AMQP_PASSWORD\n"
        "  --ca FILE               by which the broker's certificate is checked\n"
        "  --property NAME=VALUE   of librdkafka\n"
        "  --per-minute N|max      changes a minute (default: EVENTS_PER_MINUTE, else 5000)\n"
        "  --events N              changes in all, over which the schema changes are spread\n"
        "                          (default: 10000)\n"
        "  --stop-after N          the first N of them\n"
        "  --seed N                (default: 1)\n"
        "  --prefix NAME           topic.prefix (default: ora)\n"
        "  --no-schemas            values without schema (schemas.enable=false)\n"
        "  --numbers MODE          decimal.handling.mode: precise, string, double\n"
        "  --intervals MODE        interval.handling.mode: numeric, string\n"
        "  --start MS|now          time of the first change (default: 1767225600000)\n"
        "  --late N                changes by which a customer's message is late at most, 0 for\n"
        "                          none (default: 1000)\n"
        "  --no-schema-changes     the tables stay as they are\n"
        "  --no-hostile            no document of 10 MB, none that is deep, none with entities\n"
        "  --large-bytes N         of the large document (default: 10000000)\n"
        "  --duplicates N          every Nth message is sent twice (default: 0, none)\n"
        "  --tombstones            a message without value behind each delete\n"
        "  --truth DIR             write what all must be at the end: psql -f truth.sql in DIR,\n"
        "                          then compare.sql, compare_derived.sql\n"
        "  --sent FILE             write a line for each change as it is sent: number, table, row,\n"
        "                          op, microseconds, the customer of an order\n"
        "  --quiet                 no summary\n",
        out);
}

/* ---- options ----------------------------------------------------------------------------------
 */

static uint64_t number(const char *name, const char *text, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value > most) {
        fprintf(stderr, "ods-generate: %s %s: it is a number up to %" PRIu64 "\n", name, text,
                most);
        exit(2);
    }
    return value;
}

/* Which of the words it is. */
static int one_of(const char *name, const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    fprintf(stderr, "ods-generate: %s %s: unknown, see --help\n", name, text);
    exit(2);
}

static int64_t rate(const char *name, const char *text)
{
    return strcmp(text, "max") == 0 ? 0 : (int64_t) number(name, text, 100000000);
}

enum option_code {
    TO = 256, ADDRESS, USER, CA, PROPERTY, PER_MINUTE, EVENTS, STOP_AFTER, SEED, PREFIX, NO_SCHEMAS,
    NUMBERS, INTERVALS, START, LATE, NO_CHANGES, NO_HOSTILE, LARGE_BYTES, DUPLICATES, TOMBSTONES,
    TRUTH, SENT, QUIET, HELP
};

static const struct option_row {
    const char *name;
    int code;
    bool value;
} rows[] = {{"to", TO, true},
            {"address", ADDRESS, true},
            {"user", USER, true},
            {"ca", CA, true},
            {"property", PROPERTY, true},
            {"per-minute", PER_MINUTE, true},
            {"events", EVENTS, true},
            {"stop-after", STOP_AFTER, true},
            {"seed", SEED, true},
            {"prefix", PREFIX, true},
            {"no-schemas", NO_SCHEMAS, false},
            {"numbers", NUMBERS, true},
            {"intervals", INTERVALS, true},
            {"start", START, true},
            {"late", LATE, true},
            {"no-schema-changes", NO_CHANGES, false},
            {"no-hostile", NO_HOSTILE, false},
            {"large-bytes", LARGE_BYTES, true},
            {"duplicates", DUPLICATES, true},
            {"tombstones", TOMBSTONES, false},
            {"truth", TRUTH, true},
            {"sent", SENT, true},
            {"quiet", QUIET, false},
            {"help", HELP, false}};

static void take_option(struct options *options, int code, const char *value)
{
    static const char *const modes[] = {"precise", "string", "double", NULL};
    static const char *const intervals[] = {"numeric", "string", NULL};
    static const char *properties[32];
    switch (code) {
    case TO:
        options->output.to = value;
        break;
    case ADDRESS:
        options->output.address = value;
        break;
    case USER:
        options->output.user = value;
        break;
    case CA:
        options->output.ca = value;
        break;
    case PROPERTY:
        if (options->output.property_count == sizeof properties / sizeof *properties)
            die("more than 32 properties");
        properties[options->output.property_count++] = value;
        options->output.properties = properties;
        break;
    case PER_MINUTE:
        options->per_minute = rate("--per-minute", value);
        break;
    case EVENTS:
        options->plan.events = number("--events", value, 1000000000);
        break;
    case STOP_AFTER:
        options->stop_after = number("--stop-after", value, 1000000000);
        break;
    case SEED:
        options->plan.seed = number("--seed", value, UINT64_MAX);
        break;
    case PREFIX:
        options->wire.prefix = value;
        break;
    case NO_SCHEMAS:
        options->wire.schemas = false;
        break;
    case NUMBERS:
        options->wire.style.numbers = (enum numbers) one_of("--numbers", value, modes);
        break;
    case INTERVALS:
        options->wire.style.interval_text = one_of("--intervals", value, intervals) == 1;
        break;
    case START:
        options->wire.start_ms = strcmp(value, "now") == 0
                                     ? now_us() / 1000
                                     : (int64_t) number("--start", value, 253402300799999);
        break;
    case LATE:
        options->plan.late = number("--late", value, 1000000000);
        break;
    case NO_CHANGES:
        options->plan.schema_changes = false;
        break;
    case NO_HOSTILE:
        options->plan.hostile = false;
        break;
    case LARGE_BYTES:
        options->wire.style.large_bytes = (uint32_t) number("--large-bytes", value, 1000000000);
        break;
    case DUPLICATES:
        options->duplicates = number("--duplicates", value, 1000000000);
        break;
    case TOMBSTONES:
        options->tombstones = true;
        break;
    case TRUTH:
        options->truth = value;
        break;
    case SENT:
        options->sent = value;
        break;
    case QUIET:
        options->quiet = true;
        break;
    case HELP:
        usage(stdout);
        exit(0);
    default:
        usage(stderr);
        exit(2);
    }
}

static void parse(struct options *options, int argc, char **argv)
{
    enum { COUNT = sizeof rows / sizeof *rows };
    struct option names[COUNT + 1] = {{0}};
    const char *per_minute = getenv("EVENTS_PER_MINUTE"), *password = getenv("AMQP_PASSWORD");
    for (size_t i = 0; i < COUNT; i++)
        names[i] = (struct option){rows[i].name, rows[i].value ? required_argument : no_argument,
                                   NULL, rows[i].code};
    *options = (struct options){
        .output = {.address = "${topic}", .user = "", .ca = "",
                   .password = password ? password : ""},
        .wire = {.style = {.large_bytes = 10000000}, .prefix = "ora", .schemas = true,
                 .start_ms = INT64_C(1767225600000)},
        .plan = {.seed = 1, .events = 10000, .schema_changes = true, .hostile = true, .late = 1000},
        .per_minute = per_minute && *per_minute ? rate("EVENTS_PER_MINUTE", per_minute) : 5000};
    for (int code; (code = getopt_long(argc, argv, "", names, NULL)) != -1;)
        take_option(options, code, optarg);
    if (optind < argc || !options->output.to) {
        usage(stderr);
        exit(2);
    }
    options->wire.style.seed = options->plan.seed;
    if (!options->stop_after || options->stop_after > options->plan.events)
        options->stop_after = options->plan.events;
}

/* ---- records ----------------------------------------------------------------------------------
 */

static void note_sent(struct work *work, const struct event *event)
{
    const struct row *row = event->op == 'd' ? &event->before : &event->after;
    if (work->sent)
        fprintf(work->sent, "%" PRIu64 "\t%s\t%u\t%c\t%" PRId64 "\t%u\n", event->number,
                event->table->name, row->slot, event->op, now_us(), row->customer);
}

/* Debezium's header of a changed key: the other half's key. */
static void add_moved(struct work *work, const struct event *event, struct outgoing *record)
{
    struct event other = *event;
    if (!event->moved)
        return;
    other.before = other.after = *event->moved;
    work->moved.length = 0;
    maker_key(work->maker, &work->moved, &other);
    record->header = event->op == 'd' ? "__debezium.newkey" : "__debezium.oldkey";
    record->header_value = work->moved.data;
    record->header_length = work->moved.length;
}

static void transmit(struct work *work, const struct outgoing *record)
{
    work->output->ops->send(work->output, record);
    work->messages++;
    work->bytes += record->value_length;
}

static void send_event(struct work *work, const struct event *event)
{
    const struct options *options = work->options;
    char id[160];
    struct outgoing record = {.topic = maker_topic(work->maker, event->table), .id = id};
    work->key.length = work->value.length = 0;
    maker_key(work->maker, &work->key, event);
    maker_value(work->maker, &work->value, event);
    snprintf(id, sizeof id, "%.80s-%" PRIu64 "-%" PRIu64, options->wire.prefix, options->plan.seed,
             event->number);
    record.key = work->key.data;
    record.key_length = work->key.length;
    record.value = work->value.data;
    record.value_length = work->value.length;
    record.ms = event_ms(&options->wire, event);
    add_moved(work, event, &record);
    note_sent(work, event);
    transmit(work, &record);
    if (options->duplicates && event->number % options->duplicates == 0)
        transmit(work, &record);
    if (event->op == 'd' && options->tombstones) {
        size_t length = strlen(id);
        snprintf(id + length, sizeof id - length, "-t");
        record.value = record.header = NULL;
        record.value_length = 0;
        transmit(work, &record);
    }
    work->ops[event->op == 'c' ? 0 : event->op == 'u' ? 1 : event->op == 'd' ? 2 : 3]++;
    alerts_take(&work->alerts, &options->wire.style, event);
}

/* Waits until it is time for change n, whose turn is n minutes / per_minute after the beginning. */
static void keep_pace(struct work *work, int64_t began_us, uint64_t done)
{
    if (!work->options->per_minute)
        return;
    int64_t due_us = began_us + (int64_t) done * 60000000 / work->options->per_minute;
    int64_t wait_us = due_us - now_us();
    if (wait_us <= 0)
        return;
    work->output->ops->flush(work->output, false);
    if (work->sent)
        fflush(work->sent);
    while ((wait_us = due_us - now_us()) > 0 && !interrupted)
        nanosleep(&(struct timespec){wait_us / 1000000, wait_us % 1000000 * 1000}, NULL);
}

static void generate(struct work *work)
{
    int64_t began_us = now_us();
    uint64_t done = 0;
    /* A changed key is two changes, which are never torn apart. */
    while ((done < work->options->stop_after || work->history.moving) && !interrupted) {
        struct event event;
        keep_pace(work, began_us, done++);
        history_next(&work->history, &event);
        send_event(work, &event);
    }
    work->output->ops->flush(work->output, true);
    double seconds = (double) (now_us() - began_us) / 1e6;
    if (!work->options->quiet)
        fprintf(stderr,
                "{\"events\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
                ", \"creates\": %" PRIu64 ", \"updates\": %" PRIu64 ", \"deletes\": %" PRIu64
                ", \"reads\": %" PRIu64 ", \"schema_changes\": %d, \"alerts\": %zu"
                ", \"seconds\": %.3f, \"messages_per_second\": %.0f}\n",
                done, work->messages, work->bytes, work->ops[0], work->ops[1], work->ops[2],
                work->ops[3], work->history.step, work->alerts.count, seconds,
                seconds > 0 ? (double) work->messages / seconds : 0);
}

static void on_signal(int signal)
{
    interrupted = 1;
}

int main(int argc, char **argv)
{
    struct options options;
    parse(&options, argc, argv);
    struct work work = {.options = &options};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    history_init(&work.history, &options.plan);
    work.maker = maker_new(&options.wire);
    work.output = output_open(&options.output);
    if (options.sent && !(work.sent = fopen(options.sent, "w")))
        die("cannot create %s: %s", options.sent, strerror(errno));
    generate(&work);
    work.output->ops->close(work.output);
    if (work.sent && fclose(work.sent) != 0)
        die("cannot write %s: %s", options.sent, strerror(errno));
    if (options.truth)
        truth_write(options.truth, &work.history, &options.wire.style, &work.alerts);
    maker_free(work.maker);
    history_done(&work.history);
    free(work.alerts.items);
    text_free(&work.key);
    text_free(&work.value);
    text_free(&work.moved);
    return interrupted ? 130 : 0;
}
