/* What the commands share. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

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

int cli_finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "ods-sink: cannot write to standard output: %s\n", strerror(errno));
    return CLI_INTERNAL;
}
