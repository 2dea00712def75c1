/* What must hold among the settings of a target of type "http". */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include <ods/buffer.h>
#include <ods/status.h>

#include "sink/http/settings.h"
#include "sink/template.h"
#include "transform/script_text.h"

static enum ods_status wrong(const char *setting, const char *why, struct error *error)
{
    return error_set(error, ODS_FATAL, "%s: %s", setting, why);
}

size_t http_server_length(const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : NULL;
    size_t length = host ? strcspn(host, "/?#") : 0;
    return length ? (size_t) (host - url) + length : 0;
}

bool http_settings_json(const struct http_settings *settings)
{
    return strstr(settings->content_type, "json") != NULL;
}

/* Whether libcurl takes the URL, with something in place of each {{…}}. */
static enum ods_status check_form(const char *url, struct error *error)
{
    struct buffer sample;
    CURLU *parser = curl_url();
    buffer_init(&sample);
    for (const char *at = url; *at;) {
        const char *close = strncmp(at, "{{", 2) == 0 ? strstr(at, "}}") : NULL;
        buffer_add(&sample, close ? "x" : at, 1);
        at = close ? close + 2 : at + 1;
    }
    CURLUcode code = CURLUE_OUT_OF_MEMORY;
    if (parser)
        code = curl_url_set(parser, CURLUPART_URL, buffer_text(&sample), 0);
    curl_url_cleanup(parser);
    bool failed = sample.failed || code == CURLUE_OUT_OF_MEMORY;
    buffer_done(&sample);
    if (failed)
        return error_out_of_memory(error);
    return code ? wrong("url", curl_url_strerror(code), error) : ODS_OK;
}

static enum ods_status check_url(const struct http_settings *settings, struct error *error)
{
    size_t length = http_server_length(settings->url);
    if (!length)
        return wrong("url", "it begins with http:// or https:// and a host", error);
    if (memchr(settings->url, '@', length))
        return wrong("url", "no user and password in it: set user and password", error);
    if (memchr(settings->url, '{', length))
        return wrong("url", "{{…}} can't stand in the host", error);
    return check_form(settings->url, error);
}

static enum ods_status check_credentials(const struct http_settings *settings, struct error *error)
{
    int ways =
        !!*settings->token + !!*settings->token_file + !!*settings->token_url + !!*settings->user;
    if (ways > 1)
        return wrong("credentials", "set one of user, token, token_file and oauth2", error);
    if (*settings->token_url && (!*settings->client_id || !*settings->client_secret))
        return wrong("oauth2", "set client_id and client_secret too", error);
    if (*settings->key && !*settings->certificate)
        return wrong("key", "set certificate too", error);
    return ODS_OK;
}

static enum ods_status check_files(const struct http_settings *settings, struct error *error)
{
    const struct {
        const char *setting, *file;
    } files[] = {{"ca", settings->ca},
                 {"certificate", settings->certificate},
                 {"key", settings->key},
                 {"token_file", settings->token_file}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (*files[i].file && access(files[i].file, R_OK))
            return error_set(error, ODS_FATAL, "%s: %s: %s", files[i].setting, files[i].file,
                             strerror(errno));
    return ODS_OK;
}

static enum ods_status check_template(const char *setting, const char *text,
                                      enum template_form form, struct error *error)
{
    struct template template;
    enum ods_status status = template_compile(&template, text, form, error);
    if (status == ODS_OK)
        template_done(&template);
    else
        error_prefix(error, "%s: ", setting);
    return status;
}

static enum ods_status check_script(const struct http_settings *settings, struct error *error)
{
    struct script_text *text;
    bool other = strcmp(settings->body, "{{change}}") != 0;
    if (!!*settings->body_lua + !!*settings->body_script + other > 1)
        return wrong("body", "set one of body, body_lua and body_script", error);
    if (!*settings->body_lua && !*settings->body_script)
        return ODS_OK;
    enum ods_status status =
        script_text_open(&text, settings->body_lua, settings->body_script, error);
    if (status == ODS_OK)
        script_text_close(text);
    else
        error_prefix(error, *settings->body_lua ? "body_lua: " : "body_script: ");
    return status;
}

static enum ods_status check_templates(const struct http_settings *settings, struct error *error)
{
    enum template_form form = http_settings_json(settings) ? TEMPLATE_JSON : TEMPLATE_TEXT;
    enum ods_status status = check_template("url", settings->url, TEMPLATE_URL, error);
    if (status == ODS_OK)
        status = check_template("body", settings->body, form, error);
    if (status == ODS_OK)
        status = check_script(settings, error);
    for (size_t i = 0; status == ODS_OK && i < settings->headers.count; i++) {
        const struct property *header = &settings->headers.items[i];
        if (!*header->name || strpbrk(header->name, ": \t\r\n"))
            return wrong(header->name, "that is not the name of a header", error);
        status = check_template(header->name, header->value, TEMPLATE_HEADER, error);
    }
    return status;
}

enum ods_status http_settings_check(const void *own, struct error *error)
{
    const struct http_settings *settings = own;
    enum ods_status status = check_url(settings, error);
    if (status == ODS_OK)
        status = check_credentials(settings, error);
    if (status == ODS_OK)
        status = check_files(settings, error);
    return status == ODS_OK ? check_templates(settings, error) : status;
}
