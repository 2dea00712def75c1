/* ods-sink dlq: the command line. */
#include <getopt.h>
#include <string.h>

#include "cli/dlq.h"
#include "cli/dlq_show.h"
#include "core/log.h"

struct subcommand {
    const char *name;
    int (*run)(struct dlq *dlq, struct error *error);
};

static const struct subcommand subcommands[] = {
    {"list", dlq_list}, {"show", dlq_show}, {"replay", dlq_replay}, {"skip", dlq_skip}};

static const struct subcommand *find_subcommand(const char *name)
{
    for (size_t i = 0; name && i < sizeof subcommands / sizeof *subcommands; i++)
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    return NULL;
}

/* "17" or "17-42". */
static bool parse_offsets(struct filter *filter, const char *text)
{
    char first[24];
    const char *dash = strchr(text, '-');
    size_t length = dash ? (size_t) (dash - text) : strlen(text);
    if (length >= sizeof first)
        return false;
    memcpy(first, text, length);
    first[length] = '\0';
    return cli_parse_number(first, INT64_MAX - 1, &filter->first) &&
           cli_parse_number(dash ? dash + 1 : first, INT64_MAX - 1, &filter->last) &&
           filter->first <= filter->last;
}

/* The letter that show is to show: its offset in the dead-letter topic, or topic:partition:offset
 * of the record. */
static bool parse_which(struct dlq *dlq, char *text)
{
    struct filter *filter = &dlq->filter;
    char *offset = strrchr(text, ':');
    if (!offset)
        return cli_parse_number(text, INT64_MAX - 1, &filter->letter_offset);
    *offset++ = '\0';
    char *partition = strrchr(text, ':');
    if (!partition)
        return false;
    *partition++ = '\0';
    filter->topic = text;
    return cli_parse_number(partition, INT32_MAX, &filter->partition) &&
           parse_offsets(filter, offset);
}

enum { FIRST = 256, PIPELINE, TOPIC, STAGE, CODE, REASON, PARTITION, OFFSETS, SINCE, WAIT };

static int take_option(struct dlq *dlq, int option, char **argv)
{
    struct filter *filter = &dlq->filter;
    bool good = true;
    filter->any |= option >= PIPELINE && option <= SINCE;
    switch (option) {
    case 'c':
        dlq->config = optarg;
        break;
    case 'j':
        dlq->json = true;
        break;
    case 'a':
        dlq->all = true;
        break;
    case 'g':
        dlq->again = true;
        break;
    case 'f':
        dlq->force = true;
        break;
    case PIPELINE:
        filter->pipeline = optarg;
        break;
    case TOPIC:
        filter->topic = optarg;
        break;
    case STAGE:
        filter->stage = optarg;
        break;
    case CODE:
        filter->code = optarg;
        break;
    case REASON:
        filter->reason = optarg;
        break;
    case PARTITION:
        good = cli_parse_number(optarg, INT32_MAX, &filter->partition);
        break;
    case OFFSETS:
        good = parse_offsets(filter, optarg);
        break;
    case SINCE:
        good = cli_parse_moment(optarg, &filter->since_us);
        break;
    case WAIT:
        good = cli_parse_number(optarg, 86400, &dlq->wait_ms);
        dlq->wait_ms *= 1000;
        break;
    default:
        return cli_usage("dlq", "unknown option or missing value: %s", argv[optind - 1]);
    }
    return good ? CLI_OK
                : cli_usage("dlq", "\"%s\" is not what %s takes", optarg, argv[optind - 2]);
}

static int check_options(const struct dlq *dlq, const struct subcommand *subcommand)
{
    bool replays = subcommand->run == dlq_replay, skips = subcommand->run == dlq_skip;
    if (!dlq->config)
        return cli_usage("dlq", "-c FILE is missing");
    if ((dlq->again || dlq->force) && !replays)
        return cli_usage("dlq", "--again and --force belong to replay");
    if (dlq->filter.stage && strcmp(dlq->filter.stage, "decode") != 0 &&
        strcmp(dlq->filter.stage, "apply") != 0)
        return cli_usage("dlq", "--stage is decode or apply");
    if (skips && !dlq->filter.any && !dlq->all)
        return cli_usage("dlq", "skip needs a filter, or --all for every letter");
    return CLI_OK;
}

static int parse(struct dlq *dlq, const struct subcommand *subcommand, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"again", no_argument, NULL, 'g'},
                                            {"force", no_argument, NULL, 'f'},
                                            {"pipeline", required_argument, NULL, PIPELINE},
                                            {"topic", required_argument, NULL, TOPIC},
                                            {"stage", required_argument, NULL, STAGE},
                                            {"code", required_argument, NULL, CODE},
                                            {"sqlstate", required_argument, NULL, CODE},
                                            {"reason", required_argument, NULL, REASON},
                                            {"partition", required_argument, NULL, PARTITION},
                                            {"offset", required_argument, NULL, OFFSETS},
                                            {"offsets", required_argument, NULL, OFFSETS},
                                            {"since", required_argument, NULL, SINCE},
                                            {"wait", required_argument, NULL, WAIT},
                                            {NULL, 0, NULL, 0}};
    int option, code = CLI_OK;
    dlq->wait_ms = 30000;
    dlq->filter.partition = dlq->filter.last = dlq->filter.letter_offset = -1;
    dlq->filter.since_us = INT64_MIN;
    optind = 1;
    opterr = 0;
    while (code == CLI_OK && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1)
        code = take_option(dlq, option, argv);
    if (code != CLI_OK)
        return code;
    if (subcommand->run == dlq_show) {
        if (optind == argc)
            return cli_usage("dlq", "show needs an offset of the dead-letter topic, or "
                                    "topic:partition:offset of the record");
        dlq->which = argv[optind++];
        if (!parse_which(dlq, argv[optind - 1]))
            return cli_usage("dlq", "show takes an offset of the dead-letter topic, or "
                                    "topic:partition:offset of the record");
    }
    if (optind < argc)
        return cli_usage("dlq", "unexpected argument \"%s\"", argv[optind]);
    return check_options(dlq, subcommand);
}

int cli_dlq(int argc, char **argv)
{
    struct dlq dlq = {0};
    struct error error;
    const struct subcommand *subcommand = find_subcommand(argc > 1 ? argv[1] : NULL);
    if (!subcommand)
        return cli_usage("dlq", "expected list, show, replay or skip%s%s", argc > 1 ? ", not " : "",
                         argc > 1 ? argv[1] : "");
    int code = parse(&dlq, subcommand, argc - 1, argv + 1);
    if (code != CLI_OK)
        return code;
    error_init(&error);
    arena_init(&dlq.arena);
    code = cli_load(&dlq.loaded, dlq.config);
    if (code != CLI_OK)
        goto out;
    dlq.settings = config_settings(dlq.loaded);
    log_configure(&dlq.settings->log);
    code = dlq_load(&dlq, &error);
    if (code == CLI_OK)
        code = subcommand->run(&dlq, &error);
    if (code != CLI_OK && *error.text && (code != CLI_NEGATIVE || subcommand->run == dlq_show))
        fprintf(stderr, "ods-sink dlq: %s\n", error.text);
out:
    dlq_done(&dlq);
    config_free(dlq.loaded);
    return cli_finish(code);
}
