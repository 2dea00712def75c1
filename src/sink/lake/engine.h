/* The lake engine's functions, from its library, which is loaded when it is first needed. */
#ifndef LAKE_ENGINE_H
#define LAKE_ENGINE_H

#include <ods/lake.h>
#include <ods/status.h>

#define LAKE_FUNCTIONS(FUNCTION)                                                                   \
    FUNCTION(abi)                                                                                  \
    FUNCTION(version)                                                                              \
    FUNCTION(free)                                                                                 \
    FUNCTION(open)                                                                                 \
    FUNCTION(close)                                                                                \
    FUNCTION(table)                                                                                \
    FUNCTION(close_table)                                                                          \
    FUNCTION(offsets)                                                                              \
    FUNCTION(append)                                                                               \
    FUNCTION(upsert)                                                                               \
    FUNCTION(commit)                                                                               \
    FUNCTION(resolve)                                                                              \
    FUNCTION(truncate)                                                                             \
    FUNCTION(rollback)                                                                             \
    FUNCTION(erase)                                                                                \
    FUNCTION(evolve)                                                                               \
    FUNCTION(schema)                                                                               \
    FUNCTION(maintain)                                                                             \
    FUNCTION(stats)                                                                                \
    FUNCTION(feed)                                                                                 \
    FUNCTION(next_events)                                                                          \
    FUNCTION(close_feed)                                                                           \
    FUNCTION(versions)                                                                             \
    FUNCTION(changes)                                                                              \
    FUNCTION(next_lines)                                                                           \
    FUNCTION(close_lines)                                                                          \
    FUNCTION(arrow)                                                                                \
    FUNCTION(next_arrow)                                                                           \
    FUNCTION(close_arrow)                                                                          \
    FUNCTION(compare)                                                                              \
    FUNCTION(compare_rows)                                                                         \
    FUNCTION(compared)                                                                             \
    FUNCTION(count)

#define LAKE_MEMBER(name) __typeof__(ods_lake_##name) *name;
struct lake_engine {
    void *library; /* stays loaded: its threads outlive what was opened with it */
    LAKE_FUNCTIONS(LAKE_MEMBER)
};
#undef LAKE_MEMBER

/* `named`: by the settings, or "". ODS_FATAL: there is none, and the error says where it was looked
 * for and how it is made. */
enum ods_status lake_engine_load(struct lake_engine *engine, const char *named,
                                 struct error *error);

/* What an answer means to a lane: ODS_LAKE_OK is ODS_OK, and so on. The text is moved into the
 * error and freed. ODS_LAKE_UNKNOWN and ODS_LAKE_ROW are the caller's to tell apart before. */
enum ods_status lake_engine_judge(const struct lake_engine *engine, enum ods_lake_answer answer,
                                  char *text, struct error *error);

#endif
