/* The script for fish: a line for each command, option and kind of operand. */
#include <string.h>

#include "cli/command_line.h"
#include "cli/completion.h"

static const char head[] =
    "# Completion of ods-sink for fish, made by `ods-sink completion fish`.\n"
    "\n"
    "# Whether the line is one of this command, named by its words.\n"
    "function __ods_sink_is\n"
    "    set -l words (commandline -opc)\n"
    "    set -e words[1]\n"
    "    set -l command\n"
    "    for word in $words\n"
    "        contains -- (string join ' ' -- $command $word) $__ods_sink_commands; or break\n"
    "        set -a command $word\n"
    "    end\n"
    "    test \"$command\" = \"$argv\"\n"
    "end\n"
    "\n"
    "# Names of a kind in the configuration that the line names.\n"
    "function __ods_sink_names\n"
    "    set -l words (commandline -opc)\n"
    "    set -l config\n"
    "    for i in (seq (count $words))\n"
    "        switch $words[$i]\n"
    "            case -c --config\n"
    "                set config $words[(math $i + 1)]\n"
    "            case '--config=*'\n"
    "                set config (string replace -- --config= '' $words[$i])\n"
    "        end\n"
    "    end\n"
    "    set config (string replace -r '^~/' $HOME/ -- $config)\n"
    "    test -n \"$config\"; and ods-sink completion names $argv -c $config 2>/dev/null\n"
    "end\n"
    "\n"
    "complete -c ods-sink -f\n";

static void put_known(FILE *out, const char *name, const struct command *command)
{
    if (*name)
        fprintf(out, " '%s'", name);
}

/* What is offered for a value: the rest of a line of `complete`. */
static void put_offer(FILE *out, const struct parameter *row)
{
    enum completion completion = row->argument->completion;
    if (completion_names(completion))
        fprintf(out, " -f -a '(__ods_sink_names %s)'", completion_names(completion));
    else if (completion == COMPLETE_FILES)
        fputs(" -F", out);
    else if (completion == COMPLETE_FOLDERS)
        fputs(" -f -a '(__fish_complete_directories)'", out);
    else if (row->choices)
        fputs(" -f -a '", out), completion_choices(out, row), fputs("'", out);
    else
        fputs(" -f", out);
}

static void put_condition(FILE *out, const char *name)
{
    fprintf(out, "complete -c ods-sink -n '__ods_sink_is%s%s'", *name ? " " : "", name);
}

static void put_command(FILE *out, const char *name, const struct command *command)
{
    for (const struct command *const *at = command->commands; at && *at; at++) {
        if ((*at)->hidden)
            continue;
        put_condition(out, name);
        fprintf(out, " -a %s -d '", (*at)->name);
        completion_doc(out, (*at)->summary, "\\");
        fputs("'\n", out);
    }
    COMPLETION_OPTIONS (row, group, command) {
        put_condition(out, name);
        if (row->letter)
            fprintf(out, " -s %c", row->letter);
        fprintf(out, " -l %s", row->name);
        if (row->argument) {
            fputs(" -r", out);
            put_offer(out, row);
        }
        fputs(" -d '", out);
        completion_doc(out, row->doc, "\\");
        fputs("'\n", out);
    }
    PARAMETERS_EACH (row, command->operands) {
        if (row->argument->completion == COMPLETE_NOTHING && !row->choices)
            continue;
        put_condition(out, name);
        put_offer(out, row);
        putc('\n', out);
    }
}

void completion_fish(FILE *out, const struct command *root)
{
    fputs("set -g __ods_sink_commands", out);
    completion_walk(root, put_known, out);
    fputs("\n", out);
    fputs(head, out);
    completion_walk(root, put_command, out);
}
