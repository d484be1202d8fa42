// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/session.hpp"
#include "version.hpp"
#include <algorithm>
#include <argp.h>
#include <cstdio>
#include <cstdlib>

namespace corebox
{

std::string either(std::string_view options, const std::function<std::string(std::string)>& mark)
{
    std::string out;
    for (const std::string_view option : split(options, '|'))
        out += cat(out.empty() ? "" : " or ", mark(cat("--", option)));
    return out;
}

namespace
{

// The options that all tools share, bound to the session; tools give them letters.
constexpr Option kFilterOptions[] = {
    opt<&Session::pids>(0, "pid", "PID,...", "Only these processes", kPositive, {}, "pid"),
    opt<&Session::tids>(0, "tid", "TID,...", "Only these threads", kPositive, {}, "pid"),
    opt<&Session::ppid>(0, "ppid", "PID", "Only children of this process", kPositive, {}, "pid"),
    opt<&Session::user>(0, "uid", "USER", "Only this user, by name or number", {}, {}, "user"),
    opt<&Session::comm>(0, "comm", "NAME", "Only commands of exactly this name"),
    opt<&Session::cgroup>(0, "cgroup", "PATH", "Only this cgroup (v2) and those below it", {}, {},
                          "cgroup"),
    opt<&Session::cgroup_map>(0, "cgroupmap", "PATH",
                              "Only cgroups whose id is in this pinned BPF map", {}, {}, "file"),
    opt<&Session::mntns_map>(0, "mntnsmap", "PATH",
                             "Only mount namespaces whose inode is in this pinned BPF map", {}, {},
                             "file"),
};
constexpr Option kEventOptions[] = {
    opt<&Session::buffer_kib>(0, "buffer-size", "KIB", "Size of the event buffer", {4, 1 << 20}),
    opt<&Session::buffer_pages>(0, "buffer-pages", "PAGES", "The same in pages of 4 KiB",
                                {1, 1 << 18}),
};
constexpr Option kSortedOptions[] = {
    opt<&Session::rows>(0, "rows", "ROWS", "Rows to print", {1, 10'000'000}, "maxrows"),
    flag<&Session::no_clear>(0, "noclear", "Do not clear the screen between intervals"),
};
constexpr Option kIntervalOperands[] = {
    opt<&Session::interval>(0, "interval", "INTERVAL", "Seconds between two reports, 0.5 is valid"),
    opt<&Session::count>(0, "count", "COUNT", "Reports to print", kPositive),
};
constexpr Option kEveryOption[] = {
    opt<&Session::interval>(0, "interval", "SECONDS", "Report at each end of this time"),
};
constexpr Option kDurationOperand[] = {
    opt<&Session::duration>(0, "duration", "DURATION", "Seconds to run, 0.5 is valid"),
};
constexpr Option kCommonOptions[] = {
    opt<&Session::duration>(0, "duration", "SECONDS", "End after this time"),
    opt<&Session::count>(0, "count", "N", "End after so many rows or reports", kPositive),
    show(0, "json", "One JSON object a line"),
    show(0, "csv", "Comma-separated values"),
    opt<&Session::columns>(0, "columns", "KEY,...", "Only these columns, in this order"),
    flag<&Session::utc>(0, "utc", "Times of day in UTC"),
    flag<&Session::explain>(0, "explain", "Say which probes were taken here, and why"),
    flag<&Session::check>(0, "check", "Load and attach, then leave: can it run here?"),
    opt<&Session::btf>(
        0, "btf", "FILE",
        "Take the kernel's types from FILE (or FILE/RELEASE.btf): for kernels that do "
        "not tell them",
        {}, {}, "file"),
    opt<&Session::ready_fd>(0, "ready-fd", "FD", "Write a byte to this descriptor once attached",
                            {0, 1 << 20}),
    show(0, "schema", "Print options and columns as JSON"),
    flag<&Session::verbose>('v', "verbose", "Print libbpf's own messages"),
    show('h', "help", "Print this help"),
    show(0, "usage", "Print a short usage line"),
    show('V', "version", "Print the version"),
};

enum class Group : std::uint8_t { own, filter, shared, common };

struct Entry {
    const Option* option;
    void* target;
    Group group;
    int key;           // argp's; letters as they are, others from 0x100
    bool more = false; // a further letter of the option before
};

struct Parser {
    Session& session;
    std::vector<Entry> entries;
    std::vector<std::pair<const Option*, void*>> operands;
    std::size_t next_operand = 0;
    bool help = false, usage = false, version = false, schema = false;
    std::string error;
    int error_at = 0; // argv index behind the word that argp could not take
};

char letter(const Tool& tool, const Option& o, Group group)
{
    if (group == Group::own)
        return o.key;
    for (const Letter& l : tool.letters)
        if (l.name == o.name)
            return l.key;
    // A tool's own letter hides the kit's.
    const auto taken = [&](char key) {
        return std::ranges::find(tool.options, key, &Option::key) != tool.options.end() ||
               std::ranges::find(tool.letters, key, &Letter::key) != tool.letters.end();
    };
    return o.key && !taken(o.key) ? o.key : char(0);
}

std::string apply(const Option& o, void* target, std::string_view value)
{
    if (!o.is_choice)
        return o.apply(target, value, o.range);
    const auto words = split(o.arg, '|');
    const auto word = std::ranges::find(words, value);
    if (word == words.end())
        return cat("one of ", o.arg);
    return o.apply(target, cat(word - words.begin()), o.range);
}

error_t on_option(int key, char* arg, argp_state* state)
{
    auto& p = *static_cast<Parser*>(state->input);
    if (key == ARGP_KEY_ARG) {
        if (p.next_operand == p.operands.size() && p.next_operand > 0 &&
            p.operands.back().first->repeats)
            p.next_operand--;
        if (p.next_operand == p.operands.size()) {
            p.error = cat("unexpected argument '", arg, "'");
            return EINVAL;
        }
        const auto [option, target] = p.operands[p.next_operand++];
        if (const auto must_be = apply(*option, target, arg); !must_be.empty()) {
            p.error = cat(option->arg, " must be ", must_be, ", not '", arg, "'");
            return EINVAL;
        }
        p.session.given_names.insert(option->name);
        return 0;
    }
    if (key == ARGP_KEY_ERROR)
        p.error_at = state->next;
    const auto e = std::ranges::find(p.entries, key, &Entry::key);
    if (e == p.entries.end())
        return ARGP_ERR_UNKNOWN;
    const Option& o = *e->option;
    if (const auto must_be = apply(o, e->target, arg ? arg : ""); !must_be.empty()) {
        p.error = cat("--", o.name, " must be ", must_be, ", not '", arg ? arg : "", "'");
        return EINVAL;
    }
    p.session.given_names.insert(o.name);
    p.help |= o.name == "help";
    p.usage |= o.name == "usage";
    p.version |= o.name == "version";
    p.schema |= o.name == "schema";
    return 0;
}

// getopt's complaint in our words: argp keeps it to itself when told to print nothing.
std::string unknown_option(char** argv, int next, int argc, const std::vector<Entry>& entries)
{
    const int at = std::min(next, argc) - 1;
    const std::string_view word = at > 0 ? argv[at] : "";
    const auto name = word.starts_with("--") ? word.substr(2, word.find('=') - 2) : "";
    for (const Entry& e : entries) {
        const bool is_it =
            !name.empty() ? e.option->name == name : word.size() > 1 && e.key == word.back();
        if (is_it)
            return e.option->arg.empty()
                       ? cat("--", e.option->name, " takes no value")
                       : cat("--", e.option->name, " needs a value: ", e.option->arg);
    }
    return cat("unknown option '", word, "'");
}

std::string columns_help(const Tool& tool)
{
    std::string out;
    if (!tool.columns.empty())
        out += "\n\nColumns:\n";
    for (const Column& c : tool.columns) {
        out +=
            cat("  ", c.header, std::string(c.header.size() < 12 ? 12 - c.header.size() : 1, ' '),
                c.help, c.key == c.header ? "" : cat(" (", c.key, ")"));
        if (c.show.when == Show::When::with || c.show.when == Show::When::costly)
            out += cat(", with ", either(c.show.option));
        if (c.show.when == Show::When::json)
            out += cat(", JSON only",
                       c.show.option.empty() ? "" : cat(", with ", either(c.show.option)));
        out += '\n';
    }
    return out;
}

std::string examples_help(const Tool& tool)
{
    std::string out;
    for (const Alias& alias : tool.about.aliases)
        out += cat(out.empty() ? "\nOther names:\n" : "", "  ", alias.name,
                   std::string(alias.name.size() < 17 ? 17 - alias.name.size() : 1, ' '), "is ",
                   alias_command(tool, alias), "\n");
    if (!tool.about.examples.empty())
        out += "\nExamples:\n";
    for (const Example& e : tool.about.examples)
        out += cat("  ", e.command, "\n      ", e.text, "\n");
    return out;
}

std::vector<Entry> option_entries(Session& session, void* options)
{
    const Tool& tool = session.tool;
    std::vector<Entry> entries;
    int next_key = 0x100;
    const auto add = [&](std::span<const Option> list, void* target, Group group) {
        for (const Option& o : list) {
            if (group != Group::own &&
                std::ranges::find(tool.options, o.name, &Option::name) != tool.options.end())
                continue;
            const char key = letter(tool, o, group);
            entries.push_back({&o, target, group, key ? key : next_key++});
            for (const Letter& l : tool.letters)
                if (l.name == o.name && l.key != key)
                    entries.push_back({&o, target, group, l.key, true});
        }
    };
    add(tool.options, options, Group::own);
    if (has(tool.shared, Shared::filter))
        add(kFilterOptions, &session, Group::filter);
    if (has(tool.shared, Shared::sorted))
        add(kSortedOptions, &session, Group::shared);
    // An operand that a tool gives a letter is an option as well.
    if (has(tool.shared, Shared::interval) &&
        std::ranges::find(tool.letters, "interval", &Letter::name) != tool.letters.end())
        add(std::span(kIntervalOperands).first(1), &session, Group::shared);
    if (has(tool.shared, Shared::events))
        add(kEventOptions, &session, Group::shared);
    if (has(tool.shared, Shared::every))
        add(kEveryOption, &session, Group::shared);
    add(kCommonOptions, &session, Group::common);
    return entries;
}

constexpr const char* kGroupTitles[] = {"Options:", "Who is traced:", "", "Common options:"};

} // namespace

void parse_command_line(Session& session, void* options, int argc, char** argv)
{
    const Tool& tool = session.tool;
    session.options = options;
    Parser parser{.session = session,
                  .entries = option_entries(session, options),
                  .operands = {},
                  .error = {}};
    for (const Option& o : tool.positionals)
        parser.operands.emplace_back(&o, options);
    if (has(tool.shared, Shared::interval))
        for (const Option& o : kIntervalOperands)
            parser.operands.emplace_back(&o, &session);
    if (has(tool.shared, Shared::duration))
        for (const Option& o : kDurationOperand)
            parser.operands.emplace_back(&o, &session);

    // Everything behind "--" is the command. BCC's scripts spell long options with underscores.
    // Options keep views of their values, so words are changed where they are.
    int end = 1;
    std::vector<char*> words{argv[0]};
    for (; end < argc && std::string_view(argv[end]) != "--" &&
           std::string_view(argv[end]) != "--exec";
         end++) {
        const std::string_view word = argv[end];
        if (word.starts_with("--"))
            std::replace(argv[end], argv[end] + std::min(word.find('='), word.size()), '_', '-');
        words.push_back(argv[end]);
    }
    if (end < argc) {
        session.command.assign(argv + end + 1, argv + argc);
        if (session.command.empty())
            fail_usage("no command after '--'");
        session.command.push_back(nullptr);
    }
    words.push_back(nullptr);

    std::vector<argp_option> table;
    std::vector<std::string> names; // argp wants C strings
    names.reserve(parser.entries.size() * 4);
    const auto c_string = [&](std::string_view s) { return names.emplace_back(s).c_str(); };
    auto group = Group::own;
    for (const Entry& e : parser.entries) {
        if (e.group != group && *kGroupTitles[int(e.group)])
            table.push_back({nullptr, 0, nullptr, 0, kGroupTitles[int(e.group)], int(e.group) + 1});
        group = e.group;
        const Option& o = *e.option;
        if (e.more) {
            table.push_back({nullptr, e.key, nullptr, OPTION_ALIAS, nullptr, int(e.group) + 1});
            continue;
        }
        table.push_back({c_string(o.name), e.key, o.arg.empty() ? nullptr : c_string(o.arg),
                         o.may_lack ? OPTION_ARG_OPTIONAL : 0, c_string(o.help), int(e.group) + 1});
        if (!o.alias.empty())
            table.push_back({c_string(o.alias), 0, nullptr, OPTION_ALIAS | OPTION_HIDDEN, nullptr,
                             int(e.group) + 1});
    }
    table.push_back({});

    std::string operands;
    for (const auto& [o, target] : parser.operands)
        operands += cat(operands.empty() ? "" : " ", "[", o->arg);
    operands += std::string(parser.operands.size(), ']');
    operands += operands.empty() ? "[-- COMMAND...]" : " [-- COMMAND...]";
    if (!has(tool.shared, Shared::filter))
        operands = operands.substr(0, operands.rfind("[-- "));
    std::string doc =
        cat(tool.about.summary, ".\v", tool.about.details, columns_help(tool), examples_help(tool));

    const argp definition{table.data(), on_option, operands.c_str(), doc.c_str(),
                          nullptr,      nullptr,   nullptr};
    const int bad = argp_parse(&definition, int(words.size()) - 1, words.data(),
                               ARGP_NO_ERRS | ARGP_NO_HELP | ARGP_NO_EXIT, nullptr, &parser);
    const auto print = [&](unsigned flags) {
        // argp wraps at ARGP_HELP_FMT's rmargin; the tool's name is how it was called.
        argp_help(&definition, stdout, flags, const_cast<char*>(c_string(tool.about.name)));
        std::exit(std::fflush(stdout) == 0 && !std::ferror(stdout) ? int(Exit::complete)
                                                                   : int(Exit::output));
    };
    if (parser.help)
        print(ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK);
    if (parser.usage)
        print(ARGP_HELP_USAGE);
    if (!parser.error.empty())
        fail_usage(parser.error);
    if (bad)
        fail_usage(
            unknown_option(words.data(), parser.error_at, int(words.size()) - 1, parser.entries));
    if (parser.version || parser.schema) {
        const std::string text =
            parser.schema ? schema(tool) : cat(tool.about.name, " (corebox) ", kVersion, "\n");
        std::exit(std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0
                      ? int(Exit::complete)
                      : int(Exit::output));
    }

    if (session.given("json") && session.given("csv"))
        fail_usage("--json and --csv exclude each other");
    session.format = session.given("json")  ? Format::json
                     : session.given("csv") ? Format::csv
                                            : Format::text;
    if (!tool.columns_vary)
        const Output columns_exist(session.output_options(), tool.columns);
    if (session.given("interval") && session.interval.count() == 0)
        fail_usage("INTERVAL must be greater than 0");
    if (session.given("duration") && session.duration.count() == 0)
        fail_usage("--duration must be greater than 0");
}

OutputOptions Session::output_options() const
{
    return {.format = format,
            .columns = columns,
            .utc = utc,
            .fd = 1,
            .given = [this](std::string_view name) { return given(name); }};
}

std::vector<ListedOption> listed_options(const Tool& tool)
{
    Session session(tool);
    std::vector<ListedOption> list;
    for (const Entry& e : option_entries(session, nullptr))
        if (!e.more)
            list.push_back({e.option, e.key < 0x100 ? char(e.key) : '\0',
                            e.group == Group::filter   ? "Who is traced"
                            : e.group == Group::common ? "Common options"
                                                       : ""});
    return list;
}

std::vector<const Option*> listed_operands(const Tool& tool)
{
    std::vector<const Option*> list;
    for (const Option& o : tool.positionals)
        list.push_back(&o);
    if (has(tool.shared, Shared::interval))
        for (const Option& o : kIntervalOperands)
            list.push_back(&o);
    if (has(tool.shared, Shared::duration))
        for (const Option& o : kDurationOperand)
            list.push_back(&o);
    return list;
}

std::string schema(const Tool& tool)
{
    std::string out = "{";
    const auto text = [&](std::string_view key, std::string_view value) {
        put_json_key(out, key);
        put_json_string(out, value);
    };
    text("name", tool.about.name);
    text("area", tool.about.area);
    text("summary", tool.about.summary);
    if (!tool.about.aliases.empty()) {
        put_json_key(out, "aliases");
        out += '[';
        for (const Alias& alias : tool.about.aliases) {
            out += out.back() == '[' ? "{" : ",{";
            text("name", alias.name);
            text("command", alias_command(tool, alias));
            out += '}';
        }
        out += ']';
    }
    text("details", tool.about.details);
    put_json_key(out, "options");
    out += '[';
    Session session(tool);
    for (const char* sep = ""; const Entry& e : option_entries(session, nullptr)) {
        if (e.more)
            continue;
        out += cat(sep, "{");
        sep = ",";
        text("name", e.option->name);
        if (e.key < 0x100)
            text("letter", std::string(1, char(e.key)));
        if (!e.option->arg.empty())
            text("arg", e.option->arg);
        if (!e.option->alias.empty())
            text("alias", e.option->alias);
        text("help", e.option->help);
        if (!e.option->values.empty())
            text("values", e.option->values);
        text("group", e.group == Group::own      ? "tool"
                      : e.group == Group::filter ? "filter"
                                                 : "common");
        out += '}';
    }
    out += ']';
    put_json_key(out, "operands");
    out += '[';
    const auto operand = [&](const Option& o) {
        out += out.back() == '[' ? "{" : ",{";
        text("name", o.arg);
        text("help", o.help);
        out += '}';
    };
    std::ranges::for_each(tool.positionals, operand);
    if (has(tool.shared, Shared::interval))
        std::ranges::for_each(kIntervalOperands, operand);
    if (has(tool.shared, Shared::duration))
        std::ranges::for_each(kDurationOperand, operand);
    out += ']';
    put_json_key(out, "columns");
    out += '[';
    for (const Column& c : tool.columns) {
        out += out.back() == '[' ? "{" : ",{";
        text("key", c.key);
        text("header", c.header);
        text("help", c.help);
        if (!c.show.option.empty())
            text("option", c.show.option);
        out += '}';
    }
    out += ']';
    put_json_key(out, "needs");
    out += '[';
    for (const Need& need : tool.needs) {
        out += out.back() == '[' ? "{" : ",{";
        text("what", need.what);
        put_json_key(out, "rungs");
        out += '[';
        for (const Rung& rung : need.rungs)
            if (!rung.name.empty())
                out += cat(out.back() == '[' ? "" : ",", "\"", rung.name, "\"");
        out += ']';
        put_json_key(out, "optional");
        out += need.optional ? "true}" : "false}";
    }
    out += ']';
    put_json_key(out, "examples");
    out += '[';
    for (const Example& e : tool.about.examples) {
        out += out.back() == '[' ? "{" : ",{";
        text("command", e.command);
        text("text", e.text);
        out += '}';
    }
    out += ']';
    if (!tool.about.smoke[0].empty()) {
        put_json_key(out, "smoke");
        out += '[';
        for (const std::string_view argument : tool.about.smoke)
            if (!argument.empty()) {
                out += out.back() == '[' ? "" : ",";
                put_json_string(out, argument);
            }
        out += ']';
    }
    return out + "}\n";
}

} // namespace corebox
