/* Questions to a registry, over HTTP or out of a file. See registry_client.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "format/schema_registry/registry_client_room.h"

#define REFERENCES_MAX 200
#define ANSWER_MAX     ((size_t) 8 * 1024 * 1024)
#define CHUNK_MAX ((size_t) 256 * 1024) /* an answer that is too large ends this close to it */
#define TEXTS_MAX      ((size_t) 4 * 1024 * 1024)

/* --- texts --- */

const char *schema_ref_text(const struct schema_ref *ref, char *text)
{
    static const char *const names[] = {"id", "guid", "global id", "content id"};
    uint64_t high = ref->high, low = ref->low;
    if (ref->kind == SCHEMA_GUID)
        snprintf(text, SCHEMA_REF_BYTES, "schema guid %08x-%04x-%04x-%04x-%012llx",
                 (unsigned) (high >> 32), (unsigned) (high >> 16 & 0xffff),
                 (unsigned) (high & 0xffff), (unsigned) (low >> 48),
                 (unsigned long long) (low & UINT64_C(0xffffffffffff)));
    else
        snprintf(text, SCHEMA_REF_BYTES, "schema %s %llu", names[ref->kind],
                 (unsigned long long) low);
    return text;
}

bool schema_texts_add(struct schema_texts *texts, const char *name, const char *bytes,
                      size_t length)
{
    struct slice *items = realloc(texts->items, (texts->count + 1) * sizeof *items);
    char **names = realloc(texts->names, (texts->count + 1) * sizeof *names);
    char *copy = malloc(length + 1), *own_name = strdup(name);
    if (items)
        texts->items = items;
    if (names)
        texts->names = names;
    if (!items || !names || !copy || !own_name) {
        free(copy);
        free(own_name);
        return false;
    }
    memcpy(copy, bytes, length);
    names[texts->count] = own_name;
    items[texts->count++] = (struct slice){copy, length};
    texts->bytes += length + strlen(name);
    return true;
}

void schema_texts_done(struct schema_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free((char *) (uintptr_t) texts->items[i].bytes);
        free(texts->names[i]);
    }
    free(texts->items);
    free(texts->names);
    *texts = (struct schema_texts){0};
}

/* --- opening --- */

static const char *file_path(const char *url)
{
    return strncmp(url, "file://", 7) == 0 ? url + 7 : *url == '/' || *url == '.' ? url : NULL;
}

static const char *given(const char *text)
{
    return text && *text ? text : NULL;
}

static enum ods_status open_url(struct registry_client *client, char *url, const atomic_bool *stop,
                                struct error *error)
{
    const struct registry_settings *settings = client->settings;
    const struct http_client_options options = {.ca_file = given(settings->ca),
                                                .certificate = given(settings->client_cert),
                                                .key = given(settings->client_key),
                                                .user = given(settings->user),
                                                .password = given(settings->password),
                                                .token = given(settings->token),
                                                .total_ms = (unsigned) settings->timeout_ms,
                                                .silence_s =
                                                    (unsigned) (settings->timeout_ms / 1000 + 1),
                                                .max_bytes = ANSWER_MAX,
                                                .stop = stop};
    size_t length = strlen(url);
    while (length && url[length - 1] == '/')
        url[--length] = '\0';
    client->url[client->count] = url;
    if (!file_path(url)) {
        client->http[client->count] = http_client_new(&options, error);
        if (!client->http[client->count])
            return ODS_RETRY;
    }
    client->count++;
    return ODS_OK;
}

enum ods_status registry_client_open(struct registry_client **out,
                                     const struct registry_settings *settings,
                                     const atomic_bool *stop, struct error *error)
{
    struct registry_client *client = calloc(1, sizeof *client);
    enum ods_status status = ODS_OK;
    *out = NULL;
    if (!client || !(client->urls = strdup(settings->url))) {
        free(client);
        return error_out_of_memory(error);
    }
    client->settings = settings;
    http_answer_init(&client->answer);
    char *rest = client->urls, *url;
    while (status == ODS_OK && (url = strtok_r(rest, ", ", &rest)) &&
           client->count < REGISTRY_URLS_MAX)
        status = open_url(client, url, stop, error);
    if (status == ODS_OK && !client->count)
        status = error_set(error, ODS_FATAL, "no registry is configured (registry.url)");
    if (status != ODS_OK) {
        registry_client_close(client);
        return status;
    }
    *out = client;
    return ODS_OK;
}

void registry_client_close(struct registry_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->count; i++)
        http_client_free(client->http[i]);
    http_answer_done(&client->answer);
    free(client->urls);
    free(client);
}

/* --- one question to one URL --- */

/* What a registry has said. `doc` is its JSON; NULL: it is the schema itself. */
struct said {
    long code;
    yyjson_doc *doc;
};

enum ods_status registry_ask(struct registry_client *client, size_t which, const char *path,
                             const struct buffer *body, struct error *error)
{
    char url[4096];
    int length = snprintf(url, sizeof url, "%s%s", client->url[which], path);
    if (length < 0 || (size_t) length >= sizeof url)
        return error_set(error, ODS_REJECT, "the subject's name is too long");
    enum ods_status status =
        body ? http_client_post(client->http[which], url, REGISTRY_JSON, body->bytes, body->length,
                                &client->answer, error)
             : http_client_get(client->http[which], url, &client->answer, error);
    if (status == ODS_FATAL && client->answer.body.length > ANSWER_MAX - CHUNK_MAX)
        return error_set(error, ODS_REJECT, "its schema is larger than %zu bytes", ANSWER_MAX);
    if (status != ODS_OK)
        error_prefix(error, "registry %s: ", client->url[which]);
    return status == ODS_OK ? ODS_OK : ODS_RETRY;
}

static enum ods_status ask(struct registry_client *client, size_t which, const char *path,
                           struct error *error)
{
    return registry_ask(client, which, path, NULL, error);
}

long registry_error_code(yyjson_doc *doc)
{
    return (long) yyjson_get_sint(yyjson_obj_get(yyjson_doc_get_root(doc), "error_code"));
}

bool registry_says_unknown(yyjson_doc *doc)
{
    long code = registry_error_code(doc);
    const char *name = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "name"));
    if (code >= 40400 && code < 40500)
        return true;
    /* Apicurio's own API; "NotFoundException" itself is about the path. */
    return name && strlen(name) > 17 && strcmp(name + strlen(name) - 17, "NotFoundException") == 0;
}

/* The answer's JSON. ODS_REJECT with *unknown: there is no such schema. Any other refusal is no
 * answer about the schema: what is asked is not a registry, or not in a state to answer. */
static enum ods_status judge(struct registry_client *client, size_t which, yyjson_doc **doc,
                             bool *unknown, struct error *error)
{
    const struct http_answer *answer = &client->answer;
    *doc = yyjson_read(answer->body.bytes ? answer->body.bytes : "", answer->body.length, 0);
    if (answer->code == 200)
        return ODS_OK;
    if (answer->code == 404 && registry_says_unknown(*doc)) {
        *unknown = true;
        return error_set(error, ODS_REJECT, "the registry %s does not know it (%ld)",
                         client->url[which], registry_error_code(*doc));
    }
    return registry_no_answer(client, which, error);
}

enum ods_status registry_no_answer(const struct registry_client *client, size_t which,
                                   struct error *error)
{
    long code = client->answer.code;
    const char *hint = code == 401 || code == 403
                           ? " (registry.user, registry.password, registry.token)"
                       : code == 404 ? " (is registry.url that of the API?)"
                                     : "";
    return error_set(error, ODS_RETRY, "registry %s: HTTP %ld%s", client->url[which], code, hint);
}

/* --- a file in place of a registry --- */

static enum ods_status read_file(const char *path, yyjson_doc **doc, struct error *error)
{
    yyjson_read_err problem;
    errno = 0;
    *doc = yyjson_read_file(path, 0, NULL, &problem);
    if (*doc)
        return ODS_OK;
    return error_set(error, ODS_RETRY, "registry file %s: %s", path,
                     errno ? strerror(errno) : problem.msg);
}

/* The entry of this id, or of this subject and version, in the file's copy. */
static yyjson_val *find_in_file(yyjson_doc *doc, const char *id, const char *subject, int version)
{
    yyjson_val *root = yyjson_doc_get_root(doc), *key, *value;
    size_t index, max;
    if (id || !yyjson_is_obj(root))
        return id ? yyjson_obj_get(root, id) : NULL;
    yyjson_obj_foreach(root, index, max, key, value)
    {
        if (yyjson_equals_str(yyjson_obj_get(value, "subject"), subject) &&
            yyjson_get_int(yyjson_obj_get(value, "version")) == version)
            return value;
    }
    return NULL;
}

/* --- a schema with its references --- */

struct fetching {
    struct registry_client *client;
    size_t which;
    yyjson_doc *file;
    struct schema_texts *texts;
    struct error *error;
    bool *unknown;
    unsigned references;
};

void registry_escape(char *out, size_t size, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t used = 0;
    for (; *text && used + 4 < size; text++) {
        unsigned char byte = (unsigned char) *text;
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || strchr("-._~", byte);
        if (plain) {
            out[used++] = (char) byte;
            continue;
        }
        out[used++] = '%';
        out[used++] = hex[byte >> 4];
        out[used++] = hex[byte & 15];
    }
    out[used] = '\0';
}

static enum ods_status take_schema(struct fetching *fetching, yyjson_val *object,
                                   const char *name, int depth);

static enum ods_status take_reference(struct fetching *fetching, yyjson_val *reference, int depth)
{
    struct registry_client *client = fetching->client;
    const char *subject = yyjson_get_str(yyjson_obj_get(reference, "subject"));
    const char *own_name = yyjson_get_str(yyjson_obj_get(reference, "name"));
    int version = yyjson_get_int(yyjson_obj_get(reference, "version"));
    char path[2048], name[1024];
    yyjson_doc *doc = NULL;
    if (!subject || depth > 16 || ++fetching->references > REFERENCES_MAX)
        return error_set(fetching->error, ODS_REJECT,
                         "its references are more than %d, deeper than 16, or name no subject",
                         REFERENCES_MAX);
    if (fetching->file) {
        yyjson_val *found = find_in_file(fetching->file, NULL, subject, version);
        return found ? take_schema(fetching, found, own_name ? own_name : "", depth)
                     : error_set(fetching->error, ODS_REJECT,
                                 "it refers to version %d of subject %.100s, which the file lacks",
                                 version, subject);
    }
    registry_escape(name, sizeof name, subject);
    snprintf(path, sizeof path, "/subjects/%s/versions/%d", name, version);
    enum ods_status status = ask(client, fetching->which, path, fetching->error);
    if (status == ODS_OK)
        status = judge(client, fetching->which, &doc, fetching->unknown, fetching->error);
    if (status == ODS_OK)
        status = take_schema(fetching, yyjson_doc_get_root(doc), own_name ? own_name : "", depth);
    else if (status == ODS_REJECT)
        error_prefix(fetching->error, "version %d of subject %.100s, to which it refers: ", version,
                     subject);
    yyjson_doc_free(doc);
    return status;
}

static bool has_text(const struct schema_texts *texts, const char *name, const char *text,
                     size_t length)
{
    for (size_t i = 0; i < texts->count; i++)
        if (texts->items[i].length == length && memcmp(texts->items[i].bytes, text, length) == 0 &&
            (texts->type == SCHEMA_AVRO || strcmp(texts->names[i], name) == 0))
            return true;
    return false;
}

/* False: it is of no language that is read. */
static bool take_type(const char *name, enum schema_type *type)
{
    *type = name && strcmp(name, "PROTOBUF") == 0 ? SCHEMA_PROTOBUF : SCHEMA_AVRO;
    return !name || !*name || *type == SCHEMA_PROTOBUF || strcmp(name, "AVRO") == 0;
}

/* {"schema": "…", "schemaType": "AVRO", "references": […]} */
static enum ods_status take_schema(struct fetching *fetching, yyjson_val *object,
                                   const char *name, int depth)
{
    yyjson_val *schema = yyjson_obj_get(object, "schema"), *reference;
    const char *type = yyjson_get_str(yyjson_obj_get(object, "schemaType"));
    size_t index, max, length = yyjson_get_len(schema);
    if (!yyjson_is_str(schema))
        return error_set(fetching->error, ODS_RETRY, "registry %s: its answer holds no schema",
                         fetching->client->url[fetching->which]);
    enum schema_type own;
    if (!take_type(type, depth ? &own : &fetching->texts->type))
        return error_set(fetching->error, ODS_REJECT,
                         "it is a schema of type %.40s, expected AVRO or PROTOBUF%s",
                         type,
                         strcmp(type, "JSON") == 0 ? " (JSON Schema: format: debezium or json)"
                                                   : "");
    if (fetching->texts->bytes + length > TEXTS_MAX)
        return error_set(fetching->error, ODS_REJECT,
                         "it is larger than %zu bytes with its references", TEXTS_MAX);
    yyjson_arr_foreach(yyjson_obj_get(object, "references"), index, max, reference)
    {
        enum ods_status status = take_reference(fetching, reference, depth + 1);
        if (status != ODS_OK)
            return status;
    }
    /* two schemas may refer to the same third one */
    if (depth && has_text(fetching->texts, name, yyjson_get_str(schema), length))
        return ODS_OK;
    return schema_texts_add(fetching->texts, name, yyjson_get_str(schema), length)
               ? ODS_OK
               : error_out_of_memory(fetching->error);
}

/* Apicurio's own API lies beside the one that is configured. */
static void native_path(const char *url, const struct schema_ref *ref, char *path, size_t size,
                        size_t *keep)
{
    const char *apis = strstr(url, "/apis/");
    *keep = apis ? (size_t) (apis - url) : strlen(url);
    snprintf(path, size, "/apis/registry/v2/ids/%s/%llu",
             ref->kind == SCHEMA_GLOBAL_ID ? "globalIds" : "contentIds",
             (unsigned long long) ref->low);
}

static enum ods_status fetch_native(struct fetching *fetching, const struct schema_ref *ref)
{
    struct registry_client *client = fetching->client;
    const char *url = client->url[fetching->which];
    char path[128], base[2048];
    size_t keep;
    yyjson_doc *doc = NULL;
    native_path(url, ref, path, sizeof path, &keep);
    if (keep >= sizeof base)
        return error_set(fetching->error, ODS_RETRY, "registry: its URL is too long");
    memcpy(base, url, keep);
    base[keep] = '\0';
    client->url[fetching->which] = base;
    enum ods_status status = ask(client, fetching->which, path, fetching->error);
    client->url[fetching->which] = url;
    if (status == ODS_OK)
        status = judge(client, fetching->which, &doc, fetching->unknown, fetching->error);
    bool is_json = doc != NULL;
    yyjson_doc_free(doc);
    if (status != ODS_OK)
        return status;
    const struct buffer *body = &client->answer.body;
    /* It is the text alone, which is no JSON in Protobuf. */
    fetching->texts->type = is_json ? SCHEMA_AVRO : SCHEMA_PROTOBUF;
    return schema_texts_add(fetching->texts, "", body->bytes ? body->bytes : "", body->length)
               ? ODS_OK
               : error_out_of_memory(fetching->error);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Under which subjects it is registered, for messages and for what can't be a value's. Not every
 * registry tells. */
static void fetch_subjects(struct fetching *fetching, const struct schema_ref *ref)
{
    struct schema_texts *texts = fetching->texts;
    struct error ignored;
    char path[64];
    yyjson_doc *doc = NULL;
    yyjson_val *item;
    size_t index, max, keys = 0, values = 0, count = 0;
    bool unknown;
    error_init(&ignored);
    snprintf(path, sizeof path, "/schemas/ids/%llu/versions", (unsigned long long) ref->low);
    if (ask(fetching->client, fetching->which, path, &ignored) == ODS_OK &&
        judge(fetching->client, fetching->which, &doc, &unknown, &ignored) == ODS_OK) {
        yyjson_arr_foreach(yyjson_doc_get_root(doc), index, max, item)
        {
            const char *subject = yyjson_get_str(yyjson_obj_get(item, "subject"));
            if (!subject)
                continue;
            if (!count++)
                snprintf(texts->subject, sizeof texts->subject, "%s", subject);
            keys += ends_with(subject, "-key");
            values += ends_with(subject, "-value");
        }
    }
    texts->key_only = count && keys == count;
    texts->value_only = count && values == count;
    yyjson_doc_free(doc);
}

static enum ods_status fetch_from_file(struct fetching *fetching, const struct schema_ref *ref)
{
    const char *path = file_path(fetching->client->url[fetching->which]);
    char id[32];
    enum ods_status status = read_file(path, &fetching->file, fetching->error);
    if (status != ODS_OK)
        return status;
    snprintf(id, sizeof id, "%llu", (unsigned long long) ref->low);
    yyjson_val *found = find_in_file(fetching->file, id, NULL, 0);
    if (found) {
        status = take_schema(fetching, found, "", 0);
    } else {
        *fetching->unknown = true;
        status = error_set(fetching->error, ODS_REJECT, "the file %s does not have it", path);
    }
    yyjson_doc_free(fetching->file);
    return status;
}

static enum ods_status fetch_from(struct fetching *fetching, const struct schema_ref *ref)
{
    struct registry_client *client = fetching->client;
    char path[128], text[SCHEMA_REF_BYTES];
    yyjson_doc *doc = NULL;
    if (!client->http[fetching->which])
        return fetch_from_file(fetching, ref);
    if (ref->kind == SCHEMA_GLOBAL_ID || ref->kind == SCHEMA_CONTENT_ID)
        return fetch_native(fetching, ref);
    if (ref->kind == SCHEMA_GUID)
        snprintf(path, sizeof path, "/schemas/guids/%s",
                 strrchr(schema_ref_text(ref, text), ' ') + 1);
    else
        snprintf(path, sizeof path, "/schemas/ids/%llu", (unsigned long long) ref->low);
    enum ods_status status = ask(client, fetching->which, path, fetching->error);
    if (status == ODS_OK)
        status = judge(client, fetching->which, &doc, fetching->unknown, fetching->error);
    if (status == ODS_OK)
        status = take_schema(fetching, yyjson_doc_get_root(doc), "", 0);
    if (status == ODS_OK && ref->kind == SCHEMA_ID)
        fetch_subjects(fetching, ref);
    yyjson_doc_free(doc);
    return status;
}

enum ods_status registry_client_fetch(struct registry_client *client, const struct schema_ref *ref,
                                      struct schema_texts *texts, bool *unknown,
                                      struct error *error)
{
    enum ods_status status = ODS_RETRY;
    *unknown = false;
    *texts = (struct schema_texts){0};
    for (size_t i = 0; i < client->count; i++) {
        struct fetching fetching = {.client = client,
                                    .which = (client->first + i) % client->count,
                                    .texts = texts,
                                    .error = error,
                                    .unknown = unknown};
        /* one that does not know it has answered, which an outage of another does not undo */
        struct error other;
        error_init(&other);
        if (*unknown)
            fetching.error = &other;
        bool also = false;
        fetching.unknown = &also;
        enum ods_status answer = fetch_from(&fetching, ref);
        if (answer != ODS_OK)
            schema_texts_done(texts);
        if (answer == ODS_RETRY && *unknown)
            continue;
        status = answer;
        *unknown = also;
        if (answer == ODS_OK || (answer == ODS_REJECT && !also)) {
            client->first = fetching.which;
            return answer;
        }
    }
    return status;
}

bool registry_client_is_empty(struct registry_client *client)
{
    struct error ignored;
    bool unknown, empty = false;
    yyjson_doc *doc = NULL;
    error_init(&ignored);
    size_t which = client->first;
    if (!client->http[which])
        return false;
    if (ask(client, which, "/subjects", &ignored) == ODS_OK &&
        judge(client, which, &doc, &unknown, &ignored) == ODS_OK)
        empty = yyjson_is_arr(yyjson_doc_get_root(doc)) &&
                yyjson_arr_size(yyjson_doc_get_root(doc)) == 0;
    yyjson_doc_free(doc);
    return empty;
}

static enum ods_status check_url(struct registry_client *client, size_t which, size_t *count,
                                 struct error *error)
{
    yyjson_doc *doc = NULL;
    bool unknown;
    enum ods_status status = ODS_OK;
    if (client->http[which]) {
        status = ask(client, which, "/subjects", error);
        if (status == ODS_OK)
            status = judge(client, which, &doc, &unknown, error);
        if (status == ODS_OK && !yyjson_is_arr(yyjson_doc_get_root(doc)))
            status = error_set(error, ODS_RETRY,
                               "registry %s: what answers there is not a schema registry "
                               "(%s/subjects is not a list)",
                               client->url[which], client->url[which]);
    } else {
        status = read_file(file_path(client->url[which]), &doc, error);
    }
    *count = yyjson_get_len(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return status;
}

enum ods_status registry_client_check(struct registry_client *client,
                                      void (*report)(void *context, const char *line),
                                      void *context, struct error *error)
{
    for (size_t i = 0; i < client->count; i++) {
        char line[512];
        size_t count = 0;
        enum ods_status status = check_url(client, i, &count, error);
        if (status != ODS_OK)
            return status;
        snprintf(line, sizeof line, "%.300s answers, with %zu %s%s", client->url[i], count,
                 client->http[i] ? "subject" : "schema", count == 1 ? "" : "s");
        report(context, line);
    }
    return ODS_OK;
}
