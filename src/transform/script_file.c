/* script: a file of Lua with `function change(c)`, which answers nil, a change or a list of
 * changes.
 *
 * `c` is a table: op, table, schema, database, before, after, and what cannot be changed: topic,
 * partition, offset, timestamp_ms, source_us, key (names). Rows are read and written by column; a
 * row may also be a table of its own. Columns that the table does not have take the type of the
 * target's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "transform/rewrite.h"
#include "transform/script_state.h"
#include "transform/words.h"

#define SCRIPT_BYTES_MAX (1 << 20)
#define CHANGES_MAX      10000

struct script_settings {
    const char *file;
};

struct script {
    struct transform transform;
    struct transform_shared *shared;
    struct shape_table *shapes;
    bool rekey;
    int function; /* change() */
};

extern const struct transform_ops script_transform;

static const struct setting rows[] = {
    {"file", SETTING_STRING, offsetof(struct script_settings, file), .min = 1, .max = 4096,
     .flags = SETTING_REQUIRED,
     .doc =
         "The file; a relative path is below the folder of tables.yaml. It is read at the start."},
};

static const struct setting_group settings = {
    .title = "transforms of type `script`",
    .intro =
        "A file of Lua with `function change(c)`, which returns nil (the change is dropped), a "
        "change, or a list of changes: `script: enrich.lua`. See "
        "[transforms.md](transforms.md#lua).",
    .size = sizeof(struct script_settings),
    SETTING_ROWS(rows),
};

/* What a call needs and makes. */
struct call {
    struct script *script;
    struct batch *batch;
    struct change change; /* as it came */
    enum ods_status status;
    struct error *error;
};

/* --- into Lua ------------------------------------------------------------------------------- */

static void set_text(lua_State *lua, const char *name, const char *text)
{
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, name);
}

static void set_integer(lua_State *lua, const char *name, int64_t integer)
{
    lua_pushinteger(lua, integer);
    lua_setfield(lua, -2, name);
}

void script_push_change(lua_State *lua, const struct batch *batch, const struct change *change)
{
    const struct shape *shape = change->shape;
    const struct record *record = &batch->records[change->record];
    lua_createtable(lua, 0, 14);
    set_text(lua, "op", (char[]){(char) change->op, 0});
    set_text(lua, "table", shape->table);
    set_text(lua, "schema", shape->schema);
    set_text(lua, "database", shape->database);
    set_text(lua, "topic", record->topic);
    set_integer(lua, "partition", record->partition);
    set_integer(lua, "offset", record->offset);
    if (record->timestamp_ms >= 0)
        set_integer(lua, "timestamp_ms", record->timestamp_ms);
    if (change->source_us != INT64_MIN)
        set_integer(lua, "source_us", change->source_us);
    lua_createtable(lua, (int) shape->key_count, 0);
    for (uint32_t i = 0; i < shape->key_count; i++) {
        lua_pushstring(lua, shape->columns[shape->key[i]].name);
        lua_rawseti(lua, -2, (lua_Integer) i + 1);
    }
    lua_setfield(lua, -2, "key");
    script_push_row(lua, shape, change->before);
    lua_setfield(lua, -2, "before");
    script_push_row(lua, shape, change->after);
    lua_setfield(lua, -2, "after");
}

/* --- out of Lua ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The names of a table's fields, sorted; they lie in Lua's strings, which the table holds. */
static const char **names_of(lua_State *lua, int index, struct arena *arena, uint32_t *count)
{
    *count = 0;
    uint32_t room = 0;
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1))
        room++;
    const char **names = arena_alloc(arena, (room + 1) * sizeof *names);
    for (lua_pushnil(lua); names && lua_next(lua, index); lua_pop(lua, 1)) {
        if (lua_type(lua, -2) != LUA_TSTRING)
            luaL_error(lua, "the columns of a row have names, this one is %s",
                       luaL_tolstring(lua, -2, NULL));
        names[(*count)++] = lua_tostring(lua, -2);
    }
    if (names)
        qsort(names, *count, sizeof *names, by_name);
    return names;
}

/* The shape that is being made of one result. */
struct made {
    struct shape shape;
    struct column *columns;
    uint32_t room;
};

static bool add_column(struct made *made, struct arena *arena, const char *name,
                       const struct shape *like)
{
    if (shape_column(&made->shape, name, strlen(name)) >= 0)
        return true;
    if (made->shape.column_count == made->room) {
        uint32_t room = made->room * 2 + 16;
        struct column *columns = arena_alloc(arena, room * sizeof *columns);
        if (!columns)
            return false;
        if (made->shape.column_count)
            memcpy(columns, made->columns, made->shape.column_count * sizeof *columns);
        made->shape.columns = made->columns = columns;
        made->room = room;
    }
    int found = shape_column(like, name, strlen(name));
    const char *kept = found >= 0 ? like->columns[found].name
                                  : arena_strndup(arena, name, strlen(name));
    if (!kept)
        return false;
    made->columns[made->shape.column_count++] =
        found >= 0 ? like->columns[found] : words_column(kept, SEM_UNKNOWN);
    return true;
}

/* Adds the columns of the image at the top of the stack, which stays. */
static bool add_columns(lua_State *lua, struct made *made, const struct call *call)
{
    const struct shape *shape = call->change.shape;
    struct arena *arena = &call->batch->arena;
    uint32_t count = 0;
    bool good = true;
    int top = lua_gettop(lua);
    const struct script_row *row = script_row_at(lua, top);
    for (uint32_t i = 0; row && good && i < shape->column_count; i++)
        good = add_column(made, arena, shape->columns[i].name, shape);
    if (row)
        script_push_written(lua, top);
    if (lua_istable(lua, -1)) {
        const char **names = names_of(lua, lua_gettop(lua), arena, &count);
        good &= names != NULL;
        for (uint32_t i = 0; good && i < count; i++)
            good = add_column(made, arena, names[i], shape);
    } else if (!row && !lua_isnil(lua, -1)) {
        luaL_error(lua, "a row is a row of the change, or a table; this is a %s",
                   luaL_typename(lua, -1));
    }
    lua_settop(lua, top);
    return good;
}

static enum ods_status take_column(lua_State *lua, int image, const struct call *call,
                                   const struct column *column, struct value *value)
{
    const struct script_row *row = script_row_at(lua, image);
    const struct shape *shape = call->change.shape;
    int found = row ? shape_column(row->shape, column->name, column->name_length) : -1;
    enum ods_status status = ODS_OK;
    int top = lua_gettop(lua);
    *value = found >= 0 ? row->values[found] : (struct value){.kind = VALUE_ABSENT};
    if (row)
        script_push_written(lua, image);
    else
        lua_pushvalue(lua, image);
    if (lua_istable(lua, -1)) {
        lua_pushlstring(lua, column->name, column->name_length);
        lua_rawget(lua, -2);
        bool boxed = row && lua_istable(lua, -1);
        if (boxed)
            lua_rawgeti(lua, -1, 1);
        if (boxed || (!row && !lua_isnil(lua, -1)))
            status = script_take_value(lua, -1, column, &call->batch->arena, value, call->error);
        else if (!row && shape_column(shape, column->name, column->name_length) < 0)
            value->kind = VALUE_NULL;
    }
    lua_settop(lua, top);
    return status;
}

static enum ods_status take_image(lua_State *lua, const char *field, int index,
                                  const struct call *call, const struct shape *shape,
                                  const struct value **image)
{
    enum ods_status status = ODS_OK;
    lua_getfield(lua, index, field);
    int at = lua_gettop(lua);
    struct value *values =
        arena_alloc(&call->batch->arena, shape->column_count * sizeof *values);
    *image = lua_isnil(lua, at) ? NULL : values;
    for (uint32_t i = 0; values && *image && status == ODS_OK && i < shape->column_count; i++)
        status = take_column(lua, at, call, &shape->columns[i], &values[i]);
    lua_pop(lua, 1);
    return values ? status : error_out_of_memory(call->error);
}

static const char *take_text(lua_State *lua, int index, const char *field, const char *like,
                             struct arena *arena)
{
    lua_getfield(lua, index, field);
    const char *text = lua_tostring(lua, -1);
    if (text && strcmp(text, like) != 0)
        like = arena_strndup(arena, text, strlen(text));
    lua_pop(lua, 1);
    return like;
}

/* The key by the names in `key`; what the row does not have is not part of it. */
static bool take_key(lua_State *lua, int index, struct made *made, const struct call *call)
{
    uint32_t *key;
    lua_getfield(lua, index, "key");
    lua_Integer count = lua_istable(lua, -1) ? (lua_Integer) lua_rawlen(lua, -1) : 0;
    if (count > 64)
        luaL_error(lua, "a key of more than 64 columns");
    made->shape.key = key = arena_alloc(&call->batch->arena, (size_t) count * sizeof *key);
    made->shape.key_count = 0;
    for (lua_Integer i = 1; key && i <= count; i++) {
        lua_rawgeti(lua, -1, i);
        const char *name = luaL_checkstring(lua, -1);
        int column = shape_column(&made->shape, name, strlen(name));
        if (column < 0)
            luaL_error(lua, "the key names column %s, which the row does not have", name);
        key[made->shape.key_count++] = (uint32_t) column;
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return key != NULL;
}

static bool take_op(lua_State *lua, int index, enum change_op *op)
{
    lua_getfield(lua, index, "op");
    const char *text = lua_tostring(lua, -1);
    bool good = text && strlen(text) == 1 && strchr("crudt", *text);
    if (good)
        *op = (enum change_op) *text;
    lua_pop(lua, 1);
    return good;
}

/* Has a key column another value than it came with? */
static enum ods_status look_at_key(const struct call *call, const struct change *made)
{
    const struct shape *from = call->change.shape, *to = made->shape;
    const struct value *old[] = {call->change.before, call->change.after};
    const struct value *new[] = {made->before, made->after};
    if (call->script->rekey || strcmp(from->table, to->table) != 0)
        return ODS_OK;
    for (int i = 0; i < 2; i++)
        for (uint32_t k = 0; old[i] && new[i] && k < from->key_count; k++) {
            const struct column *column = &from->columns[from->key[k]];
            int at = shape_column(to, column->name, column->name_length);
            if (at < 0 || !value_same(&old[i][from->key[k]], &new[i][at]))
                return error_set(call->error, ODS_REJECT,
                                 "column %s is in the key of table %s and can't be changed: say "
                                 "rekey: true",
                                 column->name, from->table);
        }
    return ODS_OK;
}

static enum ods_status check_images(const struct call *call, const struct change *change)
{
    bool row = change->op == OP_CREATE || change->op == OP_READ || change->op == OP_UPDATE;
    if (row && !change->after)
        return error_set(call->error, ODS_REJECT, "change() gave op %c without an after row",
                         (char) change->op);
    if (change->op == OP_DELETE && !change->before)
        return error_set(call->error, ODS_REJECT, "change() gave op d without a before row");
    return ODS_OK;
}

/* Appends the change that the table at the index says. */
static enum ods_status take_change(lua_State *lua, int index, struct call *call)
{
    struct arena *arena = &call->batch->arena;
    struct made made = {.shape = *call->change.shape};
    struct change change = call->change;
    bool good = true;
    made.shape.columns = NULL;
    made.shape.column_count = made.shape.key_count = 0;
    if (!take_op(lua, index, &change.op))
        return error_set(call->error, ODS_REJECT,
                         "change() gave a change whose op is none of c, r, u, d, t");
    static const char *const images[] = {"after", "before"};
    for (int i = 0; good && i < 2; i++) {
        lua_getfield(lua, index, images[i]);
        good = add_columns(lua, &made, call);
        lua_pop(lua, 1);
    }
    made.shape.table = take_text(lua, index, "table", call->change.shape->table, arena);
    made.shape.schema = take_text(lua, index, "schema", call->change.shape->schema, arena);
    made.shape.database = take_text(lua, index, "database", call->change.shape->database, arena);
    good = good && made.shape.table && made.shape.schema && made.shape.database &&
           take_key(lua, index, &made, call);
    change.shape = good ? shape_intern(call->script->shapes, &made.shape) : NULL;
    if (!change.shape)
        return good && shape_table_full(call->script->shapes)
                   ? error_set(call->error, ODS_REJECT, "too many kinds of rows: table %s",
                               made.shape.table)
                   : error_out_of_memory(call->error);
    enum ods_status status = take_image(lua, "after", index, call, change.shape, &change.after);
    if (status == ODS_OK)
        status = take_image(lua, "before", index, call, change.shape, &change.before);
    if (status == ODS_OK)
        status = check_images(call, &change);
    if (status == ODS_OK)
        status = look_at_key(call, &change);
    struct change *slot = status == ODS_OK ? batch_add_change(call->batch) : NULL;
    if (status == ODS_OK && !slot)
        return error_out_of_memory(call->error);
    if (slot)
        *slot = change;
    if (status == ODS_OK && call->script->rekey &&
        strcmp(change.shape->table, call->change.shape->table) == 0)
        status = rewrite_split(call->batch, call->batch->change_count - 1, true, call->error);
    return status;
}

static int run(lua_State *lua)
{
    struct call *call = lua_touserdata(lua, 1);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, call->script->function);
    script_push_change(lua, call->batch, &call->change);
    lua_call(lua, 1, 1);
    int index = lua_gettop(lua);
    if (lua_isnil(lua, index))
        return 0;
    if (!lua_istable(lua, index))
        return luaL_error(lua, "change() returns nil, a change or a list of changes, not a %s",
                          luaL_typename(lua, index));
    lua_getfield(lua, index, "op");
    bool one = !lua_isnil(lua, -1);
    lua_pop(lua, 1);
    if (one) {
        call->status = take_change(lua, index, call);
        return 0;
    }
    lua_Integer count = (lua_Integer) lua_rawlen(lua, index);
    if (count > CHANGES_MAX)
        return luaL_error(lua, "change() gave more than %d changes", CHANGES_MAX);
    for (lua_Integer i = 1; call->status == ODS_OK && i <= count; i++) {
        lua_rawgeti(lua, index, i);
        if (!lua_istable(lua, -1))
            return luaL_error(lua, "change() gave a list whose item %d is a %s", (int) i,
                              luaL_typename(lua, -1));
        call->status = take_change(lua, index + 1, call);
        lua_settop(lua, index);
    }
    return 0;
}

/* The changes that came are put away, and what the script makes of each is appended. */
static enum ods_status script_apply(struct transform *transform, struct batch *batch,
                                    uint32_t first, struct error *error)
{
    struct script *script = (struct script *) transform;
    uint32_t count = batch->change_count - first;
    struct change *all = arena_alloc(&batch->arena, count * sizeof *all);
    enum ods_status status = ODS_OK;
    if (!all)
        return error_out_of_memory(error);
    memcpy(all, &batch->changes[first], count * sizeof *all);
    batch->change_count = first;
    for (uint32_t i = 0; status == ODS_OK && i < count; i++) {
        struct call call = {
            .script = script, .batch = batch, .change = all[i], .error = error};
        script->shared->batch = batch;
        script->shared->change = &call.change;
        status = script_run(script->shared, run, &call, error);
        script->shared->change = NULL;
        if (status == ODS_OK)
            status = call.status;
    }
    return status;
}

/* --- opening -------------------------------------------------------------------------------- */

struct loading {
    const char *name, *wanted;
    const char *bytes;
    size_t length;
    int function;
};

/* Each script has globals of its own, which fall back to the sandbox's. */
static int load(lua_State *lua)
{
    struct loading *loading = lua_touserdata(lua, 1);
    lua_pushfstring(lua, "@%s", loading->name);
    if (luaL_loadbufferx(lua, loading->bytes, loading->length, lua_tostring(lua, -1), "t") !=
        LUA_OK)
        return lua_error(lua);
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushglobaltable(lua);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    lua_setupvalue(lua, -3, 1);
    lua_pushvalue(lua, -2);
    lua_call(lua, 0, 0);
    lua_getfield(lua, -1, loading->wanted);
    if (!lua_isfunction(lua, -1))
        return luaL_error(lua, "%s has no function %s(c)", loading->name, loading->wanted);
    loading->function = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

static enum ods_status read_file(const struct transform_config *config, const char *file,
                                 struct buffer *bytes, struct error *error)
{
    const char *tables = config->told && config->told->file ? config->told->file : "";
    const char *slash = strrchr(tables, '/');
    char path[8192];
    snprintf(path, sizeof path, "%.*s%s",
             *file == '/' || !slash ? 0 : (int) (slash + 1 - tables), tables, file);
    FILE *stream = fopen(path, "re");
    if (!stream)
        return error_set(error, ODS_FATAL, "%s can't be opened: %m", path);
    char *room = buffer_take(bytes, SCRIPT_BYTES_MAX + 1);
    bytes->length = room ? fread(room, 1, SCRIPT_BYTES_MAX + 1, stream) : 0;
    bool failed = ferror(stream) != 0;
    fclose(stream);
    if (!room)
        return error_out_of_memory(error);
    if (failed || bytes->length > SCRIPT_BYTES_MAX)
        return error_set(error, ODS_FATAL, "%s can't be read, or is larger than 1 MiB", path);
    return ODS_OK;
}

enum ods_status script_load(const struct transform_config *config, const char *file,
                            const char *wanted, int *function, struct error *error)
{
    struct buffer bytes;
    buffer_init(&bytes);
    const char *slash = strrchr(file, '/');
    struct loading loading = {.name = slash ? slash + 1 : file, .wanted = wanted};
    enum ods_status status = read_file(config, file, &bytes, error);
    loading.bytes = bytes.bytes;
    loading.length = bytes.length;
    if (status == ODS_OK)
        status = script_state(config->shared, error);
    if (status == ODS_OK && script_run(config->shared, load, &loading, error) != ODS_OK)
        status = ODS_FATAL;
    *function = loading.function;
    buffer_done(&bytes);
    return status;
}

static void script_close(struct transform *transform)
{
    free(transform);
}

static enum ods_status script_open(struct transform **transform,
                                   const struct transform_config *config, struct error *error)
{
    const struct script_settings *told = config->settings;
    struct script *script = calloc(1, sizeof *script);
    *transform = NULL;
    if (!script)
        return error_out_of_memory(error);
    script->transform = (struct transform){.ops = &script_transform, .wants_before = true};
    script->shared = config->shared;
    script->shapes = config->shapes;
    script->rekey = config->told && config->told->rekey;
    enum ods_status status = script_load(config, told->file, "change", &script->function, error);
    if (status == ODS_OK)
        *transform = &script->transform;
    else
        script_close(&script->transform);
    return status;
}

const struct transform_ops script_transform = {
    .type = "script",
    .summary = "passes changes through a function in Lua",
    .settings = &settings,
    .open = script_open,
    .apply = script_apply,
    .close = script_close,
};
