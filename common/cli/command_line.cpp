// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/command_line.hpp"
#include "version.hpp"
#include <algorithm>
#include <argp.h>
#include <cstdio>
#include <cstdlib>
#include <utility>

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
    opt<&Session::pids>(0, "pid", "PID,...", "Trace only these processes", kPositive, {}, "pid"),
    opt<&Session::tids>(0, "tid", "TID,...", "Trace only these threads", kPositive, {}, "pid"),
    opt<&Session::ppid>(0, "ppid", "PID", "Trace only children of this process", kPositive, {},
                        "pid"),
    opt<&Session::user>(0, "uid", "USER", "Trace only this user, by name or number", {}, {},
                        "user"),
    opt<&Session::comm>(0, "comm", "NAME", "Trace only commands with exactly this name"),
    opt<&Session::cgroup>(0, "cgroup", "PATH", "Trace only this cgroup (v2) and those below it", {},
                          {}, "cgroup"),
    opt<&Session::cgroup_map>(0, "cgroupmap", "PATH",
                              "Trace only cgroups in this pinned map of IDs", {}, {}, "file"),
    opt<&Session::mntns_map>(0, "mntnsmap", "PATH",
                             "Trace only mount namespaces in this pinned map", {}, {}, "file"),
};
// Members of Session::connections.
constexpr Option kConnectionOptions[] = {
    opt<&Connections::ports>(0, "port", "PORTS", "Trace only these ports, such as 80,8000-8099"),
    opt<&Connections::lports>(0, "lport", "PORTS", "Trace only these local ports", {}, "localport"),
    opt<&Connections::rports>(0, "rport", "PORTS", "Trace only these remote ports", {},
                              "remoteport"),
    opt<&Connections::laddrs>(0, "laddr", "SUBNET,...", "Trace only these local addresses"),
    opt<&Connections::raddrs>(0, "raddr", "SUBNET,...", "Trace only these remote addresses"),
    flag<&Connections::ipv4>('4', "ipv4", "Trace only IPv4"),
    flag<&Connections::ipv6>('6', "ipv6", "Trace only IPv6"),
    opt<&Connections::netns>(0, "netns", "NETNS", "Trace only this network namespace", {},
                             "netns-id"),
};
constexpr Option kEventOptions[] = {
    opt<&Session::buffer_kib>(0, "buffer-size", "KIB", "Set the size of the event buffer",
                              {4, 1 << 20}),
    opt<&Session::buffer_pages>(0, "buffer-pages", "PAGES", "Set the size in pages of 4 KiB",
                                {1, 1 << 18}),
};
constexpr Option kSortedOptions[] = {
    opt<&Session::rows>(0, "rows", "ROWS", "Print at most this many rows", {1, 10'000'000},
                        "maxrows"),
    flag<&Session::no_clear>(0, "noclear", "Keep the screen, do not clear it between reports"),
};
constexpr Option kIntervalOperands[] = {
    opt<&Session::interval>(0, "interval", "INTERVAL", "Seconds between reports, such as 1 or 0.5"),
    opt<&Session::count>(0, "count", "COUNT", "Number of reports", kPositive),
};
constexpr Option kEveryOption[] = {
    opt<&Session::interval>(0, "interval", "SECONDS", "Print a report every interval"),
};
constexpr Option kDurationOperand[] = {
    opt<&Session::duration>(0, "duration", "DURATION", "Seconds to run, such as 10 or 0.5"),
};
constexpr Option kCommandOption[] = {
    opt<&Session::command_text>(0, "command", "COMMAND", "Trace this command, as with -- COMMAND"),
};
constexpr Option kWhereOption[] = {
    opt<&Session::condition>(0, "where", "EXPR", "Show only events for which EXPR is true"),
};
constexpr Option kCommonOptions[] = {
    opt<&Session::duration>(0, "duration", "SECONDS", "End after this time", {}, "run-time"),
    opt<&Session::count>(0, "count", "N", "End after this many rows or reports", kPositive,
                         "limit"),
    show(0, "json", "Print one JSON object per line"),
    show(0, "csv", "Print comma-separated values", "table-csv"),
    opt<&Session::columns>(0, "columns", "KEY,...", "Print only these columns, in this order"),
    flag<&Session::utc>(0, "utc", "Print times of day in UTC"),
    flag<&Session::explain>(0, "explain", "Print which probes are used, and why"),
    flag<&Session::check>(0, "check", "Check that the tool can run here, then exit"),
    opt<&Session::btf>(0, "btf", "FILE", "Read kernel BTF from FILE or FILE/RELEASE.btf", {}, {},
                       "file"),
    opt<&Session::ready_fd>(0, "ready-fd", "FD", "Write a byte to this descriptor once attached",
                            {0, 1 << 20}),
    show(0, "schema", "Print options and columns as JSON"),
    flag<&Session::verbose>('v', "debug", "Print libbpf's messages", "verbose"),
    show('h', "help", "Print this help"),
    show(0, "usage", "Print a short usage line"),
    show('V', "version", "Print the version"),
};

// Letters of the kit's options, beside those in the tables above.
constexpr Letter kKitLetters[] = {{'?', "help"}};

enum class Group : std::uint8_t { own, filter, shared, common };

struct Entry {
    const Option* option;
    void* target;
    Group group;
    // As this tool spells it: what a tool calls its own the kit calls by its other name.
    std::string_view name;
    std::vector<std::string_view> aliases;
    std::string letters; // the one that help shows first
    int key;             // argp's: the first letter, or a number from 0x100

    bool has_key(int k) const
    {
        return k == key || (k < 0x80 && letters.find(char(k)) != letters.npos);
    }
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

// BCC's letters first, then the kit's. A tool's own letter hides the kit's.
std::string letters_of(const Tool& tool, const Option& o, Group group)
{
    std::string letters;
    const auto add = [&](char key) {
        if (key && letters.find(key) == letters.npos)
            letters += key;
    };
    const auto is_taken = [&](char key) {
        return std::ranges::find(tool.options, key, &Option::key) != tool.options.end() ||
               std::ranges::find(tool.letters, key, &Letter::key) != tool.letters.end();
    };
    if (group == Group::own)
        add(o.key);
    // A tool's letters are for its own option where that has the name of a shared one.
    const bool is_meant =
        group == Group::own ||
        std::ranges::find(tool.options, o.name, &Option::name) == tool.options.end();
    for (const Letter& l : tool.letters)
        if (is_meant && l.name == o.name)
            add(l.key);
    if (group == Group::own)
        return letters;
    if (!is_taken(o.key))
        add(o.key);
    for (const Letter& l : kKitLetters)
        if (l.name == o.name && !is_taken(l.key))
            add(l.key);
    return letters;
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
    const auto e =
        std::ranges::find_if(p.entries, [&](const Entry& entry) { return entry.has_key(key); });
    if (e == p.entries.end())
        return ARGP_ERR_UNKNOWN;
    const Option& o = *e->option;
    // BCC's argparse takes the next word for a value that may lack, unless that is an option. Where
    // there are operands it could be one of them.
    if (o.may_lack && !arg && p.operands.empty() && state->next < state->argc &&
        *state->argv[state->next] != '-')
        arg = state->argv[state->next++];
    if (const auto must_be = apply(o, e->target, arg ? arg : ""); !must_be.empty()) {
        p.error = cat("--", e->name, " must be ", must_be, ", not '", arg ? arg : "", "'");
        return EINVAL;
    }
    // An option of the tool has the name to itself.
    const auto own = std::ranges::find(p.session.tool.options, o.name, &Option::name);
    const bool is_hidden = e->group != Group::own && own != p.session.tool.options.end();
    p.session.given_names.insert(is_hidden ? e->name : o.name);
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
        const bool is_it = !name.empty() ? e.name == name || std::ranges::count(e.aliases, name)
                                         : word.size() > 1 && e.has_key(word.back());
        if (is_it)
            return e.option->arg.empty() ? cat("--", e.name, " takes no value")
                                         : cat("missing ", e.option->arg, " for --", e.name);
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
        if (c.show.when == Show::When::text)
            out += ", text only";
        if (c.show.when == Show::When::json)
            out += cat(", JSON only",
                       c.show.option.empty() ? "" : cat(", with ", either(c.show.option)));
        out += '\n';
    }
    return out;
}

std::string fields_help(const Tool& tool)
{
    if (tool.where.empty() || tool.where.data() == tool.columns.data())
        return {};
    std::string out = "\nFields of --where:\n";
    for (const Column& c : tool.where)
        out += cat("  ", c.key, std::string(c.key.size() < 12 ? 12 - c.key.size() : 1, ' '), c.help,
                   "\n");
    return out;
}

std::string examples_help(const Tool& tool)
{
    std::string out;
    for (const Alias& alias : tool.about.aliases)
        out += cat(out.empty() ? "\nOther names:\n" : "", "  ", alias.name,
                   std::string(alias.name.size() < 17 ? 17 - alias.name.size() : 1, ' '),
                   "same as ", alias_command(tool, alias), "\n");
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
    const auto aliases_of = [](const Option& o) {
        return o.alias.empty() ? std::vector<std::string_view>() : split(o.alias, '|');
    };
    const auto is_own = [&](std::string_view name) {
        return std::ranges::any_of(tool.options, [&](const Option& o) {
            return o.name == name || std::ranges::count(aliases_of(o), name);
        });
    };
    const auto add = [&](std::span<const Option> list, void* target, Group group) {
        for (const Option& o : list) {
            std::vector<std::string_view> names = aliases_of(o);
            names.insert(names.begin(), o.name);
            if (group != Group::own)
                std::erase_if(names, is_own);
            if (names.empty())
                continue;
            std::string letters = letters_of(tool, o, group);
            const int key = letters.empty() ? next_key++ : letters[0];
            const std::string_view name = names[0];
            names.erase(names.begin());
            entries.push_back({&o, target, group, name, std::move(names), std::move(letters), key});
        }
    };
    add(tool.options, options, Group::own);
    if (has(tool.shared, Shared::filter))
        add(kFilterOptions, &session, Group::filter);
    if (has(tool.shared, Shared::connections))
        add(kConnectionOptions, &session.connections, Group::filter);
    if (!tool.where.empty())
        add(kWhereOption, &session, Group::filter);
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
    if (has(tool.shared, Shared::command))
        add(kCommandOption, &session, Group::shared);
    add(kCommonOptions, &session, Group::common);
    // In BCC --verbose is the long form of -v, whatever that is.
    const auto v = std::ranges::find_if(entries, [](const Entry& e) { return e.has_key('v'); });
    if (v != entries.end() && v->option->arg.empty() && v->name != "debug") {
        for (Entry& e : entries)
            std::erase(e.aliases, "verbose");
        if (v->name != "verbose")
            v->aliases.push_back("verbose");
    }
    return entries;
}

constexpr const char* kGroupTitles[] = {"Options:", "Filters:", "", "Common options:"};

} // namespace

// As BCC does: at blanks, and nothing else.
static void split_command(Session& session)
{
    if (!session.command.empty())
        fail_usage("--command and -- COMMAND exclude each other");
    bool is_word = false;
    for (char& c : session.command_text) {
        if (c == ' ' || c == '\t') {
            c = '\0';
            is_word = false;
        } else if (!std::exchange(is_word, true)) {
            session.command.push_back(&c);
        }
    }
    if (session.command.empty())
        fail_usage("--command must be a command");
    session.command.push_back(nullptr);
}

void parse_command_line(Session& session, void* options, int argc, char** argv)
{
    const Tool& tool = session.tool;
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
    names.reserve(parser.entries.size() * 6 + 4);
    const auto c_string = [&](std::string_view s) { return names.emplace_back(s).c_str(); };
    auto group = Group::own;
    for (const Entry& e : parser.entries) {
        if (e.group != group && *kGroupTitles[int(e.group)])
            table.push_back({nullptr, 0, nullptr, 0, kGroupTitles[int(e.group)], int(e.group) + 1});
        group = e.group;
        const Option& o = *e.option;
        const int rank = int(e.group) + 1;
        table.push_back({c_string(e.name), e.key, o.arg.empty() ? nullptr : c_string(o.arg),
                         o.may_lack ? OPTION_ARG_OPTIONAL : 0, c_string(o.help), rank});
        for (const char letter : e.letters.substr(std::min<std::size_t>(e.letters.size(), 1)))
            table.push_back({nullptr, letter, nullptr, OPTION_ALIAS, nullptr, rank});
        for (const std::string_view alias : e.aliases)
            table.push_back(
                {c_string(alias), 0, nullptr, OPTION_ALIAS | OPTION_HIDDEN, nullptr, rank});
    }
    table.push_back({});

    std::string operands;
    for (const auto& [o, target] : parser.operands)
        operands += cat(operands.empty() ? "" : " ", "[", o->arg);
    operands += std::string(parser.operands.size(), ']');
    operands += operands.empty() ? "[-- COMMAND...]" : " [-- COMMAND...]";
    if (!has(tool.shared, Shared::filter))
        operands = operands.substr(0, operands.rfind("[-- "));
    std::string doc = cat(tool.about.summary, ".\v", tool.about.details, columns_help(tool),
                          fields_help(tool), examples_help(tool));

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

    if (!session.command_text.empty())
        split_command(session);

    // As this tool spells one of the kit's options.
    const auto spelled = [&](std::string_view name) {
        return cat("--", std::ranges::find_if(parser.entries, [&](const Entry& e) {
                             return e.group == Group::common && e.option->name == name;
                         })->name);
    };
    if (session.given("json") && session.given("csv"))
        fail_usage(cat("--json and ", spelled("csv"), " exclude each other"));
    session.format = session.given("json")  ? Format::json
                     : session.given("csv") ? Format::csv
                                            : Format::text;
    if (!tool.columns_vary)
        choose_columns(session.column_choice(), tool.columns);
    // BCC's "-i 0": no interval.
    if (has(tool.shared, Shared::every) && session.interval.count() == 0)
        session.given_names.erase("interval");
    if (session.given("interval") && session.interval.count() == 0)
        fail_usage("INTERVAL must be greater than 0");
    if (session.given("duration") && session.duration.count() == 0)
        fail_usage(cat(spelled("duration"), " must be greater than 0"));
}

std::vector<ListedOption> listed_options(const Tool& tool)
{
    Session session(tool);
    std::vector<ListedOption> list;
    for (const Entry& e : option_entries(session, nullptr))
        list.push_back({e.option, e.name, e.aliases, e.letters,
                        e.group == Group::filter   ? kFilterTitle
                        : e.group == Group::common ? kCommonTitle
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

namespace
{

std::string_view type_name(ColumnType type)
{
    constexpr std::string_view kNames[] = {"any",  "integer", "unsigned", "boolean", "decimal",
                                           "text", "list",    "time",     "elapsed", "address"};
    return kNames[std::size_t(type)];
}

} // namespace

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
        out += cat(sep, "{");
        sep = ",";
        text("name", e.name);
        if (!e.letters.empty()) {
            put_json_key(out, "letters");
            for (const char letter : e.letters)
                out += cat(out.back() == ':' ? "[\"" : ",\"", letter, '"');
            out += ']';
        }
        if (!e.option->arg.empty())
            text("arg", e.option->arg);
        if (!e.aliases.empty()) {
            put_json_key(out, "aliases");
            for (const std::string_view alias : e.aliases)
                out += cat(out.back() == ':' ? "[\"" : ",\"", alias, '"');
            out += ']';
        }
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
    const bool where_columns = tool.where.data() == tool.columns.data();
    const auto typed = [&](const Column& c, bool has_where) {
        text("help", c.help);
        if (c.type != ColumnType::any)
            text("type", type_name(c.type));
        if (has_where && c.type != ColumnType::elapsed)
            text("where", c.field ? "kernel" : "user");
    };
    for (const Column& c : tool.columns) {
        out += out.back() == '[' ? "{" : ",{";
        text("key", c.key);
        text("header", c.header);
        typed(c, where_columns && !tool.where.empty());
        if (!c.show.option.empty())
            text("option", c.show.option);
        out += '}';
    }
    out += ']';
    if (!tool.where.empty() && !where_columns) {
        put_json_key(out, "fields");
        out += '[';
        for (const Column& c : tool.where) {
            out += out.back() == '[' ? "{" : ",{";
            text("key", c.key);
            typed(c, true);
            out += '}';
        }
        out += ']';
    }
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
