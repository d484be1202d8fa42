// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "drop_reasons.hpp"
#include "base/text.hpp"
#include <bpf/btf.h>
#include <memory>
#include <span>

namespace corebox
{
namespace
{

constexpr std::string_view kCore = "SKB_DROP_REASON_", kSubsystem = "SKB_DROP_REASON_SUBSYS_";
constexpr std::string_view kEnums = "drop_reason", kSubsystems = "drop_reason_subsys";

} // namespace

const std::string& DropReasons::name(std::uint32_t reason)
{
    if (!read_)
        read_kernel();
    const auto known = names_.find(reason);
    if (known != names_.end())
        return known->second;
    if (reason >> 16) {
        read_module(reason >> 16);
        if (const auto now = names_.find(reason); now != names_.end())
            return now->second;
    }
    return names_[reason] = cat(reason);
}

namespace
{

using Types = std::unique_ptr<btf, void (*)(btf*)>;

// Calls each(value, name) for the enumerators of all enums whose names end so, from type `first`
// on.
template <class Each>
void for_each_enumerator(const Types& types, __u32 first, std::string_view suffix, Each&& each)
{
    for (__u32 id = first; types && id < btf__type_cnt(types.get()); id++) {
        const btf_type* const t = btf__type_by_id(types.get(), id);
        if (btf_is_enum(t) &&
            std::string_view(btf__name_by_offset(types.get(), t->name_off)).ends_with(suffix))
            for (const struct btf_enum& e : std::span(btf_enum(t), btf_vlen(t)))
                each(std::uint32_t(e.val),
                     std::string_view(btf__name_by_offset(types.get(), e.name_off)));
    }
}

} // namespace

void DropReasons::read_kernel()
{
    read_ = true;
    const Types types(btf__load_vmlinux_btf(), btf__free);
    for_each_enumerator(types, 1, kEnums, [&](std::uint32_t value, std::string_view name) {
        names_.emplace(value, name.substr(name.starts_with(kCore) ? kCore.size() : 0));
    });
    for_each_enumerator(types, 1, kSubsystems, [&](std::uint32_t value, std::string_view name) {
        if (name.starts_with(kSubsystem))
            subsystems_.emplace(value, name.substr(kSubsystem.size()));
    });
}

// A subsystem that is a module is named as that is: OPENVSWITCH, MAC80211_UNUSABLE.
void DropReasons::read_module(std::uint32_t subsystem)
{
    const auto found = subsystems_.find(subsystem);
    if (found == subsystems_.end())
        return;
    std::string module = found->second.substr(0, found->second.find('_'));
    for (char& c : module)
        if (c >= 'A' && c <= 'Z')
            c = char(c - 'A' + 'a');
    subsystems_.erase(found);
    const Types kernel(btf__load_vmlinux_btf(), btf__free);
    const Types types(kernel ? btf__load_module_btf(module.c_str(), kernel.get()) : nullptr,
                      btf__free);
    for_each_enumerator(
        types, kernel ? btf__type_cnt(kernel.get()) : 1, kEnums,
        [&](std::uint32_t value, std::string_view name) { names_.emplace(value, name); });
}

} // namespace corebox
