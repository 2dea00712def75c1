/* What the commands share. Each command has a file or a few; commands.c has the table of them. */
#ifndef CLI_H
#define CLI_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include "cli/command.h"
#include "config/config.h"
#include "core/exit.h"

/* Load the configuration and print every finding on standard error. CLI_OK or CLI_CONFIG;
 * config_free(*config) either way. */
int cli_load(struct config **config, const char *path);

/* Say on standard error what is wrong with the command line and where help is. CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append a change as decode prints it, without the end of the line. */
enum ods_status cli_put_change(struct buffer *line, const struct batch *batch, uint32_t change,
                               struct error *error);

/* What a command line says about a registry: its URL or file, "": there is none. */
void cli_registry(struct registry_settings *registry, const char *url);

/* A moment: ISO 8601 (without a zone: UTC), or how long ago: 90s, 15m, 2h, 3d. */
bool cli_parse_moment(const char *text, int64_t *us);

/* A whole number from 0 to `most`. */
bool cli_parse_number(const char *text, int64_t most, int64_t *number);

/* Flush standard output: a full disk or a closed pipe is an error too. `code`, or CLI_INTERNAL. */
int cli_finish(int code);

/* Who gives the order: user@host. */
void cli_operator(char *text, size_t size);

#endif
