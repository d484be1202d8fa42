// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's types, functions and tracepoints, from the BTF of vmlinux and of modules.
#pragma once
#include "expr/generate.hpp"
#include "kernel/btf.hpp"

namespace corebox::expr
{

struct KernelFunction {
    std::string name;
    std::string module{}; // empty: vmlinux
    std::uint32_t id = 0; // in that BTF: the attach_btf_id of fentry and fexit
    std::vector<Parameter> parameters{};
    TypeId result = TypeId::none; // none: returns nothing
    bool is_variadic = false;
};

class KernelTypes
{
public:
    // `types` and `btf` live longer than what is asked of this. Reads nothing yet.
    KernelTypes(Types& types, KernelBtf& btf);

    // For Types::add_source(). A module's own types are found once a function of it was.
    TypeSource source() const;

    // As many as there are of these, in one reading of vmlinux's BTF: a KernelFunction for each
    // name that is found, in the order of the names.
    std::vector<KernelFunction> find_functions(std::span<const std::string> names);
    std::optional<KernelFunction> find_function(const std::string& name);
    std::optional<KernelFunction> find_module_function(const std::string& module,
                                                       const std::string& name);
    // What a tp_btf or raw_tp program gets of a tracepoint ("sched_switch"): the parameters of its
    // btf_trace_ typedef without the probe's private data. `id` is the typedef's.
    std::optional<KernelFunction> find_tracepoint(const std::string& name);

    KernelStructs structs() const;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace corebox::expr
