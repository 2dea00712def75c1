/* See script_text.h. A file's function gets the change as `function change(c)` of a transform does,
 * an expression sees what expressions see. Beside them stand null and number("12.50"), for what
 * JSON has and Lua has not. */
#include "transform/script_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/json.h>

#include "core/text_nested.h"
#include "core/utf8.h"
#include "transform/script_state.h"

#define NUMBER    "ods_sink.number"
#define DEPTH_MAX 32

struct script_text {
    struct transform_shared *shared;
    int function;
    bool of_file; /* it takes the change */
};

/* --- JSON ----------------------------------------------------------------------------------- */

/* A call and what it has made; `problem` is set where a value has no JSON. */
struct making {
    struct script_text *text;
    struct buffer *out;
    const struct batch *batch;
    const struct change *change;
    enum ods_status status;
    struct error *error;
};

static void put_any(lua_State *lua, int index, struct making *making, int depth);

static void put_string(lua_State *lua, int index, struct making *making)
{
    size_t length;
    const char *text = lua_tolstring(lua, index, &length);
    if (!utf8_valid(text, length))
        luaL_error(lua, "a text that is not UTF-8 can't stand in JSON");
    json_quote(making->out, text, length);
}

static void put_number(lua_State *lua, int index, struct making *making)
{
    double real = lua_tonumber(lua, index);
    if (lua_isinteger(lua, index))
        buffer_printf(making->out, "%lld", (long long) lua_tointeger(lua, index));
    else if (isnan(real) || isinf(real))
        luaL_error(lua, "JSON has no number for %s", isnan(real) ? "NaN" : "infinity");
    else
        text_real(making->out, real, 64);
}

/* The columns that were sent, in their order; what the function has written goes before them. */
static void put_row(lua_State *lua, int index, struct making *making, int depth)
{
    const struct script_row *row = script_row_at(lua, index);
    const char *comma = "{";
    script_push_written(lua, index);
    int written = lua_gettop(lua);
    for (uint32_t i = 0; i < row->shape->column_count; i++) {
        const struct column *column = &row->shape->columns[i];
        bool own = lua_istable(lua, written) &&
                   lua_getfield(lua, written, column->name) == LUA_TTABLE;
        if (own || row->values[i].kind != VALUE_ABSENT) {
            buffer_puts(making->out, comma);
            comma = ",";
            json_quote(making->out, column->name, column->name_length);
            buffer_puts(making->out, ":");
            if (own) {
                lua_rawgeti(lua, -1, 1);
                put_any(lua, lua_gettop(lua), making, depth + 1);
            } else if (making->status == ODS_OK) {
                making->status = json_value(making->out, column, &row->values[i], making->error);
            }
        }
        lua_settop(lua, written);
    }
    buffer_puts(making->out, *comma == '{' ? "{}" : "}");
    lua_pop(lua, 1);
}

static void put_list(lua_State *lua, int index, lua_Integer count, struct making *making, int depth)
{
    for (lua_Integer i = 1; i <= count; i++) {
        buffer_puts(making->out, i == 1 ? "[" : ",");
        lua_rawgeti(lua, index, i);
        put_any(lua, lua_gettop(lua), making, depth + 1);
        lua_pop(lua, 1);
    }
    buffer_puts(making->out, "]");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Names in order, so that the same change has the same text at every try. They lie in Lua's
 * strings, which the table holds; the list of them is Lua's too, since an error leaves by a jump.
 */
static const char **sorted_names(lua_State *lua, int index, size_t *count)
{
    *count = 0;
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
        if (lua_type(lua, -2) != LUA_TSTRING)
            luaL_error(lua, "a table for JSON is a list, or has names; this one has others");
        if (strlen(lua_tostring(lua, -2)) != (size_t) lua_rawlen(lua, -2))
            luaL_error(lua, "a name with a NUL can't stand in JSON");
        ++*count;
    }
    const char **names = lua_newuserdatauv(lua, (*count + 1) * sizeof *names, 0);
    size_t at = 0;
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1))
        names[at++] = lua_tostring(lua, -2);
    qsort(names, *count, sizeof *names, compare);
    return names;
}

static void put_table(lua_State *lua, int index, struct making *making, int depth)
{
    lua_Integer length = (lua_Integer) lua_rawlen(lua, index);
    size_t count;
    if (length) {
        lua_Integer others = 0;
        for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1))
            others++;
        if (others != length)
            luaL_error(lua, "a table for JSON is a list, or has names; this one has both, or gaps");
        put_list(lua, index, length, making, depth);
        return;
    }
    const char **names = sorted_names(lua, index, &count);
    buffer_puts(making->out, "{");
    for (size_t i = 0; i < count; i++) {
        buffer_puts(making->out, i ? "," : "");
        lua_pushstring(lua, names[i]);
        put_string(lua, lua_gettop(lua), making);
        buffer_puts(making->out, ":");
        lua_rawget(lua, index);
        put_any(lua, lua_gettop(lua), making, depth + 1);
        lua_pop(lua, 1);
    }
    buffer_puts(making->out, "}");
    lua_pop(lua, 1);
}

/* Does it stand for a value that was not sent? */
static bool is_absent(lua_State *lua, int index)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, script_shared(lua)->absent);
    bool same = lua_rawequal(lua, -1, index);
    lua_pop(lua, 1);
    return same;
}

static void put_any(lua_State *lua, int index, struct making *making, int depth)
{
    if (depth > DEPTH_MAX)
        luaL_error(lua, "a table of more than %d levels can't stand in JSON", DEPTH_MAX);
    luaL_checkstack(lua, 10, NULL);
    switch (lua_type(lua, index)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA: /* null */
        buffer_puts(making->out, "null");
        return;
    case LUA_TBOOLEAN:
        buffer_puts(making->out, lua_toboolean(lua, index) ? "true" : "false");
        return;
    case LUA_TNUMBER:
        put_number(lua, index, making);
        return;
    case LUA_TSTRING:
        put_string(lua, index, making);
        return;
    case LUA_TTABLE:
        put_table(lua, index, making, depth);
        return;
    default:
        break;
    }
    const char *number = luaL_testudata(lua, index, NUMBER);
    if (number)
        buffer_puts(making->out, number);
    else if (is_absent(lua, index))
        buffer_puts(making->out, "null");
    else if (script_row_at(lua, index))
        put_row(lua, index, making, depth);
    else
        luaL_error(lua, "a %s can't stand in JSON", luaL_typename(lua, index));
}

/* --- number() and null ---------------------------------------------------------------------- */

static size_t digits(const char *at)
{
    return strspn(at, "0123456789");
}

static bool is_number(const char *text)
{
    text += *text == '-';
    size_t whole = digits(text);
    if (!whole || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    if (*text == '.') {
        size_t part = digits(++text);
        if (!part)
            return false;
        text += part;
    }
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '-' || text[1] == '+');
        size_t part = digits(text);
        if (!part)
            return false;
        text += part;
    }
    return !*text;
}

/* A number with the digits that the text has. */
static int make_number(lua_State *lua)
{
    size_t length;
    const char *text = luaL_checklstring(lua, 1, &length);
    if (!is_number(text) || strlen(text) != length)
        return luaL_error(lua, "number(): its text is not a number of JSON");
    char *own = lua_newuserdatauv(lua, length + 1, 0);
    memcpy(own, text, length + 1);
    luaL_setmetatable(lua, NUMBER);
    return 1;
}

static void open_json(lua_State *lua)
{
    luaL_newmetatable(lua, NUMBER);
    lua_pushliteral(lua, "a number");
    lua_setfield(lua, -2, "__metatable");
    lua_pushglobaltable(lua);
    lua_pushcfunction(lua, make_number);
    lua_setfield(lua, -2, "number");
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
    lua_pop(lua, 2);
}

/* --- calls ---------------------------------------------------------------------------------- */

static int run(lua_State *lua)
{
    struct making *making = lua_touserdata(lua, 1);
    const struct script_text *text = making->text;
    size_t length;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, text->function);
    if (text->of_file)
        script_push_change(lua, making->batch, making->change);
    lua_call(lua, text->of_file, 1);
    int result = lua_gettop(lua);
    if (lua_isnil(lua, result))
        return luaL_error(lua, "it gives nothing to send; transforms of type filter drop changes");
    if (lua_type(lua, result) != LUA_TSTRING) {
        put_any(lua, result, making, 0);
        return 0;
    }
    const char *bytes = lua_tolstring(lua, result, &length);
    buffer_add(making->out, bytes, length);
    return 0;
}

enum ods_status script_text_put(struct script_text *text, struct buffer *out,
                                const struct batch *batch, const struct change *change,
                                struct error *error)
{
    struct transform_shared *shared = text->shared;
    struct making making = {
        .text = text, .out = out, .batch = batch, .change = change, .error = error};
    shared->batch = batch;
    shared->change = change;
    shared->after = change->after;
    shared->touched = false;
    enum ods_status status = script_run(shared, run, &making, error);
    shared->change = NULL;
    if (status != ODS_OK)
        error_prefix(error, "body: ");
    return status == ODS_OK ? making.status : status;
}

/* --- opening -------------------------------------------------------------------------------- */

static int open_globals(lua_State *lua)
{
    open_json(lua);
    return 0;
}

enum ods_status script_text_open(struct script_text **out, const char *expression,
                                 const char *file, struct error *error)
{
    struct script_text *text = calloc(1, sizeof *text);
    *out = NULL;
    if (!text || !(text->shared = script_shared_new())) {
        free(text);
        return error_out_of_memory(error);
    }
    const struct transform_config config = {.shared = text->shared};
    text->of_file = *file;
    enum ods_status status = script_state(text->shared, error);
    if (status == ODS_OK)
        status = script_run(text->shared, open_globals, NULL, error);
    if (status == ODS_OK)
        status = *file ? script_load(&config, file, "body", &text->function, error)
                       : script_compile(&config, "body", expression, &text->function, error);
    if (status == ODS_OK) {
        *out = text;
        return ODS_OK;
    }
    script_text_close(text);
    return ODS_FATAL;
}

void script_text_close(struct script_text *text)
{
    if (!text)
        return;
    script_shared_free(text->shared);
    free(text);
}
