/* The command table, in the order of help. A new command is a file in cli/ and a line in both lists
 * (here and in commands.h). */
#include "cli/commands.h"

static const struct command *const commands[] = {
    &cli_run,       /* moving */
    &cli_status,    /* asking */
    &cli_query,
    &cli_trace,
    &cli_verify,
    &cli_quality,
    &cli_topics,
    &cli_changes,   /* of tables of a lake */
    &cli_versions,
    &cli_dlq,       /* putting right */
    &cli_reset,
    &cli_erase,
    &cli_pause,     /* one table at a time */
    &cli_resume,
    &cli_skip_until,
    &cli_attach,
    &cli_resync,
    &cli_check,     /* setting up */
    &cli_plan,
    &cli_setup,
    &cli_connectors,
    &cli_import,
    &cli_xml,
    &cli_decode,    /* records in files */
    &cli_replay,
    &cli_bench,
    &cli_reference, /* about */
    &cli_completion,
    &cli_help,
    NULL,
};

static const struct exit_meaning exits[] = {
    {CLI_OK, "It worked."},
    {CLI_NEGATIVE,
     "It worked, and the answer is negative, or part of it was refused: `decode` met a bad record, "
     "`status` a daemon that is not ready, `reset` a group with members."},
    {CLI_CONFIG, "The configuration is wrong."},
    {CLI_SOURCE, "The source, Kafka, failed; or nobody answers."},
    {CLI_TARGET, "A target failed."},
    {CLI_CANT_TELL, "`verify` can't tell yet."},
    {CLI_INTERRUPTED,
     "^C ended it: 128 and the signal's number. What is done is done whole."},
    {0}};

static const struct example examples[] = {
    {"ods-sink check -c /etc/ods-sink/ods-sink.conf --connect", "Try a configuration."},
    {"ods-sink run -c /etc/ods-sink/ods-sink.conf", "Run it."},
    {"ods-sink status", "See how it is."},
    {0}};

static const struct section sections[] = {
    {"ENVIRONMENT",
     "Any variable that the configuration names as `${NAME}`.\n\n"
     "`PGHOST`, `PGPASSFILE` …\n"
     "  libpq's own variables fill in what a target's connection string leaves out.\n\n"
     "`NO_COLOR`, `TERM`, `COLUMNS`\n"
     "  Without colours; what the terminal is; how many columns it has.\n\n"
     "`NOTIFY_SOCKET`, `WATCHDOG_USEC`\n"
     "  Set by systemd."},
    {"FILES",
     "`ods-sink.conf`\n"
     "  How the daemon runs: brokers, targets, lanes, batches, logging.\n\n"
     "`tables.yaml`\n"
     "  What it moves: pipelines and their tables. Named by the setting `tables` of "
     "`ods-sink.conf`.\n\n"
     "Commented examples of both are installed with the documentation."},
    {"SIGNALS",
     "SIGTERM, SIGINT\n"
     "  `run` stops fetching, finishes what is in flight, commits, leaves the consumer group and "
     "exits 0. A command that changes something ends between two of its steps, each of which is "
     "done whole. A second one ends either at once; what was not committed comes again.\n\n"
     "SIGHUP\n"
     "  `run` reads the configuration again, and takes over logging, batch ceilings, retries and "
     "the shutdown timeout."},
    {0}};

const struct command program = {
    .name = "ods-sink",
    .summary = "keep operational data stores equal to their sources",
    .description =
        "Reads row changes that Debezium or Maxwell wrote to Kafka and applies them to PostgreSQL "
        "or another target. Rows and Kafka offsets are written in one transaction, so that a crash "
        "at any moment neither loses nor repeats a change.",
    .commands = commands,
    .exits = exits,
    .examples = examples,
    .sections = sections,
};
