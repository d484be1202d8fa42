// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "execsnoop.h"
#include "base/path.hpp"
#include "shape/stream.hpp"
#include <algorithm>
#include <fcntl.h>
#include <regex.h>

#include "execsnoop.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(execsnoop_bpf::progs);

// A POSIX extended regular expression; none matches everything.
struct Regex {
    struct Free {
        void operator()(regex_t* r) const
        {
            ::regfree(r);
            delete r;
        }
    };
    std::unique_ptr<regex_t, Free> compiled;

    static std::string parse(std::string_view text, Regex& out)
    {
        auto fresh = std::make_unique<regex_t>();
        const int error =
            ::regcomp(fresh.get(), std::string(text).c_str(), REG_EXTENDED | REG_NOSUB);
        if (error == 0) {
            out.compiled.reset(fresh.release());
            return {};
        }
        char why[128];
        ::regerror(error, fresh.get(), why, sizeof why);
        return cat("an extended regular expression (", why, ")");
    }
    bool matches(const char* text) const
    {
        return !compiled || ::regexec(compiled.get(), text, 0, nullptr, 0) == 0;
    }
};

struct Options : exec_config {
    bool quote = false;
    std::uint32_t max_args = 0; // 0: all
    Regex name, line;
};

struct Row {
    const exec_event* event = nullptr;
    std::string filename, cwd;
    std::vector<std::string_view> argv; // of the new program
    std::vector<std::string_view> args; // what was asked for: file name and argv[1]...
    std::string line;                   // the same as one text, for -l
    List::Join join{};
    bool more = false;
};

constexpr Example kExamples[] = {
    {"execsnoop -x", "Trace all execs, including failed ones"},
    {"execsnoop -n '^(cc1|as|ld)$' -- make", "Trace the compilers that make runs"},
    {"execsnoop -l '/etc/(passwd|shadow)' --json", "Trace commands that name these files, as JSON"},
};

constexpr Option kOptions[] = {
    show('T', "time", "Print the time of day"),
    show('t', "timestamp", "Print seconds since the first event"),
    show('x', "fails", "Include failed execs"),
    flag<&Options::quote>('q', "quote", "Quote each argument"),
    opt<&Options::name>('n', "name", "REGEX", "Trace only commands whose name matches"),
    opt<&Options::line>('l', "line", "REGEX", "Trace only matching file names and arguments"),
    show('U', "print-uid", "Print the user ID"),
    show('C', "print-cpu", "Print the CPU"),
    show('M', "print-pcomm", "Print the parent's command name"),
    flag<&Options::cwd>(0, "cwd", "Print the working directory"),
    opt<&Options::max_args>(0, "max-args", "N", "Print at most N arguments, with the file name",
                            kPositive),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'P', "ppid"}, {'u', "uid"}, {'c', "cgroup"}};

constexpr Formula kFileName =
    known(field<&exec_event::dfd> == AT_FDCWD && field<&exec_event::filename_len> != 0,
          prefix<PATH_LEN, &exec_event::data>);

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.event->time_ns}; }>("time_ns", "TIME", 8,
                                                                 "Time of the exec", with("time")),
    col<[](const Row& r) {
        return SinceFirst{r.event->time_ns, 3};
    }>("since_s", "TIME(s)", 8, "Seconds since the first event", with("timestamp")),
    col<[](const Row& r) { return r.event->uid; }>("uid", "UID", 6, "User ID", with("print-uid"))
        .from<field<&exec_event::uid>>(),
    col<[](const Row& r) -> Value { return r.event->comm; }>(
        "comm", "COMM", 16, "Command name; for a failed exec, of the caller")
        .from<field<&exec_event::comm>>(),
    col<[](const Row& r) { return r.event->pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&exec_event::pid>>(),
    col<[](const Row& r) -> Value { return r.event->pcomm; }>(
        "pcomm", "PCOMM", 16, "Command name of the parent", with("print-pcomm"))
        .from<field<&exec_event::pcomm>>(),
    col<[](const Row& r) { return r.event->ppid; }>("ppid", "PPID", 7, "Process ID of the parent")
        .from<field<&exec_event::ppid>>(),
    col<[](const Row& r) { return r.event->cpu; }>("cpu", "CPU", 3, "CPU", with("print-cpu"))
        .from<field<&exec_event::cpu>>(),
    col<[](const Row& r) { return r.event->ret; }>("ret", "RET", 3,
                                                   "0 on success, or the negative errno")
        .from<field<&exec_event::ret>>(),
    col<[](const Row& r) { return Errno{-r.event->ret}; }>("error", "ERROR", 8, "Name of the errno",
                                                           kJsonOnly),
    col<[](const Row& r) { return std::string_view(r.filename); }>("filename", "FILENAME", 32,
                                                                   "File to execute", kJsonOnly)
        .from<kFileName>(),
    col<[](const Row& r) { return std::string_view(r.cwd); }>("cwd", "CWD", 24, "Working directory",
                                                              costly("cwd")),
    col<[](const Row& r) {
        return List{r.argv.data(), r.argv.size(), List::Join::blank};
    }>("argv", "ARGV", 32, "Arguments of the process, including those of an interpreter",
       kJsonOnly),
    col<[](const Row& r) { return r.more; }>("truncated", "CUT", 3, "Whether arguments were cut",
                                             kJsonOnly),
    col<[](const Row& r) {
        return List{r.args.data(), r.args.size(), r.join, r.more};
    }>("args", "ARGS", 0, "File name and arguments; ... if arguments were cut"),
};

constexpr std::string_view kNoCaller = "failed execs of 32-bit programs and of the kernel itself";

constexpr Need kNeeds[] = {
    {"programs as they start", {rung<&Progs::exec_raw_tp>("raw_tp")}},
    {"failed execve calls",
     {rung<&Progs::execve_fexit>("fexit", kNoCaller),
      rung<&Progs::enter_execve, &Progs::leave_execve>("tracepoint", kNoCaller)},
     "fails"},
    // 5.10's BTF takes the prototype of this one from a stub, and refuses its arguments.
    {"failed execveat calls",
     {rung<&Progs::execveat_fexit>("fexit", kNoCaller),
      rung<&Progs::enter_execveat, &Progs::leave_execveat>("tracepoint", kNoCaller)},
     "fails"},
};

// Where the arguments that the caller gave begin, argv[0] left out. Of a script the kernel made
// "interpreter [its argument] file name" in place of argv[0].
std::size_t first_argument(std::span<const std::string_view> argv, std::string_view filename,
                           bool by_interpreter)
{
    constexpr std::size_t kDeepest = 12; // an interpreter may be a script: five levels, two words
    const auto head = argv.first(std::min(argv.size(), by_interpreter ? kDeepest : 0));
    const auto at = std::size_t(std::ranges::find(head, filename) - head.begin());
    return at == head.size() ? std::min<std::size_t>(argv.size(), 1) : at + 1;
}

// execveat(5, "name") as the kernel itself names it.
void name_file(std::string& out, int dfd, std::string_view name)
{
    if (dfd == AT_FDCWD || name.starts_with('/'))
        out = name;
    else
        out = cat("/dev/fd/", dfd, name.empty() ? "" : "/", name);
}

bool decode(Row& row, const Options& o, const void* record, std::size_t)
{
    const auto& e = *static_cast<const exec_event*>(record);
    // A big record goes on behind the struct.
    const char* data = static_cast<const char*>(record) + offsetof(exec_event, data);
    row.event = &e;
    if (!o.name.matches(std::string(c_str(e.comm)).c_str()))
        return false;
    name_file(row.filename, e.dfd, {data, e.filename_len ? e.filename_len - 1u : 0u});
    data += e.filename_len;
    if (e.cwd_len) {
        join_walk(row.cwd, {data, e.cwd_len}, "");
        if (row.cwd.size() > 1)
            row.cwd.pop_back(); // the slash for a name to follow
    }
    row.argv.clear();
    for (std::string_view list(data + e.cwd_len, e.args_len); !list.empty();) {
        const auto end = list.find('\0');
        row.argv.push_back(list.substr(0, end));
        list = end == list.npos ? std::string_view{} : list.substr(end + 1);
    }
    row.more = e.cut;
    row.join = o.quote ? List::Join::quoted : List::Join::blank;
    row.args.assign({row.filename});
    const auto first = first_argument(row.argv, row.filename, e.by_interpreter);
    row.args.insert(row.args.end(), row.argv.begin() + std::ptrdiff_t(first), row.argv.end());
    if (o.line.compiled) {
        row.line.clear();
        for (const std::string_view arg : row.args)
            row.line += cat(row.line.empty() ? "" : " ", arg);
        if (!o.line.matches(row.line.c_str()))
            return false;
    }
    if (o.max_args && row.args.size() > o.max_args) {
        row.args.resize(o.max_args);
        row.more = true;
    }
    return true;
}

constexpr Stream<execsnoop_bpf, Options, Row> kTool{
    .about = {.name = "execsnoop",
              .area = "process",
              .summary = "Trace new programs with their arguments",
              .details = "Prints one line for each successful execve(2) and execveat(2). With -x, "
                         "failed calls are included.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](execsnoop_bpf& s, Options&, const Session& session) {
            bpf_map__set_max_entries(s.maps.cb_scratch, session.given("fails") ? 3 : 1);
        },
    .resolved =
        [](execsnoop_bpf& s, const Launcher& launcher) {
            const bool keeps =
                launcher.loads(s.progs.enter_execve) || launcher.loads(s.progs.enter_execveat);
            s.rodata->cfg.keeps_calls = keeps;
            bpf_map__set_autocreate(s.maps.cb_args, keeps);
        },
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
