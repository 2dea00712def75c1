/* The settings of a target of type "http" in ods-sink.conf. */
#ifndef HTTP_SETTINGS_H
#define HTTP_SETTINGS_H

#include <ods/setting.h>

enum http_join { HTTP_JOIN_ARRAY, HTTP_JOIN_LINES };
/* What an answer 409 means. */
enum http_conflict { HTTP_CONFLICT_LETTER, HTTP_CONFLICT_DONE, HTTP_CONFLICT_RETRY };

struct http_settings {
    const char *url, *method, *delete_method, *body, *content_type; /* url, body: templates */
    const char *body_lua, *body_script;                             /* "": the template */
    struct properties headers;                                      /* values: templates */
    int64_t max_changes;                                            /* in a request */
    enum http_join join;
    int64_t max_in_flight, connect_ms, timeout_ms, retry_after_ms;
    enum http_conflict conflict;
    const char *ca, *certificate, *key; /* PEM files; "": the system's authorities, none */
    const char *user, *password, *token, *token_file;
    const char *token_url, *client_id, *client_secret, *scope; /* OAuth 2.0; "": no token_url */
    const char *sign_secret, *sign_header;
};

extern const struct setting_group http_settings_group;

/* What the rows can't say: how settings go together, files, templates. */
enum ods_status http_settings_check(const void *own, struct error *error);
/* The length of a URL's part before the path. 0: it is not a URL. */
size_t http_server_length(const char *url);
/* Are bodies JSON? */
bool http_settings_json(const struct http_settings *settings);

#endif
