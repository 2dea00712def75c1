/* An HTTP client: one question, one bounded answer. It serves commands and helpers that have a
 * thread of their own; a lane never waits for it. One connection, kept open between questions. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdatomic.h>

#include <ods/status.h>
#include <ods/buffer.h>

struct http_client;

/* Borrowed: http_client_new() copies what it needs. NULL and 0 stand for the defaults. */
struct http_client_options {
    const char *ca_file; /* PEM, in place of the system's authorities */
    const char *certificate, *key; /* PEM: the client's own, where the server asks for one */
    const char *user, *password;   /* basic authentication; no user: none */
    const char *token;             /* bearer authentication, in place of it */
    unsigned connect_ms;         /* to get a connection; default 5 s */
    unsigned silence_s;          /* without a byte; default 5 s */
    unsigned total_ms;           /* for the whole answer; default 60 s */
    size_t max_bytes;            /* of the body; default 16 MiB */
    bool any_host;               /* the host's name need not be in the certificate: ca_file is the
                                    server's own */
    bool direct;                 /* past the proxy that the environment names */
    const atomic_bool *stop;     /* once true, a question ends within a second or so; outlives the
                                    client */
};

/* Reused from question to question. */
struct http_answer {
    long code; /* 200, 404 …: any answer of a server is an answer, and no error */
    struct buffer body;
};

void http_answer_init(struct http_answer *answer);
void http_answer_done(struct http_answer *answer);

/* NULL when memory is out or libcurl does not start; the error is filled. */
struct http_client *http_client_new(const struct http_client_options *options,
                                    struct error *error);
void http_client_free(struct http_client *client);

/* Get `url` (http or https, without user and password). Redirects are not followed; they are
 * answers like any other. The error says only why, as in "Connection refused"; the caller adds the
 * URL.
 *   ODS_RETRY  nobody answers, or not in time, or not to the end
 *   ODS_FATAL  asking again can't help: the URL, the authorities' file or the certificate is wrong,
 *              what answers speaks no HTTP, or the body is larger than max_bytes */
enum ods_status http_client_get(struct http_client *client, const char *url,
                                struct http_answer *answer, struct error *error);

/* The same with a body of `type`, such as application/json. */
enum ods_status http_client_post(struct http_client *client, const char *url, const char *type,
                                 const void *bytes, size_t length, struct http_answer *answer,
                                 struct error *error);

/* The same by any method: "PUT", "DELETE". NULL bytes: no body. */
enum ods_status http_client_send(struct http_client *client, const char *method, const char *url,
                                 const char *type, const void *bytes, size_t length,
                                 struct http_answer *answer, struct error *error);

#endif
