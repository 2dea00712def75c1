/* The state from which verify goes on. See state.h. */
#include "verify/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/time.h"

static char *identity_of(const struct verify_options *options)
{
    struct buffer out;
    buffer_init(&out);
    buffer_printf(&out, "%d/%lld/%lld/%s/%s", (int) options->mode, (long long) options->sample,
                  (long long) options->since_us, options->database ? options->database : "",
                  options->pipeline ? options->pipeline : "");
    if (options->channel || options->delete_extra)
        buffer_printf(&out, "/repair%d%d", options->channel != NULL, options->delete_extra);
    for (size_t i = 0; i < options->table_count; i++)
        buffer_printf(&out, "/%s", options->tables[i]);
    for (size_t i = 0; i < options->settings->pipeline_count; i++)
        buffer_printf(&out, "/%s>%s", options->settings->pipelines[i].name,
                      options->settings->pipelines[i].target);
    char *text = out.failed ? NULL : strdup(buffer_text(&out));
    buffer_done(&out);
    return text;
}

/* NULL: it is of another comparison. */
static json_t *read_kept(const struct verify_state *state)
{
    json_t *root = json_loads(state->keeper->begun, 0, NULL);
    const char *identity = json_string_value(json_object_get(root, "identity"));
    if (root && identity && strcmp(identity, state->identity) == 0)
        return root;
    json_decref(root);
    return NULL;
}

enum ods_status state_open(struct verify_state *state, const struct verify_options *options,
                           struct error *error)
{
    json_error_t problem;
    *state = (struct verify_state){.path = options->state, .keeper = options->keeper};
    state->identity = identity_of(options);
    if (!state->identity)
        return error_out_of_memory(error);
    if (state->keeper && state->keeper->begun)
        state->root = read_kept(state);
    if (state->path && options->resume) {
        json_t *root = json_load_file(state->path, 0, &problem);
        if (!root && access(state->path, F_OK) == 0)
            return error_set(error, ODS_FATAL, "%s is not verify's state: line %d: %s; delete it",
                             state->path, problem.line, problem.text);
        const char *identity = json_string_value(json_object_get(root, "identity"));
        if (root && (!identity || strcmp(identity, state->identity) != 0)) {
            json_decref(root);
            return error_set(error, ODS_FATAL,
                             "%s is the state of a run with other options, tables or pipelines: "
                             "repeat it with those, or begin anew without --resume",
                             state->path);
        }
        state->root = root;
    }
    if (!state->root) {
        state->root = json_pack("{s:s, s:{}}", "identity", state->identity, "tables");
        if (!state->root)
            return error_out_of_memory(error);
    }
    return ODS_OK;
}

void state_close(struct verify_state *state, bool done)
{
    if (done && state->path && state->root)
        unlink(state->path);
    json_decref(state->root);
    free(state->identity);
    *state = (struct verify_state){0};
}

static json_t *entry_of(const struct verify_state *state, const char *pipeline, const char *table)
{
    char name[1024];
    snprintf(name, sizeof name, "%s/%s", pipeline, table);
    return json_object_get(json_object_get(state->root, "tables"), name);
}

/* Reads the counts, in the order of struct verify_table. */
static void read_counts(const json_t *entry, struct verify_table *result)
{
    const struct {
        const char *name;
        int64_t *count;
    } counts[] = {{"source_rows", &result->source_rows}, {"target_rows", &result->target_rows},
                  {"missing", &result->missing},         {"extra", &result->extra},
                  {"changed", &result->changed},         {"looked_again", &result->looked_again},
                  {"unsettled", &result->unsettled},     {"repaired", &result->repaired},
                  {"deleted", &result->deleted}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        *counts[i].count = json_integer_value(json_object_get(entry, counts[i].name));
    result->seconds = json_number_value(json_object_get(entry, "seconds"));
    const char *why = json_string_value(json_object_get(entry, "why"));
    snprintf(result->why, sizeof result->why, "%s", why ? why : "");
}

bool state_done(const struct verify_state *state, const char *pipeline, const char *table,
                struct verify_table *result)
{
    const json_t *entry = entry_of(state, pipeline, table);
    const json_t *verdict = json_object_get(entry, "verdict");
    if (!verdict)
        return false;
    read_counts(entry, result);
    result->verdict = (enum verify_verdict) json_integer_value(verdict);
    return true;
}

bool state_place(const struct verify_state *state, const char *pipeline, const char *table,
                 int64_t *phase, struct key_texts *texts, struct verify_table *result)
{
    const json_t *entry = entry_of(state, pipeline, table), *keys = json_object_get(entry, "key");
    size_t i;
    json_t *key;
    if (!keys)
        return false;
    *phase = json_integer_value(json_object_get(entry, "phase"));
    texts->count = 0;
    json_array_foreach(keys, i, key)
    {
        const char *hex = json_string_value(key);
        for (; i < PLAN_MAX_KEY && hex && hex[0] && hex[1]; hex += 2) {
            unsigned byte;
            char one = sscanf(hex, "%2x", &byte) == 1 ? (char) byte : 0;
            buffer_add(&texts->texts[i], &one, 1);
        }
        texts->count++;
    }
    read_counts(entry, result);
    return true;
}

static enum ods_status hand_over(struct verify_state *state, struct error *error)
{
    char *text = json_dumps(state->root, JSON_COMPACT);
    enum ods_status status = text ? state->keeper->keep(state->keeper->context, text, error)
                                  : error_out_of_memory(error);
    free(text);
    state->saved_us = time_monotonic_us();
    return status;
}

/* Writes a whole new file, which then replaces the old one. It holds keys: nobody else reads it. */
static enum ods_status write_file(struct verify_state *state, struct error *error)
{
    char beside[4200];
    if (state->keeper)
        return hand_over(state, error);
    snprintf(beside, sizeof beside, "%s.new", state->path);
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = file >= 0 && json_dumpfd(state->root, file, JSON_COMPACT) == 0 && fsync(file) == 0;
    if (file >= 0)
        close(file);
    if (!good || rename(beside, state->path) != 0)
        return error_set(error, ODS_FATAL, "the state can't be kept in %s: %s", state->path,
                         strerror(errno));
    state->saved_us = time_monotonic_us();
    return ODS_OK;
}

static json_t *pack(const struct verify_table *table)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:s%}", "source_rows",
                     (json_int_t) table->source_rows, "target_rows",
                     (json_int_t) table->target_rows, "missing", (json_int_t) table->missing,
                     "extra", (json_int_t) table->extra, "changed", (json_int_t) table->changed,
                     "looked_again", (json_int_t) table->looked_again, "unsettled",
                     (json_int_t) table->unsettled, "repaired", (json_int_t) table->repaired,
                     "deleted", (json_int_t) table->deleted, "seconds", table->seconds, "why",
                     table->why, strlen(table->why));
}

static bool put_entry(struct verify_state *state, const struct verify_table *table, json_t *entry)
{
    char name[1024];
    snprintf(name, sizeof name, "%s/%s", table->pipeline, table->source);
    return entry && json_object_set_new(json_object_get(state->root, "tables"), name, entry) == 0;
}

/* The bytes may be any, so they are written in hexadecimal. */
static json_t *pack_key(const struct key_texts *texts)
{
    json_t *keys = json_array();
    for (uint32_t k = 0; k < texts->count; k++) {
        struct buffer hex;
        buffer_init(&hex);
        for (size_t i = 0; i < texts->texts[k].length; i++)
            buffer_printf(&hex, "%02x", (uint8_t) texts->texts[k].bytes[i]);
        json_array_append_new(keys, json_string(buffer_text(&hex)));
        buffer_done(&hex);
    }
    return keys;
}

enum ods_status state_keep(struct verify_state *state, const struct verify_table *table,
                           int64_t phase, const struct key_texts *texts, bool now,
                           struct error *error)
{
    if (!state_is_kept(state) || (!now && time_monotonic_us() - state->saved_us < 1000000))
        return ODS_OK;
    json_t *entry = pack(table);
    if (!entry || json_object_set_new(entry, "phase", json_integer(phase)) != 0 ||
        json_object_set_new(entry, "key", pack_key(texts)) != 0 || !put_entry(state, table, entry))
        return error_out_of_memory(error);
    return write_file(state, error);
}

enum ods_status state_finish(struct verify_state *state, const struct verify_table *table,
                             struct error *error)
{
    if (!state_is_kept(state))
        return ODS_OK;
    json_t *entry = pack(table);
    if (!entry || json_object_set_new(entry, "verdict", json_integer(table->verdict)) != 0 ||
        !put_entry(state, table, entry))
        return error_out_of_memory(error);
    return write_file(state, error);
}
