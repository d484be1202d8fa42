// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/splice.hpp"
#include "base/error.hpp"
#include <algorithm>
#include <cstring>
#include <elf.h>
#include <linux/btf.h>
#include <string>

namespace corebox::expr
{

namespace
{

// linux/btf.h has no names for what follows; Documentation/bpf/btf.rst describes it.
struct ExtHeader {
    __u16 magic;
    __u8 version, flags;
    __u32 hdr_len;
    __u32 func_info_off, func_info_len;
    __u32 line_info_off, line_info_len;
};
struct InfoSection { // before the records of each section of code
    __u32 sec_name_off, num_info;
};

[[noreturn]] void fail_splice(std::string_view function, std::string_view why)
{
    fail("cannot put the expression into " + std::string(function) + "(): " + std::string(why), 0,
         "report this as a bug");
}

class Image
{
public:
    Image(std::span<const std::byte> object, std::string_view function)
        : bytes_(object.begin(), object.end()), function_(function)
    {
        find_sections();
    }

    void set_function(std::string_view name) { function_ = name; }
    void add(std::span<const bpf_insn> body);
    std::vector<std::byte> finish();

private:
    // A table of T's that lies in the image.
    template <class T>
    std::span<T> table(std::uint64_t offset, std::uint64_t bytes)
    {
        if (offset > bytes_.size() || bytes > bytes_.size() - offset)
            fail_splice(function_, "the object is cut off");
        return {reinterpret_cast<T*>(bytes_.data() + offset), std::size_t(bytes / sizeof(T))};
    }
    template <class T>
    std::span<T> section(std::size_t number)
    {
        return table<T>(headers()[number].sh_offset, headers()[number].sh_size);
    }
    std::span<Elf64_Shdr> headers()
    {
        const Elf64_Ehdr& elf = table<Elf64_Ehdr>(0, sizeof(Elf64_Ehdr))[0];
        return table<Elf64_Shdr>(elf.e_shoff, elf.e_shnum * sizeof(Elf64_Shdr));
    }
    // The text that begins at an offset of a table of texts.
    std::string_view text(std::span<const char> texts, std::uint32_t at)
    {
        if (at >= texts.size())
            fail_splice(function_, "the object's names are malformed");
        const auto rest = texts.subspan(at);
        return {rest.data(), std::size_t(std::ranges::find(rest, '\0') - rest.begin())};
    }
    void find_sections();
    Elf64_Sym& symbol();
    bool move_record(std::span<char> records, std::uint32_t from, std::uint32_t to);

    std::vector<std::byte> bytes_, code_;
    std::string_view function_;
    std::size_t text_ = 0, symbols_ = 0, btf_ = 0, ext_ = 0; // numbers of sections
};

void Image::find_sections()
{
    const std::size_t names = table<Elf64_Ehdr>(0, sizeof(Elf64_Ehdr))[0].e_shstrndx;
    for (std::size_t i = 1; i < headers().size(); i++) {
        const std::string_view name = text(section<char>(names), headers()[i].sh_name);
        if (name == ".text")
            text_ = i;
        else if (name == ".BTF")
            btf_ = i;
        else if (name == ".BTF.ext")
            ext_ = i;
        else if (headers()[i].sh_type == SHT_SYMTAB)
            symbols_ = i;
    }
    if (!text_ || !symbols_ || !btf_ || !ext_)
        fail_splice(function_, "the object has no .text, symbols or types");
    const auto code = section<std::byte>(text_);
    code_.assign(code.begin(), code.end());
}

Elf64_Sym& Image::symbol()
{
    const auto names = section<char>(headers()[symbols_].sh_link);
    for (Elf64_Sym& s : section<Elf64_Sym>(symbols_)) {
        if (s.st_shndx != text_ || ELF64_ST_TYPE(s.st_info) != STT_FUNC ||
            text(names, s.st_name) != function_)
            continue;
        if (ELF64_ST_BIND(s.st_info) == STB_LOCAL)
            fail_splice(function_, "calls do not go through its symbol");
        return s;
    }
    fail_splice(function_, "the object has no such function");
}

// In one table of .BTF.ext the record of a function of .text becomes the last of .text: libbpf ends
// at the first record that is beyond a function, so they have to be sorted.
bool Image::move_record(std::span<char> records, std::uint32_t from, std::uint32_t to)
{
    btf_header types{};
    std::memcpy(&types, section<char>(btf_).data(), sizeof types);
    const auto names = section<char>(btf_).subspan(types.hdr_len + types.str_off, types.str_len);
    std::uint32_t size = 0;
    if (records.size() < sizeof size)
        return false;
    std::memcpy(&size, records.data(), sizeof size);
    records = records.subspan(sizeof size);
    while (records.size() >= sizeof(InfoSection)) {
        InfoSection info{};
        std::memcpy(&info, records.data(), sizeof info);
        records = records.subspan(sizeof info);
        const std::size_t bytes = std::size_t(info.num_info) * size;
        if (size < sizeof to || bytes > records.size())
            return false;
        if (text(names, info.sec_name_off) == ".text") {
            for (std::size_t at = 0; at < bytes; at += size) {
                std::uint32_t offset = 0;
                std::memcpy(&offset, &records[at], sizeof offset);
                if (offset != from)
                    continue;
                std::memcpy(&records[at], &to, sizeof to);
                std::ranges::rotate(records.subspan(at, bytes - at),
                                    records.begin() + long(at + size));
                return true;
            }
        }
        records = records.subspan(bytes);
    }
    return false;
}

void Image::add(std::span<const bpf_insn> body)
{
    Elf64_Sym& s = symbol();
    const auto from = std::uint32_t(s.st_value), to = std::uint32_t(code_.size());
    s.st_value = to;
    s.st_size = body.size_bytes();
    const auto bytes = std::as_bytes(body);
    code_.insert(code_.end(), bytes.begin(), bytes.end());

    ExtHeader header{};
    const auto ext = section<char>(ext_);
    std::memcpy(&header, ext.data(), std::min(sizeof header, ext.size()));
    const auto tables = ext.subspan(header.hdr_len);
    if (!move_record(tables.subspan(header.func_info_off, header.func_info_len), from, to))
        fail_splice(function_, "the object does not describe it");
    // Line information, which scripts/build/slim-btf.cpp takes out.
    if (header.line_info_len)
        move_record(tables.subspan(header.line_info_off, header.line_info_len), from, to);
}

std::vector<std::byte> Image::finish()
{
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    headers()[text_].sh_offset = bytes_.size();
    headers()[text_].sh_size = code_.size();
    bytes_.insert(bytes_.end(), code_.begin(), code_.end());
    return std::move(bytes_);
}

} // namespace

std::vector<std::byte> splice(std::span<const std::byte> object, std::span<const Body> bodies)
{
    Image image(object, bodies.empty() ? "" : bodies[0].function);
    for (const Body& body : bodies) {
        image.set_function(body.function);
        image.add(body.instructions);
    }
    return image.finish();
}

} // namespace corebox::expr
