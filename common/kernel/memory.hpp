// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's memory and the addresses of its symbols, read by a small BPF program that user space
// runs (BPF_PROG_TYPE_SYSCALL, 5.16+): a symbol's address in microseconds where its own text,
// /proc/kallsyms, takes tens of milliseconds.
#pragma once
#include "base/fd.hpp"
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace corebox
{

class KernelMemory
{
public:
    static constexpr std::size_t kMost = 64 << 10;   // bytes of one read()
    static constexpr std::size_t kLongestName = 112; // that address() looks up, and a NUL

    // Empty where the kernel cannot, or refuses (lockdown, capabilities).
    KernelMemory();
    ~KernelMemory();
    KernelMemory(const KernelMemory&) = delete;
    KernelMemory& operator=(const KernelMemory&) = delete;

    bool empty() const { return !window_; }

    // Where a function or variable of the kernel or a module is; the first of several of one name;
    // 0: not known. Slow (30 ms) on kernels that have no index of their symbols: has_index().
    std::uint64_t address(std::string_view symbol);

    // `size` bytes, at most kMost, valid until the next call; empty: not readable.
    std::span<const std::byte> read(std::uint64_t address, std::size_t size);

    // Whether this kernel finds symbols by name in microseconds (6.2, 60443c88f3a8).
    static bool has_index();

private:
    struct Window;
    bool run() const;

    Fd map_, program_;
    Window* window_ = nullptr; // the map's value, shared with the program
};

} // namespace corebox
