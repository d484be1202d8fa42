// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/drop_reasons.hpp"
#include "base/text.hpp"
#include <bpf/btf.h>
#include <memory>
#include <span>
#include <string_view>

namespace corebox
{
namespace
{

// Of a name as the kernel has it. What begins otherwise is a subsystem's, or says more than a
// reason (SKB_CONSUMED).
constexpr std::string_view kPrefix = "SKB_DROP_REASON_";

std::string_view text_of(const btf* types, std::uint32_t offset)
{
    const char* text = btf__name_by_offset(types, offset);
    return text ? text : "";
}

using Btf = std::unique_ptr<btf, decltype([](btf* b) { btf__free(b); })>;

} // namespace

void DropReasons::add(const btf* types)
{
    for (std::uint32_t id = 1; id < btf__type_cnt(types); id++) {
        const btf_type* t = btf__type_by_id(types, id);
        if (btf_kind(t) != BTF_KIND_ENUM)
            continue;
        const std::string_view type = text_of(types, t->name_off);
        if (type.find("drop_reason") == type.npos || type == "skb_drop_reason_subsys")
            continue;
        for (const struct btf_enum& e : std::span(btf_enum(t), btf_vlen(t))) {
            std::string_view name = text_of(types, e.name_off);
            if (name.ends_with("_MAX") || name.ends_with("_MASK") || name.starts_with("__") ||
                (e.val == 0 && type != "skb_drop_reason"))
                continue; // bounds
            if (name.starts_with(kPrefix))
                name.remove_prefix(kPrefix.size());
            names_.emplace(std::uint32_t(e.val), name); // the first of several with one number
        }
    }
}

DropReasons DropReasons::load()
{
    DropReasons reasons;
    const Btf kernel(btf__load_vmlinux_btf());
    if (!kernel)
        return reasons;
    reasons.add(kernel.get());
    // Modules that register a subsystem (drop_reasons_register_subsys()), where they are loaded.
    for (const char* module : {"openvswitch", "mac80211"})
        if (const Btf own(btf__load_module_btf(module, kernel.get())); own)
            reasons.add(own.get());
    return reasons;
}

const std::string& DropReasons::name(std::uint32_t reason)
{
    const auto found = names_.find(reason);
    return found != names_.end() ? found->second
                                 : names_.emplace(reason, cat(reason)).first->second;
}

} // namespace corebox
