// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filelife.h"
#include "base/path.hpp"
#include "layers.hpp"
#include "output/path_field.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"

#include "filelife.skel.h"

namespace
{
using namespace corebox;
using P = decltype(filelife_bpf::progs);

using Options = life_config;

struct Row {
    task_info task{};
    std::uint64_t age_ns = 0;
    std::uint32_t creator = 0;
    bool replaced = false;
    std::string_view file;
    std::string_view path;
    std::string full; // memory of a full path
};

constexpr Example kExamples[] = {
    {"filelife -F", "Print full paths"},
    {"filelife -- make", "Trace the temporary files of a build"},
};

constexpr Option kOptions[] = {
    flag<&Options::full_path>('F', "full-path", "Print the full path of the file"),
    flag<&Options::layers>(0, kLayersOption, kLayersHelp),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>({}),
    col<&Row::task, &task_info::uid>("uid", "UID", 6,
                                     "User ID of the process that deleted the file", kJsonOnly),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "ID of the process that deleted the file"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "ID of the thread that deleted the file",
                                     kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of this thread"),
    col<[](const Row& r) -> Value {
        return Fixed{r.age_ns / 10'000'000, 2};
    }>("age_s", "AGE(s)", 8, "Age of the file in seconds")
        .from<fixed(field<&life_event::age_ns> / 10'000'000, 2)>(),
    col<&Row::age_ns>("age_ns", "AGE(ns)", -14, "The same time in nanoseconds", kJsonOnly)
        .from<field<&life_event::age_ns>>(),
    col<&Row::creator>("creator_pid", "CREATOR", 7, "ID of the process that created the file",
                       kJsonOnly)
        .from<field<&life_event::creator>>(),
    col<&Row::replaced>("replaced", "REPLACED", 8, "Whether a rename replaced the file", kJsonOnly)
        .from<field<&life_event::replaced>>(),
    col<&Row::file>("file", "FILE", 0, "Name of the file", without("full-path"))
        .from<path_field<&life_event::path>>(),
    col<&Row::path>("path", "FILE", 0, "Full path of the file", with("full-path")),
};

constexpr Need kNeeds[] = {
    {.what = "files made by open",
     .rungs = {rung<&P::open_fentry>("fentry"), rung<&P::open_kprobe>("kprobe"),
               rung<&P::open_fexit>("fexit", "files of network file systems")}},
    {.what = "files made by mknod and in the kernel",
     .rungs = {rung<&P::create_kprobe, &P::create_return>("kprobe")},
     .optional = true,
     .without = "files that mknod(2) or the NFS server make"},
    {.what = "deletions",
     .rungs = {rung<&P::delete_fentry>("fentry"), rung<&P::delete_kprobe>("kprobe")}},
    {.what = "renames over a file",
     .rungs = {rung<&P::move_fentry>("fentry"), rung<&P::move_kprobe>("kprobe")}},
};

// JSON has the path: to look it up costs only where a file dies.
void setup(filelife_bpf& s, Options& options, const Session& session)
{
    // A CPU takes 128 places at a time, of those it has not used or those that it has others
    // forget.
    constexpr std::uint32_t kKeptFree = 2 * 128;
    bpf_map__set_max_entries(s.maps.births,
                             LIFE_BIRTHS + kKeptFree * std::uint32_t(libbpf_num_possible_cpus()));
    options.full_path |=
        session.format == Format::json || !session.columns.empty() || session.filters_by("path");
}

bool decode(Row& row, const Options& options, const void* record, std::size_t size)
{
    const auto& e = *static_cast<const life_event*>(record);
    const auto* end = static_cast<const char*>(record) + size;
    row.task = e.task;
    row.age_ns = e.age_ns;
    row.creator = e.creator;
    row.replaced = e.replaced;
    if (options.full_path) {
        row.path = path_of(e.path, end, row.full);
        row.file = row.path.substr(row.path.rfind('/') + 1);
    } else {
        row.file = row.path = path_of(e.path, end, row.full);
    }
    return true;
}

constexpr Stream<filelife_bpf, Options, Row> kTool{
    .about = {.name = "filelife",
              .area = "file",
              .summary = "Trace how long files live",
              .details =
                  "Prints one line for each deleted file that was created while filelife ran.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
