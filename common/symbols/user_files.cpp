// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/user_files.hpp"
#include "base/directory.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "symbols/file.hpp"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <set>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <tuple>

namespace corebox
{

Fd root_of(std::uint32_t pid)
{
    return pid ? Fd(::open(cat("/proc/", pid, "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))
               : Fd();
}

Object open_object(const Fd& root, const std::string& path)
{
    Fd file = open_regular_in(root.get(), path);
    return file ? std::make_shared<ObjectFile>(ObjectFile{path, std::move(file)}) : nullptr;
}

namespace
{

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

} // namespace

bool is_library(std::string_view path, std::string_view library)
{
    const std::string_view name = base_name(path);
    if (library.starts_with('/')) { // a letter behind it: another word ("rubygc")
        library.remove_prefix(1);
        if (library.ends_with('/'))
            return name == library.substr(0, library.size() - 1);
        return name.starts_with(library) &&
               (name.size() == library.size() ||
                !std::isalpha(static_cast<unsigned char>(name[library.size()])));
    }
    if (library.find('-') != library.npos)
        return name.starts_with(library);
    const std::string start = cat("lib", library);
    return name.starts_with(start + ".so") || name.starts_with(start + "-");
}

bool is_one_of(std::string_view path, std::span<const std::string_view> libraries)
{
    return std::ranges::any_of(libraries,
                               [path](std::string_view l) { return is_library(path, l); });
}

namespace
{

constexpr std::size_t kMaxCache = 64u << 20;

constexpr const char* kLibraryDirectories[] = {"/lib/x86_64-linux-gnu",
                                               "/usr/lib/x86_64-linux-gnu",
                                               "/lib/aarch64-linux-gnu",
                                               "/usr/lib/aarch64-linux-gnu",
                                               "/lib64",
                                               "/usr/lib64",
                                               "/lib",
                                               "/usr/lib",
                                               "/usr/local/lib"};

constexpr const char* kProgramDirectories[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin"};

// ldconfig's table (glibc, sysdeps/generic/dl-cache.h): a header of 48 bytes and entries of 24,
// with the places of file name and path, counted from the header.
std::string in_library_cache(std::string_view cache, std::string_view start)
{
    const auto begin = cache.find("glibc-ld.so.cache1.1");
    if (begin == cache.npos || cache.size() - begin < 48)
        return {};
    cache.remove_prefix(begin);
    const auto number = [&](std::size_t at) {
        std::uint32_t n;
        std::memcpy(&n, cache.data() + at, sizeof n);
        return n;
    };
    const auto text = [&](std::uint32_t at) {
        return at < cache.size() ? cache.substr(at, cache.find('\0', at) - at) : "";
    };
    const std::size_t count = std::min<std::size_t>(number(20), (cache.size() - 48) / 24);
    for (std::size_t i = 0; i < count; i++)
        if (text(number(48 + i * 24 + 4)).starts_with(start))
            return std::string(text(number(48 + i * 24 + 8)));
    return {};
}

Object find_library(const Fd& root, std::string_view name)
{
    const std::string start = cat("lib", name, ".so");
    if (const Fd file = open_regular_in(root.get(), "/etc/ld.so.cache"); file)
        if (const auto cache = read_all(file.get(), kMaxCache))
            if (const std::string path = in_library_cache(*cache, start); !path.empty())
                if (Object object = open_object(root, path))
                    return object;
    // A system without ldconfig (musl, an initramfs).
    const std::string own_root = root ? cat("/proc/self/fd/", root.get()) : std::string();
    for (const char* directory : kLibraryDirectories)
        for (const std::string& file : list_entries(own_root + directory))
            if (file.starts_with(start))
                if (Object object = open_object(root, cat(directory, "/", file)))
                    return object;
    return nullptr;
}

Object find_program(const Fd& root, std::string_view name)
{
    const char* path = std::getenv("PATH");
    for (const std::string_view directory : split(path ? path : "/usr/bin:/bin", ':'))
        if (Object object = open_object(root, cat(directory, "/", name)))
            return object;
    return nullptr;
}

std::string read_maps(std::uint32_t pid)
{
    auto maps = read_file(cat("/proc/", pid, "/maps"));
    if (!maps)
        fail(cat("cannot read the mappings of process ", pid), errno);
    return std::move(*maps);
}

// The files that a process has mapped to execute; not open where we may not, or where only the path
// is left, which leads to another file by now.
// With `libraries` only those.
std::vector<ObjectFile> mapped_files(std::uint32_t pid, std::string_view maps,
                                     std::span<const std::string_view> libraries = {})
{
    const Fd root = root_of(pid);
    std::set<std::tuple<std::uint64_t, std::uint64_t, std::string_view>> known;
    std::vector<ObjectFile> files;
    for (const std::string_view line : split(maps, '\n')) {
        const auto mapped = parse_map_line(line);
        if (!mapped || !mapped->path.starts_with('/') ||
            (!libraries.empty() && !is_one_of(mapped->path, libraries)) ||
            !known.emplace(mapped->device, mapped->inode, mapped->path).second)
            continue;
        std::string path = unescaped_path(mapped->path);
        // The very file, even if another has its name by now.
        Fd file = open_regular(cat("/proc/", pid, "/", map_file(mapped->start, mapped->end)));
        if (!file && !mapped->deleted)
            file = open_regular_in(root.get(), path);
        files.push_back({std::move(path), std::move(file)});
    }
    return files;
}

} // namespace

std::optional<ElfFile> open_elf(const ObjectFile& object)
{
    return ElfFile::open(
        Fd(::open(cat("/proc/self/fd/", object.file.get()).c_str(), O_RDONLY | O_CLOEXEC)));
}

Object find_object(std::string_view name, std::uint32_t pid)
{
    // What the process runs, if it has it mapped: where that was replaced, the path leads to
    // another file, and probes in that would see nothing.
    if (pid && (name.starts_with('/') || name.find('/') == name.npos)) {
        const std::string library = cat("lib", name);
        for (ObjectFile& mapped : mapped_files(pid, read_maps(pid))) {
            const std::string_view base = base_name(mapped.path);
            if (mapped.path == name || base == name || base.starts_with(library + ".") ||
                base.starts_with(library + "-"))
                return mapped.file ? std::make_shared<ObjectFile>(std::move(mapped)) : nullptr;
        }
    }
    const Fd root = root_of(pid);
    if (name.find('/') != name.npos) {
        char* absolute =
            name.starts_with('/') || pid ? nullptr : ::realpath(std::string(name).c_str(), nullptr);
        const std::string path = absolute ? absolute : std::string(name);
        std::free(absolute);
        return open_object(root, path);
    }
    if (Object library = find_library(root, name))
        return library;
    return find_program(root, name);
}

std::vector<Object> mapped_objects(std::uint32_t pid)
{
    std::vector<Object> objects;
    for (ObjectFile& mapped : mapped_files(pid, read_maps(pid)))
        if (mapped.file)
            objects.push_back(std::make_shared<ObjectFile>(std::move(mapped)));
    return objects;
}

std::vector<Object> libraries_of(std::uint32_t pid, std::span<const std::string_view> libraries)
{
    std::vector<Object> objects;
    for (ObjectFile& mapped :
         mapped_files(pid, read_file(cat("/proc/", pid, "/maps")).value_or(""), libraries))
        if (mapped.file)
            objects.push_back(std::make_shared<ObjectFile>(std::move(mapped)));
    if (objects.empty())
        if (Object program = open_object(Fd(), cat("/proc/", pid, "/exe")))
            objects.push_back(std::move(program));
    drop_duplicates(objects);
    return objects;
}

std::vector<Object> libraries_in_use(std::span<const std::string_view> libraries)
{
    std::vector<Object> objects;
    for (const std::string& name : list_entries("/proc")) {
        const auto pid = to_number<std::uint32_t>(name);
        // It may end at any time, and its files are nobody's then.
        const auto maps = pid ? read_file(cat("/proc/", *pid, "/maps")) : std::nullopt;
        if (!maps)
            continue;
        for (ObjectFile& file : mapped_files(*pid, *maps, libraries))
            if (file.file)
                objects.push_back(std::make_shared<ObjectFile>(std::move(file)));
        drop_duplicates(objects); // descriptors are few
    }
    const auto add = [&](std::span<const char* const> directories) {
        for (const char* directory : directories)
            for (const std::string& file : list_entries(directory))
                if (is_one_of(file, libraries))
                    if (Object object = open_object(Fd(), cat(directory, "/", file)))
                        objects.push_back(std::move(object));
    };
    add(kLibraryDirectories);
    if (std::ranges::any_of(libraries, [](std::string_view l) { return l.starts_with('/'); }))
        add(kProgramDirectories);
    drop_duplicates(objects);
    return objects;
}

std::optional<FileId> identify(const ObjectFile& object)
{
    struct stat info {
    };
    struct statfs system {
    };
    if (::fstat(object.file.get(), &info) != 0 || ::fstatfs(object.file.get(), &system) != 0)
        return std::nullopt;
    return FileId{
        info.st_dev,         info.st_ino,          std::uint64_t(info.st_size),
        info.st_ctim.tv_sec, info.st_ctim.tv_nsec, system.f_type == OVERLAYFS_SUPER_MAGIC};
}

bool is_same(const FileId& a, const FileId& b)
{
    if (a.device == b.device && a.inode == b.inode)
        return true;
    // An overlay shows the file's own inode number, size and time of change (the kernel's
    // Documentation/filesystems/overlayfs.rst), with the number of the layer in the upper bits.
    const auto low = [](std::uint64_t inode) { return std::uint32_t(inode); };
    return (a.is_overlaid || b.is_overlaid) && low(a.inode) == low(b.inode) && a.size == b.size &&
           a.changed_s == b.changed_s && a.changed_ns == b.changed_ns;
}

void drop_duplicates(std::vector<Object>& objects)
{
    std::vector<FileId> known;
    std::erase_if(objects, [&](const Object& object) {
        const auto id = identify(*object);
        if (!id || std::ranges::any_of(known, [&](const FileId& k) { return is_same(k, *id); }))
            return true;
        known.push_back(*id);
        return false;
    });
}

Object open_mapped(std::uint32_t pid, std::uint64_t start, std::uint64_t end,
                   const std::string& path, std::uint64_t inode)
{
    Fd file = open_regular(cat("/proc/", pid, "/", map_file(start, end)));
    if (!file)
        if (const Fd root = root_of(pid))
            file = open_regular_in(root.get(), path);
    // The process may have ended. Then it must be the file that it mapped.
    struct stat info {
    };
    if (!file && (file = open_regular(path, &info)) && info.st_ino != inode)
        return nullptr;
    return file ? std::make_shared<ObjectFile>(ObjectFile{path, std::move(file)}) : nullptr;
}

} // namespace corebox
