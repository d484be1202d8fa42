// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/copies.hpp"
#include "abi/functions.h"
#include <bpf/libbpf.h>

namespace corebox
{

Copies::Copies(const bpf_program* program)
    : program_(program), code_(bpf_program__insns(program),
                               bpf_program__insns(program) + bpf_program__insn_cnt(program))
{
    for (std::size_t i = 0; i < code_.size(); i++)
        if (BPF_OP(code_[i].code) == BPF_MOV && code_[i].imm == FUNCTION_NUMBER)
            places_.push_back(i);
}

Fd Copies::load(std::size_t number, bpf_attach_type attach, std::uint32_t target)
{
    for (const std::size_t place : places_)
        code_[place].imm = int(number);
    bpf_prog_load_opts options{};
    options.sz = sizeof options;
    options.expected_attach_type = attach;
    options.attach_btf_id = target;
    const auto type = attach ? BPF_PROG_TYPE_TRACING : bpf_program__type(program_);
    return Fd(bpf_prog_load(type, bpf_program__name(program_), "Dual BSD/GPL", code_.data(),
                            code_.size(), &options));
}

} // namespace corebox
