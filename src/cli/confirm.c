/* Questions to a person. See confirm.h. */
#include "cli/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/exit.h"

int confirm(const char *command, const char *question, const char *word, bool yes)
{
    char line[512];
    if (yes)
        return CLI_OK;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        fprintf(stderr, "ods-sink %s: there is no terminal to ask on: give --yes to go ahead\n",
                command);
        return CLI_USAGE;
    }
    fflush(stdout);
    if (word)
        fprintf(stderr, "%s Type %s to go on: ", question, word);
    else
        fprintf(stderr, "%s [y/N] ", question);
    if (!fgets(line, sizeof line, stdin))
        *line = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    bool agreed = word ? strcmp(line, word) == 0
                       : strcmp(line, "y") == 0 || strcmp(line, "yes") == 0;
    if (!agreed)
        fprintf(stderr, "ods-sink %s: nothing was changed\n", command);
    return agreed ? CLI_OK : CLI_NEGATIVE;
}
