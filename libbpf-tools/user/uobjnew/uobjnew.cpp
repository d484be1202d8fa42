// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "uobjnew.h"
#include "../runtime.hpp"
#include "output/task_fields.hpp"
#include "shape/table.hpp"

#include "uobjnew.skel.h"

namespace
{
using namespace corebox;
using P = decltype(uobjnew_bpf::progs);

constexpr std::string_view kLanguages = "c|java|node|perl|php|python|ruby|tcl";

struct Options {
    RuntimeChoice language;
    std::uint32_t pid = 0, top_count = 0, top_size = 0;
    bool by_bytes = false;
    std::vector<const Runtime*> runtimes; // none: functions of allocators
    std::vector<Need> needs;              // of this runtime
};

struct Row {
    std::uint64_t time_ns = 0; // end of the interval
    std::string name{};
    std::uint32_t kind = 0;
    std::uint64_t size = 0;
    uobjnew_sums sums{};

    bool has_bytes() const { return sums.sized == sums.count; }
};

constexpr Alias kAliases[] = {
    {"cobjnew", {"-l", "c"}, "Count allocations of memory by size"},
    {"javaobjnew", {"-l", "java"}, "Count new Java objects by class"},
    {"rubyobjnew", {"-l", "ruby"}, "Count new Ruby objects by class"},
    {"tclobjnew", {"-l", "tcl"}, "Count new Tcl objects"},
};

constexpr Example kExamples[] = {
    {"uobjnew 181", "Count the new objects of process 181 by class, until Ctrl-C"},
    {"uobjnew -l ruby -C 10 -i 1", "Each second, print the 10 most frequent classes of all Rubies"},
    {"uobjnew -l c -S 5 181 5", "Every 5 seconds, print the 5 sizes that take the most memory"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
};

constexpr Option kOptions[] = {
    choice<&Options::language>('l', "language", kLanguages,
                               "Trace this language (default: of PID)"),
    opt<&Options::top_count>('C', "top-count", "N", "Print the N most frequent (JSON, CSV: all)",
                             kPositive),
    opt<&Options::top_size>('S', "top-size", "N", "Print the N with most bytes (JSON, CSV: all)",
                            kPositive),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'v', "debug"}};

constexpr std::string_view kKinds[] = {"class", "string", "array", "hash", "block"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) -> Value {
        if (r.kind == OBJECT_BLOCK)
            return Trusted{r.name};
        return std::string_view(r.name);
    }>("name", "NAME/TYPE", 50, "Class of the objects, or size of the blocks")
        .as(ColumnType::text),
    col<[](const Row& r) { return Trusted{kKinds[r.kind % std::size(kKinds)]}; }>(
        "kind", "KIND", 6, "class, string, array, hash or block (of memory)", kJsonOnly),
    col<[](const Row& r) { return r.kind == OBJECT_BLOCK ? Value(r.size) : Value(); }>(
        "size", "SIZE", -8, "Size of a block", kJsonOnly)
        .as(ColumnType::natural),
    col<[](const Row& r) { return r.sums.count; }>("allocs", "# ALLOCS", -10,
                                                   "Number of new objects"),
    col<[](const Row& r) { return r.has_bytes() ? Value(r.sums.bytes) : Value(); }>(
        "bytes", "# BYTES", -12, "Their bytes; - where the runtime does not say")
        .as(ColumnType::natural),
};

constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

// C++'s operator new calls malloc() in the library of gcc and clang, and in these allocators does
// not. Their new[] is the same code, or goes on to new.
constexpr UserSite kMalloc{
    .libraries = {"c", "ld-musl-", "jemalloc", "tcmalloc", "tcmalloc_minimal", "mimalloc"},
    .symbol = "malloc",
    .in_program = true};
constexpr std::string_view kNewNames[] = {"_Znwm", "_ZnwmRKSt9nothrow_t", "_ZnwmSt11align_val_t",
                                          "_ZnwmSt11align_val_tRKSt9nothrow_t"};
constexpr UserSite kNew{.libraries = {"jemalloc", "tcmalloc", "tcmalloc_minimal", "mimalloc"},
                        .symbols = kNewNames,
                        .optional = true};

// Ruby's built-in types, by kind.
constexpr std::string_view kTypes[] = {"", "String", "Array", "Hash"};

template <uobjnew_kind Kind, UserWay Way>
std::vector<bpf_link*> attach_type(const Session& session, const bpf_program* program)
{
    for (const Runtime* runtime : session.options_as<Options>().runtimes)
        for (const RuntimeProbe* probe : probes_of(*runtime, RuntimeEvent::plain_object))
            if (probe->kind == kTypes[Kind])
                return attach_user(session, program, *probe->site, Way);
    return links_elsewhere();
}

template <auto Program, uobjnew_kind Kind>
consteval std::array<Rung, 5> type_rungs()
{
    return {with_function(rung<Program>("uprobe.multi", {}, attach_type<Kind, UserWay::multi>),
                          kUprobeMultiFunction),
            rung<Program>("uprobe", {}, attach_type<Kind, UserWay::perf_events>)};
}

constexpr Need kNeeds[] = {
    {.what = "new objects", .rungs = runtime_rungs<&P::object, RuntimeEvent::object, Options>()},
    {.what = "new strings", .rungs = type_rungs<&P::string, OBJECT_STRING>()},
    {.what = "new arrays", .rungs = type_rungs<&P::array, OBJECT_ARRAY>()},
    {.what = "new hashes", .rungs = type_rungs<&P::hash, OBJECT_HASH>()},
    {.what = "calls of malloc", .rungs = user_rungs<&P::malloc_enter, kMalloc, Options>()},
    {.what = "calls of operator new that is not malloc",
     .rungs = user_rungs<&P::new_enter, kNew, Options>()},
};

std::string name_of(const uobjnew_key& key)
{
    if (key.kind == OBJECT_BLOCK)
        return cat("block size ", key.size);
    if (key.kind == OBJECT_CLASS)
        return key.name.klass_length ? class_of(key.name) : "[unknown]";
    return std::string(key.kind < std::size(kTypes) ? kTypes[key.kind] : "");
}

void take(uobjnew_bpf& s, Options&, __u32 generation, std::vector<Row>& rows)
{
    Entries entries(s.maps.cb_top, generation);
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& key = entries.key<uobjnew_key>(i);
        rows.push_back({.name = name_of(key),
                        .kind = key.kind,
                        .size = key.size,
                        .sums = entries.value<uobjnew_sums>(i)});
    }
}

void prepare(Options& o, Session& session)
{
    if (o.pid)
        session.pids.push_back(o.pid);
    const std::string_view language = o.language.name(kLanguages);
    const auto all = std::span(kNeeds);
    o.by_bytes = !o.top_count;
    if (language == "c") {
        o.needs = {all[4], all[5]};
        return;
    }
    constexpr RuntimeEvent kEvents[] = {RuntimeEvent::object};
    const Runtime& runtime = choose_runtime(session, language, kEvents);
    o.runtimes = {&runtime};
    // Of ruby only strings have a size.
    if (name_arguments(runtime, RuntimeEvent::object).value == RUNTIME_NO_ARGUMENT)
        o.by_bytes &= o.top_size != 0;
    o.needs = {all[0]};
    if (!probes_of(runtime, RuntimeEvent::plain_object).empty())
        o.needs.insert(o.needs.end(), {all[1], all[2], all[3]});
}

constexpr Table<uobjnew_bpf, Options, Row> kTool{
    .about = {.name = "uobjnew",
              .area = "user",
              .summary = "Count new objects of high-level languages, and allocations of C",
              .details = "Counts the objects that Java and Ruby programs create by class, or with "
                         "-l c the memory that programs allocate by size of the block.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-l", "c"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .chosen = [](const Options& o) -> std::span<const Need> { return o.needs; },
    .setup =
        [](uobjnew_bpf& s, Options& o, const Session&) {
            if (!o.runtimes.empty())
                s.rodata->cb_names = name_arguments(*o.runtimes[0], RuntimeEvent::object);
        },
    .take = take,
    .weight = [](const Row& r, const Options& o) -> std::uint64_t {
        return o.by_bytes && r.has_bytes() ? r.sums.bytes : r.sums.count;
    },
    .events = [](const Row& r) -> std::uint64_t { return r.sums.count; },
    .limit = [](const Options& o) -> std::size_t { return o.top_count ? o.top_count : o.top_size; },
    .also = Shared::interval | Shared::user_symbols,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
