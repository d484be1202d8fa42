// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What stands in the way of probes on functions of a module.
#pragma once
#include "base/path.hpp"
#include "base/text.hpp"
#include "kernel/facts.hpp"

namespace corebox
{

// It is not there. (One that is built in has parameters, and so is there too.)
inline Obstacle no_module(const Facts& facts, std::string_view module)
{
    if (facts.has(Facts::Name::module, module) == Answer::no)
        return {Cause::no_module, std::string(module)};
    return {};
}

// Or its types are not, by which fentry and fexit attach.
inline Obstacle no_module_types(const Facts& facts, std::string_view module)
{
    if (Obstacle reason = no_module(facts, module))
        return reason;
    if (!reachable(cat("/sys/module/", module, "/initstate"))) // built in
        return {};
    if (!reachable(cat("/sys/kernel/btf/", module)))
        return {Cause::no_module_btf};
    if (!facts.module_types)
        return {Cause::module_btf_hidden};
    return {};
}

} // namespace corebox
