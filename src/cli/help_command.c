/* ods-sink help. */
#include "cli/cli.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/reference.h"

struct help_options {
    struct strings words;
};

static int run(const struct call *call, void *given)
{
    const struct help_options *options = given;
    const struct command *command = &program;
    char name[REFERENCE_ROOM] = "", longer[REFERENCE_ROOM];
    for (size_t i = 0; i < options->words.count; i++) {
        const struct command *next = command_find(command, options->words.items[i]);
        if (!next && command->commands)
            return command_unknown(command, name, options->words.items[i]);
        if (!next)
            return cli_usage(call->name, "%s has no commands of its own", name);
        command_words(longer, name, next);
        memcpy(name, longer, sizeof name);
        command = next;
    }
    help_print(call->terminal, stdout, name, command);
    return cli_finish(CLI_OK);
}

static const struct parameter operands[] = {
    OPERAND(struct help_options, words, "COMMAND", &argument_text,
            "the words of a command; without one all commands are listed", .flags = PARAMETER_MANY),
    {0}};

const struct command cli_help = {
    .name = "help",
    .summary = "print what the commands are, or what one does",
    .description = "`ods-sink COMMAND --help` is the same.",
    .operands = operands,
    .options_size = sizeof(struct help_options),
    .run = run,
};
