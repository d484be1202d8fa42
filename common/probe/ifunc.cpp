// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/ifunc.hpp"
#include "base/directory.hpp"
#include "base/text.hpp"
#include "symbols/file.hpp"
#include <algorithm>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <vector>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxTable = 64u << 20;

struct Import {
    std::uint64_t slot; // ELF address of the pointer
    std::string name;
};

// The slots of a file in which the loader puts addresses of functions of these names.
std::vector<Import> find_imports(const ElfFile& elf, const std::set<std::string>& names)
{
    std::vector<Import> imports;
    const auto symbols = elf.section(".dynsym", kMaxTable);
    const auto strings = elf.section(".dynstr", kMaxTable);
    if (!elf.is_64() || !symbols || !strings)
        return imports;
    for (const char* table : {".rela.plt", ".rela.dyn"}) {
        const auto relocations = elf.section(table, kMaxTable);
        for (std::size_t at = 0; relocations && at + sizeof(Elf64_Rela) <= relocations->size();
             at += sizeof(Elf64_Rela)) {
            Elf64_Rela r;
            std::memcpy(&r, relocations->data() + at, sizeof r);
            const std::size_t symbol = ELF64_R_SYM(r.r_info) * sizeof(Elf64_Sym);
            if (symbol == 0 || symbol + sizeof(Elf64_Sym) > symbols->size())
                continue;
            Elf64_Sym s;
            std::memcpy(&s, symbols->data() + symbol, sizeof s);
            if (s.st_name >= strings->size())
                continue;
            const std::string_view rest = std::string_view(*strings).substr(s.st_name);
            std::string name(rest.substr(0, rest.find('\0')));
            if (names.contains(name))
                imports.push_back({r.r_offset, std::move(name)});
        }
    }
    return imports;
}

// How far from its ELF addresses a file lies, by one of its executable mappings.
std::optional<std::uint64_t> find_bias(const std::vector<Segment>& segments, const MapLine& mapped)
{
    for (const Segment& s : segments)
        if (s.executable && mapped.offset + (mapped.end - mapped.start) > s.offset &&
            mapped.offset < s.offset + s.file_size)
            return mapped.start - (s.address - s.offset + mapped.offset);
    return std::nullopt;
}

bool is_same(const MapLine& mapped, const struct stat& info)
{
    return mapped.inode == info.st_ino && mapped.device == info.st_dev;
}

} // namespace

std::map<std::string, std::set<std::uint64_t>> follow_ifuncs(const ObjectFile& object,
                                                             const std::set<std::string>& names,
                                                             std::span<const std::uint32_t> pids)
{
    std::map<std::string, std::set<std::uint64_t>> found;
    struct stat info {
    };
    if (names.empty() || ::fstat(object.file.get(), &info) != 0)
        return found;
    std::vector<std::uint32_t> processes(pids.begin(), pids.end());
    if (pids.empty())
        for (const std::string& name : list_entries("/proc"))
            if (const auto pid = to_number<std::uint32_t>(name))
                processes.push_back(*pid);
    // What a file imports does not depend on who maps it.
    struct Known {
        std::vector<Import> imports;
        std::vector<Segment> segments;
    };
    std::map<std::pair<std::uint64_t, std::uint64_t>, Known> files;
    for (const std::uint32_t pid : processes) {
        const auto text = read_file(cat("/proc/", pid, "/maps"));
        const Fd memory(::open(cat("/proc/", pid, "/mem").c_str(), O_RDONLY | O_CLOEXEC));
        if (!text || !memory)
            continue;
        std::vector<MapLine> maps;
        for (const std::string_view line : split(*text, '\n'))
            if (const auto mapped = parse_map_line(line))
                maps.push_back(*mapped);
        if (std::none_of(maps.begin(), maps.end(),
                         [&](const MapLine& m) { return is_same(m, info); }))
            continue;
        for (const MapLine& mapped : maps) {
            if (!mapped.path.starts_with('/'))
                continue;
            const auto [file, is_new] = files.try_emplace({mapped.device, mapped.inode});
            if (is_new)
                if (const auto elf = ElfFile::open(
                        open_regular(cat("/proc/", pid, "/", map_file(mapped.start, mapped.end)))))
                    file->second = {find_imports(*elf, names), elf->segments()};
            const auto bias = find_bias(file->second.segments, mapped);
            if (!bias)
                continue;
            for (const Import& import : file->second.imports) {
                std::uint64_t address = 0;
                if (::pread(memory.get(), &address, sizeof address, off_t(import.slot + *bias)) !=
                    sizeof address)
                    continue;
                // Before the first call it leads to the importer's own stub.
                for (const MapLine& m : maps)
                    if (address >= m.start && address < m.end && is_same(m, info))
                        found[import.name].insert(address - m.start + m.offset);
            }
        }
    }
    return found;
}

bool may_implement(std::string_view function, std::string_view name)
{
    const std::string start = cat("__", name, "_");
    if (!function.starts_with(start))
        return false;
    // "__memcpy_chk_avx2" is one of __memcpy_chk, which checks a length first.
    const std::string_view variant = function.substr(start.size());
    return !variant.starts_with("chk") && variant != "syscall";
}

} // namespace corebox
