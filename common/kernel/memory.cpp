// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/memory.hpp"
#include "kernel/insn.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>
#include <sys/mman.h>

namespace corebox
{

struct KernelMemory::Window {
    std::uint64_t address; // of the symbol, or to read from
    std::uint64_t size;    // 0: look the symbol up
    char symbol[KernelMemory::kLongestName];
    std::byte data[kMost];
};

namespace
{

constexpr std::size_t kWindowBytes = 128 + KernelMemory::kMost;

} // namespace

KernelMemory::KernelMemory()
{
    static_assert(sizeof(Window) == kWindowBytes);
    bpf_map_create_opts map_options{};
    map_options.sz = sizeof map_options;
    map_options.map_flags = BPF_F_MMAPABLE;
    map_ = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "corebox_window", sizeof(__u32), kWindowBytes, 1,
                             &map_options));
    if (!map_)
        return;
    const bpf_insn program[] = {
        // r6 = the window
        insn::any(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_6, BPF_PSEUDO_MAP_VALUE, 0, map_.get()),
        insn::any(0, 0, 0, 0, 0),
        insn::load(BPF_REG_2, BPF_REG_6, offsetof(Window, size)),
        insn::any(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 7, 0),
        // return bpf_kallsyms_lookup_name(window->symbol, sizeof symbol, 0, &window->address)
        insn::mov(BPF_REG_1, BPF_REG_6),
        insn::add(BPF_REG_1, offsetof(Window, symbol)),
        insn::mov_imm(BPF_REG_2, sizeof(Window::symbol)),
        insn::mov_imm(BPF_REG_3, 0),
        insn::mov(BPF_REG_4, BPF_REG_6),
        insn::call(BPF_FUNC_kallsyms_lookup_name),
        insn::exit(),
        // return bpf_probe_read_kernel(window->data, window->size, window->address)
        insn::mov_imm(BPF_REG_0, -1),
        insn::any(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, 4, kMost),
        insn::load(BPF_REG_3, BPF_REG_6, offsetof(Window, address)),
        insn::mov(BPF_REG_1, BPF_REG_6),
        insn::add(BPF_REG_1, offsetof(Window, data)),
        insn::call(BPF_FUNC_probe_read_kernel),
        insn::exit(),
    };
    bpf_prog_load_opts options{};
    options.sz = sizeof options;
    options.prog_flags = BPF_F_SLEEPABLE;
    program_ = Fd(bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "corebox_read", "Dual BSD/GPL", program,
                                std::size(program), &options));
    if (!program_)
        return;
    void* p = ::mmap(nullptr, kWindowBytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_.get(), 0);
    if (p != MAP_FAILED)
        window_ = static_cast<Window*>(p);
}

KernelMemory::~KernelMemory()
{
    if (window_)
        ::munmap(window_, kWindowBytes);
}

bool KernelMemory::run() const
{
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    return bpf_prog_test_run_opts(program_.get(), &options) == 0 && options.retval == 0;
}

std::uint64_t KernelMemory::address(std::string_view symbol)
{
    if (!window_ || symbol.size() >= kLongestName)
        return 0;
    window_->size = 0;
    window_->address = 0;
    std::ranges::fill(window_->symbol, '\0');
    std::ranges::copy(symbol, window_->symbol);
    return run() ? window_->address : 0;
}

std::span<const std::byte> KernelMemory::read(std::uint64_t address, std::size_t size)
{
    if (!window_ || size == 0 || size > kMost)
        return {};
    window_->address = address;
    window_->size = size;
    if (!run())
        return {};
    return {window_->data, size};
}

bool KernelMemory::has_index()
{
    // The index itself cannot be seen; this helper came with the same release.
    constexpr auto kCgrpStorageGet = bpf_func_id(210);
    return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, kCgrpStorageGet, nullptr) > 0;
}

} // namespace corebox
