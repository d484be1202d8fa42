// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/kernel_functions.hpp"
#include "base/text.hpp"
#include "expr/hint.hpp"
#include "kernel/facts.hpp"
#include "kernel/memory.hpp"
#include "kernel/text.hpp"
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

namespace corebox
{
namespace
{

// From an ftrace site back to its function's symbol: at most an endbr64 or padding lies between.
constexpr std::uint64_t kSiteOffset = 16;

// Kernel functions that run for each program of ours, and that ftrace lets be traced: each call
// would be skipped and counted as lost (`*_read*` on 6.12: seven of eight calls, __rcu_read_lock()
// and its like), and shows nothing but the tracing. Wildcards leave them out: leave_out_own().
constexpr std::string_view kOwnPrefixes[] = {
    "perf_",           "__perf_",        "bpf_",
    "__bpf_",          "rcu_read_",      "__rcu_read_",
    "ftrace_",         "fprobe_",        "__fprobe",
    "kprobe_",         "__kprobe",       "kretprobe_",
    "rethook_",        "arch_rethook_",  "migrate_enable",
    "migrate_disable", "array_map_",     "htab_map_",
    "__htab_map_",     "trace_call_bpf", "copy_from_kernel_nofault"};

bool is_own(std::string_view name)
{
    return std::ranges::any_of(kOwnPrefixes, [&](auto prefix) { return name.starts_with(prefix); });
}

template <class Use>
void each_line(std::string_view text, Use&& use)
{
    while (!text.empty()) {
        const auto end = text.find('\n');
        use(text.substr(0, end));
        text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    }
}

// "name" or "name [module]"
std::pair<std::string_view, std::string_view> name_and_module(std::string_view s)
{
    const auto blank = s.find_first_of(" \t");
    if (blank == s.npos)
        return {s, {}};
    std::string_view module = s.substr(s.find_first_not_of(" \t", blank));
    if (module.starts_with('[') && module.ends_with(']'))
        module = module.substr(1, module.size() - 2);
    else
        module = {};
    return {s.substr(0, blank), module};
}

// Whether a traceable function of that name is among those that a pattern chooses.
class Choice
{
public:
    // Both outlive it.
    Choice(const FunctionPattern& pattern, std::string_view blacklist) : pattern_(pattern)
    {
        each_line(blacklist, [&](std::string_view line) {
            // "0xffff...-0xffff...\tname"
            forbidden_.insert(line.substr(line.find('\t') + 1));
        });
    }

    bool wants(std::string_view name) const
    {
        return pattern_.matches(name) && !forbidden_.contains(name) &&
               name.find(".cold") == name.npos;
    }

private:
    const FunctionPattern& pattern_;
    std::set<std::string_view> forbidden_;
};

} // namespace
std::vector<KernelFunction> choose_functions(const FunctionPattern& pattern,
                                             const FunctionLists& lists, bool* doubtful)
{
    const Choice choice(pattern, lists.blacklist);
    const auto wanted = [&](std::string_view name) { return choice.wants(name); };
    // How many traceable functions there are of each name.
    using Key = std::pair<std::string_view, std::string_view>; // name, module
    std::map<Key, std::size_t> traceable;
    std::vector<std::uint64_t> sites;
    each_line(lists.traceable, [&](std::string_view line) {
        if (const auto [name, module] = name_and_module(line); wanted(name))
            traceable[{name, module}]++;
    });
    each_line(lists.traceable_addresses, [&](std::string_view line) {
        const auto blank = line.find(' ');
        const auto address = to_number<std::uint64_t>(line.substr(0, blank), 16);
        if (address && wanted(name_and_module(line.substr(blank + 1)).first))
            sites.push_back(*address);
    });
    std::ranges::sort(sites);

    std::map<Key, std::vector<std::uint64_t>> addresses;
    each_line(lists.symbols, [&](std::string_view line) {
        // "ffffffff81000000 T name\t[module]"
        const auto blank = line.find(' ');
        if (blank == line.npos || line.size() < blank + 4 ||
            std::string_view("tTwW").find(line[blank + 1]) == std::string_view::npos ||
            !pattern.may_match(line.substr(blank + 3)))
            return;
        const auto [name, module] = name_and_module(line.substr(blank + 3));
        if (lists.traceable.empty() ? !wanted(name) : !traceable.contains({name, module}))
            return;
        addresses[{name, module}].push_back(
            to_number<std::uint64_t>(line.substr(0, blank), 16).value_or(0));
    });

    std::vector<KernelFunction> chosen;
    for (auto& [key, all] : addresses) {
        const std::size_t known = lists.traceable.empty() ? all.size() : traceable[key];
        if (all.size() > known && !sites.empty())
            std::erase_if(all, [&](std::uint64_t address) {
                const auto site = std::ranges::lower_bound(sites, address);
                return site == sites.end() || *site - address > kSiteOffset;
            });
        if (all.size() > known) {
            if (doubtful)
                *doubtful = true;
            continue;
        }
        for (const std::uint64_t address : all)
            chosen.push_back({std::string(key.first), std::string(key.second), address});
    }
    std::ranges::sort(chosen, [](const KernelFunction& a, const KernelFunction& b) {
        if (a.address != b.address)
            return a.address < b.address;
        return std::pair(is_own(a.name), std::string_view(a.name)) <
               std::pair(is_own(b.name), std::string_view(b.name));
    });
    // Aliases: one function by two names.
    const auto same = [](const KernelFunction& a, const KernelFunction& b) {
        return a.address && a.address == b.address;
    };
    chosen.erase(std::unique(chosen.begin(), chosen.end(), same), chosen.end());
    return chosen;
}

Entry entry_of([[maybe_unused]] std::span<const std::byte> code)
{
#ifdef __x86_64__
    // Maybe behind an endbr64, or what the kernel makes of one that no indirect call needs
    // (gen_endbr_poison(): 5.18, and 6.15), there is the place of a call.
    constexpr std::string_view kNobody("\x0f\x1f\x44\0\0", 5);
    constexpr std::string_view kBranchTargets[] = {
        {"\xf3\x0f\x1e\xfa", 4}, {"\x66\x0f\x1f\0", 4}, {"\x0f\x1f\x40\xd6", 4}};
    std::string_view text(reinterpret_cast<const char*>(code.data()), code.size());
    for (const std::string_view target : kBranchTargets)
        if (text.starts_with(target)) {
            text.remove_prefix(target.size());
            break;
        }
    if (text.starts_with(kNobody))
        return Entry::site;
    if (text.size() > 4 && text.substr(4).starts_with(kNobody))
        return Entry::unknown; // maybe behind what a newer kernel makes of an endbr64
    return text.starts_with('\xe8') || text.starts_with('\xcc') ? Entry::called : Entry::other;
#else
    return Entry::unknown;
#endif
}

namespace
{

constexpr const char* kBlacklist = "/sys/kernel/debug/kprobes/blacklist";

// What the kernel's lists would say, from its memory, in a twentieth of the time; nothing where
// only the lists can tell.
std::optional<std::vector<KernelFunction>> find_in_memory(const FunctionPattern& pattern,
                                                          KernelBtf* types)
{
    if (const char* way = std::getenv("COREBOX_FUNCTIONS"); way && std::string_view(way) == "lists")
        return std::nullopt;
    if (entry_of({}) == Entry::unknown)
        return std::nullopt;
    KernelMemory memory;
    // Where it finds names one by one only, a few look-ups take as long as the lists. Without the
    // function tracer no function begins with the place of a call, but some with the same nop, of a
    // jump label.
    if (memory.empty() || memory.address("kallsyms_on_each_match_symbol") == 0 ||
        memory.address("ftrace_location") == 0)
        return std::nullopt;
    auto symbols = text_symbols(memory, pattern.start(), types);
    // Text of the start-up lies elsewhere, and is gone.
    const std::uint64_t begin = memory.address("_stext"), end = memory.address("_etext");
    if (!symbols || begin == 0 || end <= begin)
        return std::nullopt;
    const std::string blacklist = read_file(kBlacklist).value_or("");
    const Choice choice(pattern, blacklist);
    std::erase_if(*symbols, [&](const TextSymbol& s) {
        return (s.module.empty() && (s.address < begin || s.address >= end)) ||
               !choice.wants(s.name);
    });
    // Stable: aliases are one function, by the name that the kernel calls it by.
    std::ranges::stable_sort(*symbols, [](const TextSymbol& a, const TextSymbol& b) {
        return a.address != b.address ? a.address < b.address : is_own(a.name) < is_own(b.name);
    });
    const auto aliases = std::ranges::unique(*symbols, {}, &TextSymbol::address);
    symbols->erase(aliases.begin(), aliases.end());
    NearMemory near(memory);
    std::optional<std::set<std::string, std::less<>>> traced;
    std::set<std::uint64_t> traced_at;
    std::vector<KernelFunction> chosen;
    for (TextSymbol& s : *symbols) {
        const Entry entry = entry_of(near.read(s.address, 16));
        if (entry == Entry::unknown)
            return std::nullopt;
        if (entry == Entry::called && !traced) {
            const auto text = read_file(cat(tracefs_path(), "/enabled_functions"));
            if (!text)
                return std::nullopt;
            traced.emplace();
            each_line(*text, [&](std::string_view line) {
                const auto& name =
                    *traced->emplace(line.substr(0, line.find_first_of(" \t"))).first;
                // What it calls a function may be an alias that was not looked for.
                if (!name.starts_with(pattern.start()))
                    traced_at.insert(memory.address(name));
            });
        }
        if (entry == Entry::site ||
            (entry == Entry::called && (traced->contains(s.name) || traced_at.contains(s.address))))
            chosen.push_back(
                {.name = std::move(s.name), .module = std::move(s.module), .address = s.address});
    }
    // There is none that can be traced, or what is there looks otherwise than we know.
    if (chosen.empty())
        return std::nullopt;
    return chosen;
}

} // namespace

bool chooses_of_modules(const FunctionPattern& pattern, std::string_view symbols)
{
    bool chooses = false;
    each_line(symbols, [&](std::string_view line) {
        // "ffffffff81000000 t name\t[module]"
        if (chooses || !line.ends_with(']') || line.size() < 20 ||
            !pattern.may_match(line.substr(19)))
            return;
        chooses = pattern.matches(name_and_module(line.substr(19)).first);
    });
    return chooses;
}

std::vector<KernelFunction> find_functions(const FunctionPattern& pattern, KernelBtf* types)
{
    if (auto found = find_in_memory(pattern, types))
        return std::move(*found);
    const std::string tracefs = tracefs_path();
    const auto text = [](const std::string& path) { return read_file(path).value_or(""); };
    FunctionLists lists{.traceable = {},
                        .traceable_addresses = {},
                        .symbols = text("/proc/kallsyms"),
                        .blacklist = text(kBlacklist)};
    // Modules come last. The kernel looks up the name of each of their functions from one end of
    // their symbols to the other, which takes most of the time.
    const bool all = lists.symbols.empty() || chooses_of_modules(pattern, lists.symbols);
    const auto traceable = [&](std::string_view name) {
        auto list = read_file(cat(tracefs, "/", name), [all](std::string_view more) {
                        return !all && more.find('[') != more.npos;
                    }).value_or("");
        list.resize(list.rfind('\n') + 1); // npos + 1: 0
        return list;
    };
    if (!tracefs.empty())
        lists.traceable = traceable("available_filter_functions");
    bool doubtful = false;
    auto chosen = choose_functions(pattern, lists, &doubtful);
    if (!doubtful || tracefs.empty())
        return chosen;
    // As long to read as the first.
    lists.traceable_addresses = traceable("available_filter_functions_addrs");
    return lists.traceable_addresses.empty() ? chosen : choose_functions(pattern, lists);
}

std::size_t leave_out_own(std::vector<KernelFunction>& functions, const FunctionPattern& pattern)
{
    if (pattern.exact())
        return 0;
    return std::erase_if(functions, [](const KernelFunction& f) { return is_own(f.name); });
}

std::string explain_untraceable(std::string_view name)
{
    bool is_symbol = false, is_forbidden = false;
    std::vector<std::string> similar; // what could have been meant
    each_line(read_file("/proc/kallsyms").value_or(""), [&](std::string_view line) {
        const auto blank = line.find(' ');
        if (blank == line.npos || line.size() <= blank + 3 ||
            std::string_view("tTwW").find(line[blank + 1]) == std::string_view::npos)
            return;
        const std::string_view known = name_and_module(line.substr(blank + 3)).first;
        is_symbol |= known == name;
        if (!name.empty() && known[0] == name[0] && known.size() + 2 >= name.size() &&
            known.size() <= name.size() + 2)
            similar.emplace_back(known);
    });
    if (!is_symbol) {
        const std::string hint = expr::did_you_mean(name, similar);
        return cat("the kernel has no function ", name,
                   hint.empty() ? " (inlined, renamed, or in a module that is not loaded)"
                                : cat("; ", hint));
    }
    each_line(read_file(kBlacklist).value_or(""), [&](std::string_view line) {
        is_forbidden |= line.substr(line.find('\t') + 1) == name;
    });
    return is_forbidden ? cat("the kernel forbids kprobes on ", name, " (", kBlacklist, ")")
                        : cat("the kernel has ", name,
                              ", but excludes it from tracing (notrace, noinstr or inlined entry)");
}

} // namespace corebox
