/* The journal's own fields, and what falls back to lines; how often what repeats was held back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/rare.h"

static void say_away(struct rare *rare, enum log_level level)
{
    if (rare_due(rare))
        log_event(level, NULL, "away");
}

static void repeats_are_counted(void **state)
{
    struct rare rare = {0};
    char text[1024];
    int taken[2];
    (void) state;
    assert_int_equal(pipe(taken), 0);
    int before = dup(STDERR_FILENO);
    dup2(taken[1], STDERR_FILENO);
    for (int i = 0; i < 4; i++)
        say_away(&rare, LOG_WARN);
    rare.next_us = 1; /* a minute has gone */
    say_away(&rare, LOG_WARN);
    log_info("another line");
    /* A line that nobody wants takes its number with it. */
    say_away(&rare, LOG_DEBUG);
    rare.next_us = 1;
    say_away(&rare, LOG_DEBUG);
    log_info("the last line");
    dup2(before, STDERR_FILENO);
    ssize_t length = read(taken[0], text, sizeof text - 1);
    assert_true(length > 0);
    text[length] = '\0';
    static const char *const lines[] = {"warn  away\n",
                                        "warn  away (3 more like it since the last line)\n",
                                        "info  another line\n", "info  the last line\n"};
    const char *at = text;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        assert_memory_equal(strchr(at, 'Z') + 2, lines[i], strlen(lines[i]));
        at = end + 1;
    }
    assert_string_equal(at, "");
}

static void what_the_journal_gets(void **state)
{
    char folder[] = "/tmp/ods-log-XXXXXX", stream[64], text[4096];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *const fields[] = {"pipeline", "shop", "lane", "0", NULL};
    struct stat status;
    int taken[2];
    (void) state;
    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/journal", folder);
    int journal = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(journal, (const struct sockaddr *) &address, sizeof address), 0);

    /* Not while standard error is something else than the stream that systemd has named. */
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    assert_false(log_open_journal(address.sun_path));
    setenv("JOURNAL_STREAM", "1:1", 1);
    assert_false(log_open_journal(address.sun_path));
    fstat(STDERR_FILENO, &status);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long) status.st_dev,
             (unsigned long long) status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_false(log_open_journal("/nobody/listens"));
    assert_true(log_open_journal(address.sun_path));

    log_event(LOG_WARN, fields, "waiting:\n%s", "away");
    ssize_t length = recv(journal, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(length > 0);
    text[length] = '\0';
    assert_string_equal(text, "PRIORITY=4\nSYSLOG_IDENTIFIER=ods-sink\nMESSAGE=waiting: away\n"
                              "ODS_PIPELINE=shop\nODS_LANE=0\n");

    /* Other forms are for whoever reads lines; and so is all, once the journal is gone. */
    const struct log_settings json = {.level = LOG_INFO, .format = LOG_OTEL};
    const struct log_settings plain = {.level = LOG_INFO, .format = LOG_TEXT};
    assert_int_equal(pipe(taken), 0);
    int before = dup(STDERR_FILENO);
    dup2(taken[1], STDERR_FILENO);
    log_configure(&json);
    log_event(LOG_ERROR, fields, "a \"line\"");
    log_configure(&plain);
    close(journal);
    log_event(LOG_INFO, NULL, "nobody listens");
    dup2(before, STDERR_FILENO);
    length = read(taken[0], text, sizeof text - 1);
    assert_true(length > 0);
    text[length] = '\0';
    assert_non_null(strstr(text,
                           "\"SeverityText\":\"ERROR\",\"SeverityNumber\":17,\"Body\":\"a "
                           "\\\"line\\\"\",\"Attributes\":{\"ods_sink.pipeline\":\"shop\","
                           "\"ods_sink.lane\":\"0\"},\"Resource\":{\"service.name\":\"ods-sink\""));
    assert_non_null(strstr(text, " info  nobody listens\n"));
    unlink(address.sun_path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_are_counted),
        cmocka_unit_test(what_the_journal_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
