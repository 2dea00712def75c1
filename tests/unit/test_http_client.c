/* The HTTP client against servers that answer well, badly and not at all. A server here is a thread
 * that takes one connection, reads a request and sends what the case says. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http_client.h"

#define COUNT(array) (sizeof array / sizeof *array)

struct server {
    const char *answer; /* NULL: silence until the client goes */
    int listener;
    pthread_t thread;
    char url[64], request[4096];
};

static void *serve(void *opaque)
{
    struct server *server = opaque;
    int fd = accept(server->listener, NULL, NULL);
    size_t used = 0, wanted = 0;
    char *end = NULL;
    while (!end || used < wanted) {
        ssize_t got = recv(fd, server->request + used, sizeof server->request - used - 1, 0);
        if (got <= 0)
            break;
        used += (size_t) got;
        server->request[used] = '\0';
        end = strstr(server->request, "\r\n\r\n");
        const char *length = end ? strstr(server->request, "Content-Length: ") : NULL;
        if (end)
            wanted = (size_t) (end + 4 - server->request) +
                     (length ? strtoul(length + 16, NULL, 10) : 0);
    }
    char byte;
    if (server->answer)
        send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
    else
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
    close(fd);
    return NULL;
}

/* A socket that listens on a free port of this machine, and the URL that leads to it. */
static int listen_at(char url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, length), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &length), 0);
    snprintf(url, 64, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    return fd;
}

static void server_open(struct server *server, const char *answer)
{
    memset(server, 0, sizeof *server);
    server->answer = answer;
    server->listener = listen_at(server->url);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_close(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static const struct http_client_options quick = {.silence_s = 1, .max_bytes = 64, .direct = true};

static struct http_client *new_client(const struct http_client_options *options)
{
    struct error error;
    error_init(&error);
    struct http_client *client = http_client_new(options, &error);
    assert_non_null(client);
    return client;
}

/* --- answers -------------------------------------------------------------------------------- */

struct answer_case {
    const char *sent;
    enum ods_status status;
    long code;
    const char *body, *text; /* of the answer; part of the error's */
};

#define OK "HTTP/1.1 200 OK\r\n"

#define TEXT_64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct answer_case answers[] = {
    {OK "Content-Length: 2\r\n\r\nok", ODS_OK, 200, "ok", NULL},
    {OK "Content-Length: 0\r\n\r\n", ODS_OK, 200, "", NULL},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", ODS_OK, 200, "abcde",
     NULL},
    {"HTTP/1.0 200 OK\r\n\r\nuntil the end", ODS_OK, 200, "until the end", NULL},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", ODS_OK, 404, "none", NULL},
    {"HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nwhy", ODS_OK, 503, "why", NULL},
    {"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", ODS_OK, 302, "",
     NULL},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", ODS_OK, 200, "x", NULL},
    {OK "Content-Length: 64\r\n\r\n" TEXT_64, ODS_OK, 200, TEXT_64, NULL},
    {OK "Content-Length: 65\r\n\r\n" TEXT_64 "4", ODS_FATAL, 0, NULL, "larger than 64 bytes"},
    {"HTTP/1.0 200 OK\r\n\r\n" TEXT_64 TEXT_64, ODS_FATAL, 0, NULL, "larger than 64 bytes"},
    {OK "Content-Length: 9\r\n\r\ncut", ODS_RETRY, 0, NULL, "in the middle"},
    {"", ODS_RETRY, 0, NULL, "without an answer"},
    {"SSH-2.0-OpenSSH_9.2\r\n", ODS_FATAL, 0, NULL, "does not speak HTTP"},
    {"{\"lanes\": []}", ODS_FATAL, 0, NULL, "does not speak HTTP"},
    {NULL, ODS_RETRY, 0, NULL, "no answer in time"},
};

static void an_answer_is_what_was_sent(void **state)
{
    struct http_client *client = new_client(&quick);
    struct http_answer answer;
    http_answer_init(&answer);
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct server server;
        struct error error;
        error_init(&error);
        server_open(&server, answers[i].sent);
        enum ods_status status = http_client_get(client, server.url, &answer, &error);
        server_close(&server);
        if (status != answers[i].status)
            fail_msg("answer %zu: %s: %s", i, ods_status_name(status), error.text);
        if (status == ODS_OK) {
            assert_int_equal(answer.code, answers[i].code);
            assert_string_equal(buffer_text(&answer.body), answers[i].body);
        } else if (!strstr(error.text, answers[i].text)) {
            fail_msg("answer %zu: %s", i, error.text);
        }
    }
    http_answer_done(&answer);
    http_client_free(client);
}

static void what_can_not_be_asked_says_why(void **state)
{
    static const struct {
        const char *url;
        enum ods_status status;
        const char *text;
    } cases[] = {
        {"http://127.0.0.1:0/", ODS_FATAL, ""},
        {"http://name.invalid:80/", ODS_RETRY, "not known"},
        {"ftp://127.0.0.1/", ODS_FATAL, "ftp"},
        {"file:///etc/hostname", ODS_FATAL, "file"},
        {"http://user:secret@127.0.0.1:1/", ODS_FATAL, ""},
        {"http://[::1/", ODS_FATAL, ""},
        {"http://a b/", ODS_FATAL, ""},
    };
    struct http_client *client = new_client(&quick);
    struct http_answer answer;
    http_answer_init(&answer);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error;
        error_init(&error);
        enum ods_status status = http_client_get(client, cases[i].url, &answer, &error);
        if (i && status != cases[i].status)
            fail_msg("%s: %s: %s", cases[i].url, ods_status_name(status), error.text);
        assert_int_not_equal(status, ODS_OK);
        assert_true(*error.text && strstr(error.text, cases[i].text));
        assert_null(strstr(error.text, "secret"));
    }
    http_answer_done(&answer);
    http_client_free(client);
}

static void nobody_there_is_an_outage(void **state)
{
    char url[64];
    struct error error;
    struct http_answer answer;
    error_init(&error);
    http_answer_init(&answer);
    close(listen_at(url));
    struct http_client *client = new_client(&quick);
    assert_int_equal(http_client_get(client, url, &answer, &error), ODS_RETRY);
    assert_string_equal(error.text, "Connection refused");
    http_answer_done(&answer);
    http_client_free(client);
}

/* --- questions ------------------------------------------------------------------------------ */

static void a_question_carries_body_type_and_user(void **state)
{
    static const char created[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    static const struct http_client_options options = {
        .user = "app", .password = "pass:word", .direct = true};
    struct http_client *client = new_client(&options);
    struct http_answer answer;
    struct server server;
    struct error error;
    error_init(&error);
    http_answer_init(&answer);
    server_open(&server, created);
    enum ods_status status = http_client_post(client, server.url, "application/json",
                                              "{\"a\":\0001}", 7, &answer, &error);
    assert_int_equal(status, ODS_OK);
    server_close(&server);
    assert_int_equal(answer.code, 201);
    assert_non_null(strstr(server.request, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Length: 7\r\n"));
    assert_non_null(strstr(server.request, "\r\nAuthorization: Basic YXBwOnBhc3M6d29yZA==\r\n"));
    assert_memory_equal(strstr(server.request, "\r\n\r\n") + 4, "{\"a\":\0001}", 7);
    server_open(&server, created); /* nothing of the one before is left */
    assert_int_equal(http_client_get(client, server.url, &answer, &error), ODS_OK);
    server_close(&server);
    assert_non_null(strstr(server.request, "GET / HTTP/1.1\r\n"));
    assert_null(strstr(server.request, "Content-"));
    http_answer_done(&answer);
    http_client_free(client);
}

/* --- TLS ------------------------------------------------------------------------------------ */

static bool made(const char *command)
{
    int code = system(command);
    return WIFEXITED(code) && WEXITSTATUS(code) == 0;
}

static enum ods_status ask_with(const char *ca_file, const char *url, struct error *error)
{
    const struct http_client_options options = {.ca_file = ca_file, .direct = true};
    struct http_client *client = new_client(&options);
    struct http_answer answer;
    http_answer_init(&answer);
    error_init(error);
    enum ods_status status = http_client_get(client, url, &answer, error);
    if (status == ODS_OK)
        assert_int_equal(answer.code, 200);
    http_answer_done(&answer);
    http_client_free(client);
    return status;
}

/* openssl(1)'s own server, on a port that it chooses and prints. */
static pid_t start_tls_server(char url[64])
{
    int ends[2];
    char line[256];
    int port = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server */
        dup2(ends[1], 1);
        dup2(open("/dev/null", O_WRONLY), 2);
        close(ends[0]);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-key",
               "server.key", "-cert", "server.crt", NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    while (!port && fgets(line, sizeof line, output))
        if (strncmp(line, "ACCEPT ", 7) == 0 && strrchr(line, ':'))
            port = atoi(strrchr(line, ':') + 1);
    fclose(output);
    snprintf(url, 64, "https://localhost:%d/", port);
    return pid;
}

static void a_certificate_is_verified(void **state)
{
    char folder[] = "/tmp/ods-http-XXXXXX", url[64], other[80];
    struct error error;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    if (!made("for name in server stranger; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
              "-subj /CN=$name -addext subjectAltName=DNS:localhost -keyout $name.key "
              "-out $name.crt 2>/dev/null || exit 1; done"))
        skip();
    pid_t pid = start_tls_server(url);
    snprintf(other, sizeof other, "https://127.0.0.1:%s", strrchr(url, ':') + 1);
    assert_int_equal(ask_with("server.crt", url, &error), ODS_OK);
    assert_int_equal(ask_with("stranger.crt", url, &error), ODS_FATAL);
    assert_non_null(strstr(error.text, "certificate"));
    assert_int_equal(ask_with(NULL, url, &error), ODS_FATAL);
    assert_int_equal(ask_with("server.crt", other, &error), ODS_FATAL); /* another name */
    assert_int_equal(ask_with("nowhere.crt", url, &error), ODS_FATAL);
    assert_non_null(strstr(error.text, "nowhere.crt"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(made("rm -f *.key *.crt") && rmdir(folder) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_what_was_sent),
        cmocka_unit_test(what_can_not_be_asked_says_why),
        cmocka_unit_test(nobody_there_is_an_outage),
        cmocka_unit_test(a_question_carries_body_type_and_user),
        cmocka_unit_test(a_certificate_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
