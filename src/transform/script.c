/* Expressions. See script.h. */
#include "transform/script.h"

#include <string.h>

#include "transform/script_state.h"

struct compiling {
    const char *what, *text;
    int reference;
};

static int compile(lua_State *lua)
{
    struct compiling *compiling = lua_touserdata(lua, 1);
    lua_pushfstring(lua, "=%s", compiling->what);
    lua_pushfstring(lua, "return %s", compiling->text);
    if (luaL_loadbufferx(lua, lua_tostring(lua, -1), strlen(lua_tostring(lua, -1)),
                         lua_tostring(lua, -2), "t") != LUA_OK)
        return lua_error(lua);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, script_shared(lua)->environment);
    lua_setupvalue(lua, -2, 1);
    compiling->reference = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

enum ods_status script_compile(const struct transform_config *config, const char *what,
                               const char *text, int *expression, struct error *error)
{
    struct compiling compiling = {.what = what, .text = text};
    enum ods_status status = script_state(config->shared, error);
    if (status == ODS_OK)
        status = script_run(config->shared, compile, &compiling, error);
    *expression = compiling.reference;
    return status == ODS_OK ? ODS_OK : ODS_FATAL;
}

struct asking {
    int expression;
    bool yes;
    const struct column *column; /* NULL: for yes or no */
    struct batch *batch;
    struct value *value;
    struct error *error;
    enum ods_status status;
};

static int ask(lua_State *lua)
{
    struct asking *asking = lua_touserdata(lua, 1);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, asking->expression);
    lua_call(lua, 0, 1);
    if (asking->column)
        asking->status = script_take_value(lua, -1, asking->column, &asking->batch->arena,
                                           asking->value, asking->error);
    else
        asking->yes = lua_toboolean(lua, -1);
    return 0;
}

static enum ods_status run(struct transform_shared *shared, struct asking *asking,
                           const struct batch *batch, const struct change *change,
                           const struct value *image, struct error *error)
{
    shared->batch = batch;
    shared->change = change;
    shared->after = image;
    shared->touched = false;
    asking->error = error;
    enum ods_status status = script_run(shared, ask, asking, error);
    shared->change = NULL;
    return status == ODS_OK ? asking->status : status;
}

enum ods_status script_judge(struct transform_shared *shared, int expression,
                             const struct batch *batch, const struct change *change,
                             const struct value *image, enum verdict *verdict,
                             struct error *error)
{
    struct asking asking = {.expression = expression};
    enum ods_status status = run(shared, &asking, batch, change, image, error);
    *verdict = asking.yes ? VERDICT_YES : VERDICT_NO;
    if (!shared->touched || shared->spent)
        return status;
    *verdict = VERDICT_UNKNOWN;
    return ODS_OK;
}

enum ods_status script_value(struct transform_shared *shared, int expression, struct batch *batch,
                             const struct change *change, const struct value *image,
                             const struct column *column, struct value *value,
                             struct error *error)
{
    struct asking asking = {
        .expression = expression, .column = column, .batch = batch, .value = value};
    enum ods_status status = run(shared, &asking, batch, change, image, error);
    if (!shared->touched || shared->spent)
        return status;
    *value = (struct value){.kind = VALUE_ABSENT};
    return ODS_OK;
}
