// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Takes the line information out of a BPF object: the source text of each line, which the kernel
// copies and checks with every program it loads and shows in verifier logs only. It is half of an
// object and a tenth of a tool's start-up.
//
// usage: slim-btf OBJECT       the object is rewritten in place
#include <bpf/btf.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace
{

// linux/btf.h has no names for what follows; Documentation/bpf/btf.rst describes it.
struct ExtHeader {
    __u16 magic;
    __u8 version, flags;
    __u32 hdr_len;
    __u32 func_info_off, func_info_len;
    __u32 line_info_off, line_info_len;
    __u32 core_relo_off, core_relo_len;
};
struct InfoSection { // before the records of each section of code
    __u32 sec_name_off, num_info;
};
struct CoreRelo {
    __u32 insn_off, type_id, access_str_off, kind;
};

[[noreturn]] void die(const char* object, const char* why)
{
    std::fprintf(stderr, "slim-btf: %s: %s\n", object, why);
    std::exit(1);
}

using Bytes = std::vector<char>;

// Copies one table of .BTF.ext; its strings go to `strings`, `fix` does the same for a record.
template <class Fix>
void copy_table(Bytes& out, const char* table, __u32 len, const btf* from, btf* strings, Fix fix)
{
    const auto moved = [&](__u32 offset) {
        return __u32(btf__add_str(strings, btf__name_by_offset(from, offset)));
    };
    Bytes bytes(table, table + len);
    __u32 record = 0;
    std::memcpy(&record, bytes.data(), sizeof record);
    for (std::size_t at = sizeof record; at + sizeof(InfoSection) <= bytes.size();) {
        InfoSection section{};
        std::memcpy(&section, &bytes[at], sizeof section);
        section.sec_name_off = moved(section.sec_name_off);
        std::memcpy(&bytes[at], &section, sizeof section);
        at += sizeof section;
        for (__u32 i = 0; i < section.num_info; i++, at += record)
            fix(&bytes[at], moved);
    }
    out.insert(out.end(), bytes.begin(), bytes.end());
}

Elf_Data* section_data(Elf* elf, std::string_view wanted, Elf_Scn** found)
{
    std::size_t names = 0;
    elf_getshdrstrndx(elf, &names);
    for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn));) {
        GElf_Shdr header{};
        gelf_getshdr(scn, &header);
        const char* name = elf_strptr(elf, names, header.sh_name);
        if (name && wanted == name) {
            *found = scn;
            return elf_getdata(scn, nullptr);
        }
    }
    return nullptr;
}

void replace(Elf_Scn* scn, Elf_Data* data, const void* bytes, std::size_t size)
{
    data->d_buf = const_cast<void*>(bytes); // libelf's type, it only reads
    data->d_size = size;
    elf_flagdata(data, ELF_C_SET, ELF_F_DIRTY);
    elf_flagscn(scn, ELF_C_SET, ELF_F_DIRTY);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: slim-btf OBJECT\n");
        return 1;
    }
    const char* object = argv[1];
    elf_version(EV_CURRENT);
    const int fd = ::open(object, O_RDWR | O_CLOEXEC);
    Elf* elf = fd < 0 ? nullptr : elf_begin(fd, ELF_C_RDWR, nullptr);
    if (!elf)
        die(object, "cannot be read");
    Elf_Scn *types_section = nullptr, *ext_section = nullptr;
    Elf_Data* types = section_data(elf, ".BTF", &types_section);
    Elf_Data* ext = section_data(elf, ".BTF.ext", &ext_section);
    if (!types || !ext)
        die(object, "has no BTF");

    // The same types under the same numbers, with the strings that they use only.
    btf* from = btf__new(types->d_buf, __u32(types->d_size));
    btf* to = btf__new_empty();
    if (!from || !to)
        die(object, "has malformed BTF");
    for (__u32 id = 1; id < btf__type_cnt(from); id++)
        if (btf__add_type(to, from, btf__type_by_id(from, id)) != int(id))
            die(object, "has a type that cannot be copied");

    ExtHeader header{};
    if (ext->d_size < sizeof header)
        die(object, "has a .BTF.ext without CO-RE relocations");
    std::memcpy(&header, ext->d_buf, sizeof header);
    const char* tables = static_cast<const char*>(ext->d_buf) + header.hdr_len;
    Bytes functions, relocations;
    if (header.func_info_len)
        copy_table(functions, tables + header.func_info_off, header.func_info_len, from, to,
                   [](char*, const auto&) {});
    if (header.core_relo_len)
        copy_table(relocations, tables + header.core_relo_off, header.core_relo_len, from, to,
                   [](char* record, const auto& moved) {
                       CoreRelo relo{};
                       std::memcpy(&relo, record, sizeof relo);
                       relo.access_str_off = moved(relo.access_str_off);
                       std::memcpy(record, &relo, sizeof relo);
                   });
    ExtHeader slim = header;
    slim.hdr_len = sizeof slim;
    slim.func_info_off = 0;
    slim.line_info_off = slim.core_relo_off = slim.func_info_len = __u32(functions.size());
    slim.line_info_len = 0;
    slim.core_relo_len = __u32(relocations.size());
    const char* head = reinterpret_cast<const char*>(&slim);
    Bytes out(head, head + sizeof slim);
    out.insert(out.end(), functions.begin(), functions.end());
    out.insert(out.end(), relocations.begin(), relocations.end());

    __u32 size = 0;
    const void* raw = btf__raw_data(to, &size);
    if (!raw)
        die(object, "has BTF that cannot be written");
    replace(types_section, types, raw, size);
    replace(ext_section, ext, out.data(), out.size());
    if (elf_update(elf, ELF_C_WRITE) < 0)
        die(object, elf_errmsg(-1));
    elf_end(elf);
    btf__free(to);
    btf__free(from);
    ::close(fd);
}
