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
    {"status", "[-c FILE | --url URL] [--json] [--partitions] [--health]",
     "ask the running daemon how it is",
     "  -c, --config FILE  where the daemon listens: its http.listen\n"
     "      --url URL      or its address, as http://host:port (default: http://127.0.0.1:8090)\n"
     "      --json         what /status says, with \"ready\"\n"
     "      --partitions   also each partition with its offsets\n"
     "      --health       only whether it is healthy: no lane stopped or stuck. A target that is\n"
     "                     away is no reason to restart the daemon, so it is healthy, not ready\n"
     "\n"
     "Exit code 0 when it is ready (or healthy), 1 when not, 4 when nobody answers.\n",
     cli_status},
    {"dlq", "list|show|replay|skip -c FILE [FILTER…] [--json]",
     "look at dead letters, and apply them once their cause is gone",
     "  list           letters by pipeline, topic and reason, with counts; --all: also handled ones\n"
     "  show LETTER    one in full: an offset of the dead-letter topic, or topic:partition:offset\n"
     "                 of the record\n"
     "  replay         apply them to their pipelines' targets, each in a transaction of its own; a\n"
     "                 row that is as new as the record or newer stays as it is. What is refused\n"
     "                 again stays a letter. Those that were replayed or skipped are passed over\n"
     "      --again    also those\n"
     "      --force    whatever the row's age; needed where cdc_timestamp is off\n"
     "  skip           mark as handled, so that list leaves them out; needs a filter or --all\n"
     "\n"
     "  -c, --config FILE    ods-sink.conf\n"
     "      --pipeline NAME  --topic TOPIC  --partition N  --offsets A[-B]\n"
     "                       where the record came from\n"
     "      --stage decode|apply  --code CODE  --reason TEXT\n"
     "                       why it was refused: the code that the target gave (PostgreSQL: its\n"
     "                       SQLSTATE); TEXT stands somewhere in the error. --sqlstate is --code\n"
     "      --since TIME     letters from then on: 2026-01-31T12:00:00Z, or 90s, 15m, 2h, 3d ago\n"
     "      --wait SECONDS   how long to wait for a target that is away (default: 30)\n"
     "      --json           for programs\n"
     "\n"
     "A record that was refused several times counts once. The pipeline's offsets do not move.\n",
     cli_dlq},
    {"reset", "-c FILE --topic TOPIC [--partition N] --to PLACE [--pipeline NAME] [--dry-run]",
     "move a pipeline's stored offsets",
     "  -c, --config FILE    ods-sink.conf\n"
     "      --topic TOPIC    whose offsets\n"
     "      --partition N    only this partition (default: all)\n"
     "      --to PLACE       earliest, latest, an offset, a time such as 2026-01-31T12:00:00Z, or\n"
     "                       how long ago: 90s, 15m, 2h, 3d\n"
     "      --pipeline NAME  which one, when several read the topic\n"
     "      --dry-run        only say what would change\n"
     "\n"
     "Refuses while the consumer group has members: stop the daemons first. Rows stay as they are;\n"
     "records that are read again are applied again.\n",
     cli_reset},
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
    {"reference", "[--json-schema]", "print the reference of all settings, as Markdown",
     "  --json-schema  a JSON Schema of tables.yaml instead, for editors\n", cli_reference},
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
