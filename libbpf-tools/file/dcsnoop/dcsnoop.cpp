// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dcsnoop.h"
#include "base/path.hpp"
#include "dcache.hpp"
#include "output/path_field.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"

#include "dcsnoop.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(dcsnoop_bpf::progs);

struct Options : dcsnoop_config {
};

struct Row {
    task_info task{};
    std::string_view type;
    std::string_view name;
    Value path;
    std::string full; // memory of a full path
};

constexpr Example kExamples[] = {
    {"dcsnoop", "Trace names that are not in the cache"},
    {"dcsnoop -F -p 181", "Trace misses of process 181, with directories"},
    {"dcsnoop -a -- ls", "Trace every name that a command looks up"},
};

constexpr Option kOptions[] = {
    flag<&Options::all>('a', "all", "Trace all look-ups, not only misses"),
    flag<&Options::full_path>('F', "full-path", "Print the directory that was searched"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'u', "uid"}, {'d', "duration"}};

constexpr std::string_view kResults[] = {"R", "R", "M"}; // enum dcache_result

constexpr Column kColumns[] = {
    col<[](const Row& r) {
        return SinceFirst{r.task.time_ns, 6};
    }>("since_s", "TIME(s)", 11, "Seconds since the first event"),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) { return Trusted{r.type}; }>(
        "type", "T", 1, "M: missed, the file system searched; R: referenced, found in the cache")
        .from_names<field<&dcsnoop_event::result>, kResults>(),
    col<&Row::name>("name", "FILE", 0, "Name of the look-up", without("full-path"))
        .from<given_path_field<&dcsnoop_event::path>>(),
    col<&Row::path>("path", "FILE", 0, "Name with its directory", with("full-path"))
        .as(ColumnType::text),
};

bool decode(Row& row, const Options& options, const void* record, std::size_t size)
{
    const auto& e = *static_cast<const dcsnoop_event*>(record);
    const auto* end = static_cast<const char*>(record) + size;
    row.task = e.task;
    row.type = e.result == DCACHE_MISS ? "M" : "R";
    row.name = given_path(e.path, end);
    row.path =
        options.full_path && e.path.dir_len ? Value(path_of(e.path, end, row.full)) : Absent{};
    return true;
}

constexpr Stream<dcsnoop_bpf, Options, Row> kTool{
    .about = {.name = "dcsnoop",
              .area = "file",
              .summary = "Trace look-ups that the dentry cache cannot answer",
              .details =
                  "Prints one line for each name that is not in the kernel's cache of directory "
                  "entries, so that the file system must search it. With -a, prints every look-up.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kDcacheNeeds<Progs>,
    .setup =
        [](dcsnoop_bpf&, Options& o, const Session& session) {
            o.full_path |= session.format == Format::json || session.filters_by("path");
        },
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
