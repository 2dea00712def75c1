/* The table of interned shapes: a hash set with deep copies, never shrinking, bounded.
 *
 * A shape lives as long as its lane, so none can be evicted. Instead the table has ceilings: when
 * one is reached, no shape is added any more, and shape_table_full() is true.
 */
#include <ods/shape.h>

#include <stdlib.h>
#include <string.h>

#include "core/blocks.h"
#include "core/hash.h"
#include "core/hash_index.h"

#define SHAPES_MAX      100000
#define SHAPE_BYTES_MAX ((size_t) 64 * 1024 * 1024)

struct shape_table {
    struct blocks blocks;
    struct hash_index shapes;
    bool full;
};

struct shape_table *shape_table_new(void)
{
    return calloc(1, sizeof(struct shape_table));
}

void shape_table_free(struct shape_table *table)
{
    if (!table)
        return;
    blocks_done(&table->blocks);
    hash_index_done(&table->shapes);
    free(table);
}

size_t shape_table_count(const struct shape_table *table)
{
    return table->shapes.count;
}

bool shape_table_full(const struct shape_table *table)
{
    return table->full;
}

int shape_column(const struct shape *shape, const char *name, size_t length)
{
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (shape->columns[i].name_length == length &&
            memcmp(shape->columns[i].name, name, length) == 0)
            return (int) i;
    return -1;
}

/* --- hash and equality --- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(text, text ? strlen(text) : 0, hash);
}

/* Hashes the parts that nearly always differ between shapes; same_shape() compares all parts. */
static uint64_t shape_hash(const struct shape *shape)
{
    uint64_t hash = hash_text(0, shape->database);
    hash = hash_text(hash, shape->schema);
    hash = hash_text(hash, shape->table);
    for (uint32_t i = 0; i < shape->column_count; i++) {
        const struct column *column = &shape->columns[i];
        hash = hash_bytes(column->name, column->name_length, hash);
        int32_t facts[] = {(int32_t) column->type, column->length, column->scale, column->optional};
        hash = hash_bytes(facts, sizeof facts, hash);
    }
    return hash_bytes(shape->key, shape->key_count * sizeof *shape->key, hash);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_column(const struct column *a, const struct column *b)
{
    if (a && b && a->field_count != b->field_count)
        return false;
    for (uint32_t i = 0; a && b && a != b && i < a->field_count; i++)
        if (!same_column(&a->fields[i], &b->fields[i]))
            return false;
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    return a->name_length == b->name_length && memcmp(a->name, b->name, a->name_length) == 0 &&
           a->type == b->type && a->length == b->length && a->scale == b->scale &&
           a->optional == b->optional && same_text(a->default_json, b->default_json) &&
           same_text(a->source_type, b->source_type) && same_text(a->allowed, b->allowed) &&
           same_column(a->element, b->element);
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
    if (a->column_count != b->column_count || a->key_count != b->key_count ||
        a->history_of != b->history_of || a->typed != b->typed || a->literal != b->literal ||
        a->scattered != b->scattered ||
        !same_text(a->database, b->database) || !same_text(a->schema, b->schema) ||
        !same_text(a->table, b->table) || !same_text(a->connector, b->connector))
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!same_column(&a->columns[i], &b->columns[i]))
            return false;
    return !a->key_count || memcmp(a->key, b->key, a->key_count * sizeof *a->key) == 0;
}

/* --- copies --- */

static bool copy_text(struct blocks *blocks, const char **to, const char *from)
{
    *to = from ? blocks_strndup(blocks, from, strlen(from)) : NULL;
    return *to || !from;
}

static bool copy_column(struct blocks *blocks, struct column *to, const struct column *from)
{
    *to = *from;
    to->element = NULL;
    to->fields = NULL;
    to->name = blocks_strndup(blocks, from->name ? from->name : "", from->name_length);
    if (!to->name || !copy_text(blocks, &to->source_type, from->source_type) ||
        !copy_text(blocks, &to->allowed, from->allowed) ||
        !copy_text(blocks, &to->default_json, from->default_json))
        return false;
    struct column *fields = blocks_alloc(blocks, from->field_count * sizeof *fields);
    to->fields = fields;
    for (uint32_t i = 0; i < from->field_count; i++)
        if (!fields || !copy_column(blocks, &fields[i], &from->fields[i]))
            return false;
    if (!from->element)
        return fields != NULL;
    struct column *element = blocks_alloc(blocks, sizeof *element);
    to->element = element;
    return element && copy_column(blocks, element, from->element);
}

static struct shape *copy_shape(struct blocks *blocks, const struct shape *from)
{
    struct shape *shape = blocks_alloc(blocks, sizeof *shape);
    struct column *columns = blocks_alloc(blocks, from->column_count * sizeof *columns);
    uint32_t *key = blocks_alloc(blocks, from->key_count * sizeof *key);
    if (!shape || !columns || !key)
        return NULL;
    *shape = *from;
    shape->columns = columns;
    shape->key = key;
    if (from->key_count)
        memcpy(key, from->key, from->key_count * sizeof *key);
    if (!copy_text(blocks, &shape->topic, from->topic) ||
        !copy_text(blocks, &shape->database, from->database) ||
        !copy_text(blocks, &shape->schema, from->schema) ||
        !copy_text(blocks, &shape->table, from->table) ||
        !copy_text(blocks, &shape->connector, from->connector))
        return NULL;
    for (uint32_t i = 0; i < from->column_count; i++)
        if (!copy_column(blocks, &columns[i], &from->columns[i]))
            return NULL;
    return shape;
}

/* --- the set --- */

const struct shape *shape_intern(struct shape_table *table, const struct shape *candidate)
{
    uint64_t hash = shape_hash(candidate);
    size_t at = hash_index_start(hash);
    struct shape *shape;
    while ((shape = hash_index_next(&table->shapes, hash, &at)))
        if (same_shape(shape, candidate))
            return shape;
    if (table->shapes.count >= SHAPES_MAX || table->blocks.bytes >= SHAPE_BYTES_MAX) {
        table->full = true;
        return NULL;
    }
    shape = hash_index_reserve(&table->shapes) ? copy_shape(&table->blocks, candidate) : NULL;
    if (!shape)
        return NULL;
    shape->id = (uint32_t) table->shapes.count;
    hash_index_add(&table->shapes, hash, shape);
    return shape;
}
