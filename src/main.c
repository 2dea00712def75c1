/* The command table. Each command's own file is in cli/. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/finding.h"

static const struct command commands[] = {
    {"run", "-c FILE [--log-level LEVEL]",
     "move changes from Kafka to the targets until told to stop",
     "  -c, --config FILE      ods-sink.conf\n"
     "      --log-level LEVEL  error, warn, info or debug, whatever the configuration says\n"
     "\n"
     "Stays in the foreground and logs to standard error. SIGTERM or SIGINT finishes what is in\n"
     "flight and leaves; a second one leaves at once. SIGHUP reads the configuration again.\n",
     cli_run},
    {"check", "-c FILE [--connect]", "validate the configuration and print what it comes to",
     "  -c, --config FILE  ods-sink.conf\n"
     "      --connect      also ask Kafka and the targets whether all is there; changes nothing\n",
     cli_check},
    {"decode", "[--format NAME] FILE|-", "print the changes that records hold, as JSON",
     "  --format NAME  how the records are written (default: debezium)\n"
     "\n"
     "FILE has one record a line, as kcat -C -J writes them; - is standard input. A record that\n"
     "can't be decoded is printed with its error, and the exit code is then 1.\n",
     cli_decode},
    {"replay", "-c FILE [--dead-letter FILE] [--pipeline NAME] [--wait SECONDS] FILE|-",
     "apply records from a file to the targets",
     "  -c, --config FILE       ods-sink.conf\n"
     "      --dead-letter FILE  where records go that can't be applied;\n"
     "                          without it such a record ends the replay\n"
     "      --pipeline NAME     only this pipeline (default: all whose topics match)\n"
     "      --wait SECONDS      how long to wait for a target that is away (default: 30)\n"
     "\n"
     "The last FILE has one record a line, as kcat -C -J writes them; - is standard input.\n"
     "Stored offsets are obeyed: what was applied before is passed over. Needs no Kafka.\n"
     "Prints a summary as JSON.\n",
     cli_replay},
    {"bench", "decode [--seconds N] FILE | bench apply -c FILE FILE",
     "measure decoding or applying by itself, from memory",
     "  decode FILE         records a second that become changes, on one core\n"
     "      --format NAME   how the records are written (default: debezium)\n"
     "      --seconds N     how long (default: 5)\n"
     "  apply -c CONF FILE  rows a second that the first pipeline's lanes write to its target, under\n"
     "                      a consumer group of their own; writes rows, so use a scratch target\n"
     "\n"
     "FILE has one record a line, as kcat -C -J writes them. Figures are JSON on standard output.\n",
     cli_bench},
    {"reference", "", "print the reference of all settings, as Markdown", "", cli_reference},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *near = name_nearest(name, names, COMMAND_COUNT);
    fprintf(stderr, "ods-sink: unknown command '%s'", name);
    if (near)
        fprintf(stderr, "; did you mean '%s'?\n", near);
    else
        fprintf(stderr, "; see ods-sink --help\n");
    return CLI_USAGE;
}

static void print_help(FILE *out)
{
    fputs("ods-sink keeps operational data stores equal to their sources, from change records in "
          "Kafka.\n\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  ods-sink %s %s\n      %s\n", commands[i].name, commands[i].synopsis,
                commands[i].summary);
    fputs("\n  ods-sink help COMMAND\n  ods-sink --version\n"
          "\n"
          "Exit codes: 0 good, 1 a negative answer, 2 usage, 3 configuration, 4 source, 5 target,\n"
          "70 internal. The manual is ods-sink(1).\n",
          out);
}

static int help(const char *name)
{
    const struct command *command = name ? find_command(name) : NULL;
    if (name && !command)
        return unknown_command(name);
    if (command)
        printf("usage: ods-sink %s %s\n\n%s.\n%s%s", command->name, command->synopsis,
               command->summary, *command->help ? "\n" : "", command->help);
    else
        print_help(stdout);
    return cli_finish(CLI_OK);
}

/* --help anywhere among a command's options, up to --. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("ods-sink " ODS_VERSION);
        return cli_finish(CLI_OK);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(NULL);
    if (strcmp(name, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    const struct command *command = find_command(name);
    if (!command)
        return unknown_command(name);
    if (asks_for_help(argc - 1, argv + 1))
        return help(name);
    return command->run(argc - 1, argv + 1);
}
