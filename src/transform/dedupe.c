/* dedupe: changes that change nothing are left out: updates whose images are equal, and, with a
 * window, a change that repeats the last one of its row.
 *
 * The window is memory of this lane, so it is only believed while the lane has seen every offset of
 * the partition since: after a gap, or when a record comes again, what is known of the partition is
 * forgotten. So it is behind a truncate, a changed key and a record of several changes. Then a
 * repeated change is applied again, which does no harm. A row that was read is always passed on: it
 * mends what the target lost.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include <ods/transform.h>

#define HASH_BYTES 32

struct dedupe_settings {
    struct strings ignore;
    int64_t window;
};

/* The last change of a row; rows whose hashes collide share a slot. */
struct seen {
    unsigned char row[HASH_BYTES], change[HASH_BYTES];
    uint64_t era; /* of the partition; 0: the slot is free */
};

struct part {
    struct part *next;
    const char *topic;
    int32_t partition;
    int64_t offset; /* of the last record */
    uint64_t era;   /* changes when something is missing */
};

struct dedupe {
    struct transform transform;
    const struct dedupe_settings *settings;
    struct seen *seen;
    struct part *parts;
    uint64_t eras;
    EVP_MD_CTX *hash;
    EVP_MD *sha256;
};

#define AT(member) offsetof(struct dedupe_settings, member)

extern const struct transform_ops dedupe_transform;

static const struct setting rows[] = {
    {"ignore", SETTING_STRINGS, AT(ignore), .max = 2000,
     .doc = "Columns that do not count, as `[updated_at]`: a change of them alone is left out."},
    {"window", SETTING_INT, AT(window), "0", .min = 0, .max = 10000000,
     .doc = "How many rows a lane remembers the last change of, to leave it out when it comes once "
            "more (a producer that sends twice). 64 to 100 bytes a row. 0: none."},
};

static const struct setting_group settings = {
    .title = "transforms of type `dedupe`",
    .intro =
        "Leaves out updates that change nothing: `dedupe: { ignore: [updated_at] }`. An update "
        "without a before image is passed on.",
    .size = sizeof(struct dedupe_settings),
    SETTING_ROWS(rows),
};

static bool counts(const struct dedupe *dedupe, const struct column *column)
{
    return !strings_contain(&dedupe->settings->ignore, column->name);
}

static bool changes_nothing(const struct dedupe *dedupe, const struct change *change)
{
    if (change->op != OP_UPDATE || !change->before || !change->after)
        return false;
    for (uint32_t i = 0; i < change->shape->column_count; i++)
        if (change->after[i].kind != VALUE_ABSENT &&
            !value_same(&change->before[i], &change->after[i]) &&
            counts(dedupe, &change->shape->columns[i]))
            return false;
    return true;
}

/* --- the window ----------------------------------------------------------------------------- */

static struct part *part_of(struct dedupe *dedupe, const struct record *record)
{
    struct part *part = dedupe->parts;
    while (part && (part->partition != record->partition ||
                    strcmp(part->topic, record->topic) != 0))
        part = part->next;
    if (part)
        return part;
    part = calloc(1, sizeof *part);
    if (!part || !(part->topic = strdup(record->topic))) {
        free(part);
        return NULL;
    }
    part->partition = record->partition;
    part->offset = record->offset;
    part->era = ++dedupe->eras;
    part->next = dedupe->parts;
    dedupe->parts = part;
    return part;
}

static void add_bytes(struct dedupe *dedupe, const void *bytes, size_t length)
{
    EVP_DigestUpdate(dedupe->hash, bytes, length);
}

static void add_value(struct dedupe *dedupe, const struct value *value)
{
    bool bytes = value->kind >= VALUE_NUMBER;
    uint32_t head[2] = {value->kind, bytes ? value->length : 0};
    add_bytes(dedupe, head, sizeof head);
    if (bytes)
        add_bytes(dedupe, value->bytes, value->length);
    else if (value->kind >= VALUE_BOOL)
        add_bytes(dedupe, &value->integer, sizeof value->integer);
}

static void hash_row(struct dedupe *dedupe, const struct part *part, const struct change *change,
                     unsigned char *hash)
{
    const struct shape *shape = change->shape;
    const struct value *image = change->after ? change->after : change->before;
    EVP_DigestInit_ex(dedupe->hash, dedupe->sha256, NULL);
    add_bytes(dedupe, &part, sizeof part);
    add_bytes(dedupe, shape->database, strlen(shape->database) + 1);
    add_bytes(dedupe, shape->schema, strlen(shape->schema) + 1);
    add_bytes(dedupe, shape->table, strlen(shape->table) + 1);
    for (uint32_t i = 0; i < shape->key_count; i++)
        add_value(dedupe, &image[shape->key[i]]);
    EVP_DigestFinal_ex(dedupe->hash, hash, NULL);
}

static void hash_change(struct dedupe *dedupe, const struct change *change, unsigned char *hash)
{
    const struct shape *shape = change->shape;
    const struct value *image = change->after ? change->after : change->before;
    EVP_DigestInit_ex(dedupe->hash, dedupe->sha256, NULL);
    add_bytes(dedupe, &change->op, sizeof change->op);
    add_bytes(dedupe, &shape->id, sizeof shape->id);
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (counts(dedupe, &shape->columns[i]))
            add_value(dedupe, &image[i]);
    EVP_DigestFinal_ex(dedupe->hash, hash, NULL);
}

/* Does the change repeat the row's last one? It becomes the last one. */
static bool comes_again(struct dedupe *dedupe, const struct part *part,
                        const struct change *change)
{
    unsigned char row[HASH_BYTES], hash[HASH_BYTES];
    uint64_t at;
    hash_row(dedupe, part, change, row);
    hash_change(dedupe, change, hash);
    memcpy(&at, row, sizeof at);
    struct seen *seen = &dedupe->seen[at % (uint64_t) dedupe->settings->window];
    bool again = seen->era == part->era && memcmp(seen->row, row, HASH_BYTES) == 0 &&
                 memcmp(seen->change, hash, HASH_BYTES) == 0;
    memcpy(seen->row, row, HASH_BYTES);
    memcpy(seen->change, hash, HASH_BYTES);
    seen->era = part->era;
    return again;
}

/* Does the update leave its old key behind? The row that was known under that one is no more. */
static bool moves(const struct change *change)
{
    const struct shape *shape = change->shape;
    bool moved = false;
    if (!change->before || !change->after)
        return false;
    for (uint32_t i = 0; i < shape->key_count && !moved; i++)
        moved = change->before[shape->key[i]].kind != VALUE_ABSENT &&
                !value_same(&change->before[shape->key[i]], &change->after[shape->key[i]]);
    return moved;
}

static enum ods_status dedupe_apply(struct transform *transform, struct batch *batch,
                                    uint32_t first, struct error *error)
{
    struct dedupe *dedupe = (struct dedupe *) transform;
    const struct record *record = &batch->records[batch->changes[first].record];
    struct part *part = dedupe->seen ? part_of(dedupe, record) : NULL;
    if (dedupe->seen && !part)
        return error_out_of_memory(error);
    /* Other changes of the record may be of the row that comes again. */
    bool lone = batch->change_count == first + 1;
    bool others = !lone || batch->changes[first].op == OP_TRUNCATE || moves(&batch->changes[first]);
    if (part && (record->offset != part->offset + 1 || others))
        part->era = ++dedupe->eras;
    if (part)
        part->offset = record->offset;
    for (uint32_t i = first; i < batch->change_count;) {
        struct change *change = &batch->changes[i];
        bool row = part && change->shape->key_count && (change->after || change->before);
        bool again = row && lone && comes_again(dedupe, part, change) && change->op != OP_READ;
        if (again || changes_nothing(dedupe, change))
            transform_drop(batch, i);
        else
            i++;
    }
    return ODS_OK;
}

static void dedupe_close(struct transform *transform)
{
    struct dedupe *dedupe = (struct dedupe *) transform;
    if (!dedupe)
        return;
    for (struct part *part = dedupe->parts, *next; part; part = next) {
        next = part->next;
        free((char *) part->topic);
        free(part);
    }
    EVP_MD_CTX_free(dedupe->hash);
    EVP_MD_free(dedupe->sha256);
    free(dedupe->seen);
    free(dedupe);
}

static enum ods_status dedupe_open(struct transform **transform,
                                   const struct transform_config *config, struct error *error)
{
    struct dedupe *dedupe = calloc(1, sizeof *dedupe);
    *transform = NULL;
    if (!dedupe)
        return error_out_of_memory(error);
    dedupe->transform = (struct transform){.ops = &dedupe_transform, .wants_before = true};
    dedupe->settings = config->settings;
    size_t window = (size_t) dedupe->settings->window;
    dedupe->hash = EVP_MD_CTX_new();
    dedupe->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    dedupe->seen = window ? calloc(window, sizeof *dedupe->seen) : NULL;
    if (!dedupe->hash || !dedupe->sha256 || (window && !dedupe->seen)) {
        dedupe_close(&dedupe->transform);
        return error_out_of_memory(error);
    }
    *transform = &dedupe->transform;
    return ODS_OK;
}

const struct transform_ops dedupe_transform = {
    .type = "dedupe",
    .summary = "leaves out changes that change nothing",
    .settings = &settings,
    .open = dedupe_open,
    .apply = dedupe_apply,
    .close = dedupe_close,
};
