/* Schemas into a registry: registered under a subject, or only looked for there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/json.h>
#include <yyjson.h>

#include "core/utf8.h"
#include "format/schema_registry/registry_client_room.h"

/* 422 says that a schema is none; with this code that the subject may not be written to now. */
#define READ_ONLY 42205

static enum ods_status take_id(const struct registry_client *client, size_t which, yyjson_doc *doc,
                               uint32_t *id, struct error *error)
{
    yyjson_val *number = yyjson_obj_get(yyjson_doc_get_root(doc), "id");
    if (!yyjson_is_uint(number) || !yyjson_get_uint(number) ||
        yyjson_get_uint(number) > INT32_MAX)
        return error_set(error, ODS_RETRY, "registry %s: its answer holds no schema's id",
                         client->url[which]);
    *id = (uint32_t) yyjson_get_uint(number);
    return ODS_OK;
}

/* The registry's own words, on one line. */
static enum ods_status refused(const struct registry_client *client, size_t which, yyjson_doc *doc,
                               struct error *error)
{
    char said[300];
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "message"));
    utf8_copy(said, sizeof said, text ? text : "", text ? strlen(text) : 0);
    for (char *at = said; *at; at++)
        if ((unsigned char) *at < 0x20)
            *at = ' ';
    return error_set(error, ODS_REJECT, "the registry %s refuses it: HTTP %ld%s%s",
                     client->url[which], client->answer.code, *said ? ", " : "", said);
}

static enum ods_status judge(struct registry_client *client, size_t which, bool registers,
                             uint32_t *id, bool *unknown, struct error *error)
{
    const struct buffer *body = &client->answer.body;
    long code = client->answer.code;
    yyjson_doc *doc = yyjson_read(body->bytes ? body->bytes : "", body->length, 0);
    enum ods_status status;
    if (code == 200) {
        status = take_id(client, which, doc, id, error);
    } else if (code == 404 && !registers && registry_says_unknown(doc)) {
        *unknown = true;
        status = error_set(error, ODS_REJECT, "the registry %s does not have it (%ld)",
                           client->url[which], registry_error_code(doc));
    } else if (code == 409 || (code == 422 && registry_error_code(doc) != READ_ONLY)) {
        status = refused(client, which, doc, error);
    } else {
        status = registry_no_answer(client, which, error);
    }
    yyjson_doc_free(doc);
    return status;
}

enum ods_status registry_client_register(struct registry_client *client, const char *subject,
                                         struct slice schema, bool registers, uint32_t *id,
                                         bool *unknown, struct error *error)
{
    char name[1024], path[1100];
    struct buffer body;
    enum ods_status status = ODS_RETRY;
    *unknown = false;
    registry_escape(name, sizeof name, subject);
    snprintf(path, sizeof path, "/subjects/%s%s", name, registers ? "/versions" : "");
    buffer_init(&body);
    buffer_puts(&body, "{\"schema\":");
    json_quote(&body, schema.bytes, schema.length);
    buffer_puts(&body, "}");
    if (body.failed)
        status = error_out_of_memory(error);
    for (size_t i = 0; !body.failed && status == ODS_RETRY && i < client->count; i++) {
        size_t which = (client->first + i) % client->count;
        status = client->http[which]
                     ? registry_ask(client, which, path, &body, error)
                     : error_set(error, ODS_FATAL, "registry %s is a file, which keeps no schemas",
                                 client->url[which]);
        if (status == ODS_OK)
            status = judge(client, which, registers, id, unknown, error);
        if (status == ODS_OK)
            client->first = which;
    }
    buffer_done(&body);
    return status;
}
