/* The script for zsh: a function for each command, whose options _arguments knows. */
#include <string.h>

#include "cli/command_line.h"
#include "cli/completion.h"

static const char head[] =
    "#compdef ods-sink\n"
    "# Completion of ods-sink for zsh, made by `ods-sink completion zsh`.\n"
    "\n"
    "# Names of a kind, the last argument, in the configuration that the line names.\n"
    "_ods_sink_names() {\n"
    "    local kind=$argv[-1] config i\n"
    "    argv[-1]=()\n"
    "    local -a names\n"
    "    for (( i = 1; i < $#words; i++ )); do\n"
    "        case $words[i] in\n"
    "        -c | --config) config=${(Q)words[i + 1]} ;;\n"
    "        --config=*) config=${(Q)words[i]#--config=} ;;\n"
    "        esac\n"
    "    done\n"
    "    [[ -n $config ]] || return 1\n"
    "    config=${config/#\\~\\//$HOME/}\n"
    "    names=(\"${(@f)$(ods-sink completion names $kind -c \"$config\" 2>/dev/null)}\")\n"
    "    compadd \"$@\" -a names\n"
    "}\n";

static const char tail[] =
    "\n"
    "if [[ $funcstack[1] == _ods-sink ]]; then\n"
    "    _ods_sink \"$@\"\n"
    "else\n"
    "    compdef _ods_sink ods-sink\n"
    "fi\n";

/* "_ods_sink_dlq_list": of the command's words. */
static void put_function(FILE *out, const char *name)
{
    fputs("_ods_sink", out);
    fputs(*name ? "_" : "", out);
    for (const char *at = name; *at; at++)
        putc(*at == ' ' || *at == '-' ? '_' : *at, out);
}

/* What is offered for a value, after its name. */
static void put_action(FILE *out, const struct parameter *row)
{
    enum completion completion = row->argument->completion;
    fputs(":", out);
    completion_doc(out, parameter_value(row), ":[]\\");
    fputs(":", out);
    if (completion_names(completion))
        fprintf(out, "_ods_sink_names %s", completion_names(completion));
    else if (completion == COMPLETE_FILES)
        fputs("_files", out);
    else if (completion == COMPLETE_FOLDERS)
        fputs("_files -/", out);
    else if (row->choices)
        fputs("(", out), completion_choices(out, row), fputs(")", out);
}

/* Options that can't follow: itself and those that it excludes. */
static void put_excluded(FILE *out, const struct command *command, const struct parameter *row)
{
    if (row->flags & PARAMETER_MANY) {
        fputs("'*'", out);
        return;
    }
    fprintf(out, "'(--%s", row->name);
    if (row->letter)
        fprintf(out, " -%c", row->letter);
    COMPLETION_OPTIONS (other, group, command)
        if (row->either && other != row && other->either == row->either)
            fprintf(out, " --%s", other->name);
    fputs(")'", out);
}

static void put_spec(FILE *out, const struct command *command, const struct parameter *row,
                     const char *dashes, const char *name, const char *joined)
{
    fputs("        ", out);
    put_excluded(out, command, row);
    fprintf(out, "'%s%s%s[", dashes, name, row->argument ? joined : "");
    completion_doc(out, row->doc, ":[]\\");
    fputs("]", out);
    if (row->argument)
        put_action(out, row);
    fputs("' \\\n", out);
}

static void put_arguments(FILE *out, const struct command *command)
{
    fputs("    _arguments -s -S : \\\n", out);
    COMPLETION_OPTIONS (row, group, command) {
        put_spec(out, command, row, "--", row->name, "=");
        if (row->letter)
            put_spec(out, command, row, "-", (char[]){row->letter, '\0'}, "+");
    }
    unsigned place = 1;
    PARAMETERS_EACH (row, command->operands) {
        if (row->flags & PARAMETER_MANY)
            fputs("        '*", out);
        else
            fprintf(out, "        '%u", place++);
        put_action(out, row);
        fputs("' \\\n", out);
    }
    fputs("        && return\n", out);
}

/* The next word is a command of its own, which goes on from there. */
static void put_choice(FILE *out, const char *name, const struct command *command)
{
    fputs("    local -a commands=(\n", out);
    for (const struct command *const *at = command->commands; *at; at++) {
        if ((*at)->hidden)
            continue;
        fprintf(out, "        '%s:", (*at)->name);
        completion_doc(out, (*at)->summary, ":\\");
        fputs("'\n", out);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then\n"
          "        _describe -t commands command commands\n"
          "        return\n    fi\n    shift words\n    (( CURRENT-- ))\n    case $words[1] in\n",
          out);
    for (const struct command *const *at = command->commands; *at; at++) {
        char words[REFERENCE_ROOM];
        command_words(words, name, *at);
        if ((*at)->hidden)
            continue;
        fprintf(out, "    %s) ", (*at)->name);
        put_function(out, words);
        fputs(" ;;\n", out);
    }
    fputs("    esac\n", out);
}

static void put_command(FILE *out, const char *name, const struct command *command)
{
    putc('\n', out);
    put_function(out, name);
    fputs("() {\n", out);
    if (command->commands)
        put_choice(out, name, command);
    else
        put_arguments(out, command);
    fputs("}\n", out);
}

void completion_zsh(FILE *out, const struct command *root)
{
    fputs(head, out);
    completion_walk(root, put_command, out);
    fputs(tail, out);
}
