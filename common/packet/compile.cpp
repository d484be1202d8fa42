// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "packet/compile.hpp"
#include "packet/library.hpp"
#include <cstring>
#include <memory>

// linux/bpf.h has a struct of the same name.
#define bpf_insn classic_bpf_insn
#include <pcap/pcap.h>
#undef bpf_insn

namespace corebox::packet
{

Compiled compile(std::string_view expression)
{
    constexpr int kOptimize = 1;
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> pcap(open_compiler(), pcap_close);
    bpf_program program{};
    if (!pcap)
        return {{}, "out of memory"};
    if (::pcap_compile(pcap.get(), &program, std::string(expression).c_str(), kOptimize,
                       PCAP_NETMASK_UNKNOWN) != 0)
        return {{}, ::pcap_geterr(pcap.get())};
    Compiled compiled;
    static_assert(sizeof *program.bf_insns == sizeof(sock_filter)); // and the same members
    compiled.code.resize(program.bf_len);
    std::memcpy(compiled.code.data(), program.bf_insns, program.bf_len * sizeof(sock_filter));
    ::pcap_freecode(&program);
    return compiled;
}

} // namespace corebox::packet
