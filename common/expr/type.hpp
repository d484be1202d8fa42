// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// C's types as expressions see them, whatever they were read from: the kernel's BTF, a program's
// DWARF, declarations that the user wrote, the columns of a tool.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corebox::expr
{

// A type in one Types; 0: void.
enum class TypeId : std::uint32_t { none = 0 };

// Where a pointer points.
enum class Space : std::uint8_t {
    kernel,
    user,
    unknown, // a number that was never said to be either: decided by the address, at run time
};

struct Member {
    std::string name; // empty: an anonymous struct or union, whose members count as its own
    TypeId type = TypeId::none;
    std::uint32_t bit = 0;  // from the beginning of the structure
    std::uint32_t bits = 0; // of a bitfield; 0: it is none
};

struct Enumerator {
    std::string name;
    std::int64_t value = 0;
};

// Of a function.
struct Parameter {
    std::string name; // may be empty
    TypeId type = TypeId::none;
};

struct Type {
    enum class Kind : std::uint8_t {
        none, // void, functions, and what has no more than a name
        integer,
        boolean,
        floating, // has a size; no expression may use its value
        enumeration,
        pointer,
        structure, // and union
        array,
    };

    Kind kind = Kind::none;
    bool is_signed = false;
    bool is_char = false;         // of one byte, and meant as text
    Space space = Space::unknown; // pointer
    std::uint32_t size = 0;       // in bytes; of an array the whole, 0 if it has no length
    TypeId target = TypeId::none; // what a pointer points to, what an array is of
    std::uint32_t count = 0;      // elements of an array
    // Structure: its number in the BTF of vmlinux, by which the verifier knows it. 0: it does not.
    std::uint32_t kernel_id = 0;
    std::string name; // as C has it: "struct sock", "unsigned int"; of a typedef its name

    bool is_number() const
    {
        return kind == Kind::integer || kind == Kind::boolean || kind == Kind::enumeration;
    }
};

// Where types come from. Each is asked in turn.
struct TypeSource {
    // The type that "struct NAME", "union NAME", "enum NAME" or a typedef's NAME stands for.
    std::function<std::optional<TypeId>(std::string_view keyword, std::string_view name)> find;
    // The value of an enumerator or another named constant.
    std::function<std::optional<std::int64_t>(std::string_view name)> constant{};
    // All names of types of a keyword, for "did you mean"; may be slow.
    std::function<std::vector<std::string>(std::string_view keyword)> names{};
};

// All types that the expressions of one run use. Types are imported when they are asked for: a
// structure's members when the first is looked up.
class Types
{
public:
    Types();
    Types(const Types&) = delete;
    Types& operator=(const Types&) = delete;

    // Valid as long as this.
    const Type& operator[](TypeId id) const { return types_[std::size_t(id)].type; }
    std::span<const Member> members(TypeId structure) const;
    std::span<const Enumerator> enumerators(TypeId enumeration) const;

    // `complete(id)` gives the members or enumerators, once, when they are first asked for.
    TypeId add(Type type, std::function<std::vector<Member>(TypeId)> members = nullptr,
               std::function<std::vector<Enumerator>(TypeId)> enumerators = nullptr);
    // Gives a structure that was added without them its size and members.
    void complete(TypeId structure, std::uint32_t size, std::vector<Member> members);
    // Each of these is made once. Integers of one byte are numbers, no text.
    TypeId integer(unsigned bytes, bool is_signed);
    TypeId character() { return character_; }
    TypeId boolean() { return boolean_; }
    TypeId pointer_to(TypeId target, Space space);
    TypeId array_of(TypeId element, std::uint32_t count);

    void add_source(TypeSource source) { sources_.push_back(std::move(source)); }
    // One that comes before all others; before anything is asked for.
    void add_first_source(TypeSource source)
    {
        sources_.insert(sources_.begin(), std::move(source));
        first_sources_++;
    }
    // While one place's expressions are read: what names mean there, before all sources but those
    // that were added first. The caller keeps it; null: nothing special.
    void set_scope(const TypeSource* scope) { scope_ = scope; }
    // C's own types and the common names of integers (u32, __be16, size_t, pid_t) need no source.
    // The keyword is "struct", "union", "enum", or empty for all other names.
    std::optional<TypeId> find(std::string_view keyword, std::string_view name) const;
    // Constants of the system's headers (O_CREAT, AF_INET6, EPERM) come before those of sources.
    std::optional<std::int64_t> constant(std::string_view name) const;
    std::vector<std::string> names(std::string_view keyword) const;

    // Finds a member, also in anonymous structs and unions; its `bit` is from the outermost.
    std::optional<Member> member(TypeId structure, std::string_view name) const;
    // The names that it could have been, for messages.
    std::vector<std::string> member_names(TypeId structure) const;

private:
    struct Entry {
        Type type;
        std::function<std::vector<Member>(TypeId)> complete_members;
        std::function<std::vector<Enumerator>(TypeId)> complete_enumerators;
        std::vector<Member> members;
        std::vector<Enumerator> enumerators;
    };
    // Also of anonymous structs and unions; until `each` says true.
    bool for_each_member(TypeId structure, std::uint32_t bit, unsigned depth,
                         const std::function<bool(const Member&, std::uint32_t)>& each) const;
    std::span<const TypeSource> sources_before_scope() const
    {
        return std::span(sources_).first(first_sources_);
    }
    TypeId add_integer(std::string_view name, std::uint32_t size, bool is_signed, bool is_char);

    mutable std::deque<Entry> types_;
    std::vector<TypeSource> sources_;
    std::size_t first_sources_ = 0;
    const TypeSource* scope_ = nullptr;
    TypeId character_{}, unsigned_character_{}, boolean_{};
    std::array<TypeId, 8> integers_{}; // of 1, 2, 4, 8 bytes, unsigned and signed
    std::map<std::pair<TypeId, Space>, TypeId> pointers_;
    std::map<std::pair<TypeId, std::uint32_t>, TypeId> arrays_;
    std::map<std::string, TypeId, std::less<>> own_; // C's
    mutable std::map<std::string, TypeId, std::less<>> found_;
};

} // namespace corebox::expr
