// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs and libraries on disk and in processes: found by name, held open, each file once however
// many names and processes it has.
#pragma once
#include "symbols/elf.hpp"
#include "symbols/point.hpp"
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace corebox
{

using Object = std::shared_ptr<const ObjectFile>;

// A library by its name as in -lNAME, a program in PATH, or a file by its path; as the process sees
// it, if there is one (pid not 0). Null: there is none.
Object find_object(std::string_view name, std::uint32_t pid = 0);

// What a process has mapped to execute. Fails where there is no such process.
std::vector<Object> mapped_objects(std::uint32_t pid);

std::optional<ElfFile> open_elf(const ObjectFile& object); // nothing for what is no ELF file

// Whether a file's name is that of a library: "c" for libc.so.6, libc-2.31.so; "ld-musl" for a name
// that begins so. "/perl" is for programs, and libraries of another form: perl, perl5.36.0, perl-static,
// not perldoc.
// "/mysqld/" is that name alone.
bool is_library(std::string_view path, std::string_view library);
bool is_one_of(std::string_view path, std::span<const std::string_view> libraries);

// Every distinct file of one of these libraries that a process maps (containers, chroots, files
// that an update replaced), and those of this host, which a program that starts later may map.
// Programs too, where names begin with a slash.
std::vector<Object> libraries_in_use(std::span<const std::string_view> libraries);

// Of one process: its libraries of that name, or where it maps none (a static program), the
// program. None where there is no such process.
std::vector<Object> libraries_of(std::uint32_t pid, std::span<const std::string_view> libraries);

// Which file it is, for the kernel's uprobes: they go into the file itself. Containers that share a
// layer of an overlay have the same file under different device numbers; probes in each of them
// would count a call several times.
struct FileId {
    std::uint64_t device, inode, size;
    std::int64_t changed_s, changed_ns; // st_ctim
    bool is_overlaid;
};
std::optional<FileId> identify(const ObjectFile& object);
bool is_same(const FileId& a, const FileId& b);

// Keeps each file once.
void drop_duplicates(std::vector<Object>& objects);

// What a process has just mapped there, if it still has; else what has that path, if that is the
// same file. Null: neither.
Object open_mapped(std::uint32_t pid, std::uint64_t start, std::uint64_t end,
                   const std::string& path, std::uint64_t inode);

// The root directory of a process: files are opened below it as the process sees them. Empty for 0.
Fd root_of(std::uint32_t pid);
// A regular file below a root; null: there is none.
Object open_object(const Fd& root, const std::string& path);

} // namespace corebox
