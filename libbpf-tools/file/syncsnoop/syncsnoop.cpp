// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "syncsnoop.h"
#include "base/difference.hpp"
#include "file_name.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <algorithm>
#include <array>

#include "syncsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(syncsnoop_bpf::progs);

struct Options {
    bool quick = false;
};

// The calls of one kind up to now.
struct Past {
    std::uint64_t count = 0, last_ns = 0;
};

struct Row {
    task_info task{};
    std::string_view call;
    Value fd, offset, length, flags, after_ms;
    std::uint64_t duration_ns = 0, count = 0;
    int code = 0;
    std::string_view path;
    std::string full; // memory of a path
    std::array<Past, SYNC_CALLS> past{};
};

constexpr std::uint64_t kQuick = 1'000'000'000; // ns

constexpr Example kExamples[] = {
    {"syncsnoop -p 181", "Trace the syncs of process 181"},
    {"syncsnoop --quick", "Trace syncs that follow another within a second"},
};

// The name of BCC's example.
constexpr Alias kAliases[] = {
    {"sync_timing", {"--quick"}, "Trace syncs that follow another within a second"},
};

constexpr Option kOptions[] = {
    flag<&Options::quick>('q', "quick", "Trace only calls within a second of the previous"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Formula kRet = field<&sync_event::ret>;
constexpr Formula kCall = field<&sync_event::call>;
constexpr Formula kHasFile = kCall != CALL_SYNC && kCall != CALL_MSYNC;
constexpr Formula kHasRange = kCall == CALL_SYNC_FILE_RANGE || kCall == CALL_MSYNC;

constexpr std::string_view kNames[SYNC_CALLS] = {"sync",   "msync", "sync_file_range",
                                                 "syncfs", "fsync", "fdatasync"};

constexpr Column kColumns[] = {
    col<[](const Row& r) -> Value {
        return Fixed{r.task.time_ns, 9};
    }>("mono_s", "TIME(s)", 18, "Time of the call since boot, in seconds")
        .from<fixed(field<&task_info::time_ns>, 9)>(),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) -> Value { return Trusted{r.call}; }>("call", "CALL", 16,
                                                               "Name of the call")
        .from_names<kCall, kNames>(),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<[](const Row& r) -> Value {
        return Fixed{r.duration_ns, 3};
    }>("lat_us", "LAT(us)", -12, "Duration of the call in microseconds")
        .from<fixed(field<&sync_event::duration_ns>, 3)>(),
    col<[](const Row& r) -> Value { return r.code; }>("err", "ERR", -4, "errno, 0 on success")
        .from<errno_of(kRet)>(),
    col<[](const Row& r) -> Value { return Errno{r.code}; }>("error", "ERROR", 8,
                                                             "Name of the errno", kJsonOnly)
        .as(ColumnType::text),
    col<&Row::after_ms>("after_ms", "AFTER(ms)", -10,
                        "Milliseconds since the previous call of this kind", with("quick"))
        .as(ColumnType::decimal),
    col<&Row::count>("count", "COUNT", -7, "Number of calls of this kind so far", with("quick")),
    col<&Row::offset>("offset", "OFFSET", 18,
                      "Start: in the file for sync_file_range, in memory for msync", kJsonOnly)
        .from<present(kHasRange, select(kCall == CALL_MSYNC, element<&sync_event::a, 0>,
                                        element<&sync_event::a, 1>))>(),
    col<&Row::length>("bytes", "BYTES", -10, "Length for sync_file_range and msync; 0: to the end",
                      kJsonOnly)
        .from<present(kHasRange, select(kCall == CALL_MSYNC, element<&sync_event::a, 1>,
                                        element<&sync_event::a, 2>))>(),
    col<&Row::flags>("flags", "FLAGS", 6, "Flags of sync_file_range and msync", kJsonOnly)
        .from<present(kHasRange,
                      select(kCall == CALL_MSYNC, as_unsigned(element<&sync_event::a, 2>),
                             as_unsigned(element<&sync_event::a, 3>)))>(),
    col<&Row::fd>("fd", "FD", -4, "File descriptor")
        .from<present(kHasFile, as_int(element<&sync_event::a, 0>))>(),
    col<&Row::path>("path", "PATH", 0, "Full path of the file"),
};

template <auto Fentry, auto Fexit, auto Enter, auto Leave>
constexpr Need call(std::string_view what)
{
    return {.what = what,
            .rungs = {rung<Fentry, Fexit>("fexit"), rung<Enter, Leave>("tracepoint")}};
}

// The same of a call that is less frequent than fsync and fdatasync.
template <auto Fentry, auto Fexit, auto Enter, auto Leave>
constexpr Need rare_call(std::string_view what)
{
    return {.what = what,
            .rungs = {rung<&P::rare_session>("session"), rung<Fentry, Fexit>("fexit"),
                      rung<Enter, Leave>("tracepoint")}};
}

constexpr Need kNeeds[] = {
    {.what = "sync",
     .rungs = {rung<&P::rare_session>("session"),
               rung<&P::sync_enter, &P::sync_leave>("tracepoint"),
               rung<&P::sync_kprobe, &P::sync_kretprobe>("kprobe")}},
    call<&P::fsync_fentry, &P::fsync_fexit, &P::fsync_enter, &P::fsync_leave>("fsync"),
    call<&P::fdsync_fentry, &P::fdsync_fexit, &P::fdsync_enter, &P::fdsync_leave>("fdatasync"),
    rare_call<&P::msync_fentry, &P::msync_fexit, &P::msync_enter, &P::msync_leave>("msync"),
    rare_call<&P::range_fentry, &P::range_fexit, &P::range_enter, &P::range_leave>(
        "sync_file_range"),
    rare_call<&P::syncfs_fentry, &P::syncfs_fexit, &P::syncfs_enter, &P::syncfs_leave>("syncfs"),
};

bool decode(Row& row, const Options& options, const void* record, std::size_t size)
{
    const auto& e = *static_cast<const sync_event*>(record);
    // Calls arrive as they end, and two that overlap may end in the other order.
    Past& past = row.past[e.call];
    const std::uint64_t after = past.count ? difference(e.task.time_ns, past.last_ns) : 0;
    past.count++;
    past.last_ns = std::max<std::uint64_t>(past.last_ns, e.task.time_ns);
    if (options.quick && !(past.count > 1 && after < kQuick))
        return false;
    row.task = e.task;
    row.call = kNames[e.call];
    row.duration_ns = e.duration_ns;
    row.count = past.count;
    row.after_ms = past.count > 1 ? Value(Fixed{after / 1000, 3}) : Absent{};
    row.code = e.ret < 0 ? -e.ret : 0;
    const bool ranged = e.call == CALL_SYNC_FILE_RANGE || e.call == CALL_MSYNC;
    const bool file = e.call != CALL_SYNC && e.call != CALL_MSYNC;
    row.fd = file ? Value(int(e.a[0])) : Absent{};
    row.offset = e.call == CALL_SYNC_FILE_RANGE ? Value(std::int64_t(e.a[1]))
                 : ranged                       ? Value(e.a[0])
                                                : Absent{};
    row.length = ranged ? Value(std::int64_t(e.a[e.call == CALL_MSYNC ? 1 : 2])) : Absent{};
    row.flags = ranged ? Value(Hex{std::uint32_t(e.a[e.call == CALL_MSYNC ? 2 : 3])}) : Absent{};
    row.path = file ? file_name_of(e.file, static_cast<const char*>(record) + size, row.full)
                    : std::string_view{};
    return true;
}

constexpr Stream<syncsnoop_bpf, Options, Row> kTool{
    .about = {.name = "syncsnoop",
              .area = "file",
              .summary = "Trace calls that write caches to disk",
              .details = "Prints one line for each sync(2), fsync(2), fdatasync(2), msync(2), "
                         "sync_file_range(2) and syncfs(2) when it returns.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
