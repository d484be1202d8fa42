// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/session.hpp"
#include "abi/session.h"
#include "base/text.hpp"
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/bpf.h>
#include <sys/syscall.h>

namespace corebox
{

std::vector<std::string_view> session_functions(std::string_view section)
{
    if (!section.starts_with(kSessionSection))
        return {};
    return split(section.substr(kSessionSection.size()), ',');
}

int name_session_function(bpf_program* program, std::uint32_t id)
{
    const bpf_insn* begin = bpf_program__insns(program);
    std::vector<bpf_insn> insns(begin, begin + bpf_program__insn_cnt(program));
    for (bpf_insn& i : insns) {
        if (i.code != (BPF_JMP | BPF_CALL) || i.src_reg != 0 || i.imm != SESSION_IS_RETURN)
            continue;
        i.src_reg = BPF_PSEUDO_KFUNC_CALL;
        i.imm = std::int32_t(id);
        i.off = 0; // of vmlinux
    }
    return bpf_program__set_insns(program, insns.data(), insns.size());
}

Fd attach_session(const bpf_program* program, KernelMemory& memory)
{
    std::vector<std::uint64_t> addresses, cookies;
    const auto functions = session_functions(bpf_program__section_name(program));
    for (std::size_t i = 0; i < functions.size(); i++)
        if (const std::uint64_t address = memory.address(functions[i])) {
            addresses.push_back(address);
            cookies.push_back(i);
        }
    if (addresses.empty()) {
        errno = ENOENT;
        return {};
    }
    bpf_attr attr{};
    attr.link_create.prog_fd = __u32(bpf_program__fd(program));
    attr.link_create.attach_type = kSessionAttachType;
    attr.link_create.kprobe_multi.cnt = __u32(addresses.size());
    attr.link_create.kprobe_multi.addrs = reinterpret_cast<__u64>(addresses.data());
    attr.link_create.kprobe_multi.cookies = reinterpret_cast<__u64>(cookies.data());
    return Fd(int(::syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr)));
}

} // namespace corebox
