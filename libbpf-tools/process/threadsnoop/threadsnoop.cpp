// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "threadsnoop.h"
#include "shape/stacks.hpp"
#include "shape/stream.hpp"
#include "symbols/elf.hpp"
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <set>

#include "threadsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(threadsnoop_bpf::progs);

struct Options : thread_config {
    std::vector<std::string_view> libraries;
};

struct Row : thread_event {
    std::uint64_t first_ns = 0;
    std::string_view function;

    ImageSymbols symbols; // it may be another program by now
    unsigned remembered = 0;
    stack_task last{};
};

constexpr Example kExamples[] = {
    {"threadsnoop", "Trace new threads and the functions that they run"},
    {"threadsnoop --fork", "Include new processes"},
    {"threadsnoop --lib /opt/app/lib/libc.so.6", "Use the pthread_create() of this C library"},
};

constexpr Option kOptions[] = {
    flag<&Options::processes>(0, "fork", "Include new processes"),
    opt<&Options::libraries>(0, "lib", "PATH,...", "Attach to pthread_create() in these files", {},
                             {}, "file"),
    show('t', "timestamp", "Print the time of day"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kKinds[] = {"thread", "io-worker", "process", "vfork", "kernel"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8, "Time of day",
                                                               with("timestamp")),
    col<[](const Row& r) {
        return Fixed{(r.task.time_ns - std::min<std::uint64_t>(r.first_ns, r.task.time_ns)) / 1000,
                     3};
    }>("since_ms", "TIME(ms)", 10, "Milliseconds since the first event"),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID of the creator"),
    col<[](const Row& r) { return r.task.tid; }>("parent_tid", "PTID", 7,
                                                 "Thread ID of the creator", kJsonOnly),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 6, "User ID", kJsonOnly),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the creator"),
    col<[](const Row& r) -> Value { return r.start ? Value(r.function) : Value(); }>(
        "function", "FUNC", 24, "Function that the new thread runs"),
    col<[](const Row& r) { return r.child_tid; }>(
        "tid", "TID", 7, "Thread ID of the new thread, or ID of the new process"),
    col<[](const Row& r) { return r.child_pid; }>("child_pid", "CHILD", 7,
                                                  "Process ID of the new thread", kJsonOnly),
    col<[](const Row& r) { return Trusted{kKinds[r.kind]}; }>(
        "kind", "KIND", 9, "thread, io-worker (of io_uring), process, vfork or kernel",
        with("fork")),
    col<[](const Row& r) { return Hex{r.clone_flags}; }>("clone_flags", "FLAGS", 10,
                                                         "Flags of clone(2)", kJsonOnly),
    col<[](const Row& r) -> Value { return r.start ? Value(Hex{r.start}) : Value(); }>(
        "start", "START", 14, "Address of the function that the new thread runs", kJsonOnly),
};

// Where a file has pthread_create(), as offset in the file.
std::optional<std::size_t> pthread_create_in(const std::string& path)
{
    const auto elf = ElfFile::open(open_regular(path));
    if (!elf || !elf->is_64()) // 32-bit programs have their arguments on the stack
        return std::nullopt;
    std::vector<RawSymbol> symbols;
    elf->add_symbols(symbols);
    // "pthread_create@@GLIBC_2.34" in a .symtab; all versions are one function.
    const auto found = std::ranges::find_if(symbols, [](const RawSymbol& symbol) {
        return symbol.name.substr(0, symbol.name.find('@')) == "pthread_create";
    });
    if (found == symbols.end())
        return std::nullopt;
    for (const Segment& s : elf->segments())
        if (found->value - s.address < s.file_size)
            return found->value - s.address + s.offset;
    return std::nullopt;
}

// C libraries, old ones with a library of its own for threads, and musl's.
bool is_library(std::string_view path)
{
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return name.starts_with("libc.so") || name.starts_with("libc-") ||
           name.starts_with("libpthread") || name.starts_with("ld-musl-");
}

// The C libraries that a process has mapped, as paths that lead to them from here.
std::vector<std::string> libraries_of(std::string_view pid)
{
    std::vector<std::string> paths;
    const auto maps = read_file(cat("/proc/", pid, "/maps"));
    for (const std::string_view line : split(maps ? *maps : "", '\n')) {
        const auto mapped = parse_map_line(line);
        if (!mapped || !mapped->path.starts_with('/') || !is_library(mapped->path))
            continue;
        // One that was replaced, as an update does, has no path any more.
        std::string path = mapped->deleted
                               ? cat("/proc/", pid, "/", map_file(mapped->start, mapped->end))
                               : cat("/proc/", pid, "/root", unescaped_path(mapped->path));
        if (std::ranges::find(paths, path) == paths.end())
            paths.push_back(std::move(path));
    }
    return paths;
}

// Files in which pthread_create() may be: those that were named; else of the processes asked for,
// which may be static programs; else all C libraries in use, in containers too, and this host's.
std::vector<std::string> candidates(const Session& session, const Options& o)
{
    if (!o.libraries.empty())
        return {o.libraries.begin(), o.libraries.end()};
    std::vector<std::string> paths;
    for (const std::uint32_t pid : session.pids) {
        auto libraries = libraries_of(cat(pid));
        if (libraries.empty())
            libraries.push_back(cat("/proc/", pid, "/exe"));
        paths.insert(paths.end(), libraries.begin(), libraries.end());
    }
    if (!session.pids.empty())
        return paths;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
    while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr)
        if (to_number<std::uint32_t>(entry->d_name))
            for (std::string& path : libraries_of(entry->d_name))
                paths.push_back(std::move(path));
    for (const char* directory : {"/lib/x86_64-linux-gnu/", "/lib/aarch64-linux-gnu/", "/lib64/",
                                  "/usr/lib64/", "/usr/lib/", "/lib/"})
        for (const char* name :
             {"libc.so.6", "libpthread.so.0", "ld-musl-x86_64.so.1", "ld-musl-aarch64.so.1"})
            paths.push_back(cat(directory, name));
    return paths;
}

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    std::set<std::pair<dev_t, ino_t>> seen; // a file has many names
    std::vector<bpf_link*> links;
    for (const std::string& path : candidates(session, o)) {
        struct stat st {
        };
        if (::stat(path.c_str(), &st) != 0) {
            if (!o.libraries.empty())
                fail(path, errno);
            continue;
        }
        if (!seen.emplace(st.st_dev, st.st_ino).second)
            continue;
        const auto offset = pthread_create_in(path);
        if (!offset && !o.libraries.empty())
            fail(path, 0, "the file has no symbol pthread_create");
        if (!offset)
            continue;
        constexpr pid_t kAnyProcess = -1;
        if (bpf_link* link =
                bpf_program__attach_uprobe(program, false, kAnyProcess, path.c_str(), *offset))
            links.push_back(link);
    }
    if (links.empty())
        errno = ENOENT;
    return links;
}

constexpr Need kNeeds[] = {
    {.what = "new threads and processes",
     .rungs = {rung<&P::new_tp_btf>("tp_btf"), rung<&P::new_raw_tp>("raw_tp")}},
    {.what = "functions that threads start with",
     .rungs = {rung<&P::pthread_create>("uprobe",
                                        "threads created without pthread_create(); C libraries "
                                        "that no process used when the tool started",
                                        attach)},
     .optional = true,
     .without = "FUNC"},
};

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    static_cast<thread_event&>(row) = *static_cast<const thread_event*>(record);
    if (!row.first_ns)
        row.first_ns = row.task.time_ns;
    if (!row.start)
        return true;
    constexpr unsigned kMostRemembered = 1024;
    const stack_task process{row.task.pid, row.image};
    if (row.last.pid != process.pid || row.last.image != process.image) {
        if (row.remembered++ == kMostRemembered) {
            row.symbols = ImageSymbols();
            row.remembered = 1;
        }
        row.symbols.note(process);
        row.last = process;
    }
    row.function = row.symbols.lookup(process, row.start, At::instruction).name;
    return true;
}

constexpr Stream<threadsnoop_bpf, Options, Row> kTool{
    .about = {.name = "threadsnoop",
              .area = "process",
              .summary = "Trace new threads",
              .details = "Prints one line for each new thread, created with or without a C "
                         "library. FUNC is the start function that pthread_create(3) received.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
    .also = Shared::symbols,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
