// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dirtop.h"
#include "base/fd.hpp"
#include "devices.hpp"
#include "output/escape.hpp"
#include "output/task_fields.hpp"
#include "shape/top.hpp"
#include "transfer.hpp"
#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/magic.h>
#include <memory>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <utility>

#include "dirtop.skel.h"

namespace
{
using namespace corebox;

constexpr std::size_t kSpareDirs = 1024; // that appear while it runs

struct Directory {
    std::string path;
    dir_id id{};
    dev_t dev = 0; // as stat(2) tells it
    bool there = false;
    bool subvolume = false; // the root of one
    bool told = false;      // the kernel knows it by this entry's number
};

struct Options {
    TransferSort sort = TransferSort::all;
    std::vector<std::string_view> globs;
    std::vector<Directory> dirs; // by number; none is ever taken out
};

struct Row {
    std::uint64_t time_ns = 0;
    std::uint32_t dir = 0;
    transfer_sums sums{};
    std::string_view path;
};

constexpr Example kExamples[] = {
    {"dirtop -d '/home/*'", "Show which home directories are used most"},
    {"dirtop -C -d /var,/usr,/home -s wbytes 5 1",
     "Print the writes below three directories in 5 seconds"},
};

constexpr Option kOptions[] = {
    opt<&Options::globs>('d', "root-directories", "GLOB,...",
                         "Count in these directories; *, ? and [...] match", {}, {}, "dir"),
    kTransferSort<&Options::sort>,
    kReadOnly,
    kWriteOnly,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}};

constexpr std::uint64_t kKiB = 1024;

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.sums.reads; }>("reads", "READS", -6,
                                                   "Number of reads, including failed ones"),
    col<[](const Row& r) { return r.sums.writes; }>("writes", "WRITES", -6,
                                                    "Number of writes, including failed ones"),
    col<[](const Row& r) { return r.sums.read_bytes / kKiB; }>("read_kib", "R_Kb", -8, "KiB read"),
    col<[](const Row& r) { return r.sums.write_bytes / kKiB; }>("write_kib", "W_Kb", -8,
                                                                "KiB written"),
    col<[](const Row& r) { return r.sums.read_bytes; }>("read_bytes", "RBYTES", -10, "Bytes read",
                                                        kJsonOnly),
    col<[](const Row& r) { return r.sums.write_bytes; }>("write_bytes", "WBYTES", -10,
                                                         "Bytes written", kJsonOnly),
    col<&Row::path>("path", "PATH", 0, "Directory, including everything below it"),
};

// Whole paths of directories that match a pattern, component by component.
void expand(std::vector<std::string>& found, const std::string& base, std::string_view pattern)
{
    const auto start = pattern.find_first_not_of('/');
    if (start == pattern.npos) {
        found.push_back(base.size() > 1 ? base : "/");
        return;
    }
    const std::string_view rest = pattern.substr(start);
    const std::string part(rest.substr(0, rest.find('/')));
    const std::string_view after = rest.substr(part.size());
    const std::string prefix = base.empty() || base.ends_with('/') ? base : base + '/';
    if (part.find_first_of("*?[\\") == part.npos) {
        expand(found, prefix + part, after);
        return;
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(base.empty() ? "." : base.c_str()),
                                                  ::closedir);
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr)
        if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != ".." &&
            ::fnmatch(part.c_str(), entry->d_name, FNM_PERIOD) == 0)
            expand(found, prefix + entry->d_name, after);
}

// Btrfs counts inodes in each subvolume from here, and s_dev is the same for all of them.
bool is_subvolume(int fd, std::uint64_t inode)
{
    struct statfs fs {
    };
    return inode == 256 && ::fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

// Looks which directories there are now. A directory is an entry for each name that it had: a line
// shows the name of its time.
void look(Options& o)
{
    for (Directory& d : o.dirs)
        d.there = false;
    std::vector<Directory> found;
    for (const std::string_view glob : o.globs) {
        std::vector<std::string> paths;
        expand(paths, glob.starts_with('/') ? "/" : "", glob);
        for (std::string& path : paths) {
            struct stat st {
            };
            if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
                found.push_back(
                    {.path = std::move(path), .id = {st.st_ino, 0, 0}, .dev = st.st_dev});
        }
    }
    const auto is = [](const Directory& a, const Directory& b) {
        return a.id.inode == b.id.inode && a.dev == b.dev;
    };
    const auto there = [&](const Directory& f) {
        return std::ranges::any_of(o.dirs, [&](const Directory& d) { return d.there && is(d, f); });
    };
    // Names that are known first: of two names of a directory, the one that it was shown by stays.
    for (const Directory& f : found) {
        const auto same = std::ranges::find_if(
            o.dirs, [&](const Directory& d) { return is(d, f) && d.path == f.path; });
        if (same != o.dirs.end() && !there(f))
            same->there = true;
    }
    for (Directory& f : found) {
        if (there(f))
            continue;
        const Fd fd(::open(f.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!fd)
            continue;
        f.id.dev = kernel_dev(fd.get(), f.path);
        f.subvolume = is_subvolume(fd.get(), f.id.inode);
        f.there = true;
        o.dirs.push_back(std::move(f));
    }
}

void prepare(Options&, Session& session)
{
    check_transfers(session);
    if (!session.given("root-directories"))
        fail_usage("missing --directories GLOB,...");
}

void setup(dirtop_bpf& s, Options& o, const Session& session)
{
    set_transfers(s, session);
    if (o.dirs.empty()) {
        look(o);
        if (o.dirs.empty())
            fail("cannot find a directory that matches -d", ENOENT);
        for (const Directory& d : o.dirs) {
            std::string path;
            escape_text(path, d.path, false);
            say(session.tool, cat("considering ", path, ", device ", d.id.dev >> 20, ":",
                                  d.id.dev & 0xfffff, ", inode ", d.id.inode));
            if (d.subvolume)
                say(session.tool,
                    cat(path,
                        " is a subvolume of Btrfs: files of other subvolumes may be counted here"));
        }
    }
    bpf_map__set_max_entries(s.maps.dirs, __u32(o.dirs.size() + kSpareDirs));
    bpf_map__set_max_entries(s.maps.cb_top, __u32(2 * (o.dirs.size() + kSpareDirs)));
}

// Directories come and go: those that match now are looked for at each interval.
void fill(dirtop_bpf& s, Options& o, bool first)
{
    if (!first)
        look(o);
    const int fd = bpf_map__fd(s.maps.dirs);
    // First those that went, so that there is room. A number that another name or a new directory
    // has now stays: it is given to that below.
    for (Directory& d : o.dirs) {
        if (d.there || !std::exchange(d.told, false))
            continue;
        const auto taken = std::ranges::any_of(o.dirs, [&](const Directory& other) {
            return other.there && other.id.inode == d.id.inode && other.id.dev == d.id.dev;
        });
        if (!taken)
            bpf_map_delete_elem(fd, &d.id);
    }
    for (std::uint32_t number = 0; number < o.dirs.size(); number++) {
        Directory& d = o.dirs[number];
        if (!d.there || d.told)
            continue;
        const auto bit = DIR_BIT(d.id.inode, d.id.dev);
        __atomic_fetch_or(&s.bss->dir_bits[bit / 64], 1ull << (bit % 64), __ATOMIC_RELAXED);
        d.told = bpf_map_update_elem(fd, &d.id, &number, BPF_ANY) == 0;
        if (!d.told && first)
            fail("cannot pass the directories to the kernel", errno);
    }
}

void decode(Row& row, const Entries& entries, std::size_t entry)
{
    row.dir = entries.key<dir_key>(entry).dir;
    entries.values<transfer_sums>(entry, [&](const transfer_sums& sums) { row.sums = sums; });
}

constexpr std::string_view kWhereOps[] = {"read", "write"};

constexpr Column kFields[] = {
    event_field<field<&dirtop_event::bytes>>("bytes",
                                             "Bytes that the call moved, or a negative errno"),
    event_field_of_names<field<&dirtop_event::write>, kWhereOps>("op", "read or write"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Top<dirtop_bpf, Options, Row> kTool{
    .about = {.name = "dirtop",
              .area = "file",
              .summary = "Show the directories whose files are read and written most",
              .details =
                  "Prints one line for each directory of -d with reads or writes below it, the "
                  "busiest first. If one directory contains another, the outer one is counted.",
              .examples = kExamples,
              .smoke = {"-d", "/tmp"}},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kTransfers<dirtop_bpf>,
    .fields = kFields,
    .prepare = prepare,
    .setup = setup,
    .fill = fill,
    .decode = decode,
    .name = [](Row& row, const Options& o) { row.path = o.dirs[row.dir].path; },
    .weight = [](const Row& row, const Options& o) { return transfer_weight(row.sums, o.sort); },
    .events = [](const Row& row) -> std::uint64_t { return row.sums.reads + row.sums.writes; },
    .also = Shared::files,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
