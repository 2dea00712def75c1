/* Tables without a key, and comparing only the numbers of rows. See inspection.h.
 *
 * Rows without a key are compared as a multiset: each row is put into a bucket by its digest, and a
 * bucket has the sum of its rows' digests. The source is read before and after the target. A bucket
 * differs when the source had the same rows both times, and the target had others in between. The
 * rows of such buckets are then read once more.
 */
#include <stdlib.h>
#include <string.h>

#include "core/hash_index.h"
#include "verify/inspection.h"

#define BUCKETS   16384
#define LOOKS_MAX 5
#define ROWS_MAX  100000 /* at most so many different rows of differing buckets are kept */

struct bucket {
    struct digest sum;
    int64_t count;
};

/* A row, and how many times each side has it. */
struct copies {
    struct digest row;
    int64_t source, target;
    char *texts;
};

struct multiset {
    struct inspection *inspection;
    struct bucket *source, *target, *again, *into;
    bool *wrong;
    struct hash_index index; /* of struct copies */
    bool of_source;
};

static bool same(const struct bucket *one, const struct bucket *other)
{
    return one->count == other->count && digest_same(&one->sum, &other->sum);
}

static enum ods_status take_row(void *context, const struct row *row, struct error *error)
{
    struct multiset *set = context;
    struct digest digest = digest_of(row->elements, row->length);
    struct bucket *bucket = &set->into[digest.a % BUCKETS];
    digest_add(&bucket->sum, &digest);
    bucket->count++;
    return inspection_stops(set->inspection) ? error_set(error, ODS_RETRY, "interrupted") : ODS_OK;
}

static enum ods_status read_side(struct multiset *set, struct bucket *into, bool of_source,
                                 row_take *take, struct error *error)
{
    struct inspection *inspection = set->inspection;
    const struct comparison *comparison = &inspection->comparison;
    struct buffer sql;
    uint64_t count;
    buffer_init(&sql);
    set->into = into;
    set->of_source = of_source;
    if (into)
        memset(into, 0, BUCKETS * sizeof *into);
    enum ods_status status;
    if (of_source) {
        buffer_printf(&sql, "select %s from %s", comparison->source_list,
                      comparison->source->quoted);
        status = source_rows_read(&inspection->rows, buffer_text(&sql), &count, NULL, take, set,
                                  error);
        inspection->result.source_rows = (int64_t) count;
    } else {
        buffer_printf(&sql, " where true%s", comparison->target_where);
        status = target_read(inspection->target, comparison, buffer_text(&sql), take != take_row,
                             &count, take, set, error);
        inspection->result.target_rows = (int64_t) count;
    }
    inspection->listener->goes_on(inspection->listener->context, &inspection->result);
    buffer_done(&sql);
    return status;
}

/* --- what is in the buckets that differ ----------------------------------------------------- */

static struct copies *find_copies(struct multiset *set, const struct digest *digest)
{
    struct copies *copies;
    size_t at = hash_index_start(digest->a);
    while ((copies = hash_index_next(&set->index, digest->a, &at)))
        if (digest_same(&copies->row, digest))
            return copies;
    return NULL;
}

static char *copy_texts(const char *texts, uint32_t count)
{
    const char *end = texts;
    while (count--)
        end += strlen(end) + 1;
    char *copy = malloc((size_t) (end - texts) + 1);
    if (copy)
        memcpy(copy, texts, (size_t) (end - texts));
    return copy;
}

static enum ods_status take_copy(void *context, const struct row *row, struct error *error)
{
    struct multiset *set = context;
    struct digest digest = digest_of(row->elements, row->length);
    if (!set->wrong[digest.a % BUCKETS])
        return ODS_OK;
    struct copies *copies = find_copies(set, &digest);
    if (!copies && set->index.count >= ROWS_MAX)
        return ODS_OK;
    if (!copies) {
        copies = calloc(1, sizeof *copies);
        if (copies)
            copies->texts = copy_texts(row->texts, set->inspection->comparison.count);
        if (!copies || !copies->texts || !hash_index_reserve(&set->index)) {
            if (copies)
                free(copies->texts);
            free(copies);
            return error_out_of_memory(error);
        }
        copies->row = digest;
        hash_index_add(&set->index, digest.a, copies);
    }
    *(set->of_source ? &copies->source : &copies->target) += 1;
    return ODS_OK;
}

static void tell(struct multiset *set, const struct copies *copies)
{
    const struct comparison *comparison = &set->inspection->comparison;
    struct verify_value *values = calloc(comparison->count + 1, sizeof *values);
    struct verify_difference difference = {
        .kind = copies->source > copies->target ? VERIFY_MISSING : VERIFY_EXTRA,
        .key = values,
        .columns = NULL,
        .source_copies = copies->source,
        .target_copies = copies->target,
        .operation = "",
        .timestamp = "",
        .topic = "",
        .partition = "",
        .offset = ""};
    const char *at = copies->texts;
    for (uint32_t i = 0; values && i < comparison->count; i++, at += strlen(at) + 1) {
        const char *shown = comparison->columns[i].redacted ? NULL : at;
        values[difference.key_count++] =
            (struct verify_value){comparison->columns[i].name, shown, shown};
    }
    inspection_tell(set->inspection, &difference);
    free(values);
}

static enum ods_status tell_copies(struct multiset *set, struct error *error)
{
    enum ods_status status = read_side(set, NULL, true, take_copy, error);
    if (status == ODS_OK)
        status = read_side(set, NULL, false, take_copy, error);
    for (size_t i = 0; i < set->index.slot_count; i++) {
        struct copies *copies = set->index.slots[i].item;
        if (copies && status == ODS_OK && copies->source != copies->target &&
            (set->inspection->comparison.extras || copies->source > copies->target))
            tell(set, copies);
        if (copies)
            free(copies->texts);
        free(copies);
    }
    hash_index_done(&set->index);
    return status;
}

/* --- looking -------------------------------------------------------------------------------- */

/* How many buckets are not equal. *wrong: how many of them differ although the source had the same
 * rows both times. */
static size_t judge(struct multiset *set, size_t *wrong)
{
    size_t open = 0;
    *wrong = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        bool equal =
            same(&set->source[i], &set->target[i]) || same(&set->again[i], &set->target[i]);
        set->wrong[i] = !equal && same(&set->source[i], &set->again[i]);
        open += !equal;
        *wrong += set->wrong[i];
    }
    return open;
}

static void leave_open(struct inspection *inspection, int64_t rows, const char *why)
{
    inspection->result.unsettled += rows;
    snprintf(inspection->result.why, sizeof inspection->result.why, "%s", why);
}

static enum ods_status look_again(struct multiset *set, size_t open, struct error *error)
{
    struct inspection *inspection = set->inspection;
    enum ods_status status = ODS_OK;
    size_t wrong = 0;
    for (int looks = 0; status == ODS_OK && open && looks < LOOKS_MAX; looks++) {
        struct source_place place;
        bool passed = false;
        status = read_side(set, set->source, true, take_row, error);
        if (status == ODS_OK)
            status = inspection->database->ops->place(inspection->database, &place, error);
        if (status == ODS_OK)
            status = arrival_wait(inspection->arrival, inspection->database,
                                  &inspection->source_table, &place, inspection->options->wait_ms,
                                  &passed, error);
        if (status != ODS_OK)
            return status;
        if (!passed && !inspection->options->settle_ms) {
            leave_open(inspection, (int64_t) open, inspection->arrival->why);
            return ODS_OK;
        }
        status = read_side(set, set->target, false, take_row, error);
        if (status == ODS_OK)
            status = read_side(set, set->again, true, take_row, error);
        if (status == ODS_OK)
            open = judge(set, &wrong);
        if (open && open == wrong)
            return tell_copies(set, error);
    }
    if (status == ODS_OK && wrong)
        status = tell_copies(set, error);
    if (status == ODS_OK && open > wrong)
        leave_open(inspection, (int64_t) (open - wrong),
                   "rows without a key that change all the time can't be compared");
    return status;
}

enum ods_status scan_keyless(struct inspection *inspection, struct error *error)
{
    struct multiset set = {.inspection = inspection};
    size_t wrong;
    inspection->result.method = "a multiset of rows";
    set.source = calloc(BUCKETS, sizeof *set.source);
    set.target = calloc(BUCKETS, sizeof *set.target);
    set.again = calloc(BUCKETS, sizeof *set.again);
    set.wrong = calloc(BUCKETS, sizeof *set.wrong);
    enum ods_status status = set.source && set.target && set.again && set.wrong
                                 ? read_side(&set, set.source, true, take_row, error)
                                 : error_out_of_memory(error);
    if (status == ODS_OK)
        status = read_side(&set, set.target, false, take_row, error);
    if (status == ODS_OK) {
        memcpy(set.again, set.source, BUCKETS * sizeof *set.again);
        status = look_again(&set, judge(&set, &wrong), error);
    }
    free(set.source);
    free(set.target);
    free(set.again);
    free(set.wrong);
    return status;
}

/* --- counts --------------------------------------------------------------------------------- */

static enum ods_status count_side(struct inspection *inspection, bool of_source, int64_t *rows,
                                  struct error *error)
{
    const struct comparison *comparison = &inspection->comparison;
    struct buffer sql;
    buffer_init(&sql);
    if (of_source)
        buffer_printf(&sql, "select count(*) from %s", comparison->source->quoted);
    else
        buffer_printf(&sql, "select count(*) from %s t where true%s",
                      comparison->plan->table->quoted, comparison->target_where);
    enum ods_status status =
        of_source ? database_number(inspection->database, buffer_text(&sql), rows, error)
                  : target_number(inspection->target, buffer_text(&sql), rows, error);
    buffer_done(&sql);
    return status;
}

enum ods_status scan_counts(struct inspection *inspection, struct error *error)
{
    struct verify_table *result = &inspection->result;
    int64_t again = 0;
    int wrong = 0;
    result->method = "counts";
    enum ods_status status = count_side(inspection, true, &result->source_rows, error);
    if (status == ODS_OK)
        status = count_side(inspection, false, &result->target_rows, error);
    for (int looks = 0; status == ODS_OK && looks < 2 * LOOKS_MAX; looks++) {
        struct source_place place;
        bool passed = false;
        if (result->source_rows == result->target_rows)
            return ODS_OK;
        status = count_side(inspection, true, &result->source_rows, error);
        if (status == ODS_OK)
            status = inspection->database->ops->place(inspection->database, &place, error);
        if (status == ODS_OK)
            status = arrival_wait(inspection->arrival, inspection->database,
                                  &inspection->source_table, &place, inspection->options->wait_ms,
                                  &passed, error);
        if (status == ODS_OK && !passed && !inspection->options->settle_ms) {
            leave_open(inspection, llabs(result->source_rows - result->target_rows),
                       inspection->arrival->why);
            return ODS_OK;
        }
        if (status == ODS_OK)
            status = count_side(inspection, false, &result->target_rows, error);
        if (status == ODS_OK)
            status = count_side(inspection, true, &again, error);
        int64_t low = again < result->source_rows ? again : result->source_rows;
        int64_t high = again < result->source_rows ? result->source_rows : again;
        if (status == ODS_OK && result->target_rows >= low && result->target_rows <= high)
            return ODS_OK;
        wrong = low == high ? wrong + 1 : 0;
        if (status == ODS_OK && wrong == 2) {
            int64_t more = result->source_rows - result->target_rows;
            result->missing = more > 0 ? more : 0;
            result->extra = more < 0 && inspection->comparison.extras ? -more : 0;
            return ODS_OK;
        }
    }
    if (status == ODS_OK)
        leave_open(inspection, 1, "the source's number of rows changes at every look");
    return status;
}
