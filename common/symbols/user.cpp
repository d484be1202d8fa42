// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/user.hpp"

#include "base/text.hpp"
#include "output/output.hpp"
#include "symbols/file.hpp"
#include "symbols/jit.hpp"
#include "symbols/mapped_files.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <tuple>
#include <unordered_map>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxMaps = 64u << 20;
constexpr std::size_t kMaxMappings = 8192; // executable ones of a process, past ones included
constexpr std::uint64_t kRereadAfterNs = 100'000'000;
constexpr std::string_view kUnknown = "[unknown]";

// What was known of a process when its mappings were read.
struct Context {
    RootPlace place;
    std::uint32_t proc_pid = 0; // whose /proc directory: a thread's, if the leader ended
    timespec taken{};
};

// A mapping of a file next to memory that the process filled with code.
struct Neighbour {
    std::uint64_t start = 0, offset = 0;
    bool executable = false;
    MappedFiles::File file; // null: there is no neighbour
};
using Neighbours = std::array<Neighbour, 2>; // before and behind

struct Mapping {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t offset = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    const std::string* path = nullptr; // interned
    bool deleted = false;
    MappedFiles::File file; // null: there is none
    std::shared_ptr<const Neighbours> neighbours;
    std::shared_ptr<const Context> context;

    bool same_file_part(const Mapping& other) const
    {
        return start == other.start && end == other.end && offset == other.offset &&
               device == other.device && inode == other.inode && path == other.path;
    }
};

struct Process {
    std::vector<Mapping> mappings;  // executable ones, by address
    std::uint64_t fruitless_ns = 0; // when it was read for an address that is not in it
    JitNames jit;
};

// Memory that a program fills with code itself: no file, or a file without a name that lasts.
bool is_generated(std::string_view path)
{
    constexpr std::string_view kPrefixes[] = {"//anon",      "[anon",     "/anon_hugepage",
                                              "/memfd:",     "/dev/zero", "/SYSV",
                                              "anon_inode:", "[heap]",    "[stack"};
    return path.empty() || std::ranges::any_of(kPrefixes, [&](std::string_view prefix) {
               return path.starts_with(prefix);
           });
}

bool is_file(const Mapping& mapping)
{
    return mapping.path->starts_with('/') && mapping.inode != 0;
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

// What the processes of all programs share.
struct UserSymbols::Shared {
    MappedFiles files;
    Roots roots;
    JitMaps jit_maps;
    std::optional<std::shared_ptr<Binary>> vdso;
};

struct UserSymbols::Impl {
    std::unordered_map<std::uint32_t, Process> processes;
    std::shared_ptr<Shared> shared;

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
        auto context = std::make_shared<Context>();
        std::optional<std::string> text = read_maps(pid, context->proc_pid);
        if (!text || text->empty())
            return;
        context->place = shared->roots.find(context->proc_pid);

        // Not the coarse clock: since 6.13 ctime may be finer than its ticks.
        ::clock_gettime(CLOCK_REALTIME, &context->taken);

        std::vector<Mapping> fresh;
        bool generated = false;
        std::optional<Mapping> before; // the last mapping of a file
        bool before_executable = false;
        std::shared_ptr<Neighbours> neighbours; // of generated code behind it
        const auto neighbour = [&](const Mapping& mapping, bool executable) {
            return Neighbour{mapping.start, mapping.offset, executable, hold(mapping)};
        };
        std::string_view rest = *text;
        while (!rest.empty() && fresh.size() < kMaxMappings) {
            std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            const auto mapped = parse_any_map_line(line);
            const bool is_own = mapped && is_generated(mapped->path);
            if (!mapped || (!mapped->executable && (is_own || !mapped->path.starts_with('/'))))
                continue;
            Mapping mapping;
            mapping.start = mapped->start;
            mapping.end = mapped->end;
            mapping.offset = mapped->offset;
            mapping.device = mapped->device;
            mapping.inode = mapped->inode;
            mapping.path = &shared->files.intern(unescaped_path(mapped->path));
            mapping.deleted = mapped->deleted;
            mapping.context = context;
            if (is_own) {
                generated = true;
                if (!neighbours) {
                    neighbours = std::make_shared<Neighbours>();
                    if (before)
                        neighbours->front() = neighbour(*before, before_executable);
                }
                mapping.neighbours = neighbours;
            } else if (is_file(mapping)) {
                if (neighbours)
                    neighbours->back() = neighbour(mapping, mapped->executable);
                neighbours = nullptr;
                before = mapping;
                before_executable = mapped->executable;
            }
            if (mapped->executable)
                fresh.push_back(std::move(mapping));
        }
        merge(process, std::move(fresh));
        for (Mapping& mapping : process.mappings)
            if (!mapping.file && is_file(mapping))
                mapping.file = hold(mapping);
        if (generated)
            process.jit.note(context->proc_pid, shared->roots, shared->jit_maps);
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
            } else if (next->same_file_part(old)) {
                next->file = std::move(old.file);
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

    MappedFiles::File hold(const Mapping& mapping)
    {
        // What has no name is memory, that a handle would keep: as a rule of a JIT compiler.
        if (is_generated(*mapping.path)) {
            auto file = std::make_shared<MappedFile>();
            file->path = mapping.path;
            file->place = mapping.context->place;
            return file;
        }
        return shared->files.hold(mapping.device, mapping.inode, *mapping.path,
                                  mapping.context->place,
                                  [&](struct stat& info) { return hold_mapped(mapping, info); });
    }

    static bool is_alive(const Context& context)
    {
        return ::access(proc_path(context.proc_pid, "").c_str(), F_OK) == 0;
    }

    // The mapped file itself, or nothing: never another one that now has its name.
    static Fd hold_mapped(const Mapping& mapping, struct stat& info)
    {
        const Context& context = *mapping.context;
        auto same = [&] {
            // Overlay and btrfs show other numbers in maps than in stat; then there is no telling.
            return info.st_ino == mapping.inode || info.st_dev != mapping.device;
        };
        Fd fd =
            hold_regular(proc_path(context.proc_pid, map_file(mapping.start, mapping.end)), &info);
        if (fd && same())
            return fd;
        if (mapping.deleted || (!context.place.own_mounts && !context.place.root))
            return {};

        // In our mount namespace the kernel shows paths from our own root, in others from the root
        // of theirs; also of a process in a chroot.
        const int root = context.place.own_mounts ? -1 : context.place.directory();
        fd = hold_regular_in(root, *mapping.path, &info);
        if (!fd || !same())
            return {};
        // Rebuilt in place or with its inode used again since the process ended.
        bool changed = std::tie(info.st_ctim.tv_sec, info.st_ctim.tv_nsec) >
                       std::tie(context.taken.tv_sec, context.taken.tv_nsec);
        if (changed && !is_alive(context))
            return {};
        return fd;
    }

    std::shared_ptr<Binary> read(const Mapping& mapping)
    {
        if (*mapping.path == "[vdso]") {
            if (mapping.start < (1ull << 32) && sizeof(void*) == 8)
                return nullptr; // a 32-bit one
            if (!shared->vdso)
                shared->vdso = own_vdso();
            return *shared->vdso;
        }
        if (!mapping.file)
            return nullptr;
        if (mapping.file->is_read)
            return mapping.file->binary;
        return shared->files.read(
            *mapping.file, is_alive(*mapping.context),
            [&](struct stat& info) { return open_held(hold_mapped(mapping, info)); });
    }

    // Code that a program copied from its file to memory of its own, in the file's place (for huge
    // pages: node --use-largepages, hugectl, iodlr).
    struct Copied {
        std::shared_ptr<Binary> binary;
        const std::string* path;
        std::uint64_t address; // in the file's own terms
    };
    std::optional<Copied> find_copied(const Mapping& mapping, std::uint64_t address)
    {
        if (!mapping.neighbours)
            return std::nullopt;
        for (const Neighbour& n : *mapping.neighbours) {
            if (!n.file)
                continue;
            const auto binary = n.file->is_read
                                    ? n.file->binary
                                    : shared->files.read(*n.file, is_alive(*mapping.context),
                                                         [](struct stat&) { return Fd(); });
            const auto bias = binary ? binary->bias(n.start, n.offset, n.executable) : std::nullopt;
            if (bias && binary->has_code_at(address - *bias))
                return Copied{binary, n.file->path, address - *bias};
        }
        return std::nullopt;
    }

    // Looks at the process if this address lies in nothing that is known of it. One reading that
    // did not help is followed by another after a while only: addresses may be nonsense.
    void remember_for(std::uint32_t pid, std::uint64_t address)
    {
        auto [known, fresh] = processes.try_emplace(pid);
        Process& process = known->second;
        if (!fresh && (find_mapping(process, address) ||
                       monotonic_ns() - process.fruitless_ns < kRereadAfterNs))
            return;
        remember(pid);
        if (!find_mapping(process, address))
            process.fruitless_ns = monotonic_ns();
    }

    UserFrame lookup(std::uint32_t pid, std::uint64_t address)
    {
        Process& process = processes[pid];
        Mapping* mapping = find_mapping(process, address);
        UserFrame frame;
        frame.name = kUnknown;
        if (mapping == nullptr)
            return frame;

        bool generated = is_generated(*mapping->path);
        frame.object = mapping->path->empty() ? std::string_view("[anon]") : *mapping->path;
        frame.kind = generated ? FrameKind::jit : FrameKind::user;
        frame.offset = address - mapping->start + mapping->offset;
        std::shared_ptr<Binary> binary = read(*mapping);
        std::optional<std::uint64_t> elf_address;
        if (binary) {
            elf_address = binary->address_at(frame.offset);
        } else if (const auto copied = find_copied(*mapping, address)) {
            binary = copied->binary;
            elf_address.emplace(copied->address);
            frame.object = *copied->path;
            frame.kind = FrameKind::user;
        }
        if (elf_address.has_value()) {
            frame.offset = elf_address.value();
            if (auto function = binary->find(frame.offset)) {
                frame.name = function->name;
                frame.offset = function->offset;
                frame.kind = FrameKind::user;
                frame.resolved = true;
                return frame;
            }
        } else if (!binary && generated) {
            if (auto function = process.jit.find(address, shared->jit_maps)) {
                frame.name = shared->files.intern(std::string(function->name));
                frame.offset = function->offset;
                frame.resolved = true;
                return frame;
            }
        }
        char offset[24];
        std::snprintf(offset, sizeof offset, "+0x%lx", static_cast<unsigned long>(frame.offset));
        frame.name = shared->files.intern(std::string(base_name(frame.object)) + offset);
        return frame;
    }
};

UserSymbols::UserSymbols() : impl_(std::make_unique<Impl>())
{
    impl_->shared = std::make_shared<Shared>();
}

UserSymbols UserSymbols::sibling() const
{
    UserSymbols other{nullptr};
    other.impl_ = std::make_unique<Impl>();
    other.impl_->shared = impl_->shared;
    return other;
}

UserSymbols::UserSymbols(std::nullptr_t) {}
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
    impl_->remember_for(pid, at == At::return_address && address != 0 ? address - 1 : address);
    return lookup_remembered(pid, address, at);
}

UserFrame UserSymbols::lookup_remembered(std::uint32_t pid, std::uint64_t address, At at)
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
