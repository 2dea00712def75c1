/* Rows and values in Lua. A row is a userdata that reads columns by name; what is written into it
 * is kept beside it, in a table. Rows are good for one call.
 *
 * Integers are Lua's (64 bits), floats Lua's; decimals, and numbers that no int64 holds, are
 * strings with all their digits; dates and times are text; NULL is nil, what was not sent is
 * `absent`.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "transform/script_state.h"
#include "transform/words.h"

#define ROW "row"

static bool is_countable(enum semantic type)
{
    return type == SEM_UNKNOWN || (type >= SEM_INT8 && type <= SEM_INT64) || type == SEM_YEAR ||
           type == SEM_STRING;
}

static void push_words(lua_State *lua, const struct column *column, const struct value *value)
{
    struct transform_shared *shared = script_shared(lua);
    const char *text;
    size_t length;
    struct error error;
    error_init(&error);
    if (words_of(&shared->text, column, value, &text, &length, &error) != ODS_OK)
        luaL_error(lua, "%s", error.text);
    lua_pushlstring(lua, text, length);
}

void script_push_value(lua_State *lua, const struct column *column, const struct value *value)
{
    struct transform_shared *shared = script_shared(lua);
    if (value->kind == VALUE_ABSENT) {
        shared->touched = true;
        lua_rawgeti(lua, LUA_REGISTRYINDEX, shared->absent);
        return;
    }
    bool is_float = column->type == SEM_FLOAT32 || column->type == SEM_FLOAT64;
    bool is_unsigned = value->kind == VALUE_INT && value->integer < 0 && column->source_type &&
                       strcasestr(column->source_type, "unsigned");
    switch (value->kind) {
    case VALUE_NULL:
        lua_pushnil(lua);
        break;
    case VALUE_BOOL:
        lua_pushboolean(lua, value->integer != 0);
        break;
    case VALUE_INT:
        if (is_float)
            lua_pushnumber(lua, (lua_Number) value->integer);
        else if (is_countable(column->type) && !is_unsigned)
            lua_pushinteger(lua, value->integer);
        else
            push_words(lua, column, value);
        break;
    case VALUE_DOUBLE:
        lua_pushnumber(lua, value->real);
        break;
    case VALUE_NUMBER:
        push_words(lua, column, value);
        if (is_float) {
            lua_pushnumber(lua, strtod(lua_tostring(lua, -1), NULL));
            lua_remove(lua, -2);
        }
        break;
    case VALUE_BYTES:
        if (column->type == SEM_BYTES)
            lua_pushlstring(lua, value->bytes, value->length);
        else
            push_words(lua, column, value);
        break;
    default:
        push_words(lua, column, value);
    }
}

static enum ods_status take_number(lua_State *lua, int index, const struct column *column,
                                   struct arena *arena, struct value *value, struct error *error)
{
    char text[40];
    bool whole = lua_isinteger(lua, index);
    double real = lua_tonumber(lua, index);
    if (whole && (column->type == SEM_UNKNOWN || column->type == SEM_INT64)) {
        *value = (struct value){.kind = VALUE_INT, .integer = lua_tointeger(lua, index)};
        return ODS_OK;
    }
    if (whole)
        snprintf(text, sizeof text, "%lld", (long long) lua_tointeger(lua, index));
    else if (isnan(real) || isinf(real))
        snprintf(text, sizeof text, "%s",
                 isnan(real) ? "NaN"
                 : real < 0  ? "-Infinity"
                             : "Infinity");
    else
        snprintf(text, sizeof text, "%.17g", real);
    bool words = !whole && (isnan(real) || isinf(real));
    if (column->type == SEM_UNKNOWN || words) {
        *value = words_text(arena, text, strlen(text));
        bool failed = value->kind == VALUE_ABSENT;
        value->kind = VALUE_NUMBER;
        return failed ? error_out_of_memory(error) : ODS_OK;
    }
    return words_read(arena, column, text, strlen(text), value, error);
}

static enum ods_status take_string(lua_State *lua, int index, const struct column *column,
                                   struct arena *arena, struct value *value, struct error *error)
{
    size_t length;
    const char *text = lua_tolstring(lua, index, &length);
    bool plain = column->type == SEM_UNKNOWN || column->type == SEM_BYTES;
    if (column->type != SEM_BYTES && !utf8_valid(text, length))
        return error_set(error, ODS_REJECT,
                         "column %s: the script's text is not UTF-8; string.sub() counts bytes, "
                         "utf8.offset() finds where characters begin",
                         column->name);
    if (!plain)
        return words_read(arena, column, text, length, value, error);
    *value = words_text(arena, text, length);
    if (value->kind == VALUE_ABSENT)
        return error_out_of_memory(error);
    if (column->type == SEM_BYTES)
        value->kind = VALUE_BYTES;
    return ODS_OK;
}

static bool is_absent(lua_State *lua, int index)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, script_shared(lua)->absent);
    bool same = lua_rawequal(lua, -1, index);
    lua_pop(lua, 1);
    return same;
}

enum ods_status script_take_value(lua_State *lua, int index, const struct column *column,
                                  struct arena *arena, struct value *value, struct error *error)
{
    index = lua_absindex(lua, index);
    *value = (struct value){.kind = VALUE_NULL};
    switch (lua_type(lua, index)) {
    case LUA_TNIL:
        return ODS_OK;
    case LUA_TBOOLEAN:
        *value = (struct value){.kind = VALUE_BOOL, .integer = lua_toboolean(lua, index)};
        if (column->type == SEM_UNKNOWN || column->type == SEM_BOOLEAN)
            return ODS_OK;
        const char *word = value->integer ? "true" : "false";
        return words_read(arena, column, word, strlen(word), value, error);
    case LUA_TNUMBER:
        return take_number(lua, index, column, arena, value, error);
    case LUA_TSTRING:
        return take_string(lua, index, column, arena, value, error);
    default:
        if (is_absent(lua, index)) {
            *value = (struct value){.kind = VALUE_ABSENT};
            return ODS_OK;
        }
        return error_set(error, ODS_REJECT, "column %s: a %s is not a value", column->name,
                         luaL_typename(lua, index));
    }
}

/* --- rows ----------------------------------------------------------------------------------- */

void script_push_row(lua_State *lua, const struct shape *shape, const struct value *values)
{
    if (!values) {
        lua_pushnil(lua);
        return;
    }
    struct script_row *row = lua_newuserdatauv(lua, sizeof *row, 1);
    *row = (struct script_row){script_shared(lua)->call, shape, values};
    luaL_setmetatable(lua, ROW);
}

struct script_row *script_row_at(lua_State *lua, int index)
{
    struct script_row *row = luaL_testudata(lua, index, ROW);
    if (row && row->call != script_shared(lua)->call)
        luaL_error(lua, "a row of an earlier change is gone");
    return row;
}

void script_push_written(lua_State *lua, int index)
{
    lua_getiuservalue(lua, index, 1);
}

static int row_column(lua_State *lua, const struct script_row *row, int index)
{
    size_t length;
    const char *name = luaL_checklstring(lua, index, &length);
    return shape_column(row->shape, name, length);
}

/* Written values are boxed in a table each, since nil is one. */
static bool push_own(lua_State *lua, int row, int name)
{
    lua_getiuservalue(lua, row, 1);
    if (lua_istable(lua, -1)) {
        lua_pushvalue(lua, name);
        lua_rawget(lua, -2);
        if (lua_istable(lua, -1)) {
            lua_rawgeti(lua, -1, 1);
            return true;
        }
    }
    return false;
}

static int row_index(lua_State *lua)
{
    const struct script_row *row = script_row_at(lua, 1);
    if (push_own(lua, 1, 2))
        return 1;
    int column = row_column(lua, row, 2);
    const struct change *change = script_shared(lua)->change;
    if (column < 0 && change && change->tombstone) {
        script_push_value(lua, NULL, &(struct value){.kind = VALUE_ABSENT});
        return 1;
    }
    if (column < 0)
        return luaL_error(lua, "table %s has no column %s", row->shape->table,
                          lua_tostring(lua, 2));
    script_push_value(lua, &row->shape->columns[column], &row->values[column]);
    return 1;
}

static int row_newindex(lua_State *lua)
{
    script_row_at(lua, 1);
    luaL_checkstring(lua, 2);
    lua_getiuservalue(lua, 1, 1);
    if (!lua_istable(lua, -1)) {
        lua_newtable(lua);
        lua_pushvalue(lua, -1);
        lua_setiuservalue(lua, 1, 1);
    }
    lua_pushvalue(lua, 2);
    lua_createtable(lua, 1, 0);
    lua_pushvalue(lua, 3);
    lua_rawseti(lua, -2, 1);
    lua_rawset(lua, -3);
    return 0;
}

/* Columns of the source, in its order. */
static int row_next(lua_State *lua)
{
    const struct script_row *row = script_row_at(lua, 1);
    int column = lua_isnil(lua, 2) ? 0 : row_column(lua, row, 2) + 1;
    if (column >= (int) row->shape->column_count)
        return 0;
    lua_pushstring(lua, row->shape->columns[column].name);
    lua_pushvalue(lua, -1);
    lua_replace(lua, 2);
    if (!push_own(lua, 1, 2))
        script_push_value(lua, &row->shape->columns[column], &row->values[column]);
    lua_pushvalue(lua, 2);
    lua_insert(lua, -2);
    return 2;
}

static int row_pairs(lua_State *lua)
{
    lua_pushcfunction(lua, row_next);
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

/* has(row, "name"): is there such a column? sent(row, "name"): and was it sent? */
static int has(lua_State *lua)
{
    const struct script_row *row = script_row_at(lua, 1);
    luaL_argcheck(lua, row, 1, "a row is expected");
    lua_pushboolean(lua, row_column(lua, row, 2) >= 0);
    return 1;
}

static int sent(lua_State *lua)
{
    const struct script_row *row = script_row_at(lua, 1);
    luaL_argcheck(lua, row, 1, "a row is expected");
    int column = row_column(lua, row, 2);
    lua_pushboolean(lua, column >= 0 && row->values[column].kind != VALUE_ABSENT);
    return 1;
}

/* --- what expressions see ------------------------------------------------------------------- */

static void push_key(lua_State *lua, const struct shape *shape)
{
    lua_createtable(lua, (int) shape->key_count, 0);
    for (uint32_t i = 0; i < shape->key_count; i++) {
        lua_pushstring(lua, shape->columns[shape->key[i]].name);
        lua_rawseti(lua, -2, (lua_Integer) i + 1);
    }
}

static int environment_index(lua_State *lua)
{
    const struct transform_shared *shared = script_shared(lua);
    const struct change *change = shared->change;
    const char *name = lua_tostring(lua, 2);
    const struct record *record = change ? &shared->batch->records[change->record] : NULL;
    if (!change || !name) {
        lua_pushnil(lua);
    } else if (strcmp(name, "after") == 0) {
        script_push_row(lua, change->shape, shared->after);
    } else if (strcmp(name, "before") == 0) {
        script_push_row(lua, change->shape, change->before);
    } else if (strcmp(name, "op") == 0) {
        lua_pushlstring(lua, (char[]){(char) change->op}, 1);
    } else if (strcmp(name, "source") == 0) {
        lua_createtable(lua, 0, 8);
        lua_pushstring(lua, change->shape->table);
        lua_setfield(lua, -2, "table");
        lua_pushstring(lua, change->shape->schema);
        lua_setfield(lua, -2, "schema");
        lua_pushstring(lua, change->shape->database);
        lua_setfield(lua, -2, "database");
        lua_pushstring(lua, record->topic);
        lua_setfield(lua, -2, "topic");
        lua_pushinteger(lua, record->partition);
        lua_setfield(lua, -2, "partition");
        lua_pushinteger(lua, record->offset);
        lua_setfield(lua, -2, "offset");
        if (change->source_us != INT64_MIN) {
            lua_pushinteger(lua, change->source_us);
            lua_setfield(lua, -2, "time_us");
        }
        push_key(lua, change->shape);
        lua_setfield(lua, -2, "key");
    } else {
        lua_pushglobaltable(lua);
        lua_pushvalue(lua, 2);
        lua_rawget(lua, -2);
    }
    return 1;
}

static int environment_newindex(lua_State *lua)
{
    return luaL_error(lua, "an expression sets nothing");
}

static int absent_text(lua_State *lua)
{
    lua_pushliteral(lua, "absent");
    return 1;
}

void script_open_rows(lua_State *lua)
{
    static const luaL_Reg row[] = {{"__index", row_index},
                                   {"__newindex", row_newindex},
                                   {"__pairs", row_pairs},
                                   {NULL, NULL}};
    struct transform_shared *shared = script_shared(lua);
    luaL_newmetatable(lua, ROW);
    luaL_setfuncs(lua, row, 0);
    lua_pushliteral(lua, "a row");
    lua_setfield(lua, -2, "__metatable");
    lua_pushglobaltable(lua);
    lua_pushcfunction(lua, has);
    lua_setfield(lua, -2, "has");
    lua_pushcfunction(lua, sent);
    lua_setfield(lua, -2, "sent");
    lua_newuserdatauv(lua, 1, 0);
    lua_newtable(lua);
    lua_pushcfunction(lua, absent_text);
    lua_setfield(lua, -2, "__tostring");
    lua_pushliteral(lua, "absent");
    lua_setfield(lua, -2, "__name");
    lua_pushliteral(lua, "absent");
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    shared->absent = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_setfield(lua, -2, "absent");
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushcfunction(lua, environment_index);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, environment_newindex);
    lua_setfield(lua, -2, "__newindex");
    lua_pushliteral(lua, "expression");
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    shared->environment = luaL_ref(lua, LUA_REGISTRYINDEX);
}
