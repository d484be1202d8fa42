// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's own type information, read for little: most of a libbpf program's start-up is
// reading and searching it. Measured on 6.12 (instructions, in ms at 1 per ns): read through sysfs
// 30, libbpf's parse 7, its candidate search for the CO-RE relocations of opensnoop 95. Here: one
// system call 5, one pass 4; libbpf then relocates against an extract of some kilobytes.
#pragma once
#include "base/fd.hpp"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct btf;

namespace corebox
{

// The BTF object of a loaded module; -1 where there is none (before 5.11, or not loaded).
Fd open_module_btf(std::string_view module);

// Whether the BTF of a loaded module has this name: then a module may have what vmlinux has not.
bool modules_mention(std::string_view name);

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
    KernelBtf();
    explicit KernelBtf(std::span<const std::byte> raw);                // for tests; not copied
    KernelBtf(std::unique_ptr<unsigned char[]> raw, std::size_t size); // another kernel's
    ~KernelBtf();
    KernelBtf(const KernelBtf&) = delete;
    KernelBtf& operator=(const KernelBtf&) = delete;

    bool empty() const { return types_end_ == 0; }

    // Fills `ids` of all names in one pass, in which it also learns where types are: comes first.
    void find(std::span<Name> names);

    // Looks for functions in a module's BTF, which continues vmlinux's; after find(), which counts
    // vmlinux's types. Fills the `ids` of those that had none.
    void find_in_module(const Fd& module, std::span<Name> functions) const;

    // Raw BTF with these types and all that they contain by value, which is what CO-RE relocations
    // look at: what a pointer points to is a relocation of its own, so pointers become `void *`.
    std::vector<std::byte> extract(std::span<const std::uint32_t> roots) const;

    // The number of the `struct type *` argument of the function behind a btf_trace_ typedef's id;
    // -1: none.
    int pointer_argument(std::uint32_t typedef_id, std::string_view type) const;

private:
    struct Type; // btf_type
    void check();
    const Type* type(std::uint32_t id) const;
    std::string_view name(std::uint32_t offset) const;

    std::unique_ptr<unsigned char[]> owned_; // where raw_ is, if neither mapped nor the caller's
    std::span<const std::byte> raw_;
    bool mapped_ = false;
    // Where every kStep-th type is, from the start of raw_: few are looked up by id.
    static constexpr std::uint32_t kStep = 16;
    std::vector<std::uint32_t> marks_;
    std::uint32_t count_ = 0;               // types
    std::size_t types_ = 0, types_end_ = 0; // 0: not BTF
    std::size_t strings_ = 0, strings_size_ = 0;
};

// The names of types that the CO-RE relocations of an object may look for, without their flavours:
// struct, union, enum and typedef names of its own BTF.
std::vector<KernelBtf::Name> relocated_types(const btf* object);

} // namespace corebox
