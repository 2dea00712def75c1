/* What the commands share. */
#include "cli/cli.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"

int cli_load(struct config **config, const char *path)
{
    size_t count = 0, errors = 0;
    enum ods_status status = config_load(config, path);
    const struct finding *findings = config_findings(*config, &count);
    for (size_t i = 0; i < count; i++) {
        errors += !findings[i].warning;
        fprintf(stderr, "%s%s\n", findings[i].warning ? "warning: " : "", findings[i].text);
    }
    if (status == ODS_OK)
        return CLI_OK;
    fprintf(stderr, "ods-sink: %zu error%s in the configuration %s\n", errors,
            errors == 1 ? "" : "s", path);
    return CLI_CONFIG;
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "ods-sink %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see ods-sink help %s\n", command);
    return CLI_USAGE;
}

bool cli_parse_number(const char *text, int64_t most, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *number <= most;
}

bool cli_parse_moment(const char *text, int64_t *us)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    int32_t finer;
    bool zoned;
    size_t length = strlen(text);
    int64_t number = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (*text >= '0' && *text <= '9' && *end == units[i].letter && !end[1] &&
            number <= 10000000) {
            *us = time_wall_us() - number * units[i].seconds * 1000000;
            return true;
        }
    if (length == strlen("2026-01-31")) {
        char midnight[32];
        snprintf(midnight, sizeof midnight, "%sT00:00:00", text);
        return time_parse_timestamp(midnight, strlen(midnight), us, &finer, &zoned);
    }
    return time_parse_timestamp(text, length, us, &finer, &zoned);
}

int cli_finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "ods-sink: cannot write to standard output: %s\n", strerror(errno));
    return CLI_INTERNAL;
}

void cli_operator(char *text, size_t size)
{
    char host[64] = "";
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *user = getpwuid(geteuid());
    gethostname(host, sizeof host - 1);
    snprintf(text, size, "%s@%s", sudo && *sudo ? sudo : user ? user->pw_name : "nobody", host);
}
