// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The functions of the kernel and its modules, read from where the kernel keeps their names, in
// some 20 ms. Its texts take 350 ms (/proc/kallsyms) and 280 ms (available_filter_functions)
// on 6.12.
#pragma once
#include "kernel/btf.hpp"
#include "kernel/memory.hpp"
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// The kernel's own symbols: a name is a sequence of tokens after its length; the first character is
// the symbol's type, as in nm(1) (kernel/kallsyms.c).
struct PackedNames {
    // The bytes from this place on, at least one name; empty: there are no more.
    std::function<std::span<const std::byte>(std::size_t place)> at;
    std::size_t count;                    // of names
    std::span<const std::byte> tokens;    // texts, each ended by NUL
    std::span<const std::uint16_t> index; // where the text of each of the 256 tokens is
};

struct PackedName {
    std::size_t number; // of the symbol
    std::string name;
};

// The text symbols (types t, T, w and W) whose names begin with `start`, in the kernel's order.
// Nothing where this is not in the form above.
std::optional<std::vector<PackedName>> text_names(const PackedNames& packed,
                                                  std::string_view start);

struct TextSymbol {
    std::string name;
    std::string module; // empty: of the kernel itself
    std::uint64_t address = 0;
};

// All whose names begin with `start`, in the kernel's order: where several are at one address, the
// first is the one that the kernel calls it by. Nothing where the kernel does not tell where they
// are (before 6.0), its memory cannot be read, or it looks otherwise than known.
// `types`: the kernel's, where they have been read already.
std::optional<std::vector<TextSymbol>> text_symbols(KernelMemory& memory, std::string_view start,
                                                    KernelBtf* types = nullptr);
// What of the kernel's types it looks for, should there be modules.
std::vector<KernelBtf::Name> module_type_names();

// Reads the kernel's memory for many small pieces that lie near one another.
class NearMemory
{
public:
    explicit NearMemory(KernelMemory& memory) : memory_(memory) {}

    // Valid until the next call; empty: not readable. At most kWindow bytes.
    std::span<const std::byte> read(std::uint64_t address, std::size_t size);
    template <class T>
    bool read_to(std::uint64_t address, T& value)
    {
        const auto bytes = read(address, sizeof value);
        if (bytes.size() == sizeof value)
            __builtin_memcpy(&value, bytes.data(), sizeof value);
        return bytes.size() == sizeof value;
    }

    static constexpr std::size_t kWindow = 16 << 10;

private:
    KernelMemory& memory_;
    std::uint64_t begin_ = 0;
    std::vector<std::byte> window_; // its own: that of memory_ is everyone's
};

} // namespace corebox
