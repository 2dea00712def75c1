/* The settings of a target of type "http". */
#include "sink/http/settings.h"

#define AT(member) offsetof(struct http_settings, member)

static const char *const joins[] = {"array", "lines", NULL};
static const char *const conflicts[] = {"letter", "done", "retry", NULL};

static const struct setting rows[] = {
    {"url", SETTING_STRING, AT(url), .min = 8, .max = 8000,
     .flags = SETTING_REQUIRED | SETTING_SECRET | SETTING_HIDDEN,
     .doc = "Where a change is sent, a template: `https://example.com/orders/{{key.id}}`. Values "
            "are percent-encoded; one that is NULL or not there makes a dead letter. The part "
            "before the path has no `{{`. A URL that is itself a secret comes from "
            "`${file:/path}`: messages name its host alone."},
    {"method", SETTING_STRING, AT(method), "POST", .min = 1, .max = 20,
     .doc = "Of creates, updates, snapshot rows and truncates."},
    {"delete_method", SETTING_STRING, AT(delete_method), "", .max = 20, .inherits = "`method`",
     .doc = "Of deletes. `DELETE` is sent without a body."},
    {"headers", SETTING_PROPERTIES, AT(headers), .max = 100,
     .doc = "Headers by name; values are templates."},
    {"body", SETTING_STRING, AT(body), "{{change}}", .max = 65536,
     .doc = "A template. Where `content_type` is JSON a value stands as JSON outside of quotes, "
            "`{ \"total\": {{after.amount}} }`, and as text inside of them, `\"order {{key.id}} is "
            "{{after.status}}\"`. `{{change}}` is all of it, as the `file` target writes it."},
    {"body_lua", SETTING_STRING, AT(body_lua), "", .max = 65536,
     .doc = "In place of `body`: an expression in Lua, in the sandbox of the transforms: "
            "`{ id = after.id, total = number(after.amount) }`. A string is sent as it is, any "
            "other value as JSON. See [targets.md](targets.md#a-body-in-lua)."},
    {"body_script", SETTING_STRING, AT(body_script), "", .max = 4096,
     .doc = "The same: a file of Lua with `function body(c)`, which gets the change as a "
            "transform's `function change(c)` does. It is read at the start."},
    {"content_type", SETTING_STRING, AT(content_type), "application/json", .min = 1, .max = 200,
     .doc = "JSON if `json` is in it; else values stand in the body as plain text."},
    {"batch.max_changes", SETTING_INT, AT(max_changes), "1", .min = 1, .max = 10000,
     .doc = "How many changes of the same URL, method and headers go in one request at most."},
    {"batch.as", SETTING_ENUM, AT(join), "array", .choices = joins,
     .doc = "With `batch.max_changes` above 1: the bodies as elements of a JSON array, or one a "
            "line."},
    {"max_in_flight", SETTING_INT, AT(max_in_flight), "16", .min = 1, .max = 1000,
     .doc = "Requests of a lane that wait for their answers at the same time, of different keys: "
            "the changes of a key follow one another. 1: all in the order of the stream."},
    {"connect_timeout_ms", SETTING_MS, AT(connect_ms), "5000", .min = 10, .max = 600000,
     .doc = "To get a connection, TLS included."},
    {"timeout_ms", SETTING_MS, AT(timeout_ms), "30000", .min = 10, .max = 3600000,
     .doc = "From the beginning of a request to the end of its answer."},
    {"max_retry_after_ms", SETTING_MS, AT(retry_after_ms), "300000", .min = 0, .max = 86400000,
     .doc = "How long a lane waits at most where a server sends `Retry-After`."},
    {"on_conflict", SETTING_ENUM, AT(conflict), "letter", .choices = conflicts,
     .doc = "What 409 means: the change is at fault, is there already, or is to be sent again."},
    {"ca", SETTING_STRING, AT(ca), "", .max = 4000,
     .doc = "A PEM file of authorities, in place of the system's."},
    {"certificate", SETTING_STRING, AT(certificate), "", .max = 4000,
     .doc = "A PEM file: the client's own certificate."},
    {"key", SETTING_STRING, AT(key), "", .max = 4000, .doc = "A PEM file: its private key."},
    {"user", SETTING_STRING, AT(user), "", .max = 1000, .doc = "Basic authentication."},
    {"password", SETTING_STRING, AT(password), "", .max = 8000, .doc = "Its password."},
    {"token", SETTING_STRING, AT(token), "", .max = 65536,
     .doc = "A bearer token that does not change: `${file:/path}`."},
    {"token_file", SETTING_STRING, AT(token_file), "", .max = 4000,
     .doc = "A file with a bearer token, read again when it has changed and when the server "
            "answers 401."},
    {"oauth2.token_url", SETTING_STRING, AT(token_url), "", .max = 8000, .flags = SETTING_SECRET,
     .doc =
         "Client credentials (OAuth 2.0, RFC 6749 section 4.4): where tokens are asked for, when "
         "the last one is about to expire and when the server answers 401."},
    {"oauth2.client_id", SETTING_STRING, AT(client_id), "", .max = 1000, .doc = "The client."},
    {"oauth2.client_secret", SETTING_STRING, AT(client_secret), "", .max = 8000,
     .doc = "Its secret: `${file:/path}`."},
    {"oauth2.scope", SETTING_STRING, AT(scope), "", .max = 4000,
     .doc = "The scopes that are asked for, with spaces between them."},
    {"sign.secret", SETTING_STRING, AT(sign_secret), "", .max = 8000,
     .doc = "Sends the body's HMAC-SHA256 with this secret, as `sha256=` and hexadecimal digits."},
    {"sign.header", SETTING_STRING, AT(sign_header), "X-Signature-256", .min = 1, .max = 200,
     .doc = "In this header."},
};

const struct setting_group http_settings_group = {
    .title = "targets of type `http`",
    .intro =
        "A change is a request, or several are one. Its offset is acknowledged when every "
        "request of the batch is answered, so after a crash the last ones are sent again: with "
        "the same `Idempotency-Key`, made of pipeline, topic, partition and offset (for "
        "queues: the record's identity). Answers: 2xx is done. 408, 425, 429, 5xx and no "
        "answer are an outage: the lane waits, tries with a single request, and goes on. So "
        "are 401 and 407: an expired token would otherwise make a letter of every change. Any "
        "other 4xx is a dead letter with the answer's first bytes. A redirect stops the lane: "
        "give the URL that it names. "
        "Names in templates: `{{change}}`, `{{key}}`, `{{before}}`, `{{after}}`, `{{row}}` "
        "(after, or before of a delete), each of them also with a column as in "
        "`{{after.status}}`; `{{op}}`, `{{database}}`, `{{schema}}`, `{{table}}`, "
        "`{{topic}}`, `{{partition}}`, `{{offset}}`, `{{source_us}}`, `{{pipeline}}`, "
        "`{{idempotency_key}}`. Of a table's settings `skip`, `columns.*` and `redact` count.",
    .size = sizeof(struct http_settings),
    SETTING_ROWS(rows),
    .check = http_settings_check,
};
