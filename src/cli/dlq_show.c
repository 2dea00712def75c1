/* dlq list: letters by pipeline, topic and reason, with counts; dlq show: one in full. */
#include "cli/dlq_show.h"

#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/json.h"
#include "cli/letter.h"
#include "cli/redact.h"
#include "core/text.h"
#include "core/time.h"
#include "core/utf8.h"

#define REASON_WORDS 9
#define REASON_BYTES 80

/* Letters of one pipeline, topic, stage, code, state and beginning of the reason. */
struct kind {
    const struct letter *example; /* the newest */
    char reason[REASON_BYTES + 4];
    uint64_t count;
    int64_t oldest_ms, newest_ms;
    int64_t first, last; /* offsets of the records, over all partitions */
};

/* --- list ----------------------------------------------------------------------------------- */

/* The first words; numbers in them are the record's, so they are left out. */
static void first_words(char *out, const char *reason)
{
    size_t length = 0, words = 0;
    for (; *reason && words < REASON_WORDS && length < REASON_BYTES; reason++) {
        bool digit = *reason >= '0' && *reason <= '9';
        if (digit && length && out[length - 1] == '#')
            continue;
        words += *reason == ' ';
        out[length++] = digit ? '#' : *reason;
    }
    if (*reason)
        length = utf8_cut(out, length);
    snprintf(out + length, sizeof "…", "%s", *reason ? "…" : "");
}

static bool same_kind(const struct kind *kind, const struct letter *letter, const char *reason)
{
    const struct letter *example = kind->example;
    return strcmp(example->pipeline, letter->pipeline) == 0 &&
           strcmp(example->topic, letter->topic) == 0 &&
           strcmp(example->stage, letter->stage) == 0 &&
           strcmp(example->code, letter->code) == 0 &&
           dlq_state(example) == dlq_state(letter) && strcmp(kind->reason, reason) == 0;
}

static struct kind *find_kind(struct kind **kinds, size_t *count, const struct letter *letter,
                              const char *reason)
{
    for (size_t i = *count; i-- > 0;) /* the last one is the likeliest */
        if (same_kind(&(*kinds)[i], letter, reason))
            return &(*kinds)[i];
    struct kind *larger = realloc(*kinds, (*count + 1) * sizeof *larger);
    if (!larger)
        return NULL;
    *kinds = larger;
    struct kind *kind = &larger[(*count)++];
    *kind = (struct kind){.example = letter,
                          .oldest_ms = letter->time_ms,
                          .newest_ms = letter->time_ms,
                          .first = letter->record_offset,
                          .last = letter->record_offset};
    snprintf(kind->reason, sizeof kind->reason, "%s", reason);
    return kind;
}

static bool count_letter(struct kind **kinds, size_t *count, const struct letter *letter)
{
    char reason[REASON_BYTES + 4];
    first_words(reason, letter->reason);
    struct kind *kind = find_kind(kinds, count, letter, reason);
    if (!kind)
        return false;
    kind->count++;
    if (letter->time_ms < kind->oldest_ms)
        kind->oldest_ms = letter->time_ms;
    if (letter->time_ms >= kind->newest_ms) {
        kind->newest_ms = letter->time_ms;
        kind->example = letter;
    }
    kind->first = letter->record_offset < kind->first ? letter->record_offset : kind->first;
    kind->last = letter->record_offset > kind->last ? letter->record_offset : kind->last;
    return true;
}

static int by_count(const void *left, const void *right)
{
    const struct kind *a = left, *b = right;
    return (a->count < b->count) - (a->count > b->count);
}

static const char *moment(struct buffer *room, int64_t time_ms)
{
    buffer_reset(room);
    if (time_ms < 0)
        return "?";
    time_format_timestamp(room, time_ms / 1000 * 1000000, false);
    buffer_puts(room, "Z");
    return buffer_text(room);
}

static bool print_kinds(const struct dlq *dlq, const struct kind *kinds, size_t count)
{
    static const char *const names[] = {"COUNT", "STATE",  "PIPELINE", "TOPIC", "STAGE",
                                        "CODE",  "NEWEST", "OFFSETS",  "REASON"};
    struct columns table;
    struct buffer room;
    char offsets[48];
    buffer_init(&room);
    columns_init(&table, dlq->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < count; i++) {
        const struct letter *letter = kinds[i].example;
        snprintf(offsets, sizeof offsets, kinds[i].first == kinds[i].last ? "%lld" : "%lld-%lld",
                 (long long) kinds[i].first, (long long) kinds[i].last);
        columns_number(&table, (int64_t) kinds[i].count);
        columns_add(&table, letter->route ? dlq_state(letter) : "no pipeline");
        columns_add(&table, letter->pipeline);
        columns_add(&table, letter->topic);
        columns_add(&table, letter->stage);
        columns_add(&table, letter->code);
        columns_add(&table, moment(&room, kinds[i].newest_ms));
        columns_add(&table, offsets);
        columns_add(&table, kinds[i].reason);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    buffer_done(&room);
    return good;
}

static void print_json(const struct dlq *dlq, const struct kind *kinds, size_t count,
                       uint64_t shown, uint64_t handled)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct kind *kind = &kinds[i];
        const struct letter *letter = kind->example;
        json_array_append_new(
            list,
            json_pack("{s:I, s:s, s:b, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:{s:i, "
                      "s:I, s:i, s:I, s:o}}",
                      "count", (json_int_t) kind->count, "state", dlq_state(letter), "configured",
                      letter->route != NULL, "pipeline", cli_json(letter->pipeline), "topic",
                      cli_json(letter->topic), "stage", letter->stage, "code",
                      cli_json(letter->code), "sqlstate", cli_json(letter->code), "oldest_ms",
                      (json_int_t) kind->oldest_ms,
                      "newest_ms", (json_int_t) kind->newest_ms, "first_offset",
                      (json_int_t) kind->first, "last_offset", (json_int_t) kind->last, "reason",
                      cli_json(kind->reason), "example", "letter_partition",
                      (int) letter->partition, "letter_offset", (json_int_t) letter->offset,
                      "partition", (int) letter->record_partition, "offset",
                      (json_int_t) letter->record_offset, "error", cli_json(letter->reason)));
    }
    json_t *root =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", dlq->store.kind, dlq->store.name, "letters",
                  (json_int_t) shown, "handled", (json_int_t) handled, "copies",
                  (json_int_t) dlq->copies, "foreign", (json_int_t) dlq->foreign, "kinds", list);
    cli_print_json(root);
}

/* Each letter by itself. Topics have neither tabs nor backslashes in their names. */
static void list_places(const struct dlq *dlq)
{
    json_t *list = dlq->json ? json_array() : NULL;
    for (size_t i = 0; i < dlq->count; i++) {
        const struct letter *letter = &dlq->letters[i];
        if (letter->mark != OFFSET_NONE && !dlq->all)
            continue;
        if (list)
            json_array_append_new(list, json_pack("{s:o, s:i, s:I}", "topic",
                                                  cli_json(letter->topic), "partition",
                                                  (int) letter->record_partition, "offset",
                                                  (json_int_t) letter->record_offset));
        else
            printf("%s\t%d\t%lld\n", letter->topic, (int) letter->record_partition,
                   (long long) letter->record_offset);
    }
    if (list)
        cli_print_json(json_pack("{s:s, s:o}", dlq->store.kind, dlq->store.name, "places", list));
}

int dlq_list(struct dlq *dlq, struct error *error)
{
    if (dlq->places) {
        list_places(dlq);
        return CLI_OK;
    }
    struct kind *kinds = NULL;
    size_t count = 0;
    uint64_t shown = 0, handled = 0;
    bool good = true;
    for (size_t i = 0; good && i < dlq->count; i++) {
        const struct letter *letter = &dlq->letters[i];
        handled += letter->mark != OFFSET_NONE;
        if (letter->mark != OFFSET_NONE && !dlq->all)
            continue;
        shown++;
        good = count_letter(&kinds, &count, letter);
    }
    if (good && count)
        qsort(kinds, count, sizeof *kinds, by_count);
    if (good && dlq->json) {
        print_json(dlq, kinds, count, shown, handled);
    } else if (good) {
        good = !count || print_kinds(dlq, kinds, count);
        printf("%llu letter%s in %s, %llu handled%s\n", (unsigned long long) shown,
               shown == 1 ? "" : "s", dlq->store.name, (unsigned long long) handled,
               handled && !dlq->all ? " and left out (--all shows them)" : "");
        if (dlq->foreign)
            printf("%llu records there are not letters of ods-sink: they lack the headers "
                   "ods.partition and ods.offset\n",
                   (unsigned long long) dlq->foreign);
    }
    free(kinds);
    if (good)
        return CLI_OK;
    error_set(error, ODS_FATAL, "out of memory for the list");
    return CLI_INTERNAL;
}

/* --- show ----------------------------------------------------------------------------------- */

static bool is_shown(const struct dlq *dlq, const struct letter *letter)
{
    return true;
}

static void set_bytes(struct letter_view *view, json_t *object, const char *name,
                      const char *encoded_name, const char *bytes, size_t length)
{
    bool encoded;
    json_t *text = letter_bytes(view, bytes, length, &encoded);
    json_object_set_new(object, encoded ? encoded_name : name, text);
}

static json_t *describe_headers(struct letter_view *view, letter_headers_of *headers_of,
                                const struct record *record)
{
    json_t *list = json_array();
    size_t count = headers_of(record, NULL, 0);
    struct header *headers = calloc(count + 1, sizeof *headers);
    struct letter_view plain = {.hides = false};
    if (headers)
        headers_of(record, headers, count);
    for (size_t i = 0; headers && i < count; i++) {
        json_t *header = json_pack("{s:o}", "name", cli_json(headers[i].name));
        if (letter_hides_header(view, headers[i].name))
            json_object_set_new(header, "value", json_string(REDACTED));
        else
            set_bytes(&plain, header, "value", "value_b64", headers[i].value, headers[i].length);
        json_array_append_new(list, header);
    }
    free(headers);
    return list;
}

/* What the record means to the decoder of now, which may have learned since, and so to which table
 * it belongs. */
static json_t *describe_changes(struct letter *letter, struct dlq_record *record,
                                struct letter_view *view)
{
    struct error error;
    struct buffer line;
    error_init(&error);
    buffer_init(&line);
    json_t *list = json_array();
    enum ods_status status = dlq_decode(letter, record, &error);
    struct batch *batch = letter->route->batch;
    if (status == ODS_OK && batch->change_count) {
        const struct shape *shape = batch->changes[0].shape;
        letter_view_done(view);
        letter_view_init(view, letter->route->pipeline,
                         *shape->schema ? shape->schema : shape->database, shape->table,
                         record->opened);
    }
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        buffer_reset(&line);
        status = cli_put_change(&line, batch, i, &error);
        json_t *change =
            status == ODS_OK ? json_loadb(line.bytes, line.length, 0, NULL) : NULL;
        view->transformed = true;
        if (change)
            letter_hide(view, change);
        view->transformed = false;
        json_array_append_new(list, change);
    }
    buffer_done(&line);
    if (status == ODS_OK)
        return list;
    json_decref(list);
    return json_pack("{s:o}", "error", cli_json(error.text));
}

static json_t *describe_letter(const struct dlq *dlq, const struct letter *letter)
{
    struct buffer room;
    struct letter_view plain = {.hides = false};
    buffer_init(&room);
    json_t *object =
        json_pack("{s:{s:s, s:i, s:I, s:o}, s:s, s:o, s:o, s:o, s:o}", "letter",
                  dlq->store.kind, dlq->store.name,
                  "partition", (int) letter->partition, "offset", (json_int_t) letter->offset,
                  "time", json_string(moment(&room, letter->time_ms)), "state", dlq_state(letter),
                  "pipeline", cli_json(letter->pipeline), "stage", cli_json(letter->stage),
                  "code", cli_json(letter->code), "sqlstate", cli_json(letter->code));
    json_object_set_new(object, "record",
                        json_pack("{s:o, s:i, s:I, s:o}", "topic", cli_json(letter->topic),
                                  "partition", (int) letter->record_partition, "offset",
                                  (json_int_t) letter->record_offset, "time",
                                  json_string(moment(&room, letter->record_time_ms))));
    if (letter->identity)
        set_bytes(&plain, json_object_get(object, "record"), "identity", "identity_b64",
                  letter->identity, letter->identity_length);
    buffer_done(&room);
    return object;
}

/* Takes the message over. */
static json_t *describe(const struct dlq *dlq, struct letter *letter, const struct record *message)
{
    struct error why;
    struct letter_view view;
    struct dlq_record record;
    error_init(&why);
    letter_view_init(&view, letter->route ? letter->route->pipeline : NULL, NULL, NULL, false);
    json_t *object = describe_letter(dlq, letter);
    json_t *headers = describe_headers(&view, dlq->store.headers, message);
    char id[JWE_KEY_ID_BYTES];
    bool sealed = letter_is_sealed(message, dlq->store.headers, id);
    enum ods_status status = dlq_open(dlq, message, &record, &why);
    json_object_set_new(object, "headers", headers);
    if (sealed)
        json_object_set_new(object, "encrypted",
                            json_pack("{s:o, s:b, s:o}", "key_id", cli_json(id), "opened",
                                      status == ODS_OK, "why",
                                      status == ODS_OK ? json_null() : cli_json(why.text)));
    if (status == ODS_OK) {
        json_t *changes = letter->route ? describe_changes(letter, &record, &view) : NULL;
        set_bytes(&view, object, "key", "key_b64", record.record.key, record.record.key_length);
        set_bytes(&view, object, "value", "value_b64", record.record.value,
                  record.record.value_length);
        json_object_set_new(object, "changes", changes);
    }
    dlq_record_done(&record);
    letter_view_done(&view);
    return object;
}

static void print_text(const json_t *object)
{
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach((json_t *) object, name, value)
    {
        if (json_is_string(value)) {
            bool large = strncmp(name, "key", 3) == 0 || strncmp(name, "value", 5) == 0;
            printf(large ? "%s:\n  " : "%s: ", name);
            terminal_line(stdout, "%s", json_string_value(value));
        } else if (json_is_array(value)) {
            json_t *item;
            printf("%s:\n", name);
            json_array_foreach(value, i, item)
            {
                const char *header = json_string_value(json_object_get(item, "name"));
                json_t *text = json_object_get(item, "value");
                if (header && json_is_string(text)) {
                    terminal_line(stdout, "  %s = %s", header, json_string_value(text));
                    continue;
                }
                fputs("  ", stdout);
                json_dumpf(item, stdout, JSON_ENCODE_ANY);
                putchar('\n');
            }
        } else {
            printf("%s: ", name);
            json_dumpf(value, stdout, JSON_ENCODE_ANY);
            putchar('\n');
        }
    }
}

struct showing {
    struct dlq *dlq;
    size_t shown;
};

static bool show_letter(void *context, struct letter *letter, const struct record *record)
{
    struct showing *showing = context;
    json_t *object = describe(showing->dlq, letter, record);
    if (showing->dlq->json)
        json_dumpf(object, stdout, JSON_INDENT(2));
    else
        print_text(object);
    putchar('\n');
    json_decref(object);
    showing->shown++;
    return true;
}

int dlq_show(struct dlq *dlq, struct error *error)
{
    struct showing showing = {.dlq = dlq};
    if (dlq_read(dlq, is_shown, show_letter, &showing, error) != ODS_OK)
        return CLI_SOURCE;
    for (size_t i = 0; i < dlq->route_count; i++)
        batch_reset(dlq->routes[i].batch);
    if (showing.shown)
        return CLI_OK;
    error_set(error, ODS_FATAL, "%s holds no such letter; `ods-sink dlq list` says what is there",
              dlq->store.name);
    return CLI_NEGATIVE;
}
