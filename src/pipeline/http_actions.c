/* See http_actions.h.
 *
 * Only a program or a page that has the token in its hands can ask: it stands in `Authorization:
 * Bearer`, which no browser adds by itself, and what comes from another origin is refused, so that
 * no other page can have a browser ask. Wrong tokens are few a minute from one address.
 */
#include "pipeline/http_actions.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "config/settings.h"
#include "core/log.h"
#include "core/time.h"
#include "pipeline/actions.h"
#include "pipeline/http_access.h"
#include "pipeline/http_reply.h"

#define PREFIX      "/actions/"
#define BODY_BYTES  16384
#define READ_BYTES  1048576  /* of a body that is too long, before the connection is cut */
#define WRONG_MOST  10       /* tokens in a minute */
#define WRONG_US    INT64_C(60000000)
#define CHALLENGE   "Bearer realm=\"ods-sink operators\""

enum stage { RECEIVES, RUNS, ANSWERED };

/* One request. The HTTP thread's, but while it runs. */
struct http_action {
    struct MHD_Connection *connection;
    struct buffer body;
    size_t received;
    enum stage stage;
    json_t *parsed;
    char who[128], origin[64];
    struct action_request request;
};

bool http_actions_meant(const char *url)
{
    return strncmp(url, PREFIX, strlen(PREFIX)) == 0;
}

void http_actions_completed(void **state)
{
    struct http_action *action = *state;
    *state = NULL;
    if (!action)
        return;
    json_decref(action->parsed);
    buffer_done(&action->request.answer);
    buffer_done(&action->body);
    free(action);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

static void address_of(struct MHD_Connection *connection, char *address, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *from = info ? info->client_addr : NULL;
    socklen_t length = from && from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                           : sizeof(struct sockaddr_in);
    if (!from || getnameinfo(from, length, address, (socklen_t) size, NULL, 0, NI_NUMERICHOST))
        snprintf(address, size, "unknown");
}

/* --- who ------------------------------------------------------------------------------------- */

/* The address's place, else one that is free or whose time comes first. */
static struct guesser *guesser_of(struct http_actions *http, const char *address)
{
    struct guesser *place = &http->guessers[0];
    for (size_t i = 0; i < GUESSERS; i++) {
        struct guesser *one = &http->guessers[i];
        if (one->until_us && strcmp(one->address, address) == 0)
            return one;
        if (one->until_us < place->until_us)
            place = one;
    }
    *place = (struct guesser){0};
    snprintf(place->address, sizeof place->address, "%s", address);
    return place;
}

static bool guesses_too_much(const struct http_actions *http, const char *address)
{
    int64_t now_us = time_monotonic_us();
    for (size_t i = 0; i < GUESSERS; i++) {
        const struct guesser *one = &http->guessers[i];
        if (one->until_us > now_us && one->wrong >= WRONG_MOST &&
            strcmp(one->address, address) == 0)
            return true;
    }
    return false;
}

static void note_guess(struct http_actions *http, const char *address)
{
    struct guesser *guesser = guesser_of(http, address);
    int64_t now_us = time_monotonic_us();
    if (guesser->until_us <= now_us) {
        guesser->wrong = 0;
        guesser->until_us = now_us + WRONG_US;
    }
    if (++guesser->wrong == 1)
        log_warn("HTTP: a wrong operator's token from %s", address);
    else if (guesser->wrong == WRONG_MOST)
        log_warn("HTTP: ten wrong operators' tokens from %s: none is looked at for a minute",
                 address);
}

/* All are compared, so that the time tells nothing of them. NULL: nobody's. */
static const struct operator_settings *operator_of(const struct http_settings *settings,
                                                   const char *token)
{
    const struct operator_settings *found = NULL;
    for (size_t i = 0; i < settings->operator_count; i++)
        if (http_access_same(token, settings->operators[i].token))
            found = &settings->operators[i];
    return found;
}

/* Another page's: of another origin than the one that the request went to. */
static bool is_foreign(struct MHD_Connection *connection)
{
    const char *site = header(connection, "Sec-Fetch-Site");
    const char *origin = header(connection, "Origin");
    const char *host = strstr(origin, "://");
    if (*site)
        return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
    return *origin && (!host || strcasecmp(host + 3, header(connection, "Host")) != 0);
}

/* --- the request ----------------------------------------------------------------------------- */

static bool find_action(const char *url, enum action *action)
{
    for (enum action at = 0; at < ACTION_KINDS; at++)
        if (strcmp(url + strlen(PREFIX), action_name(at)) == 0) {
            *action = at;
            return true;
        }
    return false;
}

static const char *bearer(struct MHD_Connection *connection)
{
    static const char scheme[] = "Bearer ";
    const size_t length = sizeof scheme - 1;
    const char *text = header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
    if (strlen(text) < length || strncasecmp(text, scheme, length) != 0)
        return "";
    return text + length + strspn(text + length, " ");
}

/* The HTTP status of a refusal, whose words are put into `why`; 0: an operator asks. */
static unsigned refuse(struct http_actions *http, struct http_action *action, const char *method,
                       struct buffer *why)
{
    const struct operator_settings *who;
    struct error error;
    const char *token = bearer(action->connection);
    if (!http->actions) {
        buffer_puts(why, "actions are off: http.operators in ods-sink.conf says who may, as in "
                         "http.operators = ( { name = \"ada\"; token = \"${file:/path}\"; } )");
        return MHD_HTTP_FORBIDDEN;
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0) {
        buffer_puts(why, "an action is asked for by POST");
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (is_foreign(action->connection)) {
        buffer_puts(why, "another site's page may not ask for actions");
        return MHD_HTTP_FORBIDDEN;
    }
    if (guesses_too_much(http, action->origin)) {
        buffer_puts(why, "too many wrong tokens came from this address: wait a minute");
        return MHD_HTTP_TOO_MANY_REQUESTS;
    }
    who = operator_of(http->settings, token);
    if (!who) {
        if (*token)
            note_guess(http, action->origin);
        buffer_puts(why, *token ? "this is no operator's token (http.operators)"
                                : "an operator's token is needed: Authorization: Bearer TOKEN "
                                  "(http.operators)");
        return MHD_HTTP_UNAUTHORIZED;
    }
    error_init(&error);
    if (*http->settings->client_ca && !*http->settings->token &&
        !http_access_certified(action->connection, &error)) {
        buffer_printf(why, "a client's certificate is needed too (http.client_ca); %s", error.text);
        return MHD_HTTP_FORBIDDEN;
    }
    snprintf(action->who, sizeof action->who, "%s", who->name);
    return 0;
}

static unsigned read_body(struct http_action *action, struct buffer *why)
{
    json_error_t error;
    const char *type = header(action->connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (strncasecmp(type, TYPE_JSON, strlen(TYPE_JSON)) != 0) {
        buffer_puts(why, "Content-Type: application/json is expected");
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }
    if (action->received > BODY_BYTES) {
        buffer_printf(why, "the body is longer than %d bytes", BODY_BYTES);
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    action->parsed = json_loadb(buffer_text(&action->body), action->body.length, 0, &error);
    if (json_is_object(action->parsed))
        return 0;
    buffer_printf(why, "the body is no JSON object%s%s", action->parsed ? "" : ": ",
                  action->parsed ? "" : error.text);
    return MHD_HTTP_BAD_REQUEST;
}

static enum MHD_Result refused(struct http_action *action, unsigned code, const char *why)
{
    struct buffer body;
    json_t *root = json_pack("{s:s}", "error", why);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    buffer_init(&body);
    buffer_printf(&body, "%s\n", text ? text : "{}");
    free(text);
    enum MHD_Result result = http_reply(action->connection, code, TYPE_JSON, &body, CHALLENGE);
    buffer_done(&body);
    return result;
}

/* --- its answer ------------------------------------------------------------------------------ */

/* The action's thread. From here on it is the HTTP thread's again. */
static void done(void *context)
{
    struct http_action *action = context;
    action->stage = ANSWERED;
    MHD_resume_connection(action->connection);
}

static unsigned code_of(enum action_result result)
{
    static const unsigned codes[ACTION_RESULTS] = {
        MHD_HTTP_OK,           MHD_HTTP_CONFLICT,    MHD_HTTP_SERVICE_UNAVAILABLE,
        MHD_HTTP_UNAUTHORIZED, MHD_HTTP_BAD_REQUEST, MHD_HTTP_NOT_FOUND};
    return codes[result];
}

static enum MHD_Result begin(struct http_actions *http, struct http_action *action)
{
    action->request.body = action->parsed;
    action->request.who = action->who;
    action->request.origin = action->origin;
    action->request.done = done;
    action->request.context = action;
    action->stage = RUNS;
    MHD_suspend_connection(action->connection);
    if (actions_begin(http->actions, &action->request))
        return MHD_YES;
    action->request.result = ACTION_FAILED;
    buffer_puts(&action->request.answer,
                "{\"error\":\"too many actions are at work, or the daemon ends: try again\"}\n");
    done(action);
    return MHD_YES;
}

static enum MHD_Result decide(struct http_actions *http, struct http_action *action,
                              const char *url, const char *method)
{
    struct buffer why;
    bool known = find_action(url, &action->request.action);
    buffer_init(&why);
    unsigned code = refuse(http, action, method, &why);
    if (code && known)
        actions_count(http->actions, action->request.action, ACTION_DENIED);
    if (!code && !known) {
        buffer_puts(&why, "there is no such action: pause, resume, replay, verify");
        code = MHD_HTTP_NOT_FOUND;
    }
    if (!code)
        code = read_body(action, &why);
    enum MHD_Result result =
        code ? refused(action, code, buffer_text(&why)) : begin(http, action);
    buffer_done(&why);
    return result;
}

static void receive(struct http_action *action, const char *upload, size_t size)
{
    action->received += size;
    if (action->received <= BODY_BYTES)
        buffer_add(&action->body, upload, size);
}

enum MHD_Result http_actions_answer(struct http_actions *http, struct MHD_Connection *connection,
                                    const char *url, const char *method, const char *upload,
                                    size_t *upload_size, void **state)
{
    struct http_action *action = *state;
    if (!action) { /* the headers are here, the body is not */
        *state = action = calloc(1, sizeof *action);
        if (!action)
            return MHD_NO;
        action->connection = connection;
        address_of(connection, action->origin, sizeof action->origin);
        return MHD_YES;
    }
    if (*upload_size) {
        receive(action, upload, *upload_size);
        *upload_size = 0;
        return action->received > READ_BYTES ? MHD_NO : MHD_YES;
    }
    if (action->stage == ANSWERED)
        return http_reply(connection, code_of(action->request.result), TYPE_JSON,
                          &action->request.answer, NULL);
    return action->stage == RECEIVES ? decide(http, action, url, method) : MHD_YES;
}
