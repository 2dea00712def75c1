/* The letters of the dead-letter topic, each once, with what has become of them.
 *
 * After a crash, or when offsets were reset, a record may have several letters: the last one
 * counts. A record of a queue is the one with its identity, else with its place. What has become of
 * it lies in the target, among the stored offsets, under the pipeline's group with ".dlq" after it
 * and a "topic" for each letter. So a mark moves in the transaction that writes the row and by
 * compare-and-swap, like every offset: two replays at once can't both apply.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dlq.h"
#include "core/backoff.h"
#include "core/time.h"
#include "pipeline/intake.h"

#define REASON_BYTES 200

struct loading {
    struct dlq *dlq;
    bool out_of_memory;
    const struct letter *last; /* its texts are likely those of the next one too */
};

/* --- headers -------------------------------------------------------------------------------- */

/* The header's text, shared with the one that an earlier letter has where they are the same. */
static const char *text(struct loading *loading, const struct record *record,
                        const char *name, const char *same, size_t most)
{
    size_t length;
    const char *value = letter_store_text(&loading->dlq->store, record, name, most, &length);
    if (!value)
        return "";
    if (same && strlen(same) == length && memcmp(same, value, length) == 0)
        return same;
    const char *copy = arena_strndup(&loading->dlq->arena, value, length);
    loading->out_of_memory |= !copy;
    return copy ? copy : "";
}

static bool number(const struct letter_store *store, const struct record *record,
                   const char *name, int64_t *number_)
{
    size_t length;
    char digits[24];
    const char *value = letter_store_header(store, record, name, &length);
    if (!value || !length || length >= sizeof digits)
        return false;
    memcpy(digits, value, length);
    digits[length] = '\0';
    return cli_parse_number(digits, INT64_MAX, number_);
}

static void take_identity(struct loading *loading, const struct record *record,
                          struct letter *letter)
{
    const char *identity = letter_store_header(&loading->dlq->store, record,
                                               "ods.identity", &letter->identity_length);
    if (!identity)
        return;
    letter->identity = arena_strndup(&loading->dlq->arena, identity, letter->identity_length);
    loading->out_of_memory |= !letter->identity;
}

static bool is_wanted(const struct dlq *dlq, const struct letter *letter,
                      const struct record *record)
{
    const struct filter *filter = &dlq->filter;
    size_t length = 0;
    const char *reason = letter_store_header(&dlq->store, record, "ods.error", &length);
    return (!filter->pipeline || strcmp(filter->pipeline, letter->pipeline) == 0) &&
           (!filter->topic || strcmp(filter->topic, letter->topic) == 0) &&
           (!filter->stage || strcmp(filter->stage, letter->stage) == 0) &&
           (!filter->code || strcmp(filter->code, letter->code) == 0) &&
           (!filter->reason ||
            (reason && memmem(reason, length, filter->reason, strlen(filter->reason)))) &&
           (filter->partition < 0 || filter->partition == letter->record_partition) &&
           (filter->offsets.last < 0 || (letter->record_offset >= filter->offsets.first &&
                                         letter->record_offset <= filter->offsets.last)) &&
           (filter->letter_offset < 0 || filter->letter_offset == letter->offset) &&
           (filter->since_us == INT64_MIN || letter->time_ms >= filter->since_us / 1000);
}

static struct route *find_route(struct dlq *dlq, const char *pipeline)
{
    for (size_t i = 0; i < dlq->route_count; i++) {
        assert(dlq->routes[i].pipeline);
        if (strcmp(dlq->routes[i].pipeline->name, pipeline) == 0)
            return &dlq->routes[i];
    }
    return NULL;
}

static struct letter *add_letter(struct dlq *dlq)
{
    if (dlq->count == dlq->capacity) {
        size_t larger = dlq->capacity ? dlq->capacity * 2 : 256;
        struct letter *moved = realloc(dlq->letters, larger * sizeof *moved);
        if (!moved)
            return NULL;
        dlq->letters = moved;
        dlq->capacity = larger;
    }
    return memset(&dlq->letters[dlq->count++], 0, sizeof *dlq->letters);
}

static bool note_erased(struct dlq *dlq, int32_t partition, int64_t offset)
{
    if (dlq->erased_count == dlq->erased_capacity) {
        size_t larger = dlq->erased_capacity ? dlq->erased_capacity * 2 : 64;
        struct letter_place *moved = realloc(dlq->erased, larger * sizeof *moved);
        if (!moved)
            return false;
        dlq->erased = moved;
        dlq->erased_capacity = larger;
    }
    dlq->erased[dlq->erased_count++] = (struct letter_place){partition, offset};
    return true;
}

static bool take_letter(void *context, const struct record *record)
{
    struct loading *loading = context;
    struct dlq *dlq = loading->dlq;
    int64_t partition, offset, time_ms = -1;
    if (dlq->store.tool && letter_erases(record, &offset)) {
        loading->out_of_memory |= !note_erased(dlq, record->partition, offset);
        goto out;
    }
    if (!number(&dlq->store, record, "ods.partition", &partition) ||
        !number(&dlq->store, record, "ods.offset", &offset) ||
        partition > INT32_MAX) {
        dlq->foreign++;
        goto out;
    }
    number(&dlq->store, record, "ods.timestamp", &time_ms);
    struct letter *letter = add_letter(dlq);
    if (!letter) {
        loading->out_of_memory = true;
        goto out;
    }
    const struct letter *last = dlq->count > 1 ? letter - 1 : NULL;
    *letter = (struct letter){
        .partition = record->partition,
        .offset = record->offset,
        .time_ms = record->timestamp_ms,
        .pipeline = text(loading, record, "ods.pipeline", last ? last->pipeline : NULL, 256),
        .topic = text(loading, record, "ods.topic", last ? last->topic : NULL, 256),
        .stage = text(loading, record, "ods.stage", last ? last->stage : NULL, 32),
        .code = text(loading, record, "ods.code", last ? last->code : NULL, 23),
        .reason = "",
        .record_partition = (int32_t) partition,
        .record_offset = offset,
        .record_time_ms = time_ms,
        .mark = OFFSET_NONE,
    };
    if (!*letter->code) /* as earlier versions call it */
        letter->code = text(loading, record, "ods.sqlstate", last ? last->code : NULL, 23);
    take_identity(loading, record, letter);
    letter->wanted = is_wanted(dlq, letter, record);
    if (letter->wanted)
        letter->reason =
            text(loading, record, "ods.error", last ? last->reason : NULL, REASON_BYTES);
    letter->route = find_route(dlq, letter->pipeline);
out:
    dlq->store.release(record->owner);
    return !loading->out_of_memory;
}

/* --- each once ------------------------------------------------------------------------------ */

static int by_identity(const struct letter *a, const struct letter *b)
{
    size_t length =
        a->identity_length < b->identity_length ? a->identity_length : b->identity_length;
    int order = memcmp(a->identity, b->identity, length);
    return order ? order
                 : (a->identity_length > b->identity_length) -
                       (a->identity_length < b->identity_length);
}

/* A record of a queue is known by its identity, whichever delivery each letter is of. */
static int by_record(const void *left, const void *right)
{
    const struct letter *a = *(struct letter *const *) left, *b = *(struct letter *const *) right;
    int order = strcmp(a->topic, b->topic);
    if (!order)
        order = strcmp(a->pipeline, b->pipeline);
    if (!order)
        order = (a->identity != NULL) - (b->identity != NULL);
    if (!order && a->identity)
        return by_identity(a, b);
    if (!order)
        order = (a->record_partition > b->record_partition) -
                (a->record_partition < b->record_partition);
    if (!order)
        order = (a->record_offset > b->record_offset) - (a->record_offset < b->record_offset);
    return order;
}

static int by_record_and_age(const void *left, const void *right)
{
    const struct letter *a = *(struct letter *const *) left, *b = *(struct letter *const *) right;
    int order = by_record(left, right);
    if (!order)
        order = (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
    if (!order)
        order = (a->offset > b->offset) - (a->offset < b->offset);
    return order;
}

static int by_place(const void *left, const void *right)
{
    const struct letter *a = left, *b = right;
    if (a->partition != b->partition)
        return a->partition > b->partition ? 1 : -1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static int by_erased_place(const void *left, const void *right)
{
    const struct letter_place *a = left, *b = right;
    if (a->partition != b->partition)
        return a->partition > b->partition ? 1 : -1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Whether Kafka has compacted them away yet or not. */
static void drop_erased(struct dlq *dlq)
{
    size_t kept = 0;
    if (!dlq->erased_count)
        return;
    qsort(dlq->erased, dlq->erased_count, sizeof *dlq->erased, by_erased_place);
    for (size_t i = 0; i < dlq->count; i++) {
        const struct letter_place place = {dlq->letters[i].partition, dlq->letters[i].offset};
        if (!bsearch(&place, dlq->erased, dlq->erased_count, sizeof place, by_erased_place))
            dlq->letters[kept++] = dlq->letters[i];
    }
    dlq->count = kept;
}

/* Leaves the wanted letters, without earlier copies, by place. */
static bool settle(struct dlq *dlq)
{
    struct letter **sorted = malloc((dlq->count + 1) * sizeof *sorted);
    size_t kept = 0;
    if (!sorted)
        return false;
    drop_erased(dlq);
    for (size_t i = 0; i < dlq->count; i++)
        sorted[i] = &dlq->letters[i];
    qsort(sorted, dlq->count, sizeof *sorted, by_record_and_age);
    for (size_t i = 0; i + 1 < dlq->count; i++)
        sorted[i]->copy = by_record(&sorted[i], &sorted[i + 1]) == 0;
    free(sorted);
    for (size_t i = 0; i < dlq->count; i++) {
        struct letter *letter = &dlq->letters[i];
        dlq->copies += letter->wanted && letter->copy;
        /* A letter that is asked for by its own place is shown whatever came later. */
        if (letter->wanted && (!letter->copy || dlq->filter.letter_offset >= 0))
            dlq->letters[kept++] = *letter;
    }
    dlq->count = kept;
    if (dlq->count)
        qsort(dlq->letters, dlq->count, sizeof *dlq->letters, by_place);
    return true;
}

/* --- marks ---------------------------------------------------------------------------------- */

const char *dlq_mark_topic(const char *store, struct arena *arena, const struct letter *letter)
{
    char name[320];
    int length = snprintf(name, sizeof name, "%s@%lld@%lld", store, (long long) letter->offset,
                          (long long) letter->time_ms);
    return arena_strndup(arena, name, (size_t) length);
}

static enum ods_status resume(struct route *route, struct position *positions, size_t count,
                              struct error *error)
{
    struct worker_deadline deadline;
    worker_deadline_init(&deadline, route->settings, route->wait_ms);
    return worker_resume(&route->worker, positions, count, worker_deadline_wait, &deadline, error);
}

static int read_marks(struct dlq *dlq, struct route *route, struct error *error)
{
    size_t count = 0;
    int code = CLI_OK;
    struct position *positions = calloc(dlq->count + 1, sizeof *positions);
    struct letter **letters = calloc(dlq->count + 1, sizeof *letters);
    bool good = positions && letters;
    for (size_t i = 0; good && i < dlq->count; i++) {
        struct letter *letter = &dlq->letters[i];
        if (letter->route != route)
            continue;
        letters[count] = letter;
        positions[count].partition = letter->partition;
        positions[count].topic = dlq_mark_topic(dlq->store.name, &dlq->arena, letter);
        good = positions[count++].topic != NULL;
    }
    if (!good) {
        error_set(error, ODS_FATAL, "out of memory for %zu letters", dlq->count);
        code = CLI_INTERNAL;
    } else if (count && resume(route, positions, count, error) != ODS_OK) {
        error_prefix(error, "can't ask what has become of the letters: ");
        code = CLI_TARGET;
    }
    for (size_t i = 0; code == CLI_OK && i < count; i++)
        letters[i]->mark = positions[i].offset;
    free(positions);
    free(letters);
    return code;
}

const char *dlq_state(const struct letter *letter)
{
    return letter->mark == OFFSET_NONE    ? "open"
           : letter->mark == MARK_SKIPPED ? "skipped"
                                          : "replayed";
}

/* --- opening -------------------------------------------------------------------------------- */

static int open_route(struct route *route, const struct dlq *dlq, struct error *error)
{
    const struct pipeline_settings *pipeline = route->pipeline;
    route->origin = (struct worker_origin){.settings = route->settings, .pipeline = pipeline};
    if (worker_open_helper(&route->helper, &route->origin, error) != ODS_OK)
        return CLI_CONFIG;
    route->wait_ms = dlq->wait_ms;
    route->batch = batch_new();
    if (asprintf(&route->group, "%s" LETTERS_REPLAYS, pipeline->group_id) < 0)
        route->group = NULL;
    if (!route->batch || !route->group) {
        error_set(error, ODS_FATAL, "out of memory for pipeline \"%s\"", pipeline->name);
        return CLI_INTERNAL;
    }
    const struct worker_options options = {.settings = route->settings,
                                           .pipeline = pipeline,
                                           .group = route->group,
                                           .helper = route->helper,
                                           .want_before = dlq->which != NULL};
    return worker_open(&route->worker, &options, error) == ODS_OK ? CLI_OK : CLI_CONFIG;
}

static int open_routes(struct dlq *dlq, struct error *error)
{
    int code = CLI_OK;
    dlq->routes = calloc(dlq->settings->pipeline_count + 1, sizeof *dlq->routes);
    if (!dlq->routes) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; code == CLI_OK && i < dlq->settings->pipeline_count; i++) {
        struct route *route = &dlq->routes[dlq->route_count++];
        route->settings = dlq->settings;
        route->pipeline = &dlq->settings->pipelines[i];
        code = open_route(route, dlq, error);
    }
    return code;
}

/* What the formats' helpers need, whole, before the first letter is decoded. The daemon logs what
 * of it can't be read. */
static enum ods_status read_helpers(struct dlq *dlq, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < dlq->route_count; i++) {
        struct format_helper *helper = dlq->routes[i].helper;
        if (helper)
            status = helper->ops->read(helper, error);
    }
    return status;
}

int dlq_load(struct dlq *dlq, struct error *error)
{
    struct loading loading = {.dlq = dlq};
    const struct dead_letter_settings *places = &dlq->settings->dead_letter;
    if (!*places->topic && !*places->table) {
        error_set(error, ODS_FATAL,
                  "%s sets neither dead_letter.topic nor dead_letter.table, so there are no dead "
                  "letters%s",
                  dlq->config, *places->address ? " that it can read" : "");
        return CLI_CONFIG;
    }
    int code = open_routes(dlq, error);
    if (code != CLI_OK)
        return code;
    if (dlq->filter.pipeline && !find_route(dlq, dlq->filter.pipeline))
        terminal_line(stderr, "ods-sink dlq: note: no pipeline \"%s\" is configured",
                      dlq->filter.pipeline);
    if (letter_store_open(&dlq->store, dlq->settings, error) != ODS_OK ||
        read_helpers(dlq, error) != ODS_OK ||
        letter_store_read(&dlq->store, NULL, take_letter, &loading, error) != ODS_OK)
        return dlq->store.letters ? CLI_TARGET : CLI_SOURCE;
    if (loading.out_of_memory || !settle(dlq)) {
        error_set(error, ODS_FATAL, "out of memory after %zu letters", dlq->count);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; code == CLI_OK && i < dlq->route_count; i++)
        code = read_marks(dlq, &dlq->routes[i], error);
    return code;
}

void dlq_done(struct dlq *dlq)
{
    for (size_t i = 0; i < dlq->route_count; i++) {
        struct route *route = &dlq->routes[i];
        batch_free(route->batch);
        worker_close(&route->worker);
        worker_close_helper(route->helper);
        free(route->group);
    }
    free(dlq->routes);
    free(dlq->letters);
    free(dlq->erased);
    letter_keys_done(&dlq->keys);
    arena_done(&dlq->arena);
    letter_store_close(&dlq->store);
}

/* --- reading them whole --------------------------------------------------------------------- */

struct rereading {
    struct dlq *dlq;
    bool (*chosen)(const struct dlq *, const struct letter *);
    bool (*take)(void *context, struct letter *letter, const struct record *record);
    void *context;
};

static bool take_again(void *context, const struct record *record)
{
    struct rereading *rereading = context;
    struct dlq *dlq = rereading->dlq;
    const struct letter place = {.partition = record->partition, .offset = record->offset};
    struct letter *letter =
        bsearch(&place, dlq->letters, dlq->count, sizeof *dlq->letters, by_place);
    if (letter && rereading->chosen(dlq, letter))
        return rereading->take(rereading->context, letter, record);
    dlq->store.release(record->owner);
    return true;
}

enum ods_status dlq_read(struct dlq *dlq, bool (*chosen)(const struct dlq *, const struct letter *),
                         bool (*take)(void *context, struct letter *letter,
                                      const struct record *record),
                         void *context, struct error *error)
{
    struct rereading rereading = {dlq, chosen, take, context};
    int32_t partitions = 0;
    bool any = false;
    for (size_t i = 0; i < dlq->count; i++)
        partitions = dlq->letters[i].partition + 1;
    int32_t count = 0;
    enum ods_status status = letter_store_partitions(&dlq->store, &count, error);
    if (status != ODS_OK)
        return status;
    int64_t *froms =
        malloc(((size_t) (count > partitions ? count : partitions) + 1) * sizeof *froms);
    if (!froms)
        return error_set(error, ODS_FATAL, "out of memory");
    for (int32_t i = 0; i < count || i < partitions; i++)
        froms[i] = INT64_MAX; /* nothing of it */
    for (size_t i = dlq->count; i-- > 0;)
        if (chosen(dlq, &dlq->letters[i])) {
            froms[dlq->letters[i].partition] = dlq->letters[i].offset;
            any = true;
        }
    if (any)
        status = letter_store_read(&dlq->store, froms, take_again, &rereading, error);
    free(froms);
    return status;
}

enum ods_status dlq_open(const struct dlq *dlq, const struct record *message,
                         struct dlq_record *record, struct error *error)
{
    *record = (struct dlq_record){
        .record = *message, .release = dlq->store.release, .headers = dlq->store.headers};
    if (!letter_is_sealed(message, dlq->store.headers, NULL))
        return ODS_OK;
    enum ods_status status =
        letter_open(&dlq->keys, message, dlq->store.headers, &record->record, error);
    if (status != ODS_OK)
        return status;
    dlq->store.release(message->owner);
    record->opened = true;
    record->release = free;
    record->headers = letter_headers;
    return ODS_OK;
}

void dlq_record_done(struct dlq_record *record)
{
    if (!record->taken)
        record->release(record->record.owner);
    record->taken = true;
}

enum ods_status dlq_decode(struct letter *letter, struct dlq_record *from, struct error *error)
{
    struct route *route = letter->route;
    struct record record = from->record;
    record.topic = letter->topic;
    record.partition = letter->record_partition;
    record.offset = letter->record_offset;
    record.timestamp_ms = letter->record_time_ms;
    batch_reset(route->batch);
    route->batch->release = from->release;
    route->batch->headers = from->headers;
    enum ods_status status = intake_add(route->batch, &route->worker, &record, OFFSET_NONE, error);
    if (status != ODS_OK)
        return status;
    from->taken = true;
    if (!route->batch->reject_count)
        return ODS_OK;
    *error = route->batch->rejects[0].error;
    return ODS_REJECT;
}
