/* The script for bash. It needs neither the package bash-completion nor bash's newest version.
 * Names come line by line and are never expanded: what a configuration holds is not run as code. */
#include <string.h>

#include "cli/command_line.h"
#include "cli/completion.h"

static const char head[] =
    "# Completion of ods-sink for bash, made by `ods-sink completion bash`.\n"
    "\n"
    "# Names of a kind in the configuration that the line names.\n"
    "_ods_sink_names() {\n"
    "    local name config= i\n"
    "    for (( i = 1; i < COMP_CWORD; i++ )); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        -c | --config)\n"
    "            config=${COMP_WORDS[i + 1]}\n"
    "            [[ $config == = ]] && config=${COMP_WORDS[i + 2]} ;;\n"
    "        esac\n"
    "    done\n"
    "    [[ $config ]] || return\n"
    "    config=${config/#\\~\\//$HOME/}\n"
    "    while IFS= read -r name; do\n"
    "        [[ $name == \"$word\"* ]] && COMPREPLY+=(\"$(printf %q \"$name\")\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" completion names \"$1\" -c \"$config\" 2>/dev/null)\n"
    "}\n"
    "\n"
    "_ods_sink_offer() {\n"
    "    local entry\n"
    "    case $1 in\n"
    "    files | folders)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        while IFS= read -r entry; do\n"
    "            COMPREPLY+=(\"$entry\")\n"
    "        done < <(compgen -$([[ $1 == files ]] && echo f || echo d) -- \"$word\") ;;\n"
    "    =*)\n"
    "        while IFS= read -r entry; do\n"
    "            COMPREPLY+=(\"$entry\")\n"
    "        done < <(compgen -W \"${1//[=|]/ }\" -- \"$word\") ;;\n"
    "    pipelines | topics | tables) _ods_sink_names \"$1\" ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_ods_sink() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command= commands= options= operands= value= i place=0\n"
    "    COMPREPLY=()\n"
    "    # --name=value comes as three words.\n"
    "    if [[ $word == = ]]; then\n"
    "        word=\n"
    "    elif [[ $before == = ]]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    for (( i = 1; i < COMP_CWORD; i++ )); do\n"
    "        case \"$command ${COMP_WORDS[i]}\" in\n";

static const char middle[] =
    "        *) break ;;\n"
    "        esac\n"
    "    done\n"
    "    case \"$command\" in\n";

static const char tail[] =
    "    esac\n"
    "    _ods_sink_value \"$command\" \"$before\"\n"
    "    if [[ $value ]]; then\n"
    "        _ods_sink_offer \"$value\"\n"
    "        return\n"
    "    fi\n"
    "    if [[ $word == -* ]]; then\n"
    "        _ods_sink_offer \"=$options\"\n"
    "        return\n"
    "    fi\n"
    "    # Which operand it is.\n"
    "    for (( ; i < COMP_CWORD; i++ )); do\n"
    "        value=\n"
    "        _ods_sink_value \"$command\" \"${COMP_WORDS[i]}\"\n"
    "        if [[ $value ]]; then\n"
    "            [[ ${COMP_WORDS[i + 1]} == = ]] && (( i++ ))\n"
    "            (( i++ ))\n"
    "        elif [[ ${COMP_WORDS[i]} != -?* ]]; then\n"
    "            (( place++ ))\n"
    "        fi\n"
    "    done\n"
    "    for value in $operands; do\n"
    "        (( place-- > 0 )) && [[ $value != *+ ]] && continue\n"
    "        _ods_sink_offer \"${value%+}\"\n"
    "        return\n"
    "    done\n"
    "    [[ $commands ]] && _ods_sink_offer \"=$commands\"\n"
    "}\n"
    "\n"
    "complete -F _ods_sink ods-sink\n";

static void put_known(FILE *out, const char *name, const struct command *command)
{
    if (*name) {
        const char *last = strrchr(name, ' ');
        fprintf(out, "        \"%.*s %s\") command=\"%s\" ;;\n",
                last ? (int) (last - name) : 0, name, last ? last + 1 : name, name);
    }
}

/* What _ods_sink_offer is asked for. */
static void put_kind(FILE *out, const struct parameter *row)
{
    enum completion completion = row->argument->completion;
    if (completion_names(completion))
        fputs(completion_names(completion), out);
    else if (completion == COMPLETE_FILES || completion == COMPLETE_FOLDERS)
        fputs(completion == COMPLETE_FILES ? "files" : "folders", out);
    else if (row->choices)
        fprintf(out, "=%s", row->choices);
    else
        fputs("nothing", out);
}

static void put_command(FILE *out, const char *name, const struct command *command)
{
    fprintf(out, "    \"%s\")\n        options=\"", name);
    COMPLETION_OPTIONS (row, group, command)
        fprintf(out, "%s--%s", row == command->options[0].options ? "" : " ", row->name);
    fputs("\"\n", out);
    if (command->operands)
        fputs("        operands=\"", out);
    PARAMETERS_EACH (row, command->operands) {
        put_kind(out, row);
        fputs(row->flags & PARAMETER_MANY ? "+ " : " ", out);
    }
    fputs(command->operands ? "\"\n" : "", out);
    if (command->commands)
        fputs("        commands=\"", out);
    for (const struct command *const *at = command->commands; at && *at; at++)
        fprintf(out, "%s ", (*at)->hidden ? "" : (*at)->name);
    fprintf(out, "%s        ;;\n", command->commands ? "\"\n" : "");
}

static void put_values(FILE *out, const char *name, const struct command *command)
{
    COMPLETION_OPTIONS (row, group, command) {
        if (!row->argument)
            continue;
        fprintf(out, "    \"%s:--%s\"", name, row->name);
        if (row->letter)
            fprintf(out, " | \"%s:-%c\"", name, row->letter);
        if (row->also)
            fprintf(out, " | \"%s:--%s\"", name, row->also);
        fputs(") value=\"", out);
        put_kind(out, row);
        fputs("\" ;;\n", out);
    }
}

void completion_bash(FILE *out, const struct command *root)
{
    fputs(head, out);
    completion_walk(root, put_known, out);
    fputs(middle, out);
    completion_walk(root, put_command, out);
    fputs(tail, out);
    fputs("\n# What an option takes.\n_ods_sink_value() {\n    case \"$1:$2\" in\n", out);
    completion_walk(root, put_values, out);
    fputs("    esac\n}\n", out);
}
