// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// C's types as expressions see them, whatever they were read from: the kernel's BTF, a program's
// DWARF, declarations that the user wrote, the columns of a tool.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
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
    // Each of these is made once.
    TypeId integer(unsigned bytes, bool is_signed);
    TypeId character() { return character_; }
    TypeId boolean() { return boolean_; }
    TypeId pointer_to(TypeId target, Space space);
    TypeId array_of(TypeId element, std::uint32_t count);

    void add_source(TypeSource source) { sources_.push_back(std::move(source)); }
    std::optional<TypeId> find(std::string_view keyword, std::string_view name) const;
    std::optional<std::int64_t> constant(std::string_view name) const;

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
    mutable std::deque<Entry> types_;
    std::vector<TypeSource> sources_;
    TypeId character_{}, boolean_{};
};

} // namespace corebox::expr
