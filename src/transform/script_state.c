/* The sandbox. See script_state.h. */
#include "transform/script_state.h"

#include <stdlib.h>
#include <string.h>

/* What scripts may use of the standard library. */
static const char *const basics[] = {"assert", "error", "ipairs", "next",     "pairs",  "pcall",
                                     "select", "tonumber", "tostring", "type", "xpcall", NULL};

/* The allocator counts, and refuses at the ceiling: Lua then frees what it can and raises. */
static void *allocate(void *context, void *block, size_t old, size_t size)
{
    struct transform_shared *shared = context;
    int64_t had = block ? (int64_t) old : 0;
    if (!size) {
        free(block);
        shared->memory -= had;
        return NULL;
    }
    if (shared->memory - had + (int64_t) size > SCRIPT_MEMORY && (int64_t) size > had)
        return NULL;
    void *made = realloc(block, size);
    if (made)
        shared->memory += (int64_t) size - had;
    return made;
}

/* Once the limit is met every further instruction raises, so that no pcall() goes on. */
static void count(lua_State *lua, lua_Debug *debug)
{
    struct transform_shared *shared = script_shared(lua);
    shared->instructions -= shared->spent ? 1 : 1000;
    if (shared->instructions > 0)
        return;
    shared->spent = true;
    lua_sethook(lua, count, LUA_MASKCOUNT, 1);
    luaL_error(lua, "more than %d instructions", SCRIPT_INSTRUCTIONS);
}

struct transform_shared *script_shared(lua_State *lua)
{
    void *context;
    lua_getallocf(lua, &context);
    return context;
}

/* string.rep makes at most what memory allows, and not by one instruction. */
static void make_sandbox(lua_State *lua)
{
    static const struct {
        const char *name;
        lua_CFunction open;
    } libraries[] = {{LUA_STRLIBNAME, luaopen_string},
                     {LUA_TABLIBNAME, luaopen_table},
                     {LUA_MATHLIBNAME, luaopen_math},
                     {LUA_UTF8LIBNAME, luaopen_utf8}};
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 0);
    lua_newtable(lua);
    for (size_t i = 0; basics[i]; i++) {
        lua_getfield(lua, -2, basics[i]);
        lua_setfield(lua, -2, basics[i]);
    }
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        luaL_requiref(lua, libraries[i].name, libraries[i].open, 0);
        lua_setfield(lua, -2, libraries[i].name);
    }
    lua_getfield(lua, -1, LUA_STRLIBNAME);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "dump");
    lua_pop(lua, 1);
    lua_getfield(lua, -1, LUA_MATHLIBNAME);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "randomseed");
    lua_pop(lua, 1);
    lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* the globals, from now on */
    lua_pop(lua, 1);
}

static int open_all(lua_State *lua)
{
    make_sandbox(lua);
    script_open_decimal(lua);
    script_open_rows(lua);
    return 0;
}

enum ods_status script_state(struct transform_shared *shared, struct error *error)
{
    if (shared->lua)
        return ODS_OK;
    shared->lua = lua_newstate(allocate, shared);
    if (!shared->lua)
        return error_out_of_memory(error);
    return script_run(shared, open_all, NULL, error);
}

enum ods_status script_run(struct transform_shared *shared, lua_CFunction body, void *context,
                           struct error *error)
{
    lua_State *lua = shared->lua;
    shared->instructions = SCRIPT_INSTRUCTIONS;
    shared->spent = false;
    shared->call++;
    lua_sethook(lua, count, LUA_MASKCOUNT, 1000);
    lua_pushcfunction(lua, body);
    lua_pushlightuserdata(lua, context);
    int failed = lua_pcall(lua, 1, 0, 0);
    lua_sethook(lua, NULL, 0, 0);
    if (failed == LUA_OK)
        return ODS_OK;
    const char *why = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;
    enum ods_status status =
        failed == LUA_ERRMEM
            ? error_set(error, ODS_REJECT, "it needs more than %d MiB of memory",
                        (int) (SCRIPT_MEMORY >> 20))
            : error_set(error, ODS_REJECT, "%s", why ? why : "an error that is not text");
    lua_settop(lua, 0);
    if (failed == LUA_ERRMEM)
        lua_gc(lua, LUA_GCCOLLECT, 0);
    return status;
}

struct transform_shared *script_shared_new(void)
{
    struct transform_shared *shared = calloc(1, sizeof *shared);
    if (shared)
        buffer_init(&shared->text);
    return shared;
}

void script_shared_free(struct transform_shared *shared)
{
    if (!shared)
        return;
    if (shared->lua)
        lua_close(shared->lua);
    buffer_done(&shared->text);
    free(shared);
}
