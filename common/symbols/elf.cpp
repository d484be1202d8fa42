// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/elf.hpp"

#include "symbols/demangle.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <gelf.h>
#include <libelf.h>
#include <limits>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace corebox
{
namespace
{

// Far above what real programs have (Chromium with symbols: 150 MB of strings), far below what
// would hurt: a sparse file can claim any size.
constexpr std::uint64_t kMaxSection = 512ull << 20;
constexpr std::uint64_t kMaxSections = 1 << 20;
constexpr std::size_t kMaxMiniDebug = 256u << 20;
constexpr std::size_t kMaxName = 16u << 10;   // of a symbol: longer ones are no names
constexpr std::size_t kMaxNames = 256u << 20; // of a file
constexpr std::uint64_t kMaxLzmaMemory = 128ull << 20;
constexpr std::size_t kMaxNotes = 64 * 1024;
constexpr std::size_t kMaxPlt = 64 * 1024;

constexpr unsigned char kNativeOrder =
    std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

// libelf allocates one descriptor per section at elf_begin, and with extended numbering the count
// is any 32- or 64-bit number of the file.
template <typename Ehdr, typename Shdr, typename ReadAt>
bool few_sections(const ReadAt& read_at)
{
    Ehdr header;
    if (!read_at(0, &header, sizeof header))
        return false;
    if (header.e_shoff == 0 || header.e_shnum != 0)
        return true;
    Shdr first;
    return read_at(header.e_shoff, &first, sizeof first) && first.sh_size <= kMaxSections;
}

template <typename ReadAt>
bool plausible(const ReadAt& read_at)
{
    unsigned char ident[EI_NIDENT];
    if (!read_at(0, ident, sizeof ident) || std::memcmp(ident, ELFMAG, SELFMAG) != 0)
        return false;
    if (ident[EI_DATA] != kNativeOrder)
        return false;
    switch (ident[EI_CLASS]) {
    case ELFCLASS64:
        return few_sections<Elf64_Ehdr, Elf64_Shdr>(read_at);
    case ELFCLASS32:
        return few_sections<Elf32_Ehdr, Elf32_Shdr>(read_at);
    default:
        return false;
    }
}

// Calls visit(section, header, name) for each section until it returns false.
template <typename Visit>
void for_each_section(Elf* elf, const Visit& visit)
{
    std::size_t names;
    if (elf_getshdrstrndx(elf, &names) != 0)
        return;
    Elf_Scn* section = nullptr;
    while ((section = elf_nextscn(elf, section)) != nullptr) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr)
            continue;
        const char* name = elf_strptr(elf, names, header.sh_name);
        if (!visit(section, header, std::string_view(name != nullptr ? name : "")))
            return;
    }
}

// The bytes of a section, if they are in the file.
Elf_Data* data_of(Elf_Scn* section, const GElf_Shdr& header, std::uint64_t file_size)
{
    if (header.sh_type == SHT_NOBITS || header.sh_size == 0)
        return nullptr;
    if (header.sh_size > kMaxSection || header.sh_size > file_size)
        return nullptr;
    if (header.sh_offset > file_size - header.sh_size)
        return nullptr;
    Elf_Data* data = elf_getdata(section, nullptr);
    return data != nullptr && data->d_buf != nullptr ? data : nullptr;
}

// Strings of a section, cut behind the last NUL so that each string in it ends.
std::string_view strings_of(Elf* elf, std::size_t index, std::uint64_t file_size)
{
    Elf_Scn* section = elf_getscn(elf, index);
    GElf_Shdr header;
    if (section == nullptr || gelf_getshdr(section, &header) == nullptr)
        return {};
    if (header.sh_type != SHT_STRTAB)
        return {};
    Elf_Data* data = data_of(section, header, file_size);
    if (data == nullptr)
        return {};
    std::string_view text(static_cast<const char*>(data->d_buf), data->d_size);
    return text.substr(0, text.rfind('\0') + 1);
}

std::string_view string_at(std::string_view strings, std::size_t offset)
{
    if (offset >= strings.size())
        return {};
    // Whose file is read may want names to take all time and memory that there is.
    const char* const name = strings.data() + offset;
    const std::size_t size = ::strnlen(name, kMaxName + 1);
    return size <= kMaxName ? std::string_view(name, size) : std::string_view();
}

// Of several names for one address the one a person would use: a function before a label, one whose
// extent is known, few leading underscores (read before __read before __libc_read), global first.
std::uint32_t rank_of(const GElf_Sym& symbol, std::string_view name)
{
    bool label = GELF_ST_TYPE(symbol.st_info) == STT_NOTYPE;
    auto underscores = std::min<std::size_t>(name.find_first_not_of('_'), 7);
    unsigned binding = GELF_ST_BIND(symbol.st_info);
    bool global = binding == STB_GLOBAL || binding == STB_GNU_UNIQUE;
    unsigned scope = global ? 0 : binding == STB_WEAK ? 1 : 2;
    return (symbol.st_size == 0 ? 64u : 0u) | (label ? 32u : 0u) |
           static_cast<std::uint32_t>(underscores << 2) | scope;
}

std::optional<std::string> unpack_xz(const std::string& packed)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, kMaxLzmaMemory, 0) != LZMA_OK)
        return std::nullopt;
    std::string unpacked;
    stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    stream.avail_in = packed.size();
    lzma_ret state = LZMA_OK;
    while (state == LZMA_OK && unpacked.size() < kMaxMiniDebug) {
        std::size_t held = unpacked.size();
        unpacked.resize(std::max<std::size_t>(256 * 1024, held * 2));
        stream.next_out = reinterpret_cast<std::uint8_t*>(unpacked.data() + held);
        stream.avail_out = unpacked.size() - held;
        state = lzma_code(&stream, LZMA_FINISH);
        unpacked.resize(unpacked.size() - stream.avail_out);
    }
    lzma_end(&stream);
    if (state != LZMA_STREAM_END)
        return std::nullopt;
    return unpacked;
}

bool crc_matches(int fd, std::uint32_t expected)
{
    std::vector<unsigned char> block(256 * 1024);
    uLong crc = ::crc32(0, nullptr, 0);
    for (off_t at = 0;;) {
        ssize_t got = ::pread(fd, block.data(), block.size(), at);
        if (got < 0)
            return false;
        if (got == 0)
            break;
        crc = ::crc32(crc, block.data(), static_cast<uInt>(got));
        at += got;
    }
    return crc == expected;
}

std::string hex(std::string_view bytes)
{
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (char c : bytes) {
        auto byte = static_cast<unsigned char>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::optional<ElfFile> debug_file(const ElfFile& file, const std::string& path, const Opener& open)
{
    std::string id = file.build_id();
    auto same_id = [&](const ElfFile& other) { return other.build_id() == id; };
    if (id.size() >= 2) {
        std::string digits = hex(id);
        Fd fd = open("/usr/lib/debug/.build-id/" + digits.substr(0, 2) + "/" + digits.substr(2) +
                     ".debug");
        std::optional<ElfFile> found;
        if (fd)
            found = ElfFile::open(std::move(fd));
        if (found && same_id(*found))
            return found;
    }
    auto link = file.debug_link();
    if (!link || link->name.empty() || link->name.find('/') != std::string::npos)
        return {};
    std::string directory = path.substr(0, path.rfind('/') + 1);
    for (const std::string& candidate : {directory + link->name, directory + ".debug/" + link->name,
                                         "/usr/lib/debug" + directory + link->name}) {
        if (candidate == path)
            continue;
        Fd fd = open(candidate);
        if (!fd)
            continue;
        // The checksum costs the reading of the whole file: only where no build id tells.
        bool proven = id.empty() && crc_matches(fd.get(), link->crc);
        std::optional<ElfFile> found = ElfFile::open(std::move(fd));
        if (found && (proven || (!id.empty() && same_id(*found))))
            return found;
    }
    return {};
}

// Where the file was linked to, rounded down as it is mapped.
std::uint64_t base_of(const std::vector<Segment>& segments)
{
    constexpr std::uint64_t kPage = 4095;
    std::uint64_t base = std::numeric_limits<std::uint64_t>::max();
    for (const Segment& segment : segments)
        base = std::min(base, segment.address & ~kPage);
    return segments.empty() ? 0 : base;
}

} // namespace

// --- SymbolTable --------------------------------------------------------------------------------

SymbolTable::SymbolTable(std::vector<RawSymbol> raw)
{
    std::ranges::sort(raw, [](const RawSymbol& a, const RawSymbol& b) {
        if (a.value != b.value)
            return a.value < b.value;
        if (a.rank != b.rank)
            return a.rank < b.rank;
        if (a.name.size() != b.name.size())
            return a.name.size() < b.name.size();
        return a.name < b.name;
    });
    auto same = std::ranges::unique(raw, {}, &RawSymbol::value);
    raw.erase(same.begin(), same.end());

    constexpr std::uint64_t kMaxSize = std::numeric_limits<std::uint32_t>::max();
    entries_.reserve(raw.size());
    std::vector<std::uint32_t> open; // entries that may still hold what follows, innermost last
    auto end_of = [&](std::uint32_t i) { return entries_[i].value + entries_[i].size; };
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const RawSymbol& symbol = raw[i];
        while (!open.empty() && end_of(open.back()) <= symbol.value)
            open.pop_back();
        std::uint64_t size = symbol.size;
        if (size == 0) {
            if (!open.empty())
                continue; // a label inside a function
            std::uint64_t end = symbol.limit;
            if (i + 1 < raw.size())
                end = std::min(end, raw[i + 1].value);
            if (end <= symbol.value)
                continue;
            size = end - symbol.value;
        }
        if (names_.size() + symbol.name.size() >= kMaxNames)
            break;
        auto index = static_cast<std::uint32_t>(entries_.size());
        entries_.push_back({symbol.value, static_cast<std::uint32_t>(std::min(size, kMaxSize)),
                            static_cast<std::uint32_t>(names_.size()),
                            open.empty() ? kNone : open.back()});
        // ".symtab" of some linkers has "read@@GLIBC_2.2.5"; "name@plt" is ours and stays.
        std::string_view name = symbol.name;
        if (std::size_t version = name.find('@'); version != 0 && !name.ends_with("@plt")) {
            name = name.substr(0, version);
        }
        names_.append(name);
        names_.push_back('\0');
        open.push_back(index);
    }
    entries_.shrink_to_fit();
    names_.shrink_to_fit();
}

std::optional<SymbolTable::Hit> SymbolTable::find(std::uint64_t address) const
{
    auto next = std::ranges::upper_bound(entries_, address, {}, &Entry::value);
    if (next == entries_.begin())
        return std::nullopt;
    auto index = static_cast<std::uint32_t>(next - entries_.begin() - 1);
    for (; index != kNone; index = entries_[index].outer) {
        std::uint64_t offset = address - entries_[index].value;
        if (offset < entries_[index].size)
            return Hit{index, offset};
    }
    return std::nullopt;
}

// --- ElfFile ------------------------------------------------------------------------------------

void ElfFile::End::operator()(Elf* elf) const { elf_end(elf); }

std::optional<ElfFile> ElfFile::open(Fd fd)
{
    struct stat info;
    if (!fd || ::fstat(fd.get(), &info) != 0)
        return std::nullopt;
    bool good = plausible([&](std::uint64_t at, void* to, std::size_t size) {
        return at <= static_cast<std::uint64_t>(info.st_size) &&
               ::pread(fd.get(), to, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
    });
    if (!good || elf_version(EV_CURRENT) == EV_NONE)
        return std::nullopt;
    // Not ELF_C_READ_MMAP: a file that is cut short meanwhile must give an error, not SIGBUS.
    Elf* elf = elf_begin(fd.get(), ELF_C_READ, nullptr);
    if (elf == nullptr)
        return std::nullopt;
    ElfFile file(std::move(fd), elf, static_cast<std::uint64_t>(info.st_size));
    if (elf_kind(elf) != ELF_K_ELF)
        return std::nullopt;
    return file;
}

std::optional<ElfFile> ElfFile::from_memory(std::span<const char> image)
{
    bool good = plausible([&](std::uint64_t at, void* to, std::size_t size) {
        if (at > image.size() || size > image.size() - at)
            return false;
        std::memcpy(to, image.data() + at, size);
        return true;
    });
    if (!good || elf_version(EV_CURRENT) == EV_NONE)
        return std::nullopt;
    Elf* elf = elf_memory(const_cast<char*>(image.data()), image.size());
    if (elf == nullptr)
        return std::nullopt;
    ElfFile file(Fd{}, elf, image.size());
    if (elf_kind(elf) != ELF_K_ELF)
        return std::nullopt;
    return file;
}

std::vector<Segment> ElfFile::segments() const
{
    std::vector<Segment> segments;
    std::size_t count = 0;
    if (elf_getphdrnum(elf_.get(), &count) != 0)
        return segments;
    for (std::size_t i = 0; i < count && i < 65536; ++i) {
        GElf_Phdr header;
        if (gelf_getphdr(elf_.get(), static_cast<int>(i), &header) == nullptr)
            break;
        if (header.p_type != PT_LOAD)
            continue;
        segments.push_back(
            {header.p_offset, header.p_filesz, header.p_vaddr, (header.p_flags & PF_X) != 0});
    }
    return segments;
}

std::string ElfFile::build_id() const
{
    std::string id;
    auto search = [&](Elf_Data* data) {
        std::size_t at = 0;
        GElf_Nhdr note;
        std::size_t name_at, content_at;
        while ((at = gelf_getnote(data, at, &note, &name_at, &content_at)) != 0) {
            const char* bytes = static_cast<const char*>(data->d_buf);
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz <= 64 &&
                std::memcmp(bytes + name_at, "GNU", 4) == 0) {
                id.assign(bytes + content_at, note.n_descsz);
                return true;
            }
        }
        return false;
    };
    for_each_section(elf_.get(), [&](Elf_Scn* section, const GElf_Shdr& header, std::string_view) {
        if (header.sh_type != SHT_NOTE || header.sh_size > kMaxNotes)
            return true;
        Elf_Data* data = data_of(section, header, size_);
        return data == nullptr || !search(data);
    });
    if (!id.empty())
        return id;

    std::size_t count = 0; // section headers may be stripped
    if (elf_getphdrnum(elf_.get(), &count) != 0)
        return id;
    for (std::size_t i = 0; i < count && i < 65536; ++i) {
        GElf_Phdr header;
        if (gelf_getphdr(elf_.get(), static_cast<int>(i), &header) == nullptr)
            break;
        if (header.p_type != PT_NOTE || header.p_filesz > kMaxNotes)
            continue;
        auto at = static_cast<std::int64_t>(header.p_offset);
        Elf_Data* data = elf_getdata_rawchunk(elf_.get(), at, header.p_filesz,
                                              header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        if (data != nullptr && data->d_buf != nullptr && search(data))
            break;
    }
    return id;
}

bool ElfFile::add_symbols(std::vector<RawSymbol>& symbols, std::uint64_t bias) const
{
    struct Extent {
        std::uint64_t start = 0;
        std::uint64_t end = 0;
        bool code = false;
    };
    std::vector<Extent> sections(1);
    bool complete = false;
    for_each_section(elf_.get(), [&](Elf_Scn*, const GElf_Shdr& header, std::string_view) {
        bool code = (header.sh_flags & SHF_EXECINSTR) != 0 && (header.sh_flags & SHF_ALLOC) != 0;
        sections.push_back({header.sh_addr, header.sh_addr + header.sh_size, code});
        return true;
    });
    for_each_section(elf_.get(), [&](Elf_Scn* section, const GElf_Shdr& header, std::string_view) {
        if (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM)
            return true;
        Elf_Data* data = data_of(section, header, size_);
        if (data == nullptr)
            return true;
        std::string_view strings = strings_of(elf_.get(), header.sh_link, size_);
        std::size_t entry = gelf_fsize(elf_.get(), ELF_T_SYM, 1, EV_CURRENT);
        std::size_t count = entry == 0 ? 0 : data->d_size / entry;
        count = std::min<std::size_t>(count, std::numeric_limits<int>::max());
        std::size_t before = symbols.size();
        for (std::size_t i = 1; i < count; ++i) {
            GElf_Sym symbol;
            if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr)
                break;
            unsigned type = GELF_ST_TYPE(symbol.st_info);
            bool function = type == STT_FUNC || type == STT_GNU_IFUNC;
            if (!function && type != STT_NOTYPE)
                continue;
            // SHN_XINDEX cannot be looked up here; everything else reserved is no code.
            if (symbol.st_shndx == SHN_UNDEF)
                continue;
            Extent extent;
            if (symbol.st_shndx < sections.size()) {
                extent = sections[symbol.st_shndx];
                if (!extent.code)
                    continue;
            } else if (!function || symbol.st_shndx != SHN_XINDEX) {
                continue;
            }
            std::string_view name = string_at(strings, symbol.st_name);
            // '$': mapping symbols of ARM and RISC-V; ".L": local labels of the assembler.
            if (name.empty() || name[0] == '$' || name.starts_with(".L"))
                continue;
            symbols.push_back({symbol.st_value + bias, symbol.st_size, extent.end + bias, name,
                               rank_of(symbol, name),
                               type == STT_FUNC        ? RawSymbol::Type::function
                               : type == STT_GNU_IFUNC ? RawSymbol::Type::resolver
                                                       : RawSymbol::Type::label});
        }
        complete |= header.sh_type == SHT_SYMTAB && symbols.size() > before;
        return true;
    });
    return complete;
}

// The stubs have no symbols. Their order is that of the relocations in .rela.plt: the stub i of
// .plt.sec (x86-64 with IBT), or of .plt behind its header, jumps through relocation i.
void ElfFile::add_plt(std::vector<RawSymbol>& symbols, std::vector<std::string>& names) const
{
    GElf_Ehdr header;
    if (gelf_getehdr(elf_.get(), &header) == nullptr)
        return;
    bool x86 = header.e_machine == EM_X86_64;
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || (!x86 && header.e_machine != EM_AARCH64))
        return;

    constexpr std::uint64_t kStub = 16;
    std::uint64_t stubs = 0, stubs_end = 0;
    Elf_Data* relocations = nullptr;
    std::size_t symbols_index = 0;
    bool second = false;
    for_each_section(
        elf_.get(), [&](Elf_Scn* section, const GElf_Shdr& section_header, std::string_view name) {
            if (name == ".plt.sec" || (name == ".plt" && !second)) {
                second = name == ".plt.sec";
                stubs = section_header.sh_addr + (second ? 0 : x86 ? kStub : 2 * kStub);
                stubs_end = section_header.sh_addr + section_header.sh_size;
            } else if (name == ".rela.plt" && section_header.sh_type == SHT_RELA) {
                relocations = data_of(section, section_header, size_);
                symbols_index = section_header.sh_link;
            }
            return true;
        });
    Elf_Scn* section = elf_getscn(elf_.get(), symbols_index);
    GElf_Shdr section_header;
    if (stubs == 0 || relocations == nullptr || section == nullptr ||
        gelf_getshdr(section, &section_header) == nullptr || section_header.sh_type != SHT_DYNSYM) {
        return;
    }
    Elf_Data* dynamic = data_of(section, section_header, size_);
    std::string_view strings = strings_of(elf_.get(), section_header.sh_link, size_);
    std::size_t count = std::min(relocations->d_size / sizeof(Elf64_Rela), kMaxPlt);
    if (dynamic == nullptr)
        return;
    names.reserve(names.size() + count); // the views below must stay valid
    for (std::size_t i = 0; i < count && stubs + (i + 1) * kStub <= stubs_end; ++i) {
        GElf_Rela relocation;
        GElf_Sym symbol;
        if (gelf_getrela(relocations, static_cast<int>(i), &relocation) == nullptr)
            break;
        auto index = static_cast<int>(GELF_R_SYM(relocation.r_info));
        if (index <= 0 || gelf_getsym(dynamic, index, &symbol) == nullptr)
            continue;
        std::string_view name = string_at(strings, symbol.st_name);
        if (name.empty())
            continue;
        names.push_back(std::string(name) + "@plt");
        symbols.push_back({stubs + i * kStub, kStub, stubs_end, names.back(), 0});
    }
}

std::optional<std::string> ElfFile::section(std::string_view wanted, std::size_t limit) const
{
    std::optional<std::string> content;
    for_each_section(elf_.get(),
                     [&](Elf_Scn* section, const GElf_Shdr& header, std::string_view name) {
                         if (name != wanted)
                             return true;
                         if (header.sh_size > limit)
                             return false;
                         if (Elf_Data* data = data_of(section, header, size_)) {
                             content.emplace(static_cast<const char*>(data->d_buf), data->d_size);
                         }
                         return false;
                     });
    return content;
}

std::optional<std::uint64_t> ElfFile::section_size(std::string_view wanted) const
{
    std::optional<std::uint64_t> size;
    for_each_section(elf_.get(), [&](Elf_Scn*, const GElf_Shdr& header, std::string_view name) {
        if (name == wanted && header.sh_type != SHT_NOBITS)
            size = header.sh_size;
        return !size;
    });
    return size;
}

std::optional<std::uint64_t> ElfFile::section_address(std::string_view wanted) const
{
    std::optional<std::uint64_t> address;
    for_each_section(elf_.get(), [&](Elf_Scn*, const GElf_Shdr& header, std::string_view name) {
        if (name == wanted)
            address = header.sh_addr;
        return !address;
    });
    return address;
}

bool ElfFile::is_64() const { return gelf_getclass(elf_.get()) == ELFCLASS64; }

std::optional<ElfFile::DebugLink> ElfFile::debug_link() const
{
    // A NUL-terminated name, padded to four bytes, then a CRC-32 of the debug file.
    std::optional<std::string> content = section(".gnu_debuglink", 4096);
    if (!content)
        return std::nullopt;
    std::size_t length = content->find('\0');
    if (length == std::string::npos)
        return std::nullopt;
    std::size_t crc_at = (length + 1 + 3) & ~std::size_t{3};
    if (crc_at + 4 > content->size())
        return std::nullopt;
    DebugLink link{content->substr(0, length), 0};
    std::memcpy(&link.crc, content->data() + crc_at, 4);
    return link;
}

// --- Binary -------------------------------------------------------------------------------------

std::optional<DebugFile> find_debug_file(const ElfFile& file, const std::string& path,
                                         const Opener& open)
{
    auto found = open ? debug_file(file, path, open) : std::nullopt;
    if (!found)
        return std::nullopt;
    const std::uint64_t bias = base_of(file.segments()) - base_of(found->segments());
    return DebugFile{std::move(*found), bias};
}

void with_symbols(const ElfFile& file, const std::string& path, const Opener& open,
                  const std::function<void(std::vector<RawSymbol>& symbols)>& use)
{
    std::vector<RawSymbol> raw;
    std::optional<DebugFile> debug; // these two own the names in raw
    std::optional<std::string> mini;
    std::optional<ElfFile> mini_file;
    if (!file.add_symbols(raw)) {
        debug = find_debug_file(file, path, open);
        if (debug) {
            debug->file.add_symbols(raw, debug->bias);
        } else if (auto packed = file.section(".gnu_debugdata", kMaxMiniDebug)) {
            mini = unpack_xz(*packed);
            if (mini)
                mini_file = ElfFile::from_memory(*mini);
            if (mini_file)
                mini_file->add_symbols(raw);
        }
    }
    use(raw);
}

Binary::Binary(const ElfFile& file, const std::string& path, const Opener& open)
    : segments_(file.segments())
{
    with_symbols(file, path, open, [&](std::vector<RawSymbol>& raw) {
        std::vector<std::string> plt_names;
        file.add_plt(raw, plt_names);
        symbols_ = SymbolTable(std::move(raw));
    });
}

std::optional<std::uint64_t> Binary::address_at(std::uint64_t file_offset) const
{
    // Segments are mapped in whole pages, so the mapping of one shows the file's neighbouring bytes
    // too: the segment that really holds the offset wins, then the one whose page it is.
    for (std::uint64_t page : {1ull, 4096ull}) {
        for (const Segment& segment : segments_) {
            if (!segment.executable)
                continue;
            std::uint64_t start = segment.offset & ~(page - 1);
            std::uint64_t end = (segment.offset + segment.file_size + page - 1) & ~(page - 1);
            if (file_offset >= start && file_offset < end) {
                return file_offset - segment.offset + segment.address;
            }
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> Binary::bias(std::uint64_t start, std::uint64_t file_offset,
                                          bool executable) const
{
    // Mappings begin with a page, which two segments may share: then there is no telling.
    const auto page = static_cast<std::uint64_t>(::getpagesize());
    std::optional<std::uint64_t> bias;
    for (const Segment& segment : segments_) {
        if (segment.executable != executable || file_offset + page <= segment.offset ||
            file_offset >= segment.offset + segment.file_size)
            continue;
        const std::uint64_t found = start - (segment.address + file_offset - segment.offset);
        if (bias && *bias != found)
            return std::nullopt;
        bias = found;
    }
    return bias;
}

bool Binary::has_code_at(std::uint64_t address) const
{
    return std::ranges::any_of(segments_, [&](const Segment& segment) {
        return segment.executable && address >= segment.address &&
               address - segment.address < segment.file_size;
    });
}

std::optional<Binary::Function> Binary::find(std::uint64_t address)
{
    std::optional<SymbolTable::Hit> hit = symbols_.find(address);
    if (!hit)
        return std::nullopt;
    auto [known, fresh] = demangled_.try_emplace(hit->index);
    if (fresh)
        known->second = demangled(symbols_.name(hit->index));
    return Function{known->second, hit->offset};
}

} // namespace corebox
