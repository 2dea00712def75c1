/* The daemon's HTTP server: /metrics, /healthz, /readyz, /status, /trends, /configuration, and
 * the page / that draws the last three; and what operators ask for under /actions/. One internal
 * thread of libmicrohttpd, which only reads what lanes show: an action has a thread of its own. */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>

#include <ods/status.h>

struct http;
struct http_settings; /* config/settings.h */
struct lane;
struct guard;
struct source_guard;
struct actions;
struct trends;
struct tracer;
struct keeper;
struct letter_counter;
struct inspector;
struct verifier;

/* Take the ports, and read the files for TLS. The settings outlive it. */
enum ods_status http_open(struct http **http, const struct http_settings *settings,
                          struct error *error);
/* Answer. The lanes must outlive it. */
enum ods_status http_start(struct http *http, struct lane *const *lanes, size_t count,
                           struct error *error);
/* Before http_start(): show what the guard sees, too; it must outlive the server. */
void http_show_guard(struct http *http, struct guard *guard);
/* Before http_start(), too: what compares targets with sources, and what looks at the sources'
 * logs. */
void http_show_inspectors(struct http *http, struct inspector *const *inspectors, size_t count);
void http_show_keepers(struct http *http, struct keeper *const *keepers, size_t count);
void http_show_verifiers(struct http *http, struct verifier *const *verifiers, size_t count);
void http_show_sources(struct http *http, struct source_guard *sources);
void http_show_letters(struct http *http, struct letter_counter *letters);
void http_show_trends(struct http *http, struct trends *trends); /* before http_start(), too */
/* Before http_start(), too: ods-sink.conf, as it was named; NULL: there is none. */
void http_show_file(struct http *http, const char *file);
/* At any time: what /configuration answers, JSON without secrets, which is taken; NULL: it is not
 * known. */
void http_show_configuration(struct http *http, char *json);
void http_show_tracer(struct http *http, struct tracer *tracer);
/* Before http_start(), too: what operators may do; NULL: nothing. It is stopped before the server
 * is, and closed behind it. */
void http_allow_actions(struct http *http, struct actions *actions);
void http_stop(struct http *http); /* NULL is fine */

#endif
