// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "perl_ops.hpp"
#include "symbols/usdt.hpp"
#include <algorithm>
#include <cstring>
#include <elf.h>
#include <gelf.h>
#include <map>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::string_view kPrefix = "Perl_pp_";
constexpr std::size_t kMostOps = 1024; // 5.42 has some 420

void add_site(std::vector<Point::Site>& sites, const std::vector<Segment>& segments,
              std::uint64_t address)
{
    std::uint64_t offset = 0;
    if (file_offset(segments, address, true, offset) &&
        std::ranges::find(sites, offset, &Point::Site::offset) == sites.end())
        sites.push_back({offset, 0});
}

// Two tables of pointers in a file that is not loaded: what they will point to is in relocations,
// or in the file itself (no PIE, or relocations of the form RELR).
class Tables
{
public:
    Tables(const ObjectFile& object, const ElfFile& elf)
        : object_(object), segments_(elf.segments())
    {
        for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.libelf(), section));) {
            GElf_Shdr header;
            if (!gelf_getshdr(section, &header))
                continue;
            if (header.sh_type == SHT_DYNSYM || header.sh_type == SHT_SYMTAB)
                find_tables(elf.libelf(), section, header);
        }
        for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.libelf(), section));) {
            GElf_Shdr header;
            if (names_ && gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
                read_relocations(elf.libelf(), section, header);
        }
    }

    std::vector<Point::Site> find(std::span<const std::string_view> names) const
    {
        std::vector<Point::Site> sites;
        if (names_ && code_)
            for (std::size_t i = 0; i < std::min(count_, kMostOps); i++)
                if (std::ranges::find(names, text_at(pointer_at(names_ + i * 8))) != names.end())
                    add_site(sites, segments_, pointer_at(code_ + i * 8));
        return sites;
    }

private:
    void find_tables(Elf* elf, Elf_Scn* section, const GElf_Shdr& header)
    {
        Elf_Data* const data = elf_getdata(section, nullptr);
        GElf_Sym symbol;
        for (int i = 1; data && gelf_getsym(data, i, &symbol); i++) {
            const char* const name = elf_strptr(elf, header.sh_link, symbol.st_name);
            if (!name || symbol.st_shndx == SHN_UNDEF)
                continue;
            if (std::strcmp(name, "PL_op_name") == 0) {
                names_ = symbol.st_value;
                count_ = symbol.st_size / 8;
            } else if (std::strcmp(name, "PL_ppaddr") == 0) {
                code_ = symbol.st_value;
            }
        }
    }

    bool is_in_table(std::uint64_t address) const
    {
        return address - names_ < kMostOps * 8 || address - code_ < kMostOps * 8;
    }

    void read_relocations(Elf* elf, Elf_Scn* section, const GElf_Shdr& header)
    {
        Elf_Data* const data = elf_getdata(section, nullptr);
        GElf_Rela relocation;
        for (int i = 0; data && gelf_getrela(data, i, &relocation); i++) {
            if (!is_in_table(relocation.r_offset))
                continue;
            std::uint64_t target = std::uint64_t(relocation.r_addend);
            if (const auto index = GELF_R_SYM(relocation.r_info)) {
                GElf_Sym symbol{};
                Elf_Scn* const symbols = elf_getscn(elf, header.sh_link);
                if (!symbols || !gelf_getsym(elf_getdata(symbols, nullptr), int(index), &symbol))
                    continue;
                target += symbol.st_value;
            }
            pointers_[relocation.r_offset] = target;
        }
    }

    std::uint64_t pointer_at(std::uint64_t address) const
    {
        if (const auto known = pointers_.find(address); known != pointers_.end())
            return known->second;
        std::uint64_t value = 0;
        return read(address, &value, sizeof value) == sizeof value ? value : 0;
    }

    std::string text_at(std::uint64_t address) const
    {
        char text[32];
        const ssize_t n = read(address, text, sizeof text);
        return n > 0 ? std::string(text, ::strnlen(text, std::size_t(n))) : std::string();
    }

    ssize_t read(std::uint64_t address, void* to, std::size_t size) const
    {
        std::uint64_t offset = 0;
        if (!address || !file_offset(segments_, address, false, offset))
            return 0;
        return ::pread(object_.file.get(), to, size, off_t(offset));
    }

    const ObjectFile& object_;
    std::vector<Segment> segments_;
    std::uint64_t names_ = 0, code_ = 0; // their addresses
    std::size_t count_ = 0;
    std::map<std::uint64_t, std::uint64_t> pointers_;
};

} // namespace

std::vector<Point::Site> find_perl_ops(const ObjectFile& object, const ElfFile& elf,
                                       std::span<const std::string_view> names)
{
    std::vector<RawSymbol> symbols;
    elf.add_symbols(symbols);
    const std::vector<Segment> segments = elf.segments();
    std::vector<Point::Site> sites;
    for (const RawSymbol& symbol : symbols)
        if (symbol.name.starts_with(kPrefix) &&
            std::ranges::find(names, symbol.name.substr(kPrefix.size())) != names.end())
            add_site(sites, segments, symbol.value);
    return sites.empty() ? Tables(object, elf).find(names) : sites;
}

} // namespace corebox
