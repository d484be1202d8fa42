// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/kernel_types.hpp"
#include "base/text.hpp"
#include "expr/kernel_walk.hpp"
#include <algorithm>
#include <bpf/btf.h>
#include <unordered_map>

namespace corebox::expr
{

namespace
{

// vmlinux's BTF, or a module's, whose ids and strings continue vmlinux's.
struct Btf {
    std::string module{};
    std::string raw{};
    std::unique_ptr<KernelBtf> own{};
    KernelBtf* vmlinux = nullptr;
    std::unordered_map<std::uint32_t, TypeId> imported{};

    std::uint32_t first() const { return own ? vmlinux->count() : 0; }
    const btf_type* at(std::uint32_t id) const
    {
        return own && id > first() ? own->at(id - first()) : vmlinux->at(id);
    }
    std::string_view string(std::uint32_t offset) const
    {
        return own && offset >= vmlinux->strings_size()
                   ? own->string(offset - vmlinux->strings_size())
                   : vmlinux->string(offset);
    }
    std::string_view name_of(const btf_type* t) const { return string(t->name_off); }
};

} // namespace

class KernelTypes::Impl
{
public:
    Impl(Types& types, KernelBtf& btf) : types_(types)
    {
        all_.push_back(std::make_unique<Btf>());
        all_[0]->vmlinux = &btf;
    }

    std::optional<TypeId> find_type(std::string_view keyword, std::string_view name);
    std::optional<std::int64_t> find_enumerator(std::string_view name);
    std::vector<std::string> names(std::string_view keyword);
    std::vector<KernelFunction> find_functions(std::span<const std::string> names);
    std::optional<KernelFunction> in_module(const std::string& module, const std::string& name);
    std::optional<KernelFunction> find_tracepoint(const std::string& name);
    std::int64_t walk(std::uint32_t structure, std::uint32_t offset, std::uint32_t size)
    {
        learn(vmlinux());
        return walk_structure(vmlinux(), structure, offset, size);
    }

private:
    KernelBtf& vmlinux() { return *all_[0]->vmlinux; }
    // KernelBtf learns where types are by looking for some.
    void learn(KernelBtf& btf)
    {
        if (btf.count() == 0)
            btf.find({});
    }
    Btf* module(const std::string& name);
    TypeId import(Btf& btf, std::uint32_t id, unsigned hops = 0);
    TypeId import_bare(Btf& btf, std::uint32_t id, std::string_view alias, unsigned hops);
    TypeId import_pointer(Btf& btf, const btf_type* t, unsigned hops);
    TypeId import_structure(Btf& btf, std::uint32_t id, std::string_view alias);
    TypeId import_enumeration(Btf& btf, std::uint32_t id, std::string_view alias);
    std::vector<Member> members(Btf& btf, std::uint32_t id);
    std::optional<KernelFunction> function(Btf& btf, std::uint32_t id, std::uint32_t proto,
                                           unsigned skipped);

    Types& types_;
    std::vector<std::unique_ptr<Btf>>
        all_; // vmlinux's, and those of the modules that were asked for
};

namespace
{

std::uint32_t kind_of(std::string_view keyword)
{
    return keyword == "struct"  ? BTF_KIND_STRUCT
           : keyword == "union" ? BTF_KIND_UNION
           : keyword == "enum"  ? BTF_KIND_ENUM
                                : BTF_KIND_TYPEDEF;
}

} // namespace

std::optional<TypeId> KernelTypes::Impl::find_type(std::string_view keyword, std::string_view name)
{
    KernelBtf::Name wanted{kind_of(keyword), std::string(name)};
    for (const auto& btf : all_) {
        KernelBtf& in = btf->own ? *btf->own : vmlinux();
        if (in.empty())
            continue;
        wanted.ids.clear();
        in.find({&wanted, 1});
        if (!wanted.ids.empty())
            return import(*btf, btf->first() + wanted.ids[0]);
    }
    return std::nullopt;
}

std::optional<std::int64_t> KernelTypes::Impl::find_enumerator(std::string_view name)
{
    for (const auto& btf : all_) {
        // A module's names may be among vmlinux's strings; those of its enumerators seldom are.
        const KernelBtf& in = btf->own ? *btf->own : vmlinux();
        if (const auto value = in.empty() ? std::nullopt : in.enumerator(name))
            return value;
    }
    return std::nullopt;
}

std::vector<std::string> KernelTypes::Impl::names(std::string_view keyword)
{
    return vmlinux().empty() ? std::vector<std::string>() : vmlinux().names(kind_of(keyword));
}

TypeId KernelTypes::Impl::import(Btf& btf, std::uint32_t id, unsigned hops)
{
    if (id == 0 || hops > kMostHops)
        return TypeId::none;
    if (id <= btf.first()) // vmlinux's, for all modules
        return import(*all_[0], id, hops);
    if (const auto known = btf.imported.find(id); known != btf.imported.end())
        return known->second;
    std::string_view alias;
    const std::uint32_t target = bare(btf, id, nullptr, &alias);
    const TypeId type = target <= btf.first() && &btf != all_[0].get() && alias.empty()
                            ? import(*all_[0], target, hops)
                            : import_bare(btf, target, alias, hops);
    btf.imported.emplace(id, type);
    return type;
}

TypeId KernelTypes::Impl::import_bare(Btf& btf, std::uint32_t id, std::string_view alias,
                                      unsigned hops)
{
    const btf_type* t = id ? btf.at(id) : nullptr;
    if (!t)
        return TypeId::none;
    const std::string_view name = btf.name_of(t);
    const std::string shown(alias.empty() ? name : alias);
    switch (btf_kind(t)) {
    case BTF_KIND_INT: {
        const std::uint32_t encoding = btf_int_encoding(t);
        if (encoding & BTF_INT_BOOL)
            return types_.boolean();
        const bool is_char = t->size == 1 && alias.empty() && name.find("char") != name.npos;
        if (t->size > 8) // __int128
            return types_.add({.size = t->size, .name = shown});
        return types_.add({.kind = Type::Kind::integer,
                           .is_signed = (encoding & BTF_INT_SIGNED) != 0,
                           .is_char = is_char,
                           .size = t->size,
                           .name = shown});
    }
    case BTF_KIND_FLOAT:
        return types_.add({.kind = Type::Kind::floating, .size = t->size, .name = shown});
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        return import_enumeration(btf, id, alias);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_FWD:
        return import_structure(btf, id, alias);
    case BTF_KIND_PTR:
        return import_pointer(btf, t, hops);
    case BTF_KIND_ARRAY:
        return types_.array_of(import(btf, btf_array(t)->type, hops + 1), btf_array(t)->nelems);
    default:
        return types_.add({.name = shown.empty() ? "function" : shown});
    }
}

TypeId KernelTypes::Impl::import_pointer(Btf& btf, const btf_type* t, unsigned hops)
{
    std::string_view tag;
    const std::uint32_t target = bare(btf, t->type, &tag);
    const btf_type* to = target ? btf.at(target) : nullptr;
    // Kernels that gcc built have no tags: a pointer to a structure is the kernel's, as nearly all
    // are; what a char * is its address says.
    const bool is_structure =
        to && (btf_is_composite(to) || btf_kind(to) == BTF_KIND_FWD || btf_is_ptr(to));
    const Space space = tag == "user"                  ? Space::user
                        : is_structure || !tag.empty() ? Space::kernel
                                                       : Space::unknown;
    if (to && btf_kind(to) == BTF_KIND_FUNC_PROTO)
        return types_.pointer_to(TypeId::none, Space::kernel);
    return types_.pointer_to(import(btf, t->type, hops + 1), space);
}

TypeId KernelTypes::Impl::import_structure(Btf& btf, std::uint32_t id, std::string_view alias)
{
    // The same structure by its own name and by a typedef's.
    if (const auto known = btf.imported.find(id); known != btf.imported.end())
        return known->second;
    const btf_type* t = btf.at(id);
    const bool is_forward = btf_kind(t) == BTF_KIND_FWD;
    const bool is_union = is_forward ? btf_kflag(t) : btf_kind(t) == BTF_KIND_UNION;
    const std::string_view name = btf.name_of(t);
    Type type{.kind = Type::Kind::structure,
              .size = is_forward ? 0 : t->size,
              .kernel_id = is_forward || id > vmlinux().count() ? 0 : id,
              .name =
                  name.empty() ? std::string(alias) : cat(is_union ? "union " : "struct ", name)};
    const TypeId made =
        types_.add(std::move(type), [this, &btf, id](TypeId) { return members(btf, id); });
    btf.imported.emplace(id, made);
    return made;
}

std::vector<Member> KernelTypes::Impl::members(Btf& btf, std::uint32_t id)
{
    const btf_type* t = btf.at(id);
    std::vector<Member> all;
    if (btf_kind(t) == BTF_KIND_FWD) { // a module's, of a structure that vmlinux has
        const auto whole =
            find_type(btf_kflag(t) ? "union" : "struct", std::string(btf.name_of(t)));
        if (whole && types_[*whole].size != 0) {
            const auto found = types_.members(*whole);
            all.assign(found.begin(), found.end());
        }
        return all;
    }
    for (unsigned m = 0; m < btf_vlen(t); m++) {
        const struct btf_member& member = btf_members(t)[m];
        all.push_back({.name = std::string(btf.string(member.name_off)),
                       .type = import(btf, member.type),
                       .bit = btf_member_bit_offset(t, m),
                       .bits = btf_member_bitfield_size(t, m)});
    }
    return all;
}

TypeId KernelTypes::Impl::import_enumeration(Btf& btf, std::uint32_t id, std::string_view alias)
{
    if (const auto known = btf.imported.find(id); known != btf.imported.end())
        return known->second;
    const btf_type* t = btf.at(id);
    const std::string_view name = btf.name_of(t);
    // Whether one is signed BTF says since ENUM64 came; before, a negative value does.
    bool is_signed = btf_kflag(t);
    if (btf_kind(t) == BTF_KIND_ENUM)
        for (const struct btf_enum& e : std::span(btf_enum(t), btf_vlen(t)))
            is_signed = is_signed || e.val < 0;
    const TypeId made =
        types_.add({.kind = Type::Kind::enumeration,
                    .is_signed = is_signed,
                    .size = t->size,
                    .name = name.empty() ? std::string(alias) : cat("enum ", name)},
                   nullptr, [this, &btf, id](TypeId) {
                       const btf_type* e = btf.at(id);
                       std::vector<Enumerator> all;
                       for (unsigned v = 0; v < btf_vlen(e); v++) {
                           if (btf_kind(e) == BTF_KIND_ENUM64) {
                               const struct btf_enum64& value = btf_enum64(e)[v];
                               all.push_back({std::string(btf.string(value.name_off)),
                                              std::int64_t(std::uint64_t(value.val_hi32) << 32 |
                                                           value.val_lo32)});
                           } else
                               all.push_back({std::string(btf.string(btf_enum(e)[v].name_off)),
                                              btf_enum(e)[v].val});
                       }
                       return all;
                   });
    btf.imported.emplace(id, made);
    return made;
}

std::optional<KernelFunction> KernelTypes::Impl::function(Btf& btf, std::uint32_t id,
                                                          std::uint32_t proto, unsigned skipped)
{
    const btf_type *f = btf.at(id), *p = proto ? btf.at(proto) : nullptr;
    if (!f || !p || btf_kind(p) != BTF_KIND_FUNC_PROTO)
        return std::nullopt;
    KernelFunction function{.name = std::string(btf.name_of(f)), .module = btf.module, .id = id};
    for (unsigned i = skipped; i < btf_vlen(p); i++) {
        const struct btf_param& parameter = btf_params(p)[i];
        if (parameter.type == 0)
            function.is_variadic = true;
        else
            function.parameters.push_back(
                {std::string(btf.string(parameter.name_off)), import(btf, parameter.type)});
    }
    function.result = import(btf, p->type);
    return function;
}

std::vector<KernelFunction> KernelTypes::Impl::find_functions(std::span<const std::string> wanted)
{
    std::vector<KernelBtf::Name> names;
    for (const std::string& name : wanted)
        names.push_back({BTF_KIND_FUNC, name});
    std::vector<KernelFunction> found;
    if (vmlinux().empty())
        return found;
    vmlinux().find(names);
    for (const KernelBtf::Name& name : names) {
        const btf_type* f = name.ids.empty() ? nullptr : vmlinux().at(name.ids[0]);
        if (auto made = f ? function(*all_[0], name.ids[0], f->type, 0) : std::nullopt)
            found.push_back(std::move(*made));
    }
    return found;
}

Btf* KernelTypes::Impl::module(const std::string& name)
{
    for (const auto& btf : all_)
        if (btf->module == name)
            return btf.get();
    auto raw =
        name.find('/') == name.npos ? read_file(cat("/sys/kernel/btf/", name)) : std::nullopt;
    if (!raw || vmlinux().empty())
        return nullptr;
    learn(vmlinux());
    auto btf = std::make_unique<Btf>();
    btf->module = name;
    btf->raw = std::move(*raw);
    btf->vmlinux = &vmlinux();
    btf->own = std::make_unique<KernelBtf>(std::as_bytes(std::span(btf->raw)));
    if (btf->own->empty())
        return nullptr;
    learn(*btf->own);
    all_.push_back(std::move(btf));
    return all_.back().get();
}

std::optional<KernelFunction> KernelTypes::Impl::in_module(const std::string& module_name,
                                                           const std::string& name)
{
    Btf* btf = module(module_name);
    if (!btf)
        return std::nullopt;
    // A function's name may be one of vmlinux's strings, so all are compared.
    for (std::uint32_t i = 1; i <= btf->own->count(); i++) {
        const btf_type* f = btf->own->at(i);
        if (f && btf_kind(f) == BTF_KIND_FUNC && btf->name_of(f) == name)
            return function(*btf, btf->first() + i, f->type, 0);
    }
    return std::nullopt;
}

std::optional<KernelFunction> KernelTypes::Impl::find_tracepoint(const std::string& name)
{
    KernelBtf::Name wanted{BTF_KIND_TYPEDEF, cat("btf_trace_", name)};
    const auto made = [&](Btf& btf, std::uint32_t id) -> std::optional<KernelFunction> {
        std::uint32_t proto = bare(btf, id);
        if (const btf_type* pointer = btf.at(proto); pointer && btf_is_ptr(pointer))
            proto = bare(btf, pointer->type);
        auto found = function(btf, id, proto, 1);
        if (found)
            found->name = name;
        return found;
    };
    if (vmlinux().empty())
        return std::nullopt;
    vmlinux().find({&wanted, 1});
    if (!wanted.ids.empty())
        return made(*all_[0], wanted.ids[0]);
    // Those of modules: in those that were asked for.
    for (std::size_t i = 1; i < all_.size(); i++)
        for (std::uint32_t id = 1; id <= all_[i]->own->count(); id++) {
            const btf_type* t = all_[i]->own->at(id);
            if (t && btf_kind(t) == BTF_KIND_TYPEDEF && all_[i]->name_of(t) == wanted.name)
                return made(*all_[i], all_[i]->first() + id);
        }
    return std::nullopt;
}

KernelTypes::KernelTypes(Types& types, KernelBtf& btf) : impl_(std::make_shared<Impl>(types, btf))
{
}

TypeSource KernelTypes::source() const
{
    return {
        .find = [impl = impl_](std::string_view keyword,
                               std::string_view name) { return impl->find_type(keyword, name); },
        .constant = [impl = impl_](std::string_view name) { return impl->find_enumerator(name); },
        .names = [impl = impl_](std::string_view keyword) { return impl->names(keyword); }};
}

std::vector<KernelFunction> KernelTypes::find_functions(std::span<const std::string> names)
{
    return impl_->find_functions(names);
}

std::optional<KernelFunction> KernelTypes::find_function(const std::string& name)
{
    auto found = impl_->find_functions({&name, 1});
    return found.empty() ? std::nullopt : std::optional(std::move(found[0]));
}

std::optional<KernelFunction> KernelTypes::find_module_function(const std::string& module,
                                                                const std::string& name)
{
    return impl_->in_module(module, name);
}

std::optional<KernelFunction> KernelTypes::find_tracepoint(const std::string& name)
{
    return impl_->find_tracepoint(name);
}

KernelStructs KernelTypes::structs() const
{
    return {
        .walk = [impl = impl_](std::uint32_t structure, std::uint32_t offset, std::uint32_t size) {
            return impl->walk(structure, offset, size);
        }};
}

} // namespace corebox::expr
