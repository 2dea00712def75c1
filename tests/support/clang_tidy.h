/* For scripts/lint, behind ods/status.h: what its functions answer, which clang-tidy, that sees one
 * file at a time, would not know. Without it each `status != ODS_OK` behind a call may be false where
 * the call has failed. */
#define error_set(error, status, ...) ((error_set) ((error), (status), __VA_ARGS__), (status))
#define error_out_of_memory(error) ((error_out_of_memory) (error), ODS_RETRY)
/* And that Lua's do not return. */
#define luaL_argerror(lua, argument, why) ((luaL_argerror) (lua, argument, why), __builtin_trap(), 0)
#define luaL_error(lua, ...) ((luaL_error) (lua, __VA_ARGS__), __builtin_trap(), 0)
