/* Looks again at rows that were different. See inspection.h.
 *
 * A look reads the source's row and the end of the source's log, waits until the pipeline has come
 * past that place, reads the target's row, and reads the source's row once more. The target is
 * right when it has one of the source's two rows, as the row may have changed in between. It is
 * wrong when the source had the same row both times and the target had another, in two looks one
 * after the other: within one look the source may have changed the row and changed it back. When a
 * row changes at every look, its changing columns can't be compared. It is right when the other
 * columns are equal, and the changing columns change in the target from look to look too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hash_index.h"
#include "core/time.h"
#include "verify/inspection.h"

#define LOOKS_MAX     10
#define LOOKS_WRONG   2
#define LOOKS_BUSY    2
#define FIRST_WAIT_MS 500 /* then twice as long each time */
/* columns about the last write, after the target's texts: target_lookup() */
#define TRACES        6

/* A row as one look has found it. */
struct image {
    bool present;
    struct digest *columns;
    char *texts;
    char *refusal;
};

enum sight { SIGHT_OPEN, SIGHT_EQUAL, SIGHT_WRONG };

struct look {
    struct inspection *inspection;
    struct suspect *suspects;
    size_t count;
    struct hash_index index;
    struct image *source, *target, *again; /* by suspect */
    struct image *before;                  /* the target's rows at the look before */
    struct image *early;                   /* the target's rows while it is waited for */
    struct image *into;
    uint32_t texts; /* how many texts each row has: the source's or the target's */
    enum sight *sights;
    bool writers_read; /* for this look's differences */
    unsigned *wrong, *busy; /* in how many successive looks the row was wrong, or changing */
    int64_t began_us;
};

/* --- images --------------------------------------------------------------------------------- */

static void forget(struct image *image)
{
    free(image->columns);
    free(image->texts);
    free(image->refusal);
    *image = (struct image){0};
}

static void forget_all(struct look *look, struct image *images)
{
    for (size_t i = 0; images && i < look->count; i++)
        forget(&images[i]);
}

static size_t texts_length(const char *texts, uint32_t count)
{
    const char *at = texts;
    while (count--)
        at += strlen(at) + 1;
    return (size_t) (at - texts);
}

static enum ods_status take_image(void *context, const struct row *row, struct error *error)
{
    struct look *look = context;
    const struct comparison *comparison = &look->inspection->comparison;
    struct digest key = digest_of(row->elements, row->prefix);
    size_t at = hash_index_start(key.a);
    struct suspect *suspect;
    while ((suspect = hash_index_next(&look->index, key.a, &at)))
        if (digest_same(&suspect->digest, &key))
            break;
    if (!suspect)
        return ODS_OK;
    struct image *image = &look->into[suspect - look->suspects];
    forget(image);
    size_t length = texts_length(row->texts, look->texts);
    image->present = true;
    image->columns = malloc((comparison->count + 1) * sizeof *image->columns);
    image->texts = malloc(length + 1);
    image->refusal = row->refusal ? strdup(row->refusal) : NULL;
    if (!image->columns || !image->texts || (row->refusal && !image->refusal))
        return error_out_of_memory(error);
    memcpy(image->texts, row->texts, length);
    const char *element = row->elements;
    for (uint32_t i = 0; i < comparison->count; i++) {
        image->columns[i] = digest_of(element, element_bytes(element));
        element += element_bytes(element);
    }
    return ODS_OK;
}

static bool same(const struct look *look, const struct image *one, const struct image *other)
{
    if (one->present != other->present)
        return false;
    return !one->present ||
           memcmp(one->columns, other->columns,
                  look->inspection->comparison.count * sizeof *one->columns) == 0;
}

/* Reads the rows of all suspects about which nothing is decided yet. */
static enum ods_status read_images(struct look *look, struct image *images, bool of_source,
                                   struct error *error)
{
    struct inspection *inspection = look->inspection;
    struct keys keys;
    keys_init(&keys);
    for (size_t i = 0; i < look->count; i++)
        if (look->sights[i] == SIGHT_OPEN) {
            forget(&images[i]);
            keys_add(&keys, look->suspects[i].key, look->suspects[i].length);
        }
    look->into = images;
    look->texts = inspection->comparison.count + (of_source ? 0 : TRACES);
    enum ods_status status = ODS_OK;
    if (keys.count)
        status = of_source ? inspection_lookup_source(inspection, &keys, take_image, look, error)
                           : target_lookup(inspection->target, &inspection->comparison, &keys,
                                           take_image, look, error);
    keys_done(&keys);
    return status;
}

/* --- telling -------------------------------------------------------------------------------- */

static const char *text_at(const struct image *image, uint32_t number)
{
    const char *at = image->texts;
    while (at && number--)
        at += strlen(at) + 1;
    return at ? at : "";
}

static const char *trace(const struct look *look, const struct image *target, uint32_t number)
{
    return target->present ? text_at(target, look->inspection->comparison.count + number) : "";
}

/* Finds the record that wrote the row last at the end of the table's topic, where the target's row
 * does not say it. */
static const struct writer *find_writer(struct look *look, const struct image *row)
{
    struct inspection *inspection = look->inspection;
    const struct comparison *comparison = &inspection->comparison;
    struct digest key = {0};
    if (comparison->provenance.offset >= 0 || !writers_can(comparison))
        return NULL;
    if (!look->writers_read)
        writers_read(&inspection->writers, inspection->arrival);
    look->writers_read = true;
    for (uint32_t k = 0; k < comparison->keys; k++) {
        const char *text = text_at(row, k);
        writers_add_column(&key, comparison->columns[k].name, text, strlen(text));
    }
    return writers_find(&inspection->writers, &key);
}

/* One of the rows that were to be repaired. */
static struct mend *mend_of(const struct look *look, size_t number)
{
    const struct inspection *inspection = look->inspection;
    return &inspection->mends[look->suspects - inspection->suspects + (ptrdiff_t) number];
}

/* False: out of memory. */
static bool tell(struct look *look, size_t number)
{
    struct inspection *inspection = look->inspection;
    const struct comparison *comparison = &inspection->comparison;
    const struct image *source = &look->source[number], *target = &look->target[number];
    if (inspection->repairing) {
        mend_of(look, number)->left = true;
        return true;
    }
    struct verify_value *key = calloc(comparison->keys + 1, sizeof *key);
    struct verify_value *columns = calloc(comparison->count + 1, sizeof *columns);
    struct verify_difference difference = {
        .kind = !target->present ? VERIFY_MISSING
                : source->present ? VERIFY_CHANGED
                                  : VERIFY_EXTRA,
        .key = key,
        .columns = columns,
        .refusal = source->refusal,
        .operation = trace(look, target, 0),
        .timestamp = trace(look, target, 1),
        .topic = trace(look, target, 2),
        .partition = trace(look, target, 3),
        .offset = trace(look, target, 4)};
    for (uint32_t k = 0; key && columns && k < comparison->keys; k++) {
        const struct compared *column = &comparison->columns[comparison->order[k]];
        const char *text = text_at(source->present ? source : target, comparison->order[k]);
        key[difference.key_count++] =
            (struct verify_value){column->name, column->redacted ? NULL : text,
                                  column->redacted ? NULL : text};
    }
    for (uint32_t i = 0; key && columns && i < comparison->count; i++) {
        const struct compared *column = &comparison->columns[i];
        if (difference.kind != VERIFY_CHANGED ||
            digest_same(&source->columns[i], &target->columns[i]))
            continue;
        columns[difference.column_count++] =
            (struct verify_value){column->name, column->redacted ? NULL : text_at(source, i),
                                  column->redacted ? NULL : text_at(target, i)};
    }
    const struct writer *writer = find_writer(look, source->present ? source : target);
    char partition[16], offset[24];
    if (writer) {
        snprintf(partition, sizeof partition, "%d", (int) writer->partition);
        snprintf(offset, sizeof offset, "%lld", (long long) writer->offset);
        difference.topic = inspection->writers.topic;
        difference.partition = partition;
        difference.offset = offset;
    }
    inspection_tell(inspection, &difference);
    free(key);
    free(columns);
    return repair_note(inspection, &look->suspects[number], difference.kind,
                       trace(look, target, 5), source->refusal);
}

/* --- looking -------------------------------------------------------------------------------- */

/* Is the target's row as the source's, or one that only the target has, where that is not a
 * difference? */
static bool is_right(const struct look *look, const struct image *source,
                     const struct image *target)
{
    return same(look, source, target) ||
           (!look->inspection->comparison.extras && !source->present && target->present);
}

/* Do the same columns of the row change on both sides, and are the others equal? */
static bool is_busy(const struct look *look, size_t i)
{
    const struct image *source = &look->source[i], *again = &look->again[i],
                       *target = &look->target[i], *before = &look->before[i];
    if (!source->present || !again->present || !target->present || !before->present)
        return false;
    for (uint32_t k = 0; k < look->inspection->comparison.count; k++) {
        bool stays = digest_same(&source->columns[k], &again->columns[k]);
        const struct digest *right = stays ? &source->columns[k] : &before->columns[k];
        if (digest_same(&target->columns[k], right) != stays)
            return false;
    }
    return true;
}

static enum ods_status judge(struct look *look, bool twice, size_t *left, struct error *error)
{
    size_t open = 0;
    for (size_t i = 0; i < look->count; i++) {
        if (look->sights[i] != SIGHT_OPEN)
            continue;
        if (is_right(look, &look->source[i], &look->target[i]) ||
            (twice && same(look, &look->again[i], &look->target[i])))
            look->sights[i] = SIGHT_EQUAL;
        else if (twice && same(look, &look->source[i], &look->again[i]))
            look->wrong[i]++;
        else
            look->wrong[i] = 0;
        look->busy[i] = twice && is_busy(look, i) ? look->busy[i] + 1 : 0;
        if (look->sights[i] == SIGHT_OPEN && look->busy[i] >= LOOKS_BUSY)
            look->sights[i] = SIGHT_EQUAL;
        if (look->sights[i] == SIGHT_OPEN && look->wrong[i] >= LOOKS_WRONG) {
            look->sights[i] = SIGHT_WRONG;
            if (!tell(look, i))
                return error_out_of_memory(error);
        }
        open += look->sights[i] == SIGHT_OPEN;
    }
    *left = open;
    return ODS_OK;
}

/* Has the difference lasted for settle_ms? Then it counts, also when nobody knows whether the
 * connector is up to date. */
static bool has_lasted(const struct look *look)
{
    int64_t settle_ms = look->inspection->options->settle_ms;
    return settle_ms && time_monotonic_us() - look->began_us >= settle_ms * 1000;
}

static void leave_open(struct look *look, const char *why)
{
    struct inspection *inspection = look->inspection;
    for (size_t i = 0; i < look->count; i++) {
        if (look->sights[i] != SIGHT_OPEN)
            continue;
        if (inspection->repairing)
            mend_of(look, i)->open = true;
        else
            inspection->result.unsettled++;
    }
    snprintf(inspection->result.why, sizeof inspection->result.why, "%s", why);
}

/* A row that has become right meanwhile is, wherever the pipeline may be. */
static enum ods_status see_arrived(struct look *look, size_t *left, struct error *error)
{
    enum ods_status status = read_images(look, look->early, false, error);
    if (status == ODS_OK)
        status = read_images(look, look->again, true, error);
    *left = 0;
    for (size_t i = 0; status == ODS_OK && i < look->count; i++) {
        const struct image *target = &look->early[i];
        if (look->sights[i] == SIGHT_OPEN && (is_right(look, &look->source[i], target) ||
                                              same(look, &look->again[i], target)))
            look->sights[i] = SIGHT_EQUAL;
        *left += look->sights[i] == SIGHT_OPEN;
    }
    return status;
}

/* Waits, and looks now and then whether there is anything left to wait for: of a connector with
 * nothing to send nobody knows how far it is, until it says so. */
static enum ods_status wait_passed(struct look *look, const struct source_place *place,
                                   bool *passed, size_t *left, struct error *error)
{
    struct inspection *inspection = look->inspection;
    int64_t wait_ms = inspection->options->wait_ms, settle_ms = inspection->options->settle_ms;
    enum ods_status status = ODS_OK;
    if (settle_ms && settle_ms < wait_ms)
        wait_ms = settle_ms;
    for (int64_t step_ms = FIRST_WAIT_MS;; step_ms *= 2) {
        int64_t now_ms = step_ms < wait_ms ? step_ms : wait_ms;
        status = arrival_wait(inspection->arrival, inspection->database,
                              &inspection->source_table, place, now_ms, passed, error);
        wait_ms -= now_ms;
        if (status != ODS_OK || *passed)
            return status;
        status = see_arrived(look, left, error);
        if (status != ODS_OK || !*left || wait_ms <= 0 || inspection_stops(inspection))
            break;
    }
    *passed = has_lasted(look);
    return status;
}

static void keep_before(struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->sights[i] == SIGHT_OPEN) {
            forget(&look->before[i]);
            look->before[i] = look->target[i];
            look->target[i] = (struct image){0};
        }
}

static enum ods_status look_again(struct look *look, struct error *error)
{
    struct inspection *inspection = look->inspection;
    struct source_place place;
    size_t open = look->count;
    enum ods_status status = read_images(look, look->source, true, error);
    if (status == ODS_OK)
        status = read_images(look, look->target, false, error);
    if (status == ODS_OK)
        status = judge(look, false, &open, error);
    for (int looks = 0; status == ODS_OK && open; looks++) {
        bool passed = false;
        if (looks == LOOKS_MAX) {
            leave_open(look, "rows that change at every look can't be compared");
            break;
        }
        status = read_images(look, look->source, true, error);
        if (status == ODS_OK)
            status = inspection->database->ops->place(inspection->database, &place, error);
        if (status == ODS_OK)
            status = wait_passed(look, &place, &passed, &open, error);
        if (status == ODS_OK && !open)
            break;
        if (status == ODS_OK && !passed) {
            leave_open(look, inspection_stops(inspection) ? "interrupted"
                                                          : inspection->arrival->why);
            break;
        }
        keep_before(look);
        if (status == ODS_OK)
            status = read_images(look, look->target, false, error);
        if (status == ODS_OK)
            status = read_images(look, look->again, true, error);
        if (status == ODS_OK)
            status = judge(look, true, &open, error);
    }
    return status;
}

static bool look_init(struct look *look, struct inspection *inspection, size_t first, size_t count)
{
    *look = (struct look){.inspection = inspection,
                          .suspects = inspection->suspects + first,
                          .count = count,
                          .began_us = time_monotonic_us()};
    look->source = calloc(count, sizeof *look->source);
    look->target = calloc(count, sizeof *look->target);
    look->again = calloc(count, sizeof *look->again);
    look->before = calloc(count, sizeof *look->before);
    look->early = calloc(count, sizeof *look->early);
    look->busy = calloc(count, sizeof *look->busy);
    look->sights = calloc(count, sizeof *look->sights);
    look->wrong = calloc(count, sizeof *look->wrong);
    bool good = look->source && look->target && look->again && look->before && look->early &&
                look->sights && look->wrong && look->busy;
    for (size_t i = 0; good && i < count; i++) {
        good = hash_index_reserve(&look->index);
        if (good)
            hash_index_add(&look->index, look->suspects[i].digest.a, &look->suspects[i]);
    }
    return good;
}

static void look_done(struct look *look)
{
    forget_all(look, look->source);
    forget_all(look, look->target);
    forget_all(look, look->again);
    forget_all(look, look->before);
    forget_all(look, look->early);
    free(look->before);
    free(look->early);
    free(look->busy);
    free(look->source);
    free(look->target);
    free(look->again);
    free(look->sights);
    free(look->wrong);
    hash_index_done(&look->index);
}

static enum ods_status glance(struct look *look, size_t *different, struct error *error)
{
    enum ods_status status = read_images(look, look->source, true, error);
    if (status == ODS_OK)
        status = read_images(look, look->target, false, error);
    for (size_t i = 0; status == ODS_OK && i < look->count; i++)
        *different += !is_right(look, &look->source[i], &look->target[i]);
    return status;
}

enum ods_status settle_glance(struct inspection *inspection, size_t *different,
                              struct error *error)
{
    enum ods_status status = ODS_OK;
    *different = 0;
    for (size_t first = 0; status == ODS_OK && first < inspection->suspect_count;
         first += LOOKUP_KEYS) {
        size_t left = inspection->suspect_count - first;
        struct look look;
        status = look_init(&look, inspection, first, left < LOOKUP_KEYS ? left : LOOKUP_KEYS)
                     ? glance(&look, different, error)
                     : error_out_of_memory(error);
        look_done(&look);
    }
    return status;
}

enum ods_status settle(struct inspection *inspection, struct error *error)
{
    enum ods_status status = ODS_OK;
    if (!inspection->repairing)
        inspection->result.looked_again += (int64_t) inspection->suspect_count;
    for (size_t first = 0; status == ODS_OK && first < inspection->suspect_count;
         first += LOOKUP_KEYS) {
        size_t left = inspection->suspect_count - first;
        struct look look;
        status = look_init(&look, inspection, first, left < LOOKUP_KEYS ? left : LOOKUP_KEYS)
                     ? look_again(&look, error)
                     : error_out_of_memory(error);
        look_done(&look);
    }
    for (size_t i = 0; i < inspection->suspect_count; i++)
        free(inspection->suspects[i].key);
    inspection->suspect_count = 0;
    if (status == ODS_OK && inspection->mend_count >= REPAIR_MAX)
        status = repair(inspection, error);
    return status;
}
