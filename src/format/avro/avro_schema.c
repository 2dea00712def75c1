/* From the JSON of a schema to its tree. */
#include "format/avro/avro_schema.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/hash.h"

#define TYPES_MAX 100000
/* A record can't say in a few bytes that it has thousands of values. */
#define IDLE_MAX 64
#define NAME_MAX_BYTES 1024

struct parse {
    struct avro_schema *schema;
    struct error *error;
    enum ods_status status; /* the first failure */
};

static const char *const kind_names[] = {"null",  "boolean", "int",    "long", "float",
                                         "double", "bytes",  "string", "fixed", "enum",
                                         "record", "array",  "map",    "union"};

static void *no_memory(struct parse *parse)
{
    parse->status = error_set(parse->error, ODS_RETRY, "out of memory while reading a schema");
    return NULL;
}

static void *refuse(struct parse *parse, const char *what, const char *name)
{
    size_t length = strlen(name);
    parse->status = error_set(parse->error, ODS_REJECT, "the Avro schema %s%s%.*s%s", what,
                              length ? " '" : "", (int) (length < 100 ? length : 100), name,
                              length ? "'" : "");
    return NULL;
}

static const char *text_member(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text ? text : "";
}

/* --- names --- */

static struct avro_type *find_name(const struct avro_schema *schema, const char *name)
{
    uint64_t hash = hash_bytes(name, strlen(name), 0);
    size_t at = hash_index_start(hash);
    struct avro_type *type;
    while ((type = hash_index_next(&schema->names, hash, &at)))
        if (strcmp(type->name, name) == 0)
            return type;
    return NULL;
}

/* The name with its namespace: its own, the given one, or that of the type around it. NULL: it
 * can't be one. */
static const char *full_name(struct parse *parse, const char *name, const char *given,
                             const char *around)
{
    char text[2 * NAME_MAX_BYTES + 2];
    const char *space = given ? given : around;
    if (!*name || strlen(name) > NAME_MAX_BYTES || strlen(space) > NAME_MAX_BYTES)
        return refuse(parse, "has a type without a usable name", "");
    bool own = strchr(name, '.') || !*space;
    int length = snprintf(text, sizeof text, "%s%s%s", own ? "" : space, own ? "" : ".", name);
    const char *full = blocks_strndup(&parse->schema->blocks, text, (size_t) length);
    return full ? full : no_memory(parse);
}

/* The part of a full name before its last dot. */
static const char *namespace_of(struct parse *parse, const char *full)
{
    const char *dot = strrchr(full, '.');
    const char *space =
        dot ? blocks_strndup(&parse->schema->blocks, full, (size_t) (dot - full)) : "";
    return space ? space : no_memory(parse);
}

/* --- types --- */

static struct avro_type *new_type(struct parse *parse, enum avro_kind kind, yyjson_val *json)
{
    if (++parse->schema->type_count > TYPES_MAX)
        return refuse(parse, "has more than 100000 types", "");
    struct avro_type *type = blocks_alloc(&parse->schema->blocks, sizeof *type);
    if (!type)
        return no_memory(parse);
    type->kind = kind;
    type->json = json;
    type->name = kind_names[kind];
    type->null_branch = -1;
    type->depth = 1;
    return type;
}

static const struct avro_type *read_type(struct parse *parse, yyjson_val *json,
                                         const char *space, int depth);

static void include(struct avro_type *type, const struct avro_type *part)
{
    if (part->depth >= type->depth)
        type->depth = part->depth + 1;
}

static uint64_t capped(uint64_t number)
{
    return number < UINT32_MAX ? number : UINT32_MAX;
}

static bool read_fields(struct parse *parse, struct avro_type *type, const char *space, int depth)
{
    yyjson_val *fields = yyjson_obj_get(type->json, "fields"), *field;
    size_t count = yyjson_arr_size(fields), index, max;
    if (!yyjson_is_arr(fields) || count > TYPES_MAX)
        return refuse(parse, "has a record without usable fields", type->name);
    type->fields = blocks_alloc(&parse->schema->blocks, count * sizeof *type->fields);
    if (!type->fields)
        return no_memory(parse);
    yyjson_arr_foreach(fields, index, max, field)
    {
        struct avro_field *own = &type->fields[index];
        yyjson_val *name = yyjson_obj_get(field, "name");
        size_t length = yyjson_get_len(name);
        if (!yyjson_is_str(name) || !length || strlen(yyjson_get_str(name)) != length)
            return refuse(parse, "has a field without a usable name in the record", type->name);
        own->json = field;
        own->name = blocks_strndup(&parse->schema->blocks, yyjson_get_str(name), length);
        if (!own->name)
            return no_memory(parse);
        own->type = read_type(parse, yyjson_obj_get(field, "type"), space, depth + 1);
        if (!own->type)
            return false;
        include(type, own->type);
        type->least = capped(type->least + own->type->least);
        type->idle = capped(type->idle + own->type->idle);
    }
    type->count = (uint32_t) count;
    type->idle += count == 0;
    return true;
}

static bool read_symbols(struct parse *parse, struct avro_type *type)
{
    yyjson_val *symbols = yyjson_obj_get(type->json, "symbols"), *symbol;
    size_t count = yyjson_arr_size(symbols), index, max;
    type->symbols = blocks_alloc(&parse->schema->blocks, count * sizeof *type->symbols);
    if (!type->symbols)
        return no_memory(parse);
    yyjson_arr_foreach(symbols, index, max, symbol)
    {
        if (!yyjson_is_str(symbol))
            return refuse(parse, "has an enum with a symbol that is not text", type->name);
        type->symbols[index] = blocks_strndup(&parse->schema->blocks, yyjson_get_str(symbol),
                                              yyjson_get_len(symbol));
        if (!type->symbols[index])
            return no_memory(parse);
    }
    type->count = (uint32_t) count;
    type->least = 1;
    return true;
}

static bool read_fixed(struct parse *parse, struct avro_type *type)
{
    const char *text = yyjson_get_raw(yyjson_obj_get(type->json, "size"));
    char *end = NULL;
    long size = text ? strtol(text, &end, 10) : -1;
    if (!text || *end == '.' || *end == 'e' || size < 0 || size > 16 * 1024 * 1024)
        return refuse(parse, "has a fixed without a usable size", type->name);
    type->size = (uint32_t) size;
    type->least = type->size;
    type->idle = size == 0;
    const char *logical = text_member(type->json, "logicalType");
    if (strcmp(logical, "uuid") == 0 && size == 16)
        type->special = SPECIAL_UUID;
    else if (strcmp(logical, "duration") == 0 && size == 12)
        type->special = SPECIAL_DURATION;
    return true;
}

static const struct avro_type *read_named(struct parse *parse, enum avro_kind kind,
                                          yyjson_val *json, const char *space, int depth)
{
    struct avro_schema *schema = parse->schema;
    yyjson_val *given = yyjson_obj_get(json, "namespace");
    struct avro_type *type = new_type(parse, kind, json);
    if (!type)
        return NULL;
    type->name = full_name(parse, text_member(json, "name"),
                           yyjson_is_str(given) ? yyjson_get_str(given) : NULL, space);
    if (!type->name)
        return NULL;
    if (find_name(schema, type->name))
        return refuse(parse, "defines a type twice", type->name);
    if (!hash_index_reserve(&schema->names))
        return no_memory(parse);
    hash_index_add(&schema->names, hash_bytes(type->name, strlen(type->name), 0), type);
    if (kind == AVRO_FIXED)
        return read_fixed(parse, type) ? type : NULL;
    if (kind == AVRO_ENUM)
        return read_symbols(parse, type) ? type : NULL;
    const char *inner = namespace_of(parse, type->name);
    type->open = true;
    if (!inner || !read_fields(parse, type, inner, depth))
        return NULL;
    type->open = false;
    return type;
}

/* Kafka Connect's converters write maps whose keys are not strings as arrays of pairs. */
static bool are_entries(const struct avro_type *items)
{
    return items->kind == AVRO_RECORD && items->count == 2 &&
           strcmp(items->fields[0].name, "key") == 0 &&
           strcmp(items->fields[1].name, "value") == 0 &&
           strcmp(text_member(items->json, "connect.internal.type"), "MapEntry") == 0;
}

static const struct avro_type *read_items(struct parse *parse, enum avro_kind kind,
                                          yyjson_val *json, const char *space, int depth)
{
    struct avro_type *type = new_type(parse, kind, json);
    if (!type)
        return NULL;
    type->items = read_type(parse, yyjson_obj_get(json, kind == AVRO_MAP ? "values" : "items"),
                            space, depth + 1);
    if (!type->items)
        return NULL;
    include(type, type->items);
    type->least = 1;
    type->idle = type->items->idle;
    type->entries = kind == AVRO_ARRAY && are_entries(type->items);
    return type;
}

/* How the branches but null are shown. */
static enum avro_union shown_as(const struct avro_type *type)
{
    uint32_t others = 0, whole = 0, numbers = 0, texts = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct avro_type *branch = type->branches[i];
        /* a member of its own gives a number another meaning, so it stays apart */
        bool plain = !branch->json || yyjson_obj_size(branch->json) <= 1;
        bool is_whole = plain && (branch->kind == AVRO_INT || branch->kind == AVRO_LONG);
        if (branch->kind == AVRO_NULL)
            continue;
        others++;
        whole += is_whole;
        numbers += is_whole ||
                   (plain && (branch->kind == AVRO_FLOAT || branch->kind == AVRO_DOUBLE));
        texts += (plain && branch->kind == AVRO_STRING) || branch->kind == AVRO_ENUM;
    }
    return others <= 1         ? UNION_ONE
           : whole == others   ? UNION_INTEGER
           : numbers == others ? UNION_REAL
           : texts == others   ? UNION_TEXT
                               : UNION_STRUCT;
}

static const struct avro_type *read_union(struct parse *parse, yyjson_val *json, const char *space,
                                          int depth)
{
    struct avro_type *type = new_type(parse, AVRO_UNION, NULL);
    size_t count = yyjson_arr_size(json), index, max;
    yyjson_val *branch;
    if (!type)
        return NULL;
    if (!count || count > 1000)
        return refuse(parse, "has a union without branches, or with more than 1000", "");
    type->branches = blocks_alloc(&parse->schema->blocks, count * sizeof *type->branches);
    if (!type->branches)
        return no_memory(parse);
    type->least = UINT32_MAX;
    yyjson_arr_foreach(json, index, max, branch)
    {
        const struct avro_type *own = read_type(parse, branch, space, depth + 1);
        if (!own)
            return NULL;
        if (own->kind == AVRO_UNION)
            return refuse(parse, "has a union within a union", "");
        type->branches[type->count++] = own;
        include(type, own);
        if (own->least < type->least)
            type->least = own->least;
        /* a branch's index takes a byte */
        uint64_t idle = own->kind == AVRO_NULL ? 0 : own->idle;
        if (idle > type->idle)
            type->idle = idle;
        if (own->kind == AVRO_NULL)
            type->null_branch = (int32_t) index;
        else
            type->other = own;
    }
    type->least = capped(type->least + 1);
    type->shown = shown_as(type);
    return type;
}

static const struct avro_type *read_name(struct parse *parse, const char *name, yyjson_val *json,
                                         const char *space)
{
    static const uint64_t least[] = {0, 1, 1, 1, 4, 8, 1, 1};
    for (int kind = AVRO_NULL; kind <= AVRO_STRING; kind++) {
        if (strcmp(name, kind_names[kind]) != 0)
            continue;
        struct avro_type *type = new_type(parse, (enum avro_kind) kind, json);
        if (type) {
            type->least = least[kind];
            type->idle = kind == AVRO_NULL;
        }
        return type;
    }
    const char *full = full_name(parse, name, NULL, space);
    const struct avro_type *type = full ? find_name(parse->schema, full) : NULL;
    if (!full)
        return NULL;
    if (!type && !(type = find_name(parse->schema, name)))
        return refuse(parse, "uses a type that it does not define:", name);
    if (type->open)
        return refuse(parse, "is recursive, so its rows have no columns: its type holds itself:",
                      name);
    return type;
}

static const struct avro_type *read_object(struct parse *parse, yyjson_val *json,
                                           const char *space, int depth)
{
    yyjson_val *member = yyjson_obj_get(json, "type");
    const char *name = yyjson_get_str(member);
    if (!name) /* {"type": {…}}, as some writers have it */
        return read_type(parse, member, space, depth + 1);
    if (strcmp(name, "record") == 0 || strcmp(name, "error") == 0)
        return read_named(parse, AVRO_RECORD, json, space, depth);
    if (strcmp(name, "enum") == 0)
        return read_named(parse, AVRO_ENUM, json, space, depth);
    if (strcmp(name, "fixed") == 0)
        return read_named(parse, AVRO_FIXED, json, space, depth);
    if (strcmp(name, "array") == 0)
        return read_items(parse, AVRO_ARRAY, json, space, depth);
    if (strcmp(name, "map") == 0)
        return read_items(parse, AVRO_MAP, json, space, depth);
    return read_name(parse, name, json, space);
}

static const struct avro_type *read_type(struct parse *parse, yyjson_val *json, const char *space,
                                         int depth)
{
    const struct avro_type *type = NULL;
    if (depth > AVRO_DEPTH_MAX)
        return refuse(parse, "is nested deeper than 64 types", "");
    if (yyjson_is_str(json))
        type = read_name(parse, yyjson_get_str(json), NULL, space);
    else if (yyjson_is_obj(json))
        type = read_object(parse, json, space, depth);
    else if (yyjson_is_arr(json))
        type = read_union(parse, json, space, depth);
    else
        return refuse(parse, "has a type that is neither a name nor an object nor a union", "");
    if (type && type->depth > AVRO_DEPTH_MAX)
        return refuse(parse, "is nested deeper than 64 types", "");
    if (type && type->idle > IDLE_MAX && type->kind != AVRO_NULL)
        return refuse(parse, "has records of more than 64 values that take no byte", "");
    return type;
}

static yyjson_doc *read_text(struct parse *parse, struct slice text)
{
    yyjson_read_err problem;
    yyjson_doc *doc =
        yyjson_read_opts((char *) (uintptr_t) text.bytes, text.length,
                         YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &problem);
    if (doc)
        return doc;
    if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return no_memory(parse);
    parse->status = error_set(parse->error, ODS_REJECT,
                              "the schema is not JSON, so not an Avro schema: %s at its byte %zu",
                              problem.msg, problem.pos);
    return NULL;
}

enum ods_status avro_schema_parse(struct avro_schema *schema, const struct slice *texts,
                                  size_t count, struct error *error)
{
    struct parse parse = {.schema = schema, .error = error};
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += texts[i].length;
    if (bytes > AVRO_SCHEMA_BYTES_MAX)
        return error_set(error, ODS_REJECT,
                         "the Avro schema has %zu bytes with its references, more than %zu", bytes,
                         AVRO_SCHEMA_BYTES_MAX);
    schema->docs = calloc(count + 1, sizeof(struct yyjson_doc *));
    if (!schema->docs)
        no_memory(&parse);
    for (size_t i = 0; parse.status == ODS_OK && i < count; i++) {
        yyjson_doc *doc = read_text(&parse, texts[i]);
        if (!doc)
            break;
        schema->docs[schema->doc_count++] = doc;
        schema->root = read_type(&parse, yyjson_doc_get_root(doc), "", 0);
    }
    if (parse.status != ODS_OK)
        schema->root = NULL;
    return parse.status;
}

void avro_schema_forget_texts(struct avro_schema *schema)
{
    for (size_t i = 0; i < schema->doc_count; i++)
        yyjson_doc_free(schema->docs[i]);
    free(schema->docs);
    schema->docs = NULL;
    schema->doc_count = 0;
    hash_index_done(&schema->names);
}

void avro_schema_done(struct avro_schema *schema)
{
    avro_schema_forget_texts(schema);
    blocks_done(&schema->blocks);
    *schema = (struct avro_schema){0};
}
