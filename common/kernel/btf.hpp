// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's own type information, read for little: most of a libbpf program's start-up is
// reading and searching it. Measured on 6.12 (instructions, in ms at 1 per ns): read through sysfs
// 30, by BPF_OBJ_GET_INFO_BY_FD 15 (of which 10 for the memory), libbpf's parse 7, its candidate
// search for the CO-RE relocations of opensnoop 95. Here: mapped (6.16+) or read piecewise from the
// kernel's memory 7, one pass 4; libbpf then relocates against an extract of some kilobytes.
#pragma once
#include "base/fd.hpp"
#include "kernel/facts.hpp"
#include "kernel/memory.hpp"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct btf;
struct btf_type;

namespace corebox
{

// The BTF object of a loaded module; -1 where there is none (before 5.11, or not loaded).
Fd open_module_btf(std::string_view module);

// Which of these names the BTF of a loaded module has: then a module may have what vmlinux has not.
// Reads each module's once, some megabytes where there are many.
std::set<std::string, std::less<>> mentioned_by_modules(std::span<const std::string> names);

class KernelBtf
{
public:
    // A type to look for: by kind (BTF_KIND_*; ENUM finds ENUM64 too) and name.
    struct Name {
        std::uint32_t kind;
        std::string name;
        std::vector<std::uint32_t> ids{}; // found; several where types share a name
    };

    // Reads vmlinux's BTF; empty where the kernel has none or it is malformed.
    KernelBtf() : KernelBtf([]() -> KernelMemory* { return nullptr; }) {}
    // Where it cannot be mapped, from the memory that `memory` gives, if any; that outlives it.
    explicit KernelBtf(const std::function<KernelMemory*()>& memory);
    explicit KernelBtf(std::span<const std::byte> raw);                // for tests; not copied
    KernelBtf(std::unique_ptr<unsigned char[]> raw, std::size_t size); // another kernel's
    ~KernelBtf();
    KernelBtf(const KernelBtf&) = delete;
    KernelBtf& operator=(const KernelBtf&) = delete;

    bool empty() const { return types_end_ == 0; }

    // Fills `ids` of all names, and learns where types are: comes first.
    void find(std::span<Name> names);

    // Names that will be looked for: the next find() that goes through all types finds these too.
    // From then on it remembers what it found, and goes through them for new names only.
    void expect(std::vector<Name> names);

    // Looks for functions in a module's BTF, which continues vmlinux's; after find(), which counts
    // vmlinux's types. Fills the `ids` of those that had none.
    void find_in_module(const Fd& module, std::span<Name> functions) const;

    // Raw BTF with these types and what they contain by value, which is what CO-RE relocations look
    // at: what a pointer points to is a relocation of its own, so pointers become `void *`. Of
    // members and enumerators only those without a name, and those whose names find() was given.
    std::vector<std::byte> extract(std::span<const std::uint32_t> roots) const;

    // Whether "struct.member" is there; unknown where there is no BTF. As slow as find(), which it
    // calls.
    Answer member(std::string_view name);

    // The number of the `struct type *` argument of the function behind a btf_trace_ typedef's id;
    // -1: none.
    int pointer_argument(std::uint32_t typedef_id, std::string_view type) const;

    // Whether the first argument of a function, by its id, points to a struct of which there is no
    // more than the name: then the verifier lets no program read it.
    bool argument_unknown(std::uint32_t function_id) const;

    // Below: after find(). What the ids and offsets of a module's BTF mean needs vmlinux's
    // counts.
    std::uint32_t count() const { return count_; }
    std::uint32_t strings_size() const { return std::uint32_t(strings_size_); }
    // A type with what follows it; null: there is none, or it is malformed.
    const btf_type* at(std::uint32_t id) const;
    std::string_view string(std::uint32_t offset) const { return name(offset); }
    // The value of an enumerator. One pass; the first of several of a name.
    std::optional<std::int64_t> enumerator(std::string_view name) const;
    // The names of all types of a kind; slow.
    std::vector<std::string> names(std::uint32_t kind) const;

private:
    struct Type; // btf_type
    using Offsets = std::unordered_multimap<std::uint32_t, Name*>;
    template <class Each>
    void for_each_type(Each&& each) const;
    Offsets find_strings(std::span<Name> names) const;
    void find_all(std::span<Name> names);
    bool recall(std::span<Name> names) const;
    void check();
    bool read_pieces(KernelMemory& memory);
    // The bytes from there up to `end`, as many as can be had at once; valid until the next call.
    std::span<const std::byte> piece(std::size_t offset, std::size_t end) const;
    // Sees to it that raw_ has the bytes there.
    void have(std::size_t offset, std::size_t size) const;
    const Type* type(std::uint32_t id) const;
    std::string_view name(std::uint32_t offset) const;

    std::unique_ptr<unsigned char[]> owned_; // where raw_ is, if neither mapped nor the caller's
    std::span<const std::byte> raw_;         // where it is all mapped; read in pieces: see have()
    bool mapped_ = false;
    // Where read in pieces: from where, and which pages of raw_ have been.
    KernelMemory* memory_ = nullptr;
    std::uint64_t address_ = 0;
    mutable std::vector<bool> pages_;
    // Where every kStep-th type is, from the start of raw_: few are looked up by id.
    static constexpr std::uint32_t kStep = 16;
    std::vector<std::uint32_t> marks_;
    std::uint32_t count_ = 0;               // types
    std::size_t types_ = 0, types_end_ = 0; // 0: not BTF
    std::size_t strings_ = 0, strings_size_ = 0;
    std::vector<Name> expected_;
    bool remembers_ = false;
    std::map<std::pair<std::uint32_t, std::string>, std::vector<std::uint32_t>, std::less<>>
        remembered_;                                       // ids, by kind and name
    std::unordered_map<std::uint32_t, std::string> known_; // strings that find() found
};

// Where a member of a structure is, in bytes; nothing: it has none of that name.
std::optional<std::uint32_t> member_offset(const btf* types, const char* structure,
                                           std::string_view member);

// Whether raw BTF has "struct.member".
bool has_member(std::span<const std::byte> raw, std::string_view name);

// What the CO-RE relocations of an object may look for: struct, union, enum and typedef names of
// its own BTF, without their flavours, and the names of members and enumerators, of kind 0.
std::vector<KernelBtf::Name> relocated_names(const btf* object);

} // namespace corebox
