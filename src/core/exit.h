/* Exit codes. They are part of the interface and described in ods-sink(1). */
#ifndef EXIT_H
#define EXIT_H

enum cli_exit {
    CLI_OK = 0,
    CLI_NEGATIVE = 1, /* the command worked, and its answer is no: decode found a bad record */
    CLI_USAGE = 2,    /* the command line */
    CLI_CONFIG = 3,   /* the configuration files */
    CLI_SOURCE = 4,   /* Kafka, or a source database */
    CLI_TARGET = 5,
    CLI_CANT_TELL = 6, /* verify: there is no answer yet */
    CLI_INTERNAL = 70,
    CLI_INTERRUPTED = 130, /* 128 and SIGINT: ^C ended a command between two of its steps */
};

#endif
