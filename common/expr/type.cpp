// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/type.hpp"
#include "base/text.hpp"
#include "expr/constants.hpp"
#include <algorithm>
#include <bit>
#include <utility>

namespace corebox::expr
{

namespace
{

// Integers that every kernel and every program names so, on 64-bit architectures. Sorted.
struct Named {
    std::string_view name;
    std::uint8_t bytes;
    bool is_signed;
};
constexpr Named kNamed[] = {
    {"__be16", 2, false},   {"__be32", 4, false},  {"__be64", 8, false},    {"__le16", 2, false},
    {"__le32", 4, false},   {"__le64", 8, false},  {"__s16", 2, true},      {"__s32", 4, true},
    {"__s64", 8, true},     {"__s8", 1, true},     {"__sum16", 2, false},   {"__u16", 2, false},
    {"__u32", 4, false},    {"__u64", 8, false},   {"__u8", 1, false},      {"__wsum", 4, false},
    {"blkcnt_t", 8, false}, {"dev_t", 4, false},   {"fmode_t", 4, false},   {"gfp_t", 4, false},
    {"gid_t", 4, false},    {"int16_t", 2, true},  {"int32_t", 4, true},    {"int64_t", 8, true},
    {"int8_t", 1, true},    {"intptr_t", 8, true}, {"ktime_t", 8, true},    {"loff_t", 8, true},
    {"off_t", 8, true},     {"pgoff_t", 8, false}, {"pid_t", 4, true},      {"ptrdiff_t", 8, true},
    {"s16", 2, true},       {"s32", 4, true},      {"s64", 8, true},        {"s8", 1, true},
    {"sector_t", 8, false}, {"size_t", 8, false},  {"socklen_t", 4, false}, {"ssize_t", 8, true},
    {"u16", 2, false},      {"u32", 4, false},     {"u64", 8, false},       {"u8", 1, false},
    {"uid_t", 4, false},    {"uint", 4, false},    {"uint16_t", 2, false},  {"uint32_t", 4, false},
    {"uint64_t", 8, false}, {"uint8_t", 1, false}, {"uintptr_t", 8, false}, {"ulong", 8, false},
    {"umode_t", 2, false},
};
static_assert(std::ranges::is_sorted(kNamed, {}, &Named::name));

// Of type information that may be malformed.
constexpr unsigned kNested = 16;
constexpr std::size_t kMostNames = 4096;

constexpr std::size_t slot(unsigned bytes, bool is_signed)
{
    return std::size_t(std::countr_zero(bytes)) * 2 + is_signed;
}

} // namespace

Types::Types()
{
    add({.name = "void"});
    for (const bool is_signed : {false, true}) {
        const std::string_view sign = is_signed ? "" : "unsigned ";
        integers_[slot(1, is_signed)] =
            add_integer(is_signed ? "signed char" : "unsigned char", 1, is_signed, false);
        integers_[slot(2, is_signed)] = add_integer(cat(sign, "short"), 2, is_signed, false);
        integers_[slot(4, is_signed)] = add_integer(cat(sign, "int"), 4, is_signed, false);
        integers_[slot(8, is_signed)] = add_integer(cat(sign, "long"), 8, is_signed, false);
    }
    character_ = add_integer("char", 1, true, true);
    unsigned_character_ = add_integer("unsigned char", 1, false, true);
    boolean_ = add({.kind = Type::Kind::boolean, .size = 1, .name = "bool"});
    for (const auto& [name, bytes, is_signed] : kNamed)
        own_.emplace(name, integer(bytes, is_signed));
    own_.emplace("char", character_);
    own_.emplace("unsigned char", unsigned_character_);
    own_.emplace("bool", boolean_);
    own_.emplace("_Bool", boolean_);
    own_.emplace("void", TypeId::none);
    own_.emplace("float", add({.kind = Type::Kind::floating, .size = 4, .name = "float"}));
    own_.emplace("double", add({.kind = Type::Kind::floating, .size = 8, .name = "double"}));
}

TypeId Types::add_integer(std::string_view name, std::uint32_t size, bool is_signed, bool is_char)
{
    return add({.kind = Type::Kind::integer,
                .is_signed = is_signed,
                .is_char = is_char,
                .size = size,
                .name = std::string(name)});
}

TypeId Types::add(Type type, std::function<std::vector<Member>(TypeId)> members,
                  std::function<std::vector<Enumerator>(TypeId)> enumerators)
{
    types_.push_back({std::move(type), std::move(members), std::move(enumerators), {}, {}});
    return TypeId(types_.size() - 1);
}

void Types::complete(TypeId structure, std::uint32_t size, std::vector<Member> members)
{
    Entry& entry = types_[std::size_t(structure)];
    entry.type.size = size;
    entry.members = std::move(members);
    entry.complete_members = nullptr;
}

std::span<const Member> Types::members(TypeId structure) const
{
    Entry& entry = types_[std::size_t(structure)];
    if (const auto complete = std::exchange(entry.complete_members, nullptr))
        entry.members = complete(structure);
    return entry.members;
}

std::span<const Enumerator> Types::enumerators(TypeId enumeration) const
{
    Entry& entry = types_[std::size_t(enumeration)];
    if (const auto complete = std::exchange(entry.complete_enumerators, nullptr))
        entry.enumerators = complete(enumeration);
    return entry.enumerators;
}

TypeId Types::integer(unsigned bytes, bool is_signed) { return integers_[slot(bytes, is_signed)]; }

TypeId Types::pointer_to(TypeId target, Space space)
{
    const auto [known, is_new] = pointers_.try_emplace({target, space});
    if (is_new) {
        const std::string& name = (*this)[target].name;
        known->second = add({.kind = Type::Kind::pointer,
                             .space = space,
                             .size = 8,
                             .target = target,
                             .name = cat(name, space == Space::user ? " __user" : "",
                                         name.ends_with('*') ? "*" : " *")});
    }
    return known->second;
}

TypeId Types::array_of(TypeId element, std::uint32_t count)
{
    const auto [known, is_new] = arrays_.try_emplace({element, count});
    if (is_new) {
        const Type& of = (*this)[element];
        known->second = add({.kind = Type::Kind::array,
                             .size = of.size * count,
                             .target = element,
                             .count = count,
                             .name = cat(of.name, "[", count, "]")});
    }
    return known->second;
}

std::optional<TypeId> Types::find(std::string_view keyword, std::string_view name) const
{
    const std::string key = keyword.empty() ? std::string(name) : cat(keyword, " ", name);
    if (const auto known = own_.find(key); known != own_.end())
        return known->second;
    // What the scope has is found anew each time: it comes and goes.
    if (scope_)
        for (const TypeSource& source : sources_before_scope())
            if (const auto type = source.find ? source.find(keyword, name) : std::nullopt)
                return type;
    if (scope_ && scope_->find)
        if (const auto type = scope_->find(keyword, name))
            return type;
    if (const auto known = found_.find(key); known != found_.end())
        return known->second;
    for (const TypeSource& source : sources_)
        if (const auto type = source.find ? source.find(keyword, name) : std::nullopt) {
            found_.emplace(key, *type);
            return type;
        }
    return std::nullopt;
}

std::optional<std::int64_t> Types::constant(std::string_view name) const
{
    if (const auto value = uapi_constant(name))
        return value;
    for (const TypeSource& source : sources_before_scope())
        if (const auto value = source.constant ? source.constant(name) : std::nullopt)
            return value;
    if (scope_ && scope_->constant)
        if (const auto value = scope_->constant(name))
            return value;
    for (const TypeSource& source : sources_)
        if (const auto value = source.constant ? source.constant(name) : std::nullopt)
            return value;
    return std::nullopt;
}

std::vector<std::string> Types::names(std::string_view keyword) const
{
    std::vector<std::string> all;
    if (scope_ && scope_->names)
        all = scope_->names(keyword);
    for (const TypeSource& source : sources_)
        if (source.names)
            for (std::string& name : source.names(keyword))
                all.push_back(std::move(name));
    return all;
}

bool Types::for_each_member(TypeId structure, std::uint32_t bit, unsigned depth,
                            const std::function<bool(const Member&, std::uint32_t)>& each) const
{
    for (const Member& m : members(structure))
        if (!m.name.empty() ? each(m, bit + m.bit)
                            : depth > 0 && (*this)[m.type].kind == Type::Kind::structure &&
                                  for_each_member(m.type, bit + m.bit, depth - 1, each))
            return true;
    return false;
}

std::optional<Member> Types::member(TypeId structure, std::string_view name) const
{
    std::optional<Member> found;
    for_each_member(structure, 0, kNested, [&](const Member& m, std::uint32_t bit) {
        if (m.name == name) {
            found = m;
            found->bit = bit;
        }
        return found.has_value();
    });
    return found;
}

std::vector<std::string> Types::member_names(TypeId structure) const
{
    std::vector<std::string> names;
    for_each_member(structure, 0, kNested, [&](const Member& m, std::uint32_t) {
        names.push_back(m.name);
        return names.size() == kMostNames;
    });
    return names;
}

} // namespace corebox::expr
