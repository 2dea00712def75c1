/* Loads the lake engine. See engine.h. */
#include "sink/lake/engine.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY    "libods_lake.so"
#define PATH_BYTES 4096

/* The folder of the running program. */
static void own_folder(char folder[PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_BYTES - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
}

struct places {
    char paths[2][PATH_BYTES + 64];
    const char *items[3];
    size_t count;
};

/* What was named is the only place; else beside the program, and where it is installed. */
static void list_places(struct places *places, const char *named)
{
    char folder[PATH_BYTES];
    const char *environment = getenv("ODS_LAKE_LIBRARY");
    places->count = 0;
    if (!*named && environment)
        named = environment;
    if (*named) {
        places->items[places->count++] = named;
        return;
    }
    own_folder(folder);
    snprintf(places->paths[0], sizeof places->paths[0], "%s/" LIBRARY, folder);
    snprintf(places->paths[1], sizeof places->paths[1], "%s/../lib/ods-sink/" LIBRARY, folder);
    places->items[places->count++] = places->paths[0];
    places->items[places->count++] = places->paths[1];
}

static enum ods_status find_functions(struct lake_engine *engine, const char *path,
                                      struct error *error)
{
    const char *missing = NULL;
#define LAKE_FIND(name)                                                                            \
    if (!(engine->name = (__typeof__(engine->name)) dlsym(engine->library, "ods_lake_" #name)))    \
        missing = "ods_lake_" #name;
    LAKE_FUNCTIONS(LAKE_FIND)
#undef LAKE_FIND
    if (missing)
        return error_set(error, ODS_FATAL,
                         "the lake engine %.500s has no %s: it is of another version than this "
                         "program, build both from one source",
                         path, missing);
    if (engine->abi() != ODS_LAKE_ABI)
        return error_set(error, ODS_FATAL,
                         "the lake engine %.500s speaks version %d of the interface and this "
                         "program %d: build both from one source",
                         path, engine->abi(), ODS_LAKE_ABI);
    return ODS_OK;
}

static enum ods_status not_found(const struct places *places, struct error *error)
{
    char why[300] = "";
    const char *text = dlerror();
    if (access(places->items[0], F_OK) == 0 && text)
        snprintf(why, sizeof why, " (%s)", text);
    return error_set(
        error, ODS_FATAL,
        "the lake engine can't be loaded%s: looked for %.200s%s%.200s. A package has it when it "
        "was built by ODS_PACKAGE_LAKE=ON scripts/package; scripts/lake-build makes it alone. Both "
        "take Rust 1.95 or later (rustc and cargo from trixie-backports on Debian 13, or "
        "rustup); the target's `library` names another place",
        why, places->items[0], places->count > 1 ? " and " : "",
        places->count > 1 ? places->items[1] : "");
}

enum ods_status lake_engine_load(struct lake_engine *engine, const char *named, struct error *error)
{
    struct places places;
    list_places(&places, named);
    for (size_t i = 0; i < places.count; i++) {
        engine->library = dlopen(places.items[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (engine->library)
            return find_functions(engine, places.items[i], error);
    }
    return not_found(&places, error);
}

enum ods_status lake_engine_judge(const struct lake_engine *engine, enum ods_lake_answer answer,
                                  char *text, struct error *error)
{
    enum ods_status status = answer == ODS_LAKE_OK       ? ODS_OK
                             : answer == ODS_LAKE_FENCED ? ODS_FENCED
                             : answer == ODS_LAKE_FATAL  ? ODS_FATAL
                             : answer == ODS_LAKE_ROW    ? ODS_REJECT
                                                         : ODS_RETRY;
    if (status != ODS_OK) {
        error_set(error, status, "%s", text ? text : "the lake engine gave no reason");
        if (error)
            error->fault = status == ODS_RETRY    ? FAULT_OUTAGE
                           : status == ODS_REJECT ? FAULT_ROW
                                                  : FAULT_CONFIGURATION;
    }
    engine->free(text);
    return status;
}
