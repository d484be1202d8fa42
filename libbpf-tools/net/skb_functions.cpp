// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "skb_functions.hpp"
#include "base/directory.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/btf.h>
#include <unordered_map>

namespace corebox
{
namespace
{

constexpr int kNone = -1;

// Of a packet on its way: out of a socket, through a device, into a socket. Of both versions of IP.
constexpr std::string_view kFew[] = {
    "__dev_queue_xmit",
    "__ip_local_out",
    "__ip_queue_xmit",
    "__udp4_lib_rcv",
    "__udp6_lib_rcv",
    "br_handle_frame",
    "dev_hard_start_xmit",
    "icmp_rcv",
    "icmpv6_rcv",
    "ip6_finish_output2",
    "ip6_forward",
    "ip6_input",
    "ip6_output",
    "ip6_xmit",
    "ip_do_fragment",
    "ip_error",
    "ip_finish_output2",
    "ip_forward",
    "ip_local_deliver",
    "ip_local_deliver_finish",
    "ip_output",
    "ip_rcv",
    "ip_rcv_core",
    "ipv6_rcv",
    "kfree_skbmem",
    "neigh_resolve_output",
    "netif_receive_skb_internal",
    "nf_hook_slow",
    "raw_local_deliver",
    "sk_filter_trim_cap",
    "tcp_rcv_established",
    "tcp_rcv_state_process",
    "tcp_v4_do_rcv",
    "tcp_v4_rcv",
    "tcp_v6_do_rcv",
    "tcp_v6_rcv",
    "udp_queue_rcv_one_skb",
    "udpv6_queue_rcv_one_skb",
    "validate_xmit_skb",
};
static_assert(std::ranges::is_sorted(kFew));

// After these a sk_buff is another packet's.
constexpr std::string_view kEnds[] = {"kfree_skbmem", "napi_skb_cache_put"};

bool is_end(std::string_view name) { return std::ranges::find(kEnds, name) != std::end(kEnds); }

using Btf = std::unique_ptr<btf, decltype([](btf* b) { btf__free(b); })>;

std::string_view name_of(const btf* types, const btf_type* t)
{
    const char* name = btf__name_by_offset(types, t->name_off);
    return name ? name : "";
}

bool points_to_skb(const btf* types, std::uint32_t id)
{
    const btf_type* t = btf__type_by_id(types, id);
    if (!t || !btf_is_ptr(t))
        return false;
    for (t = btf__type_by_id(types, t->type); t && btf_is_mod(t);)
        t = btf__type_by_id(types, t->type);
    return t && btf_is_struct(t) && name_of(types, t) == "sk_buff";
}

// The number of a prototype's first argument that is a packet.
int find_argument(const btf* types, const btf_type* prototype)
{
    const std::span parameters(btf_params(prototype), btf_vlen(prototype));
    for (std::size_t i = 0; i < std::min<std::size_t>(parameters.size(), SKB_ARGUMENTS); i++)
        if (points_to_skb(types, parameters[i].type))
            return int(i);
    return kNone;
}

// Of functions that share a name and differ in this, nothing is known.
using Arguments = std::unordered_map<std::string_view, int>;
Arguments find_arguments(const btf* types, std::uint32_t first)
{
    Arguments arguments;
    for (std::uint32_t id = first; id < btf__type_cnt(types); id++) {
        const btf_type* t = btf__type_by_id(types, id);
        if (!btf_is_func(t))
            continue;
        const int argument = find_argument(types, btf__type_by_id(types, t->type));
        const auto [at, is_new] = arguments.try_emplace(name_of(types, t), argument);
        if (!is_new && at->second != argument)
            at->second = kNone;
    }
    return arguments;
}

SkbFunctions ordered(std::vector<std::pair<int, Point>> found)
{
    std::ranges::stable_sort(found, {}, [](const auto& f) {
        return std::pair(f.first, f.first == 0 && !is_end(f.second.name));
    });
    SkbFunctions functions;
    for (auto& [argument, point] : found) {
        for (int i = argument + 1; i < SKB_ARGUMENTS; i++)
            functions.bounds.first[i]++;
        functions.bounds.ends += argument == 0 && is_end(point.name);
        functions.points.push_back(std::move(point));
    }
    return functions;
}

} // namespace

std::string SkbFunctions::name(std::size_t number) const
{
    const Point& point = points[number];
    return point.module.empty() ? point.name : cat(point.name, " [", point.module, "]");
}

std::string SkbFunctions::list() const
{
    std::string names;
    for (const Point& point : points)
        names += cat(names.empty() ? "" : ", ", point.name);
    return names;
}

DeepFunctions::DeepFunctions()
{
    const Btf kernel(btf__load_vmlinux_btf());
    std::unordered_map<std::string, Arguments> modules;
    std::vector<Btf> owned; // what the names in `modules` are of
    Arguments arguments;
    if (kernel) {
        arguments = find_arguments(kernel.get(), 1);
        for (const std::string& module : list_entries("/sys/kernel/btf"))
            if (Btf own(module == "vmlinux" ? nullptr
                                            : btf__load_module_btf(module.c_str(), kernel.get()));
                own) {
                modules.emplace(module, find_arguments(own.get(), btf__type_cnt(kernel.get())));
                owned.push_back(std::move(own));
            }
    }
    const FunctionPattern every("*", FunctionPattern::Syntax::glob);
    auto functions = find_functions(every);
    leave_out_own(functions, every);
    std::vector<std::pair<int, Point>> all, few;
    for (Point& point : functions) {
        const auto of_module = modules.find(point.module);
        if (!point.module.empty() && of_module == modules.end())
            continue;
        const Arguments& known = point.module.empty() ? arguments : of_module->second;
        const auto at = known.find(point.name);
        if (at == known.end() || at->second == kNone)
            continue;
        if (std::ranges::binary_search(kFew, std::string_view(point.name)))
            few.emplace_back(at->second, point);
        all.emplace_back(at->second, std::move(point));
    }
    all_ = ordered(std::move(all));
    few_ = ordered(std::move(few));
    all_probes_ = std::make_unique<FunctionProbes>(all_.points);
    few_probes_ = std::make_unique<FunctionProbes>(few_.points);
}

std::vector<bpf_link*> DeepFunctions::attach_all(const bpf_program* program)
{
    used_ = &all_;
    return all_probes_->attach_multi(program);
}

std::vector<bpf_link*> DeepFunctions::attach_few(const bpf_program* program)
{
    used_ = &few_;
    return few_probes_->attach_kprobes(program);
}

std::size_t DeepFunctions::attached() const
{
    return (used_ == &all_ ? all_probes_ : few_probes_)->attached();
}

} // namespace corebox
