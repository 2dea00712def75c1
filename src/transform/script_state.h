/* A lane's Lua state: the sandbox, its limits, and values on their way in and out. */
#ifndef SCRIPT_STATE_H
#define SCRIPT_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <ods/buffer.h>

#include "transform/script.h"

#define SCRIPT_MEMORY       (INT64_C(16) << 20)
#define SCRIPT_INSTRUCTIONS 5000000

struct transform_shared {
    lua_State *lua; /* NULL: nothing is compiled */
    int64_t memory;
    int64_t instructions; /* that the call has left */
    bool spent;           /* a limit was met */
    struct buffer text;
    int environment;      /* of expressions, a reference */
    int absent;           /* what stands for a value that was not sent */
    bool touched;         /* such a value was read */
    const struct batch *batch; /* of the change at hand; NULL: there is none */
    const struct change *change;
    const struct value *after;
    uint64_t call; /* rows of earlier calls are no longer valid */
};

/* A row in Lua, read by column. */
struct script_row {
    uint64_t call;
    const struct shape *shape;
    const struct value *values;
};

/* Makes the state if there is none. */
enum ods_status script_state(struct transform_shared *shared, struct error *error);

/* Calls `body` with `context` within the limits; an error in Lua is ODS_REJECT. */
enum ods_status script_run(struct transform_shared *shared, lua_CFunction body, void *context,
                           struct error *error);

struct transform_shared *script_shared(lua_State *lua);

void script_push_row(lua_State *lua, const struct shape *shape, const struct value *values);
struct script_row *script_row_at(lua_State *lua, int index); /* NULL: it is not a row */
/* Columns that were written, by name; a table is pushed, or nil. */
void script_push_written(lua_State *lua, int index);

/* A value as Lua sees it; raises where it can't be shown. */
void script_push_value(lua_State *lua, const struct column *column, const struct value *value);
/* What is at the index as a value of the column. */
enum ods_status script_take_value(lua_State *lua, int index, const struct column *column,
                                  struct arena *arena, struct value *value, struct error *error);

/* The change as a script's function gets it. */
void script_push_change(lua_State *lua, const struct batch *batch, const struct change *change);
/* Loads a file, whose function of this name is *function. The state is made if there is none. */
enum ods_status script_load(const struct transform_config *config, const char *file,
                            const char *wanted, int *function, struct error *error);

void script_open_rows(lua_State *lua);
void script_open_decimal(lua_State *lua);

#endif
