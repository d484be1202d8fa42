// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "netfilter.hpp"
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include <bpf/btf.h>
#include <memory>
#include <span>
#include <unistd.h>

namespace corebox
{
namespace
{

using Btf = std::unique_ptr<btf, decltype([](btf* b) { btf__free(b); })>;

std::uint16_t offset(const Btf& types, const char* structure, std::string_view member)
{
    const auto at = types ? member_offset(types.get(), structure, member) : std::nullopt;
    return std::uint16_t(at.value_or(0));
}

// v5.16 (ee177a54413a) put the table, a void *, before the packet.
bool takes_table_first(const Btf& types, const char* function)
{
    const __s32 id = types ? btf__find_by_name_kind(types.get(), function, BTF_KIND_FUNC) : -1;
    if (id <= 0)
        return false;
    const btf_type* prototype =
        btf__type_by_id(types.get(), btf__type_by_id(types.get(), std::uint32_t(id))->type);
    if (btf_vlen(prototype) == 0)
        return false;
    const btf_type* first = btf__type_by_id(types.get(), btf_params(prototype)[0].type);
    return btf_is_ptr(first) && first->type == 0;
}

} // namespace

std::string_view nf_family_name(unsigned family)
{
    switch (family) { // enum { NFPROTO_* }
    case 1:
        return "inet";
    case 2:
        return "ip";
    case 3:
        return "arp";
    case 5:
        return "netdev";
    case 7:
        return "bridge";
    case 10:
        return "ip6";
    default:
        return "other";
    }
}

std::string_view nf_hook_name(unsigned family, unsigned hook)
{
    constexpr std::string_view kInet[] = {"prerouting", "input",       "forward",
                                          "output",     "postrouting", "ingress"};
    constexpr std::string_view kArp[] = {"input", "output", "forward"};
    constexpr std::string_view kNetdev[] = {"ingress", "egress"};
    const auto of = [&](std::span<const std::string_view> names) {
        return hook < names.size() ? names[hook] : std::string_view("other");
    };
    return family == 3 ? of(kArp) : family == 5 ? of(kNetdev) : of(kInet);
}

nf_offsets read_nf_offsets()
{
    const Btf kernel(btf__load_vmlinux_btf());
    const auto load = [&](const char* module) {
        return Btf(kernel ? btf__load_module_btf(module, kernel.get()) : nullptr);
    };
    const Btf nft = load("nf_tables"), xt = load("x_tables");
    nf_offsets o{};
    o.chain_name = offset(nft, "nft_chain", "name");
    o.chain_table = offset(nft, "nft_chain", "table");
    o.table_name = offset(nft, "nft_table", "name");
    o.xt_table_name = offset(xt, "xt_table", "name");
    o.is_table_first = takes_table_first(load("ip_tables"), "ipt_do_table") ||
                       takes_table_first(load("ip6_tables"), "ip6t_do_table");
    return o;
}

std::vector<Target> rule_targets()
{
    std::vector<Target> targets;
    for (const Target& target :
         {Target{"%nft", "nft_do_chain", "nf_tables"}, Target{"%ipt", "ipt_do_table", "ip_tables"},
          Target{"%ip6t", "ip6t_do_table", "ip6_tables"}})
        if (::access(cat("/sys/module/", target.module).c_str(), F_OK) == 0)
            targets.push_back(target);
    return targets;
}

} // namespace corebox
