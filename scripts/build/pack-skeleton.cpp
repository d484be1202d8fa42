// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Replaces the BPF object in a skeleton of `bpftool gen skeleton` by a compressed one: a quarter of
// its size, and of all tools in one file they are most. Adds to the skeleton which of the object's
// programs use which of its maps, and lets open() take another object in the place of its own: the
// same with other bodies of functions (expr/splice.hpp).
//
// usage: pack-skeleton OBJECT <SKELETON >PACKED
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <gelf.h>
#include <libelf.h>
#include <linux/bpf.h>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zlib.h>

namespace
{

[[noreturn]] void die(const char* what)
{
    std::fprintf(stderr, "pack-skeleton: %s\n", what);
    std::exit(1);
}

std::string read_all(std::FILE* file)
{
    std::string text;
    char block[65536];
    for (std::size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;)
        text.append(block, n);
    return text;
}

// A place in a section with instructions.
using Place = std::pair<std::size_t, std::uint64_t>;

struct Function {
    std::string name;
    std::uint64_t size;
    std::set<Place> calls;
    std::set<std::string> maps;
};

bool holds_programs(Elf* elf, std::size_t section)
{
    GElf_Shdr header{};
    Elf_Scn* scn = elf_getscn(elf, section);
    return scn && gelf_getshdr(scn, &header) && header.sh_type == SHT_PROGBITS &&
           (header.sh_flags & SHF_EXECINSTR) && header.sh_size;
}

const bpf_insn* instruction(Elf* elf, Place place)
{
    const Elf_Data* data = elf_getdata(elf_getscn(elf, place.first), nullptr);
    if (!data || place.second + sizeof(bpf_insn) > data->d_size)
        die("an instruction beyond its section");
    return reinterpret_cast<const bpf_insn*>(static_cast<const char*>(data->d_buf) + place.second);
}

using Functions = std::map<Place, Function>;

Function& function_at(Functions& functions, Place place)
{
    auto f = functions.upper_bound(place);
    if (f == functions.begin() || (--f)->first.first != place.first ||
        place.second >= f->first.second + f->second.size)
        die("an instruction outside of all functions");
    return f->second;
}

// What a relocated instruction refers to: a map, or a function that is called or whose address is
// taken.
void take_relocation(Elf* elf, Functions& functions, Place at, const GElf_Sym& symbol,
                     std::size_t maps, const std::map<Place, std::string>& map_names)
{
    const bpf_insn insn = *instruction(elf, at);
    if (symbol.st_shndx == maps) {
        const std::uint64_t addend = GELF_ST_TYPE(symbol.st_info) == STT_SECTION
                                         ? std::uint64_t(std::uint32_t(insn.imm))
                                         : 0;
        const auto name = map_names.find({maps, symbol.st_value + addend});
        if (name == map_names.end())
            die("a map without name");
        function_at(functions, at).maps.insert(name->second);
    } else if (holds_programs(elf, symbol.st_shndx)) {
        std::uint64_t target = symbol.st_value;
        if (insn.code == (BPF_JMP | BPF_CALL))
            target += std::uint64_t(std::int64_t(insn.imm) + 1) * sizeof insn;
        else
            target += std::uint32_t(insn.imm);
        function_at(functions, at).calls.insert({symbol.st_shndx, target});
    }
}

// Calls within a section need no relocation.
void take_calls(Elf* elf, Functions& functions, const std::set<Place>& relocated)
{
    for (auto& [start, f] : functions)
        for (std::uint64_t at = start.second; at < start.second + f.size; at += sizeof(bpf_insn)) {
            const bpf_insn insn = *instruction(elf, {start.first, at});
            if (insn.code == (BPF_JMP | BPF_CALL) && insn.src_reg == BPF_PSEUDO_CALL &&
                !relocated.contains({start.first, at}))
                f.calls.insert(
                    {start.first, at + std::uint64_t(std::int64_t(insn.imm) + 1) * sizeof insn});
        }
}

std::set<std::string> maps_of(const Functions& functions, Place start)
{
    std::set<std::string> maps;
    std::vector<Place> open{start};
    for (std::set<Place> seen; !open.empty();) {
        const Place place = open.back();
        open.pop_back();
        if (!seen.insert(place).second)
            continue;
        const auto f = functions.find(place);
        if (f == functions.end())
            die("a call of no function");
        maps.insert(f->second.maps.begin(), f->second.maps.end());
        open.insert(open.end(), f->second.calls.begin(), f->second.calls.end());
    }
    return maps;
}

// "MAP PROGRAM PROGRAM ...\n", ...: of each map the programs that use it, themselves or through
// functions that they call.
std::string map_uses(const std::string& object)
{
    elf_version(EV_CURRENT);
    Elf* elf = elf_memory(const_cast<char*>(object.data()), object.size());
    std::size_t names = 0, text = 0, maps = 0;
    if (!elf || elf_getshdrstrndx(elf, &names) != 0)
        die("not an ELF file");
    Elf_Data* symbols = nullptr;
    std::size_t symbol_names = 0;
    std::vector<Elf_Scn*> relocations;
    for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn));) {
        GElf_Shdr header{};
        gelf_getshdr(scn, &header);
        const std::string name = elf_strptr(elf, names, header.sh_name);
        if (name == ".text")
            text = elf_ndxscn(scn);
        else if (name == ".maps")
            maps = elf_ndxscn(scn);
        if (header.sh_type == SHT_SYMTAB) {
            symbols = elf_getdata(scn, nullptr);
            symbol_names = header.sh_link;
        } else if (header.sh_type == SHT_REL && holds_programs(elf, header.sh_info))
            relocations.push_back(scn);
    }
    Functions functions;
    std::map<Place, std::string> map_names;
    GElf_Sym symbol{};
    for (int i = 0; symbols && gelf_getsym(symbols, i, &symbol); i++) {
        const Place place{symbol.st_shndx, symbol.st_value};
        const char* name = elf_strptr(elf, symbol_names, symbol.st_name);
        if (symbol.st_shndx == maps && GELF_ST_TYPE(symbol.st_info) == STT_OBJECT)
            map_names.emplace(place, name);
        else if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
            functions[place] = {name, symbol.st_size, {}, {}};
    }
    std::set<Place> relocated;
    for (Elf_Scn* scn : relocations) {
        GElf_Shdr header{};
        gelf_getshdr(scn, &header);
        GElf_Rel rel{};
        for (int i = 0; gelf_getrel(elf_getdata(scn, nullptr), i, &rel); i++) {
            const Place at{header.sh_info, rel.r_offset};
            relocated.insert(at);
            if (gelf_getsym(symbols, int(GELF_R_SYM(rel.r_info)), &symbol))
                take_relocation(elf, functions, at, symbol, maps, map_names);
        }
    }
    take_calls(elf, functions, relocated);
    std::map<std::string, std::string> users;
    for (const auto& [place, map] : map_names)
        users[map];
    for (const auto& [place, f] : functions)
        if (place.first != text)
            for (const std::string& map : maps_of(functions, place))
                users[map] += " " + f.name;
    std::string uses;
    for (const auto& [map, programs] : users)
        uses += map + programs + "\\n";
    elf_end(elf);
    return uses;
}

// Where bpftool wrote it, and only there.
void replace(std::string& skeleton, std::string_view what, std::string_view with)
{
    const auto at = skeleton.find(what);
    if (at == skeleton.npos || skeleton.find(what, at + 1) != skeleton.npos)
        die("this bpftool writes skeletons of another form");
    skeleton.replace(at, what.size(), with);
}

void let_open_take_objects(std::string& skeleton)
{
    constexpr std::string_view kObject = ", std::span<const std::byte> object";
    const auto both = [&](std::string_view before, std::string_view after, std::string_view added) {
        replace(skeleton, std::string(before).append(after),
                std::string(before).append(added).append(after));
    };
    both("*open(const struct bpf_object_open_opts *opts = nullptr", ");",
         std::string(kObject) + " = {}");
    both("__open_opts(const struct bpf_object_open_opts *opts", ")\n", kObject);
    both("__open_opts(NULL", ");", ", {}");
    both("::open(const struct bpf_object_open_opts *opts", ")", kObject);
    both("__open_opts(opts", ");", ", object");
    both("__create_skeleton(obj);\n\tif (err)\n\t\tgoto err_out;\n", "",
         "\tif (!object.empty()) {\n"
         "\t\tobj->skeleton->data = const_cast<std::byte *>(object.data());\n"
         "\t\tobj->skeleton->data_sz = object.size();\n\t}\n");
}

} // namespace

int main(int argc, char** argv)
{
    std::FILE* file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file)
        die("no object");
    const std::string object = read_all(file);
    std::string skeleton = read_all(stdin);

    std::vector<Bytef> packed(compressBound(object.size()));
    uLongf size = packed.size();
    if (compress2(packed.data(), &size, reinterpret_cast<const Bytef*>(object.data()),
                  object.size(), 9) != Z_OK)
        die("cannot compress");

    // static inline const void *NAME__elf_bytes(size_t *sz) { ... }, the definition
    const auto head = skeleton.find("__elf_bytes(size_t *sz)\n{\n");
    const auto body = skeleton.find("{\n", head);
    const auto end = skeleton.find("\n}\n", head);
    if (head == skeleton.npos || end == skeleton.npos)
        die("this bpftool writes skeletons of another form");
    std::string text = "{\n\tstatic const unsigned char packed[] = \"";
    char byte[8];
    for (uLongf i = 0; i < size; i++) {
        std::snprintf(byte, sizeof byte, "\\x%02x", unsigned(packed[i]));
        text += i % 32 ? "" : "\\\n";
        text += byte;
    }
    text += "\";\n\tstatic std::unique_ptr<unsigned char[]> memory;\n"
            "\treturn corebox::unpack(packed, sizeof(packed) - 1, " +
            std::to_string(object.size()) + ", memory, sz);";
    skeleton.replace(body, end - body, text);

    const auto member = skeleton.find("#ifdef __cplusplus\n\tstatic inline struct");
    if (member == skeleton.npos)
        die("this bpftool writes skeletons of another form");
    skeleton.insert(skeleton.find('\n', member),
                    "\n\tstatic constexpr std::string_view map_uses = \"" + map_uses(object) +
                        "\";");
    let_open_take_objects(skeleton);
    std::fputs("#include \"base/unpack.hpp\"\n", stdout);
    std::fputs(skeleton.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
