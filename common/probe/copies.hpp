// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Copies of a program, one for each point, where no cookie tells it where it runs.
#pragma once
#include "base/fd.hpp"
#include <bpf/bpf.h>
#include <cstddef>
#include <cstdint>
#include <vector>

struct bpf_program;

namespace corebox
{

// The instructions of a loaded program, to load it again for each point.
class Copies
{
public:
    // A copy costs about a millisecond and a page or two.
    static constexpr std::size_t kMost = 1000;

    explicit Copies(const bpf_program* program);

    // Whether the program asks which point it runs at.
    bool numbered() const { return !places_.empty(); }

    // Loads the copy for point `number`; empty with errno set.
    Fd load(std::size_t number, bpf_attach_type attach = {}, std::uint32_t target = 0);

private:
    const bpf_program* program_;
    std::vector<bpf_insn> code_;
    std::vector<std::size_t> places_;
};

} // namespace corebox
