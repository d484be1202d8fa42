// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The functions of the kernel and its modules that have a packet as an argument.
#pragma once
#include "probe/functions.hpp"
#include "skbtrace/skbtrace.h"
#include <memory>
#include <string>

namespace corebox
{

// Functions by the number of that argument; those that free it come first.
struct SkbFunctions {
    std::vector<Point> points;
    skb_functions bounds{};
    // "ip_rcv", "nft_do_chain_inet [nf_tables]".
    std::string name(std::size_t number) const;
    std::string list() const;
};

// What deep mode traces. Where the kernel has kprobe.multi, all that BTF knows and ftrace can
// trace; where each function takes 10 to 30 ms to attach (net-facts), a few of them.
class DeepFunctions
{
public:
    DeepFunctions();

    const SkbFunctions& all() const { return all_; }
    const SkbFunctions& few() const { return few_; }
    // Before load, for each try.
    void prepare(bpf_map* ids) { few_probes_->use(ids); }
    std::vector<bpf_link*> attach_all(const bpf_program* program);
    std::vector<bpf_link*> attach_few(const bpf_program* program);
    // Those that are traced.
    const SkbFunctions& used() const { return *used_; }
    std::size_t attached() const;

private:
    SkbFunctions all_, few_;
    std::unique_ptr<FunctionProbes> all_probes_, few_probes_;
    const SkbFunctions* used_ = &all_;
};

} // namespace corebox
