// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols: the functions of one ELF file.
#pragma once

#include "symbols/file.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct Elf;

namespace corebox
{

// One symbol as an ELF file has it. The name points into the file's string table.
struct RawSymbol {
    std::uint64_t value = 0;
    std::uint64_t size = 0;  // 0: not given, up to the next symbol
    std::uint64_t limit = 0; // where the section ends
    std::string_view name;
    std::uint32_t rank = 0; // of several names for one address the lowest is shown
    enum class Type : std::uint8_t { label, function, resolver } type = Type::label; // of an IFUNC
};

// Functions sorted by address. Functions may nest (assembly has entry points inside others).
class SymbolTable
{
public:
    SymbolTable() = default;
    explicit SymbolTable(std::vector<RawSymbol> raw);

    struct Hit {
        std::uint32_t index;
        std::uint64_t offset;
    };
    // The innermost function that holds the address: never just the nearest one before it.
    std::optional<Hit> find(std::uint64_t address) const;
    const char* name(std::uint32_t index) const { return names_.data() + entries_[index].name; }
    bool empty() const { return entries_.empty(); }

private:
    static constexpr std::uint32_t kNone = ~0u;
    struct Entry {
        std::uint64_t value;
        std::uint32_t size;
        std::uint32_t name;  // offset into names_, NUL-terminated
        std::uint32_t outer; // the entry around this one or behind whose start it lies; kNone
    };
    std::vector<Entry> entries_;
    std::string names_;
};

// A PT_LOAD of an ELF file.
struct Segment {
    std::uint64_t offset;
    std::uint64_t file_size;
    std::uint64_t address;
    bool executable;
};

// An open ELF file. Only what is asked for is read; sizes in the file are not believed.
class ElfFile
{
public:
    // Of the calling machine's byte order, 32 or 64 bits; nothing for anything else.
    static std::optional<ElfFile> open(Fd fd);
    // `image` must outlive the result.
    static std::optional<ElfFile> from_memory(std::span<const char> image);

    ElfFile(ElfFile&&) = default;
    ElfFile& operator=(ElfFile&&) = default;

    std::vector<Segment> segments() const;
    std::string build_id() const; // raw bytes; empty if there is none

    // Functions of .symtab and .dynsym are appended; the result: was there a .symtab? `bias` is
    // added to addresses. The names live as long as this object.
    bool add_symbols(std::vector<RawSymbol>& symbols, std::uint64_t bias = 0) const;
    // "name@plt" for the stubs that call into other objects (x86-64, AArch64). The names live in
    // `names`.
    void add_plt(std::vector<RawSymbol>& symbols, std::vector<std::string>& names) const;

    std::optional<std::string> section(std::string_view name, std::size_t limit) const;
    // In the file; nothing where there is none of that name, or the file only names it.
    std::optional<std::uint64_t> section_size(std::string_view name) const;
    // Where it lies once loaded; nothing where there is none of that name.
    std::optional<std::uint64_t> section_address(std::string_view name) const;
    bool is_64() const;

    struct DebugLink {
        std::string name;
        std::uint32_t crc;
    };
    std::optional<DebugLink> debug_link() const;

    // For libdw; as long as this object.
    Elf* libelf() const { return elf_.get(); }

private:
    struct End {
        void operator()(Elf* elf) const;
    };
    ElfFile(Fd fd, Elf* elf, std::uint64_t size) : fd_(std::move(fd)), elf_(elf), size_(size) {}

    Fd fd_; // outlives elf_
    std::unique_ptr<Elf, End> elf_;
    std::uint64_t size_;
};

// Opens a file by its path as the traced process sees it.
using Opener = std::function<Fd(const std::string& path)>;

// The separate debug file, as GDB looks for it ("Debugging Information in Separate Files").
struct DebugFile {
    ElfFile file;
    // From its addresses to those of the program: a prelinked library lies elsewhere than when its
    // debug file was split off.
    std::uint64_t bias;
};
// `open` may be empty: then there is none.
std::optional<DebugFile> find_debug_file(const ElfFile& file, const std::string& path,
                                         const Opener& open);

// Hands over the symbols of a file: its own, or where it is stripped those of its debug file or of
// its MiniDebugInfo. The names live as long as the call.
void with_symbols(const ElfFile& file, const std::string& path, const Opener& open,
                  const std::function<void(std::vector<RawSymbol>& symbols)>& use);

// The functions of a program or library, wherever they are written down. Shared by all processes
// that map it.
class Binary
{
public:
    // `path` and `open` are for finding a separate debug file; `open` may be empty.
    Binary(const ElfFile& file, const std::string& path, const Opener& open);

    // The ELF address of a position in the file, as an executable mapping of it has it.
    std::optional<std::uint64_t> address_at(std::uint64_t file_offset) const;

    // How far from its ELF addresses a process has it, of which a mapping begins at `start` with
    // the position `file_offset`.
    std::optional<std::uint64_t> bias(std::uint64_t start, std::uint64_t file_offset,
                                      bool executable) const;
    bool has_code_at(std::uint64_t address) const;

    struct Function {
        std::string_view name; // demangled; lives as long as this object
        std::uint64_t offset;
    };
    std::optional<Function> find(std::uint64_t address);

private:
    std::vector<Segment> segments_;
    SymbolTable symbols_;
    std::unordered_map<std::uint32_t, std::string> demangled_;
};

} // namespace corebox
