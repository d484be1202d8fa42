// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filegone.h"
#include "base/path.hpp"
#include "layers.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"

#include "filegone.skel.h"

namespace
{
using namespace corebox;
using P = decltype(filegone_bpf::progs);

struct Options : gone_config {
    bool full_path = false;
};

struct Row {
    task_info task{};
    unsigned action = GONE_DELETE;
    bool directory = false;
    std::string_view path, new_path;
    std::string full, new_full, text, full_text; // memory of paths and of FILE
};

constexpr Example kExamples[] = {
    {"filegone -p 181", "Trace the files that process 181 deletes and renames"},
    {"filegone -F", "Print full paths"},
};

constexpr Option kOptions[] = {
    flag<&Options::full_path>('F', "full-path", "Print full paths"),
    flag<&Options::layers>(0, kLayersOption, kLayersHelp),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kActions[GONE_ACTIONS] = {"DELETE", "RENAME", "REPLACE", "EXCHANGE"};

std::string_view name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

constexpr Formula kAction = field<&gone_event::action>;
// The first of the names from the deepest up.
constexpr Formula kName = known(kAction == GONE_DELETE && Formula(1) < field<&gone_event::old_len>,
                                prefix<PATH_NAME_LEN, &gone_event::data>);

constexpr Column kColumns[] = {
    time_column<&Row::task>({}),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) -> Value { return Trusted{kActions[r.action]}; }>(
        "action", "ACTION", 8, "DELETE, RENAME, REPLACE (renamed over another file) or EXCHANGE")
        .from_names<kAction, kActions>(),
    col<&Row::directory>("directory", "DIR", 5, "Whether it is a directory", kJsonOnly)
        .from<field<&gone_event::directory>>(),
    col<[](const Row& r) -> Value { return std::string_view(r.text); }>(
        "file", "FILE", 0, "Name of the file; for a rename: old > new", without("full-path"))
        .from<kName>(),
    col<[](const Row& r) -> Value { return std::string_view(r.full_text); }>(
        "files", "FILE", 0, "The same names as full paths", with("full-path"))
        .as(ColumnType::text),
    col<&Row::path>("path", "PATH", 32, "Full path; for a rename, the old path", kJsonOnly),
    col<[](const Row& r) -> Value {
        return r.action == GONE_DELETE ? Value(Absent{}) : Value(r.new_path);
    }>("new_path", "NEW", 32, "New path after a rename", kJsonOnly)
        .as(ColumnType::text),
};

constexpr Need kNeeds[] = {
    {.what = "deletions",
     .rungs = {rung<&P::delete_fentry>("fentry"), rung<&P::delete_kprobe>("kprobe")}},
    {.what = "renames",
     .rungs = {rung<&P::move_fentry>("fentry"), rung<&P::move_kprobe>("kprobe")}},
    {.what = "exchanges",
     .rungs = {rung<&P::exchange_fentry>("fentry"), rung<&P::exchange_kprobe>("kprobe")}},
};

// "old > new" of two names.
void join(std::string& out, unsigned action, std::string_view from, std::string_view to)
{
    out = from;
    if (action != GONE_DELETE) {
        out += action == GONE_EXCHANGE ? " <> " : " > ";
        out += to;
    }
}

// The path of a dentry from its names.
std::string_view path_of_names(std::string& out, std::string_view names)
{
    if (names.empty())
        return {};
    join_walk(out, names, {});
    if (out.size() > 1)
        out.pop_back();
    return out;
}

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    const auto& e = *static_cast<const gone_event*>(record);
    row.task = e.task;
    row.action = e.action;
    row.directory = e.directory;
    row.path = path_of_names(row.full, {e.data, e.old_len});
    row.new_path = path_of_names(row.new_full, {e.data + e.old_len, e.new_len});
    join(row.text, e.action, name(row.path), name(row.new_path));
    join(row.full_text, e.action, row.path, row.new_path);
    return true;
}

constexpr Stream<filegone_bpf, Options, Row> kTool{
    .about = {.name = "filegone",
              .area = "file",
              .summary = "Trace files that are deleted or renamed",
              .details = "Prints one line for each file or directory that is deleted, renamed or "
                         "exchanged with another.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
