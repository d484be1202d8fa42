// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/completion.hpp"
#include "cli/command_line.hpp"
#include "session/session.hpp"
#include "tool/option.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

// What is no tool.
struct Verb {
    std::string_view name, summary;
};
constexpr Verb kVerbs[] = {
    {"list", "List the tools by area"},
    {"help", "Print the man page of a tool"},
    {"doctor", "Check which tools run on this machine"},
    {"completion", "Print the completion for bash, zsh or fish"},
    {"--install", "Make a link for each tool in a directory"},
    {"--help", "Print a short help"},
    {"--version", "Print the version"},
};

// What an option's value may be: a word for what the shell finds out ("pid"), or all the words,
// each behind a comma (",all,reads").
std::string values_of(const Tool& tool, const Option& option)
{
    std::string words;
    if (option.is_choice)
        for (const std::string_view word : split(option.arg, '|'))
            words += cat(",", word);
    else if (option.name == "columns" || option.name == "sort")
        for (const Column& c : tool.columns)
            words += cat(",", c.key);
    else if (option.name == "where")
        for (const Column& c : tool.where)
            words += cat(",", c.key);
    else
        words = option.values;
    return words;
}

// A tool by each of its names.
void for_each_name(const Tool& tool,
                   const std::function<void(std::string_view name, std::string_view summary)>& use)
{
    use(tool.about.name, tool.about.summary);
    for (const Alias& alias : tool.about.aliases)
        use(alias.name, alias.summary);
}

std::string replaced(std::string_view s, char what, std::string_view with)
{
    std::string out;
    for (const char c : s)
        c == what ? out += with : out += c;
    return out;
}

// For a shell: 'text'.
std::string quoted(std::string_view s) { return cat("'", replaced(s, '\'', "'\\''"), "'"); }

std::string spaced(std::string_view words) { return replaced(words, ',', " ").substr(1); }

} // namespace

std::string bash_completion(std::span<const Tool* const> tools)
{
    std::string names, cases;
    for (const Tool* tool : tools) {
        std::string own;
        for_each_name(*tool, [&](std::string_view name, std::string_view) {
            names += cat(names.empty() ? "" : " ", name);
            own += cat(own.empty() ? "" : " | ", name);
        });
        std::string options, values;
        for (const ListedOption& l : listed_options(*tool)) {
            options += cat("--", l.name, l.option->arg.empty() ? " " : "= ");
            const std::string may_be = values_of(*tool, *l.option);
            if (may_be.empty())
                continue;
            values += cat("--", l.name, "=", may_be, " ");
            for (const char letter : l.letters)
                values += cat("-", letter, "=", may_be, " ");
        }
        cases += cat("    ", own, ")\n        options='", options, "'\n        values='", values,
                     "' ;;\n");
    }
    std::string verbs;
    for (const Verb& verb : kVerbs)
        verbs += cat(" ", verb.name);
    return cat("# bash completion for corebox and its tools; made by `corebox completion bash`\n"
               "_corebox()\n{\n"
               "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
               "    local tool=${COMP_WORDS[0]##*/} options='' values='' kind='' v\n"
               "    [[ $cur == = ]] && cur=\n"
               "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
               "    if [[ $tool == corebox ]]; then\n"
               "        if ((COMP_CWORD == 1)); then\n"
               "            mapfile -t COMPREPLY < <(compgen -W '",
               names, verbs,
               "' -- \"$cur\")\n"
               "            return\n"
               "        fi\n"
               "        tool=${COMP_WORDS[1]}\n"
               "    fi\n"
               "    case $tool in\n"
               "    doctor) mapfile -t COMPREPLY < <(compgen -W '",
               names,
               " --json' -- \"$cur\"); return ;;\n"
               "    help) mapfile -t COMPREPLY < <(compgen -W '",
               names,
               "' -- \"$cur\"); return ;;\n"
               "    completion) mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- \"$cur\"); "
               "return ;;\n",
               cases,
               "    esac\n"
               "    for v in $values; do\n"
               "        [[ ${v%%=*} == \"$prev\" ]] && kind=${v#*=}\n"
               "    done\n"
               "    case $kind in\n"
               "    ,*) mapfile -t COMPREPLY < <(compgen -W \"${kind//,/ }\" -- \"$cur\") ;;\n"
               "    pid) mapfile -t COMPREPLY < <(cd /proc && compgen -W \"$(echo [0-9]*)\" -- "
               "\"$cur\") ;;\n"
               "    disk) mapfile -t COMPREPLY < <(compgen -W \"$(cd /sys/class/block 2>/dev/null "
               "&& echo *)\" -- \"$cur\") ;;\n"
               "    user) mapfile -t COMPREPLY < <(compgen -u -- \"$cur\") ;;\n"
               "    cgroup) mapfile -t COMPREPLY < <(compgen -d -- \"${cur:-/sys/fs/cgroup/}\") "
               ";;\n"
               "    dir) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
               "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
               "    *)\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
               "        [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null ;;\n"
               "    esac\n"
               "    return 0\n"
               "}\n"
               "complete -o default -F _corebox corebox ",
               names, "\n");
}

std::string zsh_completion(std::span<const Tool* const> tools)
{
    const auto action = [](std::string_view may_be) -> std::string {
        if (may_be.starts_with(','))
            return cat("(", spaced(may_be), ")");
        constexpr std::pair<std::string_view, std::string_view> kActions[] = {
            {"pid", "_pids"},           {"user", "_users"},
            {"disk", "_corebox_disks"}, {"cgroup", "_corebox_cgroups"},
            {"dir", "_files -/"},       {"file", "_files"},
        };
        for (const auto& [kind, function] : kActions)
            if (may_be == kind)
                return std::string(function);
        return {};
    };
    // In an explanation brackets and colons have a meaning.
    const auto explanation = [](std::string_view text) {
        return replaced(replaced(replaced(replaced(text, '\\', "\\\\"), '[', "\\["), ']', "\\]"),
                        ':', "\\:");
    };
    std::string names, described, cases;
    for (const Tool* tool : tools) {
        std::string own, arguments;
        for_each_name(*tool, [&](std::string_view name, std::string_view summary) {
            names += cat(" ", name);
            own += cat(own.empty() ? "" : "|", name);
            described += cat("            ", quoted(cat(name, ":", explanation(summary))), "\n");
        });
        for (const ListedOption& l : listed_options(*tool)) {
            const std::string long_name = cat("--", l.name);
            std::vector<std::string> letters;
            std::string exclude;
            for (const char letter : l.letters)
                if (letter != '?') { // a pattern to zsh
                    letters.push_back(cat("-", letter));
                    exclude += cat(exclude.empty() ? "(" : " ", letters.back());
                }
            if (!letters.empty())
                exclude += cat(" ", long_name, ")");
            std::string rest = cat("[", explanation(l.option->help), "]");
            if (!l.option->arg.empty())
                rest += cat(":", explanation(l.option->is_choice ? "word" : l.option->arg), ":",
                            action(values_of(*tool, *l.option)));
            // "-n+": the value may follow in the same word; "--name=": behind "=" or in the next.
            const bool takes = !l.option->arg.empty();
            arguments +=
                cat(" \\\n            ", quoted(cat(exclude, long_name, takes ? "=" : "", rest)));
            for (const std::string& letter : letters)
                arguments +=
                    cat(" \\\n            ", quoted(cat(exclude, letter, takes ? "+" : "", rest)));
        }
        for (const Option* operand : listed_operands(*tool)) {
            std::string does = action(operand->values);
            arguments +=
                cat(" \\\n            ",
                    quoted(cat("::", explanation(operand->arg), ":", does.empty() ? " " : does)));
        }
        cases += cat("    ", own, ")\n        _arguments -s -S", arguments, " ;;\n");
    }
    for (const Verb& verb : kVerbs)
        described += cat("            ", quoted(cat(verb.name, ":", verb.summary)), "\n");
    return cat("#compdef corebox", names,
               "\n# zsh completion for corebox and its tools; made by `corebox completion zsh`\n"
               "_corebox_disks() { local -a disks=(/sys/class/block/*(N:t)); compadd -a disks }\n"
               "_corebox_cgroups() { _files -W /sys/fs/cgroup -P /sys/fs/cgroup/ -/ }\n"
               "_corebox() {\n"
               "    local tool=${words[1]:t}\n"
               "    if [[ $tool == corebox ]]; then\n"
               "        if (( CURRENT == 2 )); then\n"
               "            local -a tools=(\n",
               described,
               "            )\n"
               "            _describe tool tools\n"
               "            return\n"
               "        fi\n"
               "        tool=$words[2]\n"
               "        shift words\n"
               "        (( CURRENT-- ))\n"
               "    fi\n"
               "    case $tool in\n"
               "    doctor|help) compadd --",
               names,
               " ;;\n"
               "    completion) compadd -- bash zsh fish ;;\n",
               cases,
               "    esac\n"
               "}\n"
               // Autoloaded the file is the function; sourced it has to say which names it is for.
               "if [[ $funcstack[1] == _corebox ]]; then _corebox \"$@\"; else compdef _corebox "
               "corebox",
               names, "; fi\n");
}

std::string fish_completion(std::span<const Tool* const> tools)
{
    const auto values = [](std::string_view may_be) -> std::string {
        if (may_be.starts_with(','))
            return cat(" -x -a ", quoted(spaced(may_be)));
        constexpr std::pair<std::string_view, std::string_view> kLists[] = {
            {"pid", "(__fish_complete_pids)"},
            {"user", "(__fish_complete_users)"},
            {"disk", "(path basename /sys/class/block/* 2>/dev/null; or ls /sys/class/block)"},
            {"cgroup", "(__fish_complete_directories)"},
            {"dir", "(__fish_complete_directories)"},
        };
        for (const auto& [kind, list] : kLists)
            if (may_be == kind)
                return cat(" -x -a ", quoted(list));
        return may_be == "file" ? " -r -F" : " -x";
    };
    std::string out =
        "# fish completion for corebox and its tools; made by `corebox completion fish`\n"
        "complete -c corebox -f\n";
    const auto first = [&](std::string_view name, std::string_view summary) {
        out += cat("complete -c corebox -n __fish_use_subcommand -a ", quoted(name), " -d ",
                   quoted(summary), "\n");
    };
    for (const Verb& verb : kVerbs)
        if (!verb.name.starts_with('-'))
            first(verb.name, verb.summary);
    std::string names;
    for (const Tool* tool : tools) {
        std::string own;
        for_each_name(*tool, [&](std::string_view name, std::string_view summary) {
            first(name, summary);
            out += cat("complete -c ", name, " -w ", quoted(cat("corebox ", name)), "\n");
            own += cat(own.empty() ? "" : " ", name);
        });
        names += cat(names.empty() ? "" : " ", own);
        const std::string condition =
            cat("complete -c corebox -n '__fish_seen_subcommand_from ", own, "'");
        for (const ListedOption& l : listed_options(*tool)) {
            out += cat(condition, " -l ", l.name);
            for (const char letter : l.letters)
                out += letter == '?' ? "" : cat(" -s ", letter);
            out += cat(" -d ", quoted(l.option->help));
            if (!l.option->arg.empty())
                out += values(values_of(*tool, *l.option));
            out += "\n";
        }
    }
    out +=
        cat("complete -c corebox -n '__fish_seen_subcommand_from doctor help' -a ", quoted(names),
            "\ncomplete -c corebox -n '__fish_seen_subcommand_from completion' -a 'bash zsh "
            "fish'\n");
    return out;
}

} // namespace corebox
