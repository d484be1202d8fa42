// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/user.hpp"

#include "base/text.hpp"
#include "symbols/elf.hpp"
#include "symbols/file.hpp"
#include "symbols/perf_map.hpp"

#include <algorithm>
#include <climits>
#include <cstring>
#include <dirent.h>
#include <elf.h>
#include <exception>
#include <fcntl.h>
#include <link.h>
#include <map>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxMaps = 64u << 20;
constexpr std::size_t kMaxPerfMap = 256u << 20;
constexpr std::size_t kMaxMappings = 8192; // executable ones of a process, past ones included
constexpr std::size_t kMaxRoots = 256;     // one descriptor each
constexpr std::uint64_t kRereadAfterNs = 100'000'000;
constexpr std::string_view kUnknown = "[unknown]";

// The root directory of processes that do not share ours, held open because /proc/PID/root ends
// with the process. Its mount namespace too, or what is mounted below the root would vanish with
// it.
struct Root {
    Fd directory;
    Fd mounts;
};

// What was known of a process when its mappings were read.
struct Context {
    std::shared_ptr<const Root> root; // null: the same as ours
    bool own_mounts = true;           // it is in our mount namespace
    std::uint32_t proc_pid = 0;       // whose /proc directory: a thread's, if the leader ended
    std::uint32_t inner_pid = 0;      // its number in its own PID namespace
    std::uint32_t uid = 0;
    timespec taken{};
};

struct Mapping {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t offset = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    const std::string* path = nullptr; // interned
    bool deleted = false;
    bool opened = false; // binary is final, be it null
    std::shared_ptr<Binary> binary;
    std::shared_ptr<const Context> context;

    bool same_file_part(const Mapping& other) const
    {
        return start == other.start && end == other.end && offset == other.offset &&
               device == other.device && inode == other.inode && path == other.path;
    }
};

struct Process {
    std::vector<Mapping> mappings; // executable ones, by address
    std::uint64_t read_at = 0;
    PerfMap perf_map;
    std::uint64_t perf_map_read_at = 0;
    std::int64_t perf_map_size = 0;
    std::int64_t perf_map_written = 0;
};

std::uint64_t now_ns()
{
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

std::string proc_path(std::uint32_t pid, std::string_view entry)
{
    return "/proc/" + std::to_string(pid) + "/" + std::string(entry);
}

// Memory that a program fills with code itself: no file, or a file without a name that lasts.
bool is_generated(std::string_view path)
{
    constexpr std::string_view kPrefixes[] = {"//anon", "[anon",       "/memfd:", "/dev/zero",
                                              "/SYSV",  "anon_inode:", "[heap]",  "[stack"};
    return path.empty() || std::ranges::any_of(kPrefixes, [&](std::string_view prefix) {
               return path.starts_with(prefix);
           });
}

// The field-th number of a line of /proc/PID/status, or its last one if it has fewer.
std::optional<std::uint32_t> status_number(std::string_view status, std::string_view key,
                                           std::size_t field)
{
    std::optional<std::string_view> value = status_field(status, key);
    std::optional<std::uint32_t> number;
    if (value) {
        for (std::string_view part : split(*value, '\t')) {
            number = to_number<std::uint32_t>(part);
            if (field-- == 0)
                break;
        }
    }
    return number;
}

std::string_view base_name(std::string_view path)
{
    std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos || slash + 1 == path.size() ? path
                                                                       : path.substr(slash + 1);
}

// The vDSO is one image of the kernel for all 64-bit processes, so our own copy serves.
std::shared_ptr<Binary> own_vdso()
{
    auto start = static_cast<std::uintptr_t>(::getauxval(AT_SYSINFO_EHDR));
    if (start == 0)
        return nullptr;
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(start);
    // The section headers come last in it.
    std::size_t size = header->e_shoff + std::size_t{header->e_shnum} * header->e_shentsize;
    auto file = ElfFile::from_memory({reinterpret_cast<const char*>(start), size});
    return file ? std::make_shared<Binary>(*file, "", Opener{}) : nullptr;
}

} // namespace

struct UserSymbols::Impl {
    // Device and inode, and size and time of writing, for inodes are used again.
    using FileKey = std::tuple<dev_t, ino_t, off_t, time_t, long>;
    using RootKey = std::tuple<dev_t, ino_t, ino_t>; // root directory, mount namespace

    std::unordered_map<std::uint32_t, Process> processes;
    std::unordered_set<std::string> strings; // nodes: the addresses of the strings stay
    std::map<FileKey, std::shared_ptr<Binary>> by_file;
    std::unordered_map<std::string, std::shared_ptr<Binary>> by_build_id;
    std::map<RootKey, std::shared_ptr<const Root>> roots;
    std::optional<RootKey> own_root;
    std::optional<std::shared_ptr<Binary>> vdso;

    const std::string& intern(std::string text) { return *strings.insert(std::move(text)).first; }

    static std::optional<RootKey> root_key(const std::string& process)
    {
        struct stat root, names;
        if (::stat((process + "/root").c_str(), &root) != 0)
            return std::nullopt;
        // The mount namespace too: with the same root, /tmp may still be another (PrivateTmp).
        if (::stat((process + "/ns/mnt").c_str(), &names) != 0)
            return std::nullopt;
        return RootKey{root.st_dev, root.st_ino, names.st_ino};
    }

    // From the root of a process in a chroot to that of its mount namespace, from where the kernel
    // shows its paths to others: nothing but our own root ends our way up.
    static void climb(Fd& directory)
    {
        const auto place = [](int fd) {
            struct statx s {
            };
            const bool known = ::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &s) == 0;
            return known ? std::tuple(s.stx_mnt_id, s.stx_ino) : std::tuple(__u64(0), __u64(0));
        };
        for (int level = 0; level < PATH_MAX / 2; level++) {
            Fd above{::openat(directory.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
            if (!above || place(above.get()) == place(directory.get()))
                return;
            directory = std::move(above);
        }
    }

    void find_root(Context& context)
    {
        std::uint32_t pid = context.proc_pid;
        if (!own_root)
            own_root = root_key("/proc/self");
        auto key = root_key("/proc/" + std::to_string(pid));
        if (!key || !own_root || *key == *own_root)
            return;
        context.own_mounts = std::get<2>(*key) == std::get<2>(*own_root);
        auto known = roots.find(*key);
        if (known == roots.end()) {
            if (roots.size() >= kMaxRoots)
                return;
            auto root = std::make_shared<Root>();
            root->directory =
                Fd{::open(proc_path(pid, "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
            if (!context.own_mounts)
                climb(root->directory);
            root->mounts = Fd{::open(proc_path(pid, "ns/mnt").c_str(), O_RDONLY | O_CLOEXEC)};
            if (!root->directory)
                return;
            known = roots.emplace(*key, std::move(root)).first;
        }
        context.root = known->second;
    }

    static std::optional<std::string> read_maps_file(std::uint32_t pid)
    {
        Fd file{::open(proc_path(pid, "maps").c_str(), O_RDONLY | O_CLOEXEC)};
        return file ? read_all(file.get(), kMaxMaps) : std::nullopt;
    }

    // The text of maps, and whose it is: a leader that ended before its threads shows none.
    static std::optional<std::string> read_maps(std::uint32_t pid, std::uint32_t& whose)
    {
        whose = pid;
        std::optional<std::string> text = read_maps_file(pid);
        if (!text || !text->empty())
            return text;
        DIR* tasks = ::opendir(proc_path(pid, "task").c_str());
        if (tasks == nullptr)
            return text;
        while (dirent* entry = ::readdir(tasks)) {
            auto thread = static_cast<std::uint32_t>(std::strtoul(entry->d_name, nullptr, 10));
            if (thread == 0 || thread == pid)
                continue;
            text = read_maps_file(thread);
            whose = thread;
            if (text && !text->empty())
                break;
        }
        ::closedir(tasks);
        return text;
    }

    void remember(std::uint32_t pid)
    {
        Process& process = processes[pid];
        process.read_at = now_ns();
        auto context = std::make_shared<Context>();
        std::optional<std::string> text = read_maps(pid, context->proc_pid);
        if (!text || text->empty())
            return;

        std::vector<Mapping> fresh;
        bool generated = false;
        std::string_view rest = *text;
        while (!rest.empty() && fresh.size() < kMaxMappings) {
            std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            const auto mapped = parse_map_line(line);
            if (!mapped)
                continue;
            generated |= is_generated(mapped->path);
            Mapping mapping;
            mapping.start = mapped->start;
            mapping.end = mapped->end;
            mapping.offset = mapped->offset;
            mapping.device = mapped->device;
            mapping.inode = mapped->inode;
            mapping.path = &intern(unescaped_path(mapped->path));
            mapping.deleted = mapped->deleted;
            mapping.context = context;
            fresh.push_back(std::move(mapping));
        }
        // Not the coarse clock: since 6.13 ctime may be finer than its ticks.
        ::clock_gettime(CLOCK_REALTIME, &context->taken);
        find_root(*context);
        context->inner_pid = pid;
        if (generated) {
            if (auto status = read_file(proc_path(context->proc_pid, "status"))) {
                constexpr std::size_t kLast = 64; // PID namespaces nest 32 deep at most
                context->inner_pid = status_number(*status, "NStgid", kLast).value_or(pid);
                context->uid = status_number(*status, "Uid", 1).value_or(0);
            }
        }
        merge(process, std::move(fresh));
    }

    // What is mapped now replaces what was there; what was unmapped meanwhile stays, for addresses
    // taken earlier may lie in it.
    static void merge(Process& process, std::vector<Mapping> fresh)
    {
        std::vector<Mapping> past = std::move(process.mappings);
        std::size_t room = kMaxMappings - std::min(fresh.size(), kMaxMappings);
        std::size_t count = fresh.size();
        for (Mapping& old : past) {
            auto first = fresh.begin();
            auto last = first + static_cast<std::ptrdiff_t>(count);
            auto next = std::upper_bound(
                first, last, old.start,
                [](std::uint64_t at, const Mapping& mapping) { return at < mapping.end; });
            if (next == last || next->start >= old.end) {
                if (room > 0) {
                    --room;
                    fresh.push_back(std::move(old));
                }
            } else if (next->same_file_part(old) && old.binary) {
                next->binary = std::move(old.binary);
                next->opened = true;
            }
        }
        std::ranges::sort(fresh, {}, &Mapping::start);
        process.mappings = std::move(fresh);
    }

    static Mapping* find_mapping(Process& process, std::uint64_t address)
    {
        auto next = std::ranges::upper_bound(process.mappings, address, {}, &Mapping::start);
        if (next == process.mappings.begin())
            return nullptr;
        Mapping& mapping = *std::prev(next);
        return address < mapping.end ? &mapping : nullptr;
    }

    static int root_directory(const Context& context)
    {
        return context.root ? context.root->directory.get() : -1;
    }

    // The mapped file itself, or nothing: never another one that now has its name.
    static Fd open_mapped(const Mapping& mapping, struct stat& info)
    {
        const Context& context = *mapping.context;
        auto same = [&] {
            // Overlay and btrfs show other numbers in maps than in stat; then there is no telling.
            return info.st_ino == mapping.inode || info.st_dev != mapping.device;
        };
        Fd fd =
            open_regular(proc_path(context.proc_pid, map_file(mapping.start, mapping.end)), &info);
        if (fd && same())
            return fd;
        if (mapping.deleted || (!context.own_mounts && !context.root))
            return {};

        // In our mount namespace the kernel shows paths from our own root, in others from the root
        // of theirs; also of a process in a chroot.
        fd = open_regular_in(context.own_mounts ? -1 : root_directory(context), *mapping.path,
                             &info);
        if (!fd || !same())
            return {};
        bool alive = ::access(proc_path(context.proc_pid, "").c_str(), F_OK) == 0;
        // Rebuilt in place or with its inode used again since the process ended.
        bool changed = std::tie(info.st_ctim.tv_sec, info.st_ctim.tv_nsec) >
                       std::tie(context.taken.tv_sec, context.taken.tv_nsec);
        if (!alive && changed)
            return {};
        return fd;
    }

    std::shared_ptr<Binary> open_binary(const Mapping& mapping)
    {
        if (*mapping.path == "[vdso]") {
            if (mapping.start < (1ull << 32) && sizeof(void*) == 8)
                return nullptr; // a 32-bit one
            if (!vdso)
                vdso = own_vdso();
            return *vdso;
        }
        if (!mapping.path->starts_with('/') || mapping.inode == 0)
            return nullptr;
        struct stat info;
        Fd fd = open_mapped(mapping, info);
        if (!fd)
            return nullptr;

        FileKey key{info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                    info.st_mtim.tv_nsec};
        if (auto known = by_file.find(key); known != by_file.end())
            return known->second;
        std::shared_ptr<Binary>& binary = by_file[key];
        std::optional<ElfFile> file = ElfFile::open(std::move(fd));
        if (!file)
            return nullptr;

        // The size beside the build id: a stripped copy has the same id and fewer symbols.
        std::string id = file->build_id();
        if (!id.empty())
            id += '/' + std::to_string(info.st_size);
        if (auto known = by_build_id.find(id); !id.empty() && known != by_build_id.end()) {
            return binary = known->second;
        }
        int root = root_directory(*mapping.context);
        auto open = [&](const std::string& path) {
            Fd debug = open_regular_in(root, path);
            // Containers seldom bring debug files; the host may have them. Build ids tell.
            return debug || root < 0 ? std::move(debug) : open_regular(path);
        };
        binary = std::make_shared<Binary>(*file, *mapping.path, open);
        if (!id.empty())
            by_build_id.emplace(std::move(id), binary);
        return binary;
    }

    std::optional<PerfMap::Function> find_jitted(Process& process, const Context& context,
                                                 std::uint64_t address)
    {
        auto found = process.perf_map.find(address);
        if (found || now_ns() - process.perf_map_read_at < kRereadAfterNs)
            return found;
        process.perf_map_read_at = now_ns();
        struct stat info;
        Fd file = open_regular_in(root_directory(context),
                                  "/tmp/perf-" + std::to_string(context.inner_pid) + ".map", &info);
        if (!file)
            return std::nullopt;
        // /tmp is everybody's: only the process itself and root may name its code.
        if (info.st_uid != context.uid && info.st_uid != 0)
            return std::nullopt;
        std::int64_t written = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
        if (info.st_size == process.perf_map_size && written == process.perf_map_written) {
            return std::nullopt;
        }
        process.perf_map_size = info.st_size;
        process.perf_map_written = written;
        std::optional<std::string> text = read_all(file.get(), kMaxPerfMap);
        if (!text)
            return std::nullopt;
        process.perf_map = PerfMap(std::move(*text));
        return process.perf_map.find(address);
    }

    UserFrame lookup(std::uint32_t pid, std::uint64_t address)
    {
        auto [known, fresh] = processes.try_emplace(pid);
        Process& process = known->second;
        if (fresh)
            remember(pid);
        Mapping* mapping = find_mapping(process, address);
        if (mapping == nullptr && now_ns() - process.read_at >= kRereadAfterNs) {
            remember(pid);
            mapping = find_mapping(process, address);
        }
        UserFrame frame;
        frame.name = kUnknown;
        if (mapping == nullptr)
            return frame;

        bool generated = is_generated(*mapping->path);
        frame.object = mapping->path->empty() ? std::string_view("[anon]") : *mapping->path;
        frame.kind = generated ? FrameKind::jit : FrameKind::user;
        frame.offset = address - mapping->start + mapping->offset;
        if (!mapping->opened) {
            mapping->opened = true;
            try {
                mapping->binary = open_binary(*mapping);
            } catch (const std::exception&) {
                // Out of memory over a file's own idea of its size: it stays without symbols.
            }
        }
        if (mapping->binary) {
            if (auto elf_address = mapping->binary->address_at(frame.offset)) {
                frame.offset = *elf_address;
                if (auto function = mapping->binary->find(*elf_address)) {
                    frame.name = function->name;
                    frame.offset = function->offset;
                    frame.kind = FrameKind::user;
                    frame.resolved = true;
                    return frame;
                }
            }
        } else if (generated) {
            if (auto function = find_jitted(process, *mapping->context, address)) {
                frame.name = intern(std::string(function->name));
                frame.offset = function->offset;
                frame.resolved = true;
                return frame;
            }
        }
        char offset[24];
        std::snprintf(offset, sizeof offset, "+0x%lx", static_cast<unsigned long>(frame.offset));
        frame.name = intern(std::string(base_name(frame.object)) + offset);
        return frame;
    }
};

UserSymbols::UserSymbols() : impl_(std::make_unique<Impl>()) {}
UserSymbols::~UserSymbols() = default;
UserSymbols::UserSymbols(UserSymbols&&) noexcept = default;
UserSymbols& UserSymbols::operator=(UserSymbols&&) noexcept = default;

void UserSymbols::remember(std::uint32_t pid) { impl_->remember(pid); }

bool UserSymbols::remembers(std::uint32_t pid) const
{
    auto known = impl_->processes.find(pid);
    return known != impl_->processes.end() && !known->second.mappings.empty();
}

UserFrame UserSymbols::lookup(std::uint32_t pid, std::uint64_t address, At at)
{
    if (at == At::return_address && address != 0) {
        UserFrame frame = impl_->lookup(pid, address - 1);
        if (frame.resolved) {
            ++frame.offset;
            return frame;
        }
        // A signal's return address is no call's: the trampoline's first byte itself.
    }
    return impl_->lookup(pid, address);
}

} // namespace corebox
