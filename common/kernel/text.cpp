// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/text.hpp"
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include <algorithm>
#include <array>
#include <bpf/btf.h>
#include <cstring>
#include <elf.h>
#include <linux/btf.h>
#include <memory>
#include <set>

namespace corebox
{
namespace
{

constexpr std::size_t kTokens = 256;
constexpr std::size_t kLongestPacked = 4096; // the kernel's limit is below 1024
constexpr std::size_t kMostTokenBytes = 16 << 10;
constexpr std::size_t kMostSymbols = 4u << 20;
constexpr std::size_t kMostModules = 4096;
constexpr std::size_t kSamples = 8;

bool is_text(char type) { return type == 't' || type == 'T' || type == 'w' || type == 'W'; }

std::string_view chars(std::span<const std::byte> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// As far as both go.
bool agree(std::string_view a, std::string_view b)
{
    const std::size_t n = std::min(a.size(), b.size());
    return a.substr(0, n) == b.substr(0, n);
}

// Where the kernel keeps its symbols. These have none themselves, but what it leaves for a dump of
// its memory says where they are: lines "SYMBOL(NAME)=HEX" (6.0, f09bddbd8661).
class DumpInfo
{
public:
    explicit DumpInfo(KernelMemory& memory)
    {
        NearMemory near(memory);
        std::uint64_t data = 0, size = 0;
        if (near.read_to(memory.address("vmcoreinfo_data"), data) &&
            near.read_to(memory.address("vmcoreinfo_size"), size) && size <= KernelMemory::kMost)
            text_ = chars(memory.read(data, size));
    }

    std::uint64_t symbol(std::string_view name) const
    {
        const std::string key = cat("\nSYMBOL(", name, ")=");
        const auto found = text_.find(key);
        if (found == text_.npos)
            return 0;
        std::string_view value = std::string_view(text_).substr(found + key.size());
        return to_number<std::uint64_t>(value.substr(0, value.find('\n')), 16).value_or(0);
    }

private:
    std::string text_;
};

// What a symbol's entry of kallsyms_offsets says of its address; which of these it is, the kernel's
// configuration and release decide.
struct Place {
    std::int32_t offset;
    std::uint64_t entry; // where that entry is
};
using AddressOf = std::uint64_t (*)(Place, std::uint64_t base);
constexpr AddressOf kAddressForms[] = {
    // CONFIG_KALLSYMS_ABSOLUTE_PERCPU (x86 until 6.15)
    [](Place p, std::uint64_t base) {
        return p.offset >= 0 ? std::uint64_t(p.offset) : base - 1 - std::uint64_t(p.offset);
    },
    [](Place p, std::uint64_t base) { return base + std::uint32_t(p.offset); },
    // From the entry itself (7.1).
    [](Place p, std::uint64_t) { return p.entry + std::uint64_t(std::int64_t(p.offset)); },
};

std::optional<std::vector<TextSymbol>> own_symbols(KernelMemory& memory, std::string_view start)
{
    NearMemory near(memory);
    const DumpInfo info(memory);
    const std::uint64_t names = info.symbol("kallsyms_names");
    const std::uint64_t offsets = info.symbol("kallsyms_offsets");
    const std::uint64_t base_at = info.symbol("kallsyms_relative_base");
    std::uint32_t count = 0;
    std::uint64_t base = 0;
    std::array<std::uint16_t, kTokens> index{};
    if (!names || !offsets || !near.read_to(info.symbol("kallsyms_num_syms"), count) ||
        count > kMostSymbols || !near.read_to(info.symbol("kallsyms_token_index"), index) ||
        (base_at && !near.read_to(base_at, base)))
        return std::nullopt;
    // Where the last one ends is not known; none is longer than a name.
    const auto text =
        near.read(info.symbol("kallsyms_token_table"),
                  std::min<std::size_t>(*std::ranges::max_element(index) + 512, kMostTokenBytes));
    const std::vector<std::byte> tokens(text.begin(), text.end());
    const PackedNames packed{.at =
                                 [&](std::size_t place) {
                                     const auto all = memory.read(names + place, memory.kMost);
                                     return all.empty() ? memory.read(names + place, kLongestPacked)
                                                        : all;
                                 },
                             .count = count,
                             .tokens = tokens,
                             .index = index};
    auto found = text_names(packed, start);
    if (!found)
        return std::nullopt;
    std::vector<Place> places;
    for (const PackedName& name : *found) {
        Place& place = places.emplace_back();
        place.entry = offsets + name.number * sizeof place.offset;
        if (!near.read_to(place.entry, place.offset))
            return std::nullopt;
    }
    // The form is the one that gives the addresses that the kernel tells by name, of symbols here
    // and there; where several share a name, it tells that of one of them.
    std::vector<AddressOf> forms(std::begin(kAddressForms), std::end(kAddressForms));
    for (std::size_t i = 0; i < found->size(); i += found->size() / kSamples + 1) {
        const std::string& name = (*found)[i].name;
        const std::uint64_t address = memory.address(name);
        std::erase_if(forms, [&](AddressOf form) {
            for (std::size_t n = 0; n < found->size(); n++)
                if ((*found)[n].name == name && form(places[n], base) == address)
                    return false;
            return true;
        });
    }
    if (forms.empty())
        return std::nullopt;
    std::vector<TextSymbol> symbols;
    for (std::size_t i = 0; i < found->size(); i++)
        symbols.push_back({std::move((*found)[i].name), {}, forms[0](places[i], base)});
    return symbols;
}

// Of a module what is needed of struct module and struct mod_kallsyms, by the kernel's BTF.
struct ModuleForm {
    std::uint32_t list, name, kallsyms;           // in struct module
    std::uint32_t symbols, count, strings, types; // in struct mod_kallsyms
};

std::optional<ModuleForm> module_form(KernelMemory& memory, KernelBtf* types_read)
{
    std::optional<KernelBtf> own;
    KernelBtf& kernel = types_read ? *types_read : own.emplace([&] { return &memory; });
    std::vector<KernelBtf::Name> names = module_type_names();
    kernel.find(names);
    if (names[0].ids.size() != 1 || names[1].ids.size() != 1)
        return std::nullopt;
    const std::uint32_t roots[] = {names[0].ids[0], names[1].ids[0]};
    const auto raw = kernel.extract(roots);
    const std::unique_ptr<btf, void (*)(btf*)> types(btf__new(raw.data(), __u32(raw.size())),
                                                     btf__free);
    const auto offset = [&](const char* type, std::string_view member, std::uint32_t& out) {
        const auto bytes = types ? member_offset(types.get(), type, member) : std::nullopt;
        out = bytes.value_or(0);
        return bytes.has_value();
    };
    ModuleForm form{};
    if (!offset("module", "list", form.list) || !offset("module", "name", form.name) ||
        !offset("module", "kallsyms", form.kallsyms) ||
        !offset("mod_kallsyms", "symtab", form.symbols) ||
        !offset("mod_kallsyms", "num_symtab", form.count) ||
        !offset("mod_kallsyms", "strtab", form.strings) ||
        !offset("mod_kallsyms", "typetab", form.types))
        return std::nullopt;
    return form;
}

// The bytes of a table in the kernel's memory; fewer than asked for: not readable.
std::vector<std::byte> read_table(KernelMemory& memory, std::uint64_t address, std::size_t size)
{
    std::vector<std::byte> table;
    while (table.size() < size) {
        const auto piece =
            memory.read(address + table.size(), std::min(size - table.size(), KernelMemory::kMost));
        if (piece.empty())
            break;
        table.insert(table.end(), piece.begin(), piece.end());
    }
    return table;
}

bool add_symbols_of(std::vector<TextSymbol>& symbols, KernelMemory& memory, const ModuleForm& form,
                    std::uint64_t module, const std::string& module_name, std::string_view start)
{
    NearMemory near(memory);
    std::uint64_t table = 0, at = 0, strings = 0, types = 0;
    std::uint32_t count = 0;
    if (!near.read_to(module + form.kallsyms, table) || !near.read_to(table + form.symbols, at) ||
        !near.read_to(table + form.count, count) || !near.read_to(table + form.strings, strings) ||
        !near.read_to(table + form.types, types) || count > kMostSymbols)
        return false;
    const auto kinds = read_table(memory, types, count);
    const auto raw = read_table(memory, at, count * sizeof(Elf64_Sym));
    if (kinds.size() != count || raw.size() != count * sizeof(Elf64_Sym))
        return false;
    const auto* elf = reinterpret_cast<const Elf64_Sym*>(raw.data());
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < count; i++)
        last = std::max(last, elf[i].st_name);
    // Of the last name so much more as can be read: a page ends somewhere behind it.
    auto text = read_table(memory, strings, last);
    if (text.size() != last)
        return false;
    for (std::byte c{1}; c != std::byte{} && text.size() < last + 1024u; text.push_back(c))
        if (!near.read_to(strings + text.size(), c))
            return false;
    text.push_back({});
    for (std::uint32_t i = 0; i < count; i++) {
        const auto* name = reinterpret_cast<const char*>(text.data()) + elf[i].st_name;
        if (is_text(char(kinds[i])) && elf[i].st_shndx != SHN_UNDEF &&
            std::strncmp(name, start.data(), start.size()) == 0)
            symbols.push_back({name, module_name, elf[i].st_value});
    }
    return true;
}

// False where what is found are not the modules that there are.
bool add_modules(std::vector<TextSymbol>& symbols, KernelMemory& memory, std::string_view start,
                 KernelBtf* types)
{
    std::set<std::string> loaded;
    const auto list = read_file("/proc/modules");
    if (!list) // not readable, or the kernel can load none
        return memory.address("modules") == 0;
    for (const std::string_view line : split(*list, '\n'))
        loaded.emplace(line.substr(0, line.find(' ')));
    if (loaded.empty())
        return true;
    const auto form = module_form(memory, types);
    const std::uint64_t head = memory.address("modules");
    NearMemory near(memory);
    std::uint64_t next = 0;
    if (!form || !head || !near.read_to(head, next))
        return false;
    for (std::size_t n = 0; next != head; n++) {
        const std::uint64_t module = next - form->list;
        const auto name = near.read(module + form->name, 56); // MODULE_NAME_LEN
        const std::string text(chars(name).substr(0, chars(name).find('\0')));
        if (n > kMostModules || !near.read_to(next, next) || loaded.erase(text) == 0 ||
            !add_symbols_of(symbols, memory, *form, module, text, start))
            return false;
    }
    return loaded.empty();
}

} // namespace

std::optional<std::vector<PackedName>> text_names(const PackedNames& packed, std::string_view start)
{
    if (packed.index.size() != kTokens)
        return std::nullopt;
    std::array<std::string_view, kTokens> tokens;
    // Most names are told from what is looked for by their first token.
    std::array<bool, kTokens> may_begin{};
    for (std::size_t i = 0; i < kTokens; i++) {
        const std::string_view rest = chars(packed.tokens);
        const auto end = rest.find('\0', packed.index[i]);
        if (end == rest.npos)
            return std::nullopt;
        tokens[i] = rest.substr(packed.index[i], end - packed.index[i]);
        may_begin[i] =
            !tokens[i].empty() && is_text(tokens[i][0]) && agree(tokens[i].substr(1), start);
    }
    std::vector<PackedName> names;
    std::string name;
    for (std::size_t place = 0, seen = 0; seen < packed.count;) {
        const std::span<const std::byte> bytes = packed.at(place);
        std::size_t used = 0;
        while (seen < packed.count) {
            std::size_t at = used;
            if (at + 2 > bytes.size())
                break;
            std::size_t length = std::size_t(bytes[at++]);
            if (length & 0x80) // in two bytes (6.1, 73bbb94466fd)
                length = (length & 0x7f) | std::size_t(bytes[at++]) << 7;
            if (length == 0 || length > kLongestPacked)
                return std::nullopt;
            if (at + length > bytes.size())
                break;
            used = at + length;
            seen++;
            if (!may_begin[std::size_t(bytes[at])])
                continue;
            name.clear();
            for (; at < used; at++)
                name += tokens[std::size_t(bytes[at])];
            if (std::string_view(name).substr(1).starts_with(start))
                names.push_back({seen - 1, name.substr(1)});
        }
        if (used == 0)
            return std::nullopt; // it ends before the last name
        place += used;
    }
    return names;
}

std::vector<KernelBtf::Name> module_type_names()
{
    std::vector<KernelBtf::Name> names{{BTF_KIND_STRUCT, "module"},
                                       {BTF_KIND_STRUCT, "mod_kallsyms"}};
    for (const char* member :
         {"list", "name", "kallsyms", "symtab", "num_symtab", "strtab", "typetab"})
        names.push_back({0, member});
    return names;
}

std::optional<std::vector<TextSymbol>> text_symbols(KernelMemory& memory, std::string_view start,
                                                    KernelBtf* types)
{
    auto symbols = own_symbols(memory, start);
    if (!symbols || !add_modules(*symbols, memory, start, types))
        return std::nullopt;
    return symbols;
}

std::span<const std::byte> NearMemory::read(std::uint64_t address, std::size_t size)
{
    if (address < begin_ || address + size > begin_ + window_.size() || size > kWindow) {
        begin_ = address;
        auto bytes = memory_.read(address, kWindow);
        if (bytes.empty()) // it goes beyond what is there
            bytes = memory_.read(address, size);
        window_.assign(bytes.begin(), bytes.end());
    }
    return size <= window_.size() ? std::span(window_).subspan(address - begin_, size)
                                  : std::span<const std::byte>{};
}

} // namespace corebox
