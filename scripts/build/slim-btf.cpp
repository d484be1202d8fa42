// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Takes out of a BPF object what only costs time and space when a tool starts:
// - line information: the source text of each line, which the kernel copies and checks with every
//   program it loads and shows in verifier logs only. It is half of an object and a tenth of a
//   tool's start-up;
// - types, and members of the kernel's structures, that no relocation looks at: clang describes all
//   of task_struct to whoever reads task->pid, and libbpf looks for all of it in the kernel's BTF.
//   Variables, maps and functions keep their types whole.
//
// usage: slim-btf OBJECT       the object is rewritten in place
#include <algorithm>
#include <bpf/btf.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <linux/bpf.h>
#include <map>
#include <set>
#include <span>
#include <string>
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
struct FuncInfo {
    __u32 insn_off, type_id;
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

template <class T>
void put(Bytes& out, const T& value)
{
    const char* bytes = reinterpret_cast<const char*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

// Types and strings that are wanted, renumbered.
class Slim
{
public:
    explicit Slim(const btf* from)
        : from_(from), types_(btf__type_cnt(from)), used_(btf__type_cnt(from))
    {
    }

    // What relocations look at.
    void relocations(std::span<const CoreRelo> relocations);
    // What the kernel and libbpf look at besides; after relocations().
    void variables_and_functions();
    void number();

    // As in what raw() returns.
    __u32 id(__u32 old) const { return types_[old].id; }
    __u32 string(std::string_view text);
    __u32 string(__u32 old) { return string(btf__name_by_offset(from_, old)); }
    std::string access(const CoreRelo& relo) const;
    Bytes raw(); // last: has all strings so far

private:
    struct Kept {
        bool kept = false;
        bool whole = false;  // a structure with all its members
        bool target = false; // a pointer with what it points to
        __u32 id = 0;
    };
    // How a type is come by: of what a variable is, a map's definition, or the list of those in it;
    // of what a function takes; of what a relocation reads.
    enum class Way { variable, map, inner_maps, argument, read };

    const btf_type* type(__u32 id) const { return btf__type_by_id(from_, id); }
    __u32 bare(__u32 id) const; // without typedefs and qualifiers
    template <class Each>
    void walk(const CoreRelo& relo, Each&& each) const;
    void keep(__u32 id, Way way);
    void put_type(Bytes& out, __u32 old);

    const btf* from_;
    std::vector<Kept> types_;
    std::vector<std::set<__u32>> used_; // of a structure: the members that relocations look at
    std::string strings_ = std::string(1, '\0');
    std::map<std::string, __u32, std::less<>> offsets_ = {{"", 0}};
};

bool is_field(__u32 kind) { return kind <= BPF_CORE_FIELD_RSHIFT_U64; }

__u32 Slim::bare(__u32 id) const
{
    while (btf_is_mod(type(id)) || btf_is_typedef(type(id)))
        id = type(id)->type;
    return id;
}

// Calls each(structure or 0, number) for all the numbers of an access string, "0:3:1".
template <class Each>
void Slim::walk(const CoreRelo& relo, Each&& each) const
{
    __u32 at = relo.type_id;
    bool first = true;
    for (const char* s = btf__name_by_offset(from_, relo.access_str_off); *s; first = false) {
        char* end = nullptr;
        const auto number = __u32(std::strtoul(s, &end, 10));
        s = *end == ':' ? end + 1 : end;
        at = bare(at);
        if (first) { // of an array that the pointer would point to
            each(0, number);
        } else if (btf_is_composite(type(at))) {
            each(at, number);
            at = btf_members(type(at))[number].type;
        } else {
            each(0, number);
            at = btf_array(type(at))->type;
        }
    }
}

void Slim::relocations(std::span<const CoreRelo> relocations)
{
    for (const CoreRelo& relo : relocations)
        if (is_field(relo.kind))
            walk(relo, [&](__u32 structure, __u32 member) {
                if (structure)
                    used_[structure].insert(member);
            });
    for (const CoreRelo& relo : relocations)
        keep(relo.type_id, relo.kind == BPF_CORE_TYPE_MATCHES ? Way::variable : Way::read);
}

void Slim::variables_and_functions()
{
    for (__u32 id = 1; id < types_.size(); id++) {
        const btf_type* t = type(id);
        if (btf_is_func(t))
            keep(id, Way::argument);
        if (!btf_is_datasec(t))
            continue;
        types_[id].kept = true;
        const bool maps = btf__name_by_offset(from_, t->name_off) == std::string_view(".maps");
        for (unsigned i = 0; i < btf_vlen(t); i++)
            keep(btf_var_secinfos(t)[i].type, maps ? Way::map : Way::variable);
    }
}

void Slim::keep(__u32 id, Way way)
{
    if (id == 0)
        return;
    const btf_type* t = type(id);
    Kept& k = types_[id];
    const bool whole = way != Way::argument && way != Way::read;
    switch (btf_kind(t)) {
    case BTF_KIND_PTR: {
        k.kept = true;
        if (way == Way::map || way == Way::argument || way == Way::inner_maps ||
            (t->type && btf_kind(type(t->type)) == BTF_KIND_TYPE_TAG)) {
            k.target = true; // a map's keys and values are variables
            keep(t->type, way == Way::inner_maps ? Way::map
                          : way == Way::map      ? Way::variable
                                                 : Way::read);
        }
        return;
    }
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: {
        if (k.kept && (k.whole || !whole))
            return;
        k.kept = true;
        k.whole = whole;
        const btf_member* members = btf_members(t);
        for (__u32 m = 0; m < btf_vlen(t); m++) {
            if (!whole && !used_[id].contains(m))
                continue;
            const std::string_view name = btf__name_by_offset(from_, members[m].name_off);
            keep(members[m].type, way == Way::map && name == "values" ? Way::inner_maps : way);
        }
        return;
    }
    case BTF_KIND_ARRAY:
        k.kept = true;
        keep(btf_array(t)->type, way);
        keep(btf_array(t)->index_type, Way::read);
        return;
    case BTF_KIND_FUNC_PROTO:
        k.kept = true;
        keep(t->type, Way::argument);
        for (unsigned i = 0; i < btf_vlen(t); i++)
            keep(btf_params(t)[i].type, Way::argument);
        return;
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_CONST:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_TYPE_TAG:
    case BTF_KIND_FUNC:
    case BTF_KIND_VAR:
        k.kept = true;
        keep(t->type, way);
        return;
    default:
        k.kept = true;
    }
}

void Slim::number()
{
    __u32 id = 0;
    for (Kept& k : types_)
        if (k.kept)
            k.id = ++id;
}

__u32 Slim::string(std::string_view text)
{
    const auto known = offsets_.find(text);
    if (known != offsets_.end())
        return known->second;
    const auto offset = __u32(strings_.size());
    offsets_.emplace(text, offset);
    strings_.append(text).push_back('\0');
    return offset;
}

std::string Slim::access(const CoreRelo& relo) const
{
    if (!is_field(relo.kind))
        return btf__name_by_offset(from_, relo.access_str_off);
    std::string out;
    walk(relo, [&](__u32 structure, __u32 number) {
        if (structure && !types_[structure].whole)
            number = __u32(std::ranges::distance(used_[structure].begin(),
                                                 used_[structure].lower_bound(number)));
        out += (out.empty() ? "" : ":") + std::to_string(number);
    });
    return out;
}

void Slim::put_type(Bytes& out, __u32 old)
{
    const btf_type* t = type(old);
    btf_type copy = *t;
    copy.name_off = string(t->name_off);
    switch (btf_kind(t)) {
    case BTF_KIND_PTR:
        copy.type = types_[old].target ? id(t->type) : 0;
        put(out, copy);
        return;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: {
        const bool whole = types_[old].whole;
        const auto count = whole ? btf_vlen(t) : __u32(used_[old].size());
        copy.info = (t->info & ~0xffffu) | count;
        put(out, copy);
        for (__u32 m = 0; m < btf_vlen(t); m++) {
            if (!whole && !used_[old].contains(m))
                continue;
            btf_member member = btf_members(t)[m];
            member.name_off = string(member.name_off);
            member.type = id(member.type);
            put(out, member);
        }
        return;
    }
    case BTF_KIND_ARRAY: {
        struct btf_array array = *btf_array(t);
        array.type = id(array.type);
        array.index_type = id(array.index_type);
        put(out, copy);
        put(out, array);
        return;
    }
    case BTF_KIND_FUNC_PROTO:
        copy.type = id(t->type);
        put(out, copy);
        for (unsigned i = 0; i < btf_vlen(t); i++) {
            btf_param param = btf_params(t)[i];
            param.name_off = string(param.name_off);
            param.type = id(param.type);
            put(out, param);
        }
        return;
    case BTF_KIND_DATASEC:
        put(out, copy);
        for (unsigned i = 0; i < btf_vlen(t); i++) {
            btf_var_secinfo variable = btf_var_secinfos(t)[i];
            variable.type = id(variable.type);
            put(out, variable);
        }
        return;
    case BTF_KIND_ENUM:
        put(out, copy);
        for (unsigned i = 0; i < btf_vlen(t); i++) {
            struct btf_enum value = btf_enum(t)[i];
            value.name_off = string(value.name_off);
            put(out, value);
        }
        return;
    case BTF_KIND_ENUM64:
        put(out, copy);
        for (unsigned i = 0; i < btf_vlen(t); i++) {
            struct btf_enum64 value = btf_enum64(t)[i];
            value.name_off = string(value.name_off);
            put(out, value);
        }
        return;
    case BTF_KIND_INT:
        put(out, copy);
        put(out, *reinterpret_cast<const __u32*>(t + 1));
        return;
    case BTF_KIND_VAR:
        copy.type = id(t->type);
        put(out, copy);
        put(out, *btf_var(t));
        return;
    case BTF_KIND_FWD:
    case BTF_KIND_FLOAT:
        put(out, copy);
        return;
    default: // typedef, const, volatile, restrict, type tag, func
        copy.type = id(t->type);
        put(out, copy);
    }
}

Bytes Slim::raw()
{
    Bytes types;
    for (__u32 old = 1; old < types_.size(); old++)
        if (types_[old].kept)
            put_type(types, old);
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = header.str_off = __u32(types.size());
    header.str_len = __u32(strings_.size());
    Bytes out;
    put(out, header);
    out.insert(out.end(), types.begin(), types.end());
    out.insert(out.end(), strings_.begin(), strings_.end());
    return out;
}

// Calls fix(record) for each record of one table of .BTF.ext, and section(info) before those of
// each section of code.
template <class Section, class Fix>
void for_each_record(Bytes& table, Section&& section, Fix&& fix)
{
    __u32 record = 0;
    if (table.size() < sizeof record)
        return;
    std::memcpy(&record, table.data(), sizeof record);
    for (std::size_t at = sizeof record; at + sizeof(InfoSection) <= table.size();) {
        InfoSection info{};
        std::memcpy(&info, &table[at], sizeof info);
        section(info);
        std::memcpy(&table[at], &info, sizeof info);
        at += sizeof info;
        for (__u32 i = 0; i < info.num_info; i++, at += record)
            fix(&table[at]);
    }
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

    btf* from = btf__new(types->d_buf, __u32(types->d_size));
    if (!from)
        die(object, "has malformed BTF");
    ExtHeader header{};
    if (ext->d_size < sizeof header)
        die(object, "has a .BTF.ext without CO-RE relocations");
    std::memcpy(&header, ext->d_buf, sizeof header);
    const char* tables = static_cast<const char*>(ext->d_buf) + header.hdr_len;
    Bytes functions(tables + header.func_info_off,
                    tables + header.func_info_off + header.func_info_len);
    Bytes relocations(tables + header.core_relo_off,
                      tables + header.core_relo_off + header.core_relo_len);

    std::vector<CoreRelo> relos;
    for_each_record(
        relocations, [](const InfoSection&) {},
        [&](const char* record) {
            CoreRelo relo{};
            std::memcpy(&relo, record, sizeof relo);
            relos.push_back(relo);
        });
    Slim to(from);
    to.relocations(relos);
    to.variables_and_functions();
    to.number();
    const auto section = [&](InfoSection& info) {
        info.sec_name_off = to.string(info.sec_name_off);
    };
    for_each_record(functions, section, [&](char* record) {
        FuncInfo info{};
        std::memcpy(&info, record, sizeof info);
        info.type_id = to.id(info.type_id);
        std::memcpy(record, &info, sizeof info);
    });
    for_each_record(relocations, section, [&](char* record) {
        CoreRelo relo{};
        std::memcpy(&relo, record, sizeof relo);
        relo.access_str_off = to.string(to.access(relo));
        relo.type_id = to.id(relo.type_id);
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

    const Bytes raw = to.raw();
    replace(types_section, types, raw.data(), raw.size());
    replace(ext_section, ext, out.data(), out.size());
    if (elf_update(elf, ELF_C_WRITE) < 0)
        die(object, elf_errmsg(-1));
    elf_end(elf);
    btf__free(from);
    ::close(fd);
}
