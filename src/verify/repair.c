/* Repairs differences. See inspection.h.
 *
 * Missing and changed rows are asked for again through the connector, a condition with some hundred
 * keys at a time, so that they arrive in the same partitions as all other changes of these rows and
 * in order with them; nothing is written here. Rows that only the target has are deleted here, each
 * only if it is still the row that was compared: a change that has come since gives it another
 * version, and then it is left as it is. In the end all of them are compared once more.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "verify/inspection.h"

#define PAUSE_US 300000
#define SENT_MS  10000 /* what a connector says to have sent may reach its topic after that word */

const char *verify_outcome_name(enum verify_outcome outcome)
{
    static const char *const names[] = {"repaired", "deleted", "left"};
    return names[outcome];
}

/* --- noting --------------------------------------------------------------------------------- */

static bool is_wanted(const struct inspection *inspection, enum verify_kind kind)
{
    return inspection->channel || (inspection->options->delete_extra && kind == VERIFY_EXTRA);
}

static bool grow(struct inspection *inspection)
{
    if (inspection->mend_count < inspection->mend_capacity)
        return true;
    size_t larger = inspection->mend_capacity ? 2 * inspection->mend_capacity : 256;
    struct mend *mends = realloc(inspection->mends, larger * sizeof *mends);
    if (!mends)
        return false;
    inspection->mends = mends;
    inspection->mend_capacity = larger;
    return true;
}

bool repair_note(struct inspection *inspection, const struct suspect *row, enum verify_kind kind,
                 const char *version, const char *why)
{
    if (!is_wanted(inspection, kind))
        return true;
    if (!grow(inspection))
        return false;
    struct mend *mend = &inspection->mends[inspection->mend_count];
    *mend = (struct mend){.row = *row,
                          .kind = kind,
                          .number = inspection->told - 1,
                          .version = strdup(version)};
    if (why && asprintf(&mend->why, "the sink would not write it: %s", why) < 0)
        mend->why = NULL;
    mend->row.key = malloc(row->length ? row->length : 1);
    inspection->mend_count++;
    if (!mend->row.key || !mend->version || (why && !mend->why))
        return false;
    memcpy(mend->row.key, row->key, row->length);
    return true;
}

void repair_forget(struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->mend_count; i++) {
        free(inspection->mends[i].row.key);
        free(inspection->mends[i].version);
        free(inspection->mends[i].why);
    }
    inspection->mend_count = 0;
}

/* --- asking --------------------------------------------------------------------------------- */

static bool is_asked_for(const struct mend *mend)
{
    return mend->kind != VERIFY_EXTRA && !mend->why;
}

static enum ods_status answer_of(struct inspection *inspection, enum cli_exit code)
{
    if (code == CLI_OK)
        return ODS_OK;
    *inspection->channel_code = code;
    return ODS_FATAL;
}

/* Asks for as many of these keys at once as a condition has room for. */
static enum ods_status ask_some(struct inspection *inspection, const PGresult *texts, int from,
                                int count, struct error *error)
{
    const struct verify_channel *channel = inspection->channel;
    struct buffer condition;
    buffer_init(&condition);
    inspection_put_keys(inspection, texts, from, count, true, &condition);
    enum ods_status status = ODS_OK;
    if (condition.failed) {
        status = error_out_of_memory(error);
    } else if (condition.length > channel->room(channel->context) && count > 1) {
        status = ask_some(inspection, texts, from, count / 2, error);
        if (status == ODS_OK)
            status = ask_some(inspection, texts, from + count / 2, count - count / 2, error);
    } else {
        status = answer_of(inspection, channel->ask(channel->context, buffer_text(&condition),
                                                    error));
    }
    buffer_done(&condition);
    return status;
}

static enum ods_status ask_for(struct inspection *inspection, const struct keys *keys,
                               struct error *error)
{
    PGresult *texts = NULL;
    enum ods_status status =
        target_key_texts(inspection->target, &inspection->comparison, keys, &texts, error);
    if (status == ODS_OK)
        status = ask_some(inspection, texts, 0, PQntuples(texts), error);
    PQclear(texts);
    return status;
}

static enum ods_status ask_all(struct inspection *inspection, size_t *asked, struct error *error)
{
    enum ods_status status = ODS_OK;
    struct keys keys;
    *asked = 0;
    keys_init(&keys);
    for (size_t i = 0; status == ODS_OK && i < inspection->mend_count; i++) {
        const struct mend *mend = &inspection->mends[i];
        if (inspection_stops(inspection))
            break;
        if (is_asked_for(mend)) {
            keys_add(&keys, mend->row.key, mend->row.length);
            ++*asked;
        }
        if (keys.count == LOOKUP_KEYS || (keys.count && i + 1 == inspection->mend_count)) {
            status = ask_for(inspection, &keys, error);
            keys_reset(&keys);
        }
    }
    keys_done(&keys);
    return status;
}

/* Waits until the rows are there: until none of them differs at a glance, or their number has not
 * fallen for so long. */
static enum ods_status watch(struct inspection *inspection, int64_t wait_ms, struct error *error)
{
    int64_t wait_us = wait_ms * 1000;
    int64_t until = time_monotonic_us() + wait_us;
    size_t different, least = SIZE_MAX;
    enum ods_status status = ODS_OK;
    while (status == ODS_OK && !inspection_stops(inspection)) {
        status = settle_glance(inspection, &different, error);
        if (status != ODS_OK || !different)
            break;
        if (different < least)
            until = time_monotonic_us() + wait_us;
        least = different < least ? different : least;
        if (time_monotonic_us() > until)
            break;
        usleep(PAUSE_US);
    }
    return status;
}

/* --- deleting ------------------------------------------------------------------------------- */

static bool is_deleted(const struct inspection *inspection, const struct mend *mend)
{
    return inspection->options->delete_extra && mend->kind == VERIFY_EXTRA && *mend->version;
}

static enum ods_status delete_some(struct inspection *inspection, struct mend *const *mends,
                                   size_t count, struct error *error)
{
    const char *versions[LOOKUP_KEYS];
    bool deleted[LOOKUP_KEYS];
    struct keys keys;
    keys_init(&keys);
    for (size_t i = 0; i < count; i++) {
        keys_add(&keys, mends[i]->row.key, mends[i]->row.length);
        versions[i] = mends[i]->version;
    }
    enum ods_status status = target_delete(inspection->target, &inspection->comparison, &keys,
                                           versions, deleted, error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        mends[i]->deleted = deleted[i];
    keys_done(&keys);
    return status;
}

static enum ods_status delete_extra(struct inspection *inspection, struct error *error)
{
    struct mend *mends[LOOKUP_KEYS];
    enum ods_status status = ODS_OK;
    size_t count = 0;
    for (size_t i = 0; status == ODS_OK && i < inspection->mend_count; i++) {
        if (inspection_stops(inspection))
            break;
        if (is_deleted(inspection, &inspection->mends[i]))
            mends[count++] = &inspection->mends[i];
        if (count == LOOKUP_KEYS || (count && i + 1 == inspection->mend_count)) {
            status = delete_some(inspection, mends, count, error);
            count = 0;
        }
    }
    return status;
}

/* --- comparing once more -------------------------------------------------------------------- */

static enum ods_status suspect_all(struct inspection *inspection, struct error *error)
{
    for (size_t i = 0; i < inspection->mend_count; i++) {
        const struct suspect *row = &inspection->mends[i].row;
        if (!inspection_suspect(inspection, &row->digest, row->key, row->length))
            return error_out_of_memory(error);
    }
    return ODS_OK;
}

static const char *why_left(const struct inspection *inspection, const struct mend *mend)
{
    const struct verify_options *options = inspection->options;
    if (mend->open)
        return inspection->result.why;
    if (mend->kind == VERIFY_EXTRA && mend->deleted)
        return "it was deleted, and has come again";
    if (mend->kind == VERIFY_EXTRA && !options->delete_extra)
        return "only the target has it: --delete-extra deletes it";
    if (mend->kind == VERIFY_EXTRA && !*mend->version)
        return "the target's rows are a view's, which can't show that a row has not changed since";
    if (mend->kind == VERIFY_EXTRA)
        return "it has changed since it was compared, and was not deleted";
    if (!inspection->channel)
        return options->channel ? "the source's table has no key by which it could be asked for"
                                : "it was not asked for: --repair does it";
    return mend->why ? mend->why
                     : "it was asked for, and is as it was: see whether its record was set aside "
                       "(ods-sink dlq list), and the connector's log";
}

static void tell_all(struct inspection *inspection)
{
    struct verify_table *result = &inspection->result;
    const struct verify_listener *listener = inspection->listener;
    for (size_t i = 0; i < inspection->mend_count; i++) {
        const struct mend *mend = &inspection->mends[i];
        enum verify_outcome outcome = mend->left || mend->open ? VERIFY_LEFT
                                      : mend->deleted          ? VERIFY_DELETED
                                                               : VERIFY_REPAIRED;
        result->repaired += outcome == VERIFY_REPAIRED;
        result->deleted += outcome == VERIFY_DELETED;
        if (mend->number < inspection->options->limit)
            listener->mended(listener->context, result, mend->number, outcome,
                             outcome == VERIFY_LEFT ? why_left(inspection, mend) : "");
    }
}

enum ods_status repair(struct inspection *inspection, struct error *error)
{
    const struct verify_channel *channel = inspection->channel;
    enum ods_status status = ODS_OK;
    size_t asked = 0;
    bool sent = false;
    if (!inspection->mend_count || inspection->repairing || inspection_stops(inspection))
        return ODS_OK;
    inspection->repairing = true;
    if (channel)
        status = ask_all(inspection, &asked, error);
    if (status == ODS_OK)
        status = delete_extra(inspection, error);
    if (status == ODS_OK)
        status = suspect_all(inspection, error);
    if (status == ODS_OK && asked && !inspection_stops(inspection))
        status = answer_of(inspection, channel->await(channel->context, &sent, error));
    if (status == ODS_OK && asked && !sent && *error->text)
        inspection->listener->notice(inspection->listener->context, error->text);
    if (status == ODS_OK && asked) {
        int64_t wait_ms = inspection->options->wait_ms;
        error_init(error);
        status = watch(inspection, sent && wait_ms > SENT_MS ? SENT_MS : wait_ms, error);
    }
    if (status == ODS_OK)
        status = settle(inspection, error);
    if (status == ODS_OK && !inspection_stops(inspection))
        tell_all(inspection);
    inspection->repairing = false;
    repair_forget(inspection);
    return status;
}
