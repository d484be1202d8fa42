// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runtime.hpp"
#include "base/text.hpp"
#include "perl_ops.hpp"
#include "symbols/process.hpp"
#include "symbols/usdt.hpp"
#include <algorithm>
#include <cerrno>
#include <unistd.h>

// Which probes there are, of which arguments and in which versions: measured on Debian 12 and 13,
// and where it is said, from the sources of the runtimes.

namespace corebox
{
namespace
{

using enum RuntimeEvent;
using Files = std::array<std::string_view, 10>;

constexpr __u8 kNo = RUNTIME_NO_ARGUMENT;
constexpr runtime_arguments kNothing{RUNTIME_USDT, kNo, kNo, kNo, kNo, kNo};

constexpr runtime_arguments with_class(__u8 klass, __u8 length = kNo, __u8 value = kNo)
{
    return {RUNTIME_USDT, klass, length, kNo, kNo, value};
}
constexpr runtime_arguments with_method(__u8 klass, __u8 method)
{
    return {RUNTIME_USDT, klass, kNo, method, kNo, kNo};
}
constexpr runtime_arguments with_value(__u8 value)
{
    return {RUNTIME_USDT, kNo, kNo, kNo, kNo, value};
}

constexpr UserSite usdt(const Files& files, std::string_view provider, std::string_view probe)
{
    return {.libraries = files, .provider = provider, .probe = probe, .in_program = true};
}
constexpr UserSite usdt(const Files& files, std::string_view provider,
                        std::span<const std::string_view> probes)
{
    return {.libraries = files, .provider = provider, .probes = probes, .in_program = true};
}

// --- java: (pointer, length). The thread is the first argument of most.

constexpr Files kJavaFiles{"jvm"};
constexpr UserSite java_site(std::string_view probe) { return usdt(kJavaFiles, "hotspot", probe); }
constexpr UserSite kJavaCall = java_site("method__entry");
constexpr UserSite kJavaCallEnd = java_site("method__return");
constexpr UserSite kJavaGc = java_site("gc__begin");
constexpr UserSite kJavaGcEnd = java_site("gc__end");
constexpr UserSite kJavaPool = java_site("mem__pool__gc__begin");
constexpr UserSite kJavaPoolEnd = java_site("mem__pool__gc__end");
constexpr UserSite kJavaObject = java_site("object__alloc");
constexpr UserSite kJavaThread = java_site("thread__start");
constexpr UserSite kJavaThreadEnd = java_site("thread__stop");
constexpr UserSite kJavaClass = java_site("class__loaded");
constexpr runtime_arguments kJavaMethod{RUNTIME_USDT, 1, 2, 3, 4, kNo};

constexpr RuntimeProbe kJavaProbes[] = {
    {call, &kJavaCall, kJavaMethod},
    {call_end, &kJavaCallEnd, kJavaMethod},
    {gc, &kJavaGc, with_value(0)}, // whether it is a full one
    {gc_end, &kJavaGcEnd, kNothing},
    {gc_pool, &kJavaPool, {RUNTIME_USDT, 0, 1, 2, 3, kNo}}, // manager and pool
    {gc_pool_end, &kJavaPoolEnd, {RUNTIME_USDT, 0, 1, 2, 3, kNo}},
    {object, &kJavaObject, with_class(1, 2, 3)},       // bytes
    {thread_start, &kJavaThread, with_class(0, 1, 3)}, // the kernel's number of the thread
    {thread_stop, &kJavaThreadEnd, with_class(0, 1, 3)},
    {class_load, &kJavaClass, with_class(0, 1)},
};
constexpr RuntimeLack kJavaLacks[] = {
    {exception, "has no probe at exceptions", ""},
};

// Whether the command line or the environment of a JVM asks for one of these flags. Files of
// options are not looked into: then it may.
std::string why_java_withholds(RuntimeEvent event, std::uint32_t pid)
{
    const bool is_call = event == call || event == call_end;
    if (!is_call && event != object)
        return {};
    const std::string_view flag = is_call ? "DTraceMethodProbes" : "DTraceAllocProbes";
    const auto command = read_file(proc_path(pid, "cmdline"));
    if (!command)
        return {};
    std::string words = *command;
    for (const std::string_view variable :
         split(read_file(proc_path(pid, "environ")).value_or(""), '\0'))
        if (variable.starts_with("JAVA_TOOL_OPTIONS=") || variable.starts_with("_JAVA_OPTIONS=") ||
            variable.starts_with("JDK_JAVA_OPTIONS="))
            words += cat(std::string_view("\0", 1), variable);
    for (const std::string_view way : {"+ExtendedDTraceProbes", ":Flags=", ":VMOptionsFile="})
        if (words.find(way) != words.npos)
            return {};
    if (words.find(cat("+", flag)) != words.npos || words.find(std::string("\0@", 2)) != words.npos)
        return {};
    return cat("this JVM was started without -XX:+", flag, "; start it with -XX:+", flag);
}

std::string_view java_note(RuntimeEvent event)
{
    if (event == call)
        return "only JVMs that were started with -XX:+DTraceMethodProbes show calls";
    if (event == object)
        return "only JVMs that were started with -XX:+DTraceAllocProbes show objects";
    return {};
}

// --- node: no probes since 18. What collects is a function of V8, hidden in node 20 and later.

constexpr Files kNodeFiles{"node", "/node"};
constexpr std::string_view kNodeNoGc =
    "has no probes at collections, and hides V8's Heap::PerformGarbageCollection";
constexpr RuntimeLack kNodeLacks[] = {
    {gc, kNodeNoGc, "use node --trace-gc"},
    {gc_end, kNodeNoGc, "use node --trace-gc"},
    {call, "has no probes at calls", "use node --prof"},
    {call_end, "has no probes at calls", "use node --prof"},
    {object, "has no probes at allocations", "use node --heap-prof"},
    {thread_start, "has no probes at threads", "use threadsnoop"},
    {thread_stop, "has no probes at threads", "use threadsnoop"},
    {exception, "has no probes at exceptions", ""},
    {class_load, "has no probes at loads of modules", "use opensnoop"},
};

// V8's function by the beginning of its mangled name.
std::vector<Point::Site> find_v8(const ElfFile& elf, std::string_view start)
{
    std::vector<RawSymbol> symbols;
    elf.add_symbols(symbols);
    const std::vector<Segment> segments = elf.segments();
    std::vector<Point::Site> sites;
    for (const RawSymbol& symbol : symbols)
        if (std::uint64_t offset = 0;
            symbol.type == RawSymbol::Type::function && symbol.name.starts_with(start) &&
            symbol.name.find(".cold") == symbol.name.npos &&
            file_offset(segments, symbol.value, true, offset) &&
            std::ranges::find(sites, offset, &Point::Site::offset) == sites.end())
            sites.push_back({offset, 0});
    return sites;
}

constexpr UserSite kNodeGc{.libraries = kNodeFiles,
                           .symbol = "v8::internal::Heap::PerformGarbageCollection",
                           .find =
                               [](const ObjectFile&, const ElfFile& elf) {
                                   return find_v8(
                                       elf, "_ZN2v88internal4Heap24PerformGarbageCollectionE");
                               },
                           .in_program = true};

constexpr RuntimeProbe kNodeProbes[] = {
    // Of a member function, the first argument is the second register.
    {.event = gc, .site = &kNodeGc, .arguments = kNothing},
    {.event = gc_end, .site = &kNodeGc, .arguments = kNothing, .at_return = true},
};

// --- perl: no probes; the code of its operations.

constexpr Files kPerlFiles{"perl", "/perl"};
constexpr std::string_view kEnter[] = {"entersub"};
constexpr std::string_view kLeave[] = {"leavesub", "leavesublv"};
constexpr UserSite kPerlCall{
    .libraries = kPerlFiles,
    .symbol = "pp_entersub",
    .find = [](const ObjectFile& object,
               const ElfFile& elf) { return find_perl_ops(object, elf, kEnter); },
    .in_program = true};
constexpr UserSite kPerlCallEnd{
    .libraries = kPerlFiles,
    .symbol = "pp_leavesub",
    .find = [](const ObjectFile& object,
               const ElfFile& elf) { return find_perl_ops(object, elf, kLeave); },
    .in_program = true};
constexpr runtime_arguments kPerlSub{RUNTIME_PERL, kNo, kNo, kNo, kNo, kNo};
constexpr RuntimeProbe kPerlProbes[] = {
    {call, &kPerlCall, kPerlSub},
    {call_end, &kPerlCallEnd, kPerlSub},
};
constexpr RuntimeLack kPerlLacks[] = {
    {call, "does not export perl's operations", "use a perl of the distribution"},
    {call_end, "does not export perl's operations", "use a perl of the distribution"},
    {gc, "counts references: perl collects no garbage", ""},
    {object, "has no probes at allocations", "use memleak"},
    {thread_start, "has no probes at threads", "use threadsnoop"},
    {thread_stop, "has no probes at threads", "use threadsnoop"},
    {exception, "has no probes at exceptions", ""},
    {class_load, "has no probes at loads of modules", "use opensnoop"},
};

// --- php

constexpr Files kPhpFiles{"/php", "/libphp"};
constexpr UserSite php_site(std::string_view probe) { return usdt(kPhpFiles, "php", probe); }
constexpr UserSite kPhpCall = php_site("function__entry");
constexpr UserSite kPhpCallEnd = php_site("function__return");
constexpr UserSite kPhpException = php_site("exception__thrown");
constexpr UserSite kPhpCompile = php_site("compile__file__entry");
// (function, file, line, class, "::")
constexpr RuntimeProbe kPhpProbes[] = {
    {call, &kPhpCall, with_method(3, 0)},
    {call_end, &kPhpCallEnd, with_method(3, 0)},
    {exception, &kPhpException, with_class(0)},
    {class_load, &kPhpCompile, with_class(0)},
};
constexpr std::string_view kPhpHint = "use a PHP built with --enable-dtrace (Debian 12's 8.2)";
constexpr RuntimeLack kPhpLacks[] = {
    {call, "has no probes at calls", kPhpHint},
    {call_end, "has no probes at calls", kPhpHint},
    {gc, "has no probes at collections", ""},
    {object, "has no probes at allocations", "use memleak"},
    {thread_start, "has no probes at threads", "use threadsnoop"},
    {thread_stop, "has no probes at threads", "use threadsnoop"},
    {exception, "has no probes at exceptions", kPhpHint},
    {class_load, "has no probes at loads of files", kPhpHint},
};

// zend.c: zend_startup() reads the variable once, as a number.
std::string why_php_withholds(RuntimeEvent event, std::uint32_t pid)
{
    if (event != call && event != call_end && event != class_load)
        return {};
    const auto environment = read_file(proc_path(pid, "environ"));
    if (!environment)
        return {};
    constexpr std::string_view kVariable = "USE_ZEND_DTRACE=";
    for (const std::string_view variable : split(*environment, '\0'))
        if (variable.starts_with(kVariable) &&
            to_number<int>(variable.substr(kVariable.size())).value_or(1) != 0)
            return {};
    return "this PHP was started without USE_ZEND_DTRACE=1 in its environment; "
           "start it with USE_ZEND_DTRACE=1";
}

std::string_view php_note(RuntimeEvent event)
{
    return event == call || event == class_load
               ? "only PHP that was started with USE_ZEND_DTRACE=1 in its environment shows calls"
               : "";
}

// --- python

constexpr Files kPythonFiles{"/python3", "/libpython3"};
constexpr UserSite python_site(std::string_view probe)
{
    return usdt(kPythonFiles, "python", probe);
}
constexpr UserSite kPythonCall = python_site("function__entry");
constexpr UserSite kPythonCallEnd = python_site("function__return");
constexpr UserSite kPythonGc = python_site("gc__start");
constexpr UserSite kPythonGcEnd = python_site("gc__done");
constexpr UserSite kPythonImport = python_site("import__find__load__start");

// 3.11 never comes to the code of function__entry unless the probe `line` has a user: of 1000 calls
// it shows none, or all. A probe of the probe `line` itself would cost a trap each line. This one
// raises its semaphore at a function that is hardly called.
std::vector<Point::Site> find_python_line(const ObjectFile&, const ElfFile& elf)
{
    std::vector<UsdtNote> notes = usdt_notes(elf);
    const auto has = [&](std::string_view name) {
        return std::ranges::find_if(notes, [&](const UsdtNote& n) {
            return n.provider == "python" && n.name == name && n.semaphore;
        });
    };
    const auto line = has("line");
    if (line == notes.end() || has("function__entry") == notes.end())
        return {};
    std::vector<RawSymbol> symbols;
    elf.add_symbols(symbols);
    const auto named = [&](std::string_view name) {
        return std::ranges::find(symbols, name, &RawSymbol::name);
    };
    const auto rare = named("PyGC_Collect");
    std::uint64_t offset = 0;
    // Earlier versions do without: PyFrame_GetBuiltins came with 3.11 (What's New in Python 3.11).
    if (rare == symbols.end() || named("PyFrame_GetBuiltins") == symbols.end() ||
        !file_offset(elf.segments(), rare->value, true, offset))
        return {};
    return {{offset, line->semaphore}};
}
constexpr UserSite kPythonLine{.libraries = kPythonFiles,
                               .symbol = "PyGC_Collect",
                               .find = find_python_line,
                               .in_program = true,
                               .optional = true};

// (file, function, line)
constexpr RuntimeProbe kPythonProbes[] = {
    {call, &kPythonCall, with_method(0, 1)},     {call_end, &kPythonCallEnd, with_method(0, 1)},
    {exactness, &kPythonLine, kNothing},         {gc, &kPythonGc, with_value(0)}, // the generation
    {gc_end, &kPythonGcEnd, with_value(0)}, // objects that were collected
    {class_load, &kPythonImport, with_class(0)},
};
constexpr std::string_view kPythonHint =
    "only Python 3.11 and earlier, built with --with-dtrace (as Debian 12's), have them";
constexpr RuntimeLack kPythonLacks[] = {
    {call, "has no probes at calls", kPythonHint},
    {call_end, "has no probes at calls", kPythonHint},
    {gc, "has no probes at collections", "use a Python built with --with-dtrace, as Debian's"},
    {object, "has no probes at allocations", "use Python's tracemalloc, or memleak"},
    {thread_start, "has no probes at threads", "use threadsnoop"},
    {thread_stop, "has no probes at threads", "use threadsnoop"},
    {exception, "has no probes at exceptions", ""},
    {class_load, "has no probes at imports", "use a Python built with --with-dtrace"},
};

// --- ruby

constexpr Files kRubyFiles{"ruby", "/ruby"};
constexpr std::string_view kRubyCalls[] = {"method__entry", "cmethod__entry"};
constexpr std::string_view kRubyCallEnds[] = {"method__return", "cmethod__return"};
constexpr std::string_view kRubyLoads[] = {"require__entry", "load__entry"};
constexpr UserSite ruby_site(std::string_view probe) { return usdt(kRubyFiles, "ruby", probe); }
constexpr UserSite kRubyCall = usdt(kRubyFiles, "ruby", kRubyCalls);
constexpr UserSite kRubyCallEnd = usdt(kRubyFiles, "ruby", kRubyCallEnds);
constexpr UserSite kRubyGc = ruby_site("gc__mark__begin");
constexpr UserSite kRubyGcEnd = ruby_site("gc__mark__end");
constexpr UserSite kRubySweep = ruby_site("gc__sweep__begin");
constexpr UserSite kRubySweepEnd = ruby_site("gc__sweep__end");
constexpr UserSite kRubyObject = ruby_site("object__create");
constexpr UserSite kRubyString = ruby_site("string__create");
constexpr UserSite kRubyArray = ruby_site("array__create");
constexpr UserSite kRubyHash = ruby_site("hash__create");
constexpr UserSite kRubyRaise = ruby_site("raise");
constexpr UserSite kRubyLoad = usdt(kRubyFiles, "ruby", kRubyLoads);
// (class, method, file, line), (class or length, file, line)
constexpr RuntimeProbe kRubyProbes[] = {
    {call, &kRubyCall, with_method(0, 1)},
    {call_end, &kRubyCallEnd, with_method(0, 1)},
    {gc, &kRubyGc, kNothing},
    {gc_end, &kRubyGcEnd, kNothing},
    {gc_sweep, &kRubySweep, kNothing},
    {gc_sweep_end, &kRubySweepEnd, kNothing},
    {object, &kRubyObject, with_class(0)},
    {plain_object, &kRubyString, with_value(0), false, "String"},
    {plain_object, &kRubyArray, with_value(0), false, "Array"},
    {plain_object, &kRubyHash, with_value(0), false, "Hash"},
    {exception, &kRubyRaise, with_class(0)},
    {class_load, &kRubyLoad, with_class(0)},
};
constexpr std::string_view kRubyHint = "use a Ruby built with --enable-dtrace (Debian 12's 3.1)";
constexpr RuntimeLack kRubyLacks[] = {
    {call, "has no probes at calls", kRubyHint},
    {call_end, "has no probes at calls", kRubyHint},
    {gc, "has no probes at collections", kRubyHint},
    {object, "has no probes at allocations", kRubyHint},
    {thread_start, "has no probes at threads", "use threadsnoop"},
    {thread_stop, "has no probes at threads", "use threadsnoop"},
    {exception, "has no probes at exceptions", kRubyHint},
    {class_load, "has no probes at loads of files", kRubyHint},
};

std::string_view ruby_note(RuntimeEvent event)
{
    return event == call
               ? "methods in Ruby show only while the program has a TracePoint enabled (:call, and "
                 ":return for ends of calls); methods in C always do"
               : "";
}

// --- tcl: no probes in Debian's; the function that runs a procedure.

constexpr Files kTclFiles{"/libtcl", "/tclsh", "/wish"};
constexpr UserSite kTclCall{
    .libraries = kTclFiles, .symbol = "TclNRInterpProcCore", .in_program = true};
constexpr RuntimeProbe kTclProbes[] = {
    {call, &kTclCall, {RUNTIME_TCL, kNo, kNo, kNo, kNo, kNo}},
};
constexpr RuntimeLack kTclLacks[] = {
    {call, "has no symbol TclNRInterpProcCore", "use Tcl 8.6 or later, as a shared library"},
    {call_end, "has no probe at the end of calls: Tcl returns by a queue of callbacks", ""},
    {gc, "counts references: Tcl collects no garbage", ""},
    {object, "has no probes at allocations", "use a Tcl built with --enable-dtrace"},
    {thread_start, "has no probes at threads", "use threadsnoop"},
    {thread_stop, "has no probes at threads", "use threadsnoop"},
    {exception, "has no probes at exceptions", ""},
    {class_load, "has no probes at loads of files", "use opensnoop"},
};

constexpr Runtime kRuntimes[] = {
    {"java", kJavaFiles, kJavaProbes, kJavaLacks, why_java_withholds, java_note},
    {"node", kNodeFiles, kNodeProbes, kNodeLacks},
    {"perl", kPerlFiles, kPerlProbes, kPerlLacks},
    {"php", kPhpFiles, kPhpProbes, kPhpLacks, why_php_withholds, php_note},
    {"python", kPythonFiles, kPythonProbes, kPythonLacks},
    {"ruby", kRubyFiles, kRubyProbes, kRubyLacks, nullptr, ruby_note},
    {"tcl", kTclFiles, kTclProbes, kTclLacks},
};

std::vector<std::string_view> names_of(const Runtime& runtime)
{
    std::vector<std::string_view> names(runtime.files.begin(), runtime.files.end());
    std::erase(names, "");
    return names;
}

std::string text_of(std::string_view room, std::size_t length)
{
    return length > room.size() ? cat(room, "...") : std::string(room.substr(0, length));
}

// As libraries_of(), but a program that is none of the runtime's files does not count.
std::vector<Object> files_of(const Runtime& runtime, std::uint32_t pid)
{
    const auto names = names_of(runtime);
    auto objects = libraries_of(pid, names);
    std::erase_if(objects, [&](const Object& o) { return !is_one_of(o->path, names); });
    return objects;
}

constexpr std::string_view word_of(RuntimeEvent event)
{
    switch (event) {
    case call:
        return "calls";
    case call_end:
        return "the end of calls";
    case gc:
    case gc_end:
    case gc_pool:
    case gc_pool_end:
    case gc_sweep:
    case gc_sweep_end:
        return "garbage collections";
    case object:
    case plain_object:
        return "objects";
    case thread_start:
    case thread_stop:
        return "threads";
    case exception:
        return "exceptions";
    case class_load:
        return "loads of classes";
    case exactness:
        break;
    }
    return "events";
}

[[noreturn]] void fail_lacking(const Runtime& runtime, std::string_view whose, RuntimeEvent event,
                               std::string_view why)
{
    fail(cat("cannot trace ", word_of(event), " of ", runtime.name, whose), why);
}

// The one runtime of all traced processes.
const Runtime& detect_for(const Session& session)
{
    const Runtime* found = nullptr;
    if (session.pids.empty())
        fail_usage("missing --language LANGUAGE or a process ID");
    for (const std::uint32_t pid : session.pids) {
        const auto runtimes = detect_runtimes(pid);
        if (runtimes.empty())
            fail(cat("cannot find the language of process ", pid),
                 "it maps no runtime of java, node, perl, php, python, ruby or tcl",
                 "use --language LANGUAGE");
        if (runtimes.size() > 1 || (found && found != runtimes[0]))
            fail(cat("cannot find the language of process ", pid),
                 cat("found ", found && found != runtimes[0] ? found->name : runtimes[1]->name,
                     " and ", runtimes[0]->name),
                 "use --language LANGUAGE");
        found = runtimes[0];
    }
    return *found;
}

} // namespace

std::span<const Runtime> all_runtimes() { return kRuntimes; }

const Runtime* find_runtime(std::string_view name)
{
    const auto found = std::ranges::find(kRuntimes, name, &Runtime::name);
    return found == std::end(kRuntimes) ? nullptr : found;
}

std::vector<const Runtime*> detect_runtimes(std::uint32_t pid)
{
    std::vector<const Runtime*> found;
    char program[4096];
    const ssize_t n = ::readlink(proc_path(pid, "exe").c_str(), program, sizeof program);
    for (const Runtime& runtime : kRuntimes) {
        if (n > 0 && is_one_of({program, std::size_t(n)}, names_of(runtime)))
            return {&runtime};
        if (!files_of(runtime, pid).empty())
            found.push_back(&runtime);
    }
    return found;
}

runtime_arguments name_arguments(const Runtime& runtime, RuntimeEvent event)
{
    const auto probes = probes_of(runtime, event);
    return probes.empty() ? kNothing : probes[0]->arguments;
}

std::string class_of(const runtime_name& name)
{
    return text_of({name.klass, sizeof name.klass}, name.klass_length);
}

std::string method_of(const runtime_name& name)
{
    return name.method_length ? text_of({name.method, sizeof name.method}, name.method_length)
                              : "[unknown]";
}

std::string name_of(const runtime_name& name)
{
    return name.klass_length ? cat(class_of(name), ".", method_of(name)) : method_of(name);
}

std::vector<const RuntimeProbe*> probes_of(const Runtime& runtime, RuntimeEvent event)
{
    std::vector<const RuntimeProbe*> probes;
    for (const RuntimeProbe& probe : runtime.probes)
        if (probe.event == event)
            probes.push_back(&probe);
    return probes;
}

std::string why_lacking(const Runtime& runtime, RuntimeEvent event, std::span<const Object> objects)
{
    KnownFiles known; // each is asked for every probe
    for (const RuntimeProbe* probe : probes_of(runtime, event))
        for (const Object& object : objects)
            if (!find_sites(known, object, *probe->site).empty())
                return {};
    const auto lack = std::ranges::find(runtime.lacks, event, &RuntimeLack::event);
    const std::string file = objects.empty() ? std::string(runtime.name) : objects[0]->path;
    if (lack == runtime.lacks.end())
        return cat(file, " has no probe");
    return cat(file, " ", lack->reason, lack->hint.empty() ? "" : "; ", lack->hint);
}

Obstacle find_runtime_obstacle(const Facts& facts, RuntimeEvent event)
{
    Obstacle first;
    for (const Runtime& runtime : kRuntimes)
        for (const RuntimeProbe* probe : probes_of(runtime, event)) {
            const Obstacle obstacle = facts.user_site ? facts.user_site(*probe->site) : Obstacle{};
            if (!obstacle)
                return {};
            if (!first)
                first = obstacle;
        }
    return first;
}

bool can_show(const Runtime& runtime, RuntimeEvent event, std::uint32_t pid)
{
    return why_lacking(runtime, event, files_of(runtime, pid)).empty() &&
           (!runtime.withheld || runtime.withheld(event, pid).empty());
}

const Runtime& choose_runtime(const Session& session, std::string_view name,
                              std::span<const RuntimeEvent> events)
{
    const Runtime* const named = find_runtime(name);
    const Runtime& runtime = named ? *named : detect_for(session);
    for (const std::uint32_t pid : session.pids) {
        const std::string whose = cat(" process ", pid);
        const auto files = files_of(runtime, pid);
        if (files.empty())
            fail(cat("cannot trace ", runtime.name, whose),
                 cat("it maps no runtime of ", runtime.name));
        for (const RuntimeEvent event : events) {
            if (const std::string why = why_lacking(runtime, event, files); !why.empty())
                fail_lacking(runtime, whose, event, why);
            if (runtime.withheld)
                if (const std::string why = runtime.withheld(event, pid); !why.empty())
                    fail_lacking(runtime, whose, event, why);
        }
    }
    if (session.pids.empty()) {
        const auto files = libraries_in_use(names_of(runtime));
        for (const RuntimeEvent event : events)
            if (!files.empty() || probes_of(runtime, event).empty())
                if (const std::string why = why_lacking(runtime, event, files); !why.empty())
                    fail_lacking(runtime, "", event, why);
    }
    for (const RuntimeEvent event : events)
        if (runtime.note)
            if (const std::string_view note = runtime.note(event);
                !note.empty() && (session.pids.empty() || !runtime.withheld))
                say(session.tool, cat(runtime.name, ": ", note));
    return runtime;
}

std::vector<bpf_link*> attach_runtimes(const Session& session, const bpf_program* program,
                                       std::span<const Runtime* const> runtimes, RuntimeEvent event,
                                       UserWay way)
{
    bool is_attached = false, has_probe = false;
    int code = ENOENT;
    for (const Runtime* runtime : runtimes)
        for (const RuntimeProbe* probe : probes_of(*runtime, event)) {
            if (probe->at_return != at_return(program))
                continue;
            has_probe = true;
            if (!attach_user(session, program, *probe->site, way).empty())
                is_attached = true;
            else if (errno != ENOENT)
                code = errno;
        }
    if (is_attached || !has_probe)
        return links_elsewhere();
    errno = code;
    return {};
}

} // namespace corebox
