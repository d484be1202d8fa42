// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/functions.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include "kernel/facts.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <fnmatch.h>
#include <linux/perf_event.h>
#include <map>
#include <set>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{
namespace
{

// From an ftrace site back to its function's symbol: at most an endbr64 or padding lies between.
constexpr std::uint64_t kSiteOffset = 16;

// A copy of the program for each function costs about a millisecond and a page or two.
constexpr std::size_t kMostCopies = 1000;

// Functions that refuse one by one, after which something else must be wrong.
constexpr unsigned kMostFailures = 200;

// Kernel functions that run for each program of ours, and that ftrace lets be traced: each call
// would be skipped and counted as lost (`*_read*` on 6.12: seven of eight calls, __rcu_read_lock()
// and its like), and shows nothing but the tracing.
constexpr std::string_view kOwnPrefixes[] = {
    "perf_",           "__perf_",        "bpf_",
    "__bpf_",          "rcu_read_",      "__rcu_read_",
    "ftrace_",         "fprobe_",        "__fprobe",
    "kprobe_",         "__kprobe",       "kretprobe_",
    "rethook_",        "arch_rethook_",  "migrate_enable",
    "migrate_disable", "array_map_",     "htab_map_",
    "__htab_map_",     "trace_call_bpf", "copy_from_kernel_nofault"};

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

} // namespace

FunctionPattern::FunctionPattern(std::string_view text, Syntax syntax) : text_(text)
{
    if (syntax == Syntax::regex) {
        start_ = text_.substr(0, text_.find_first_of("^$.*+?()[]{}|\\"));
        // What may be absent is no part of it; nor is a start of one of several.
        if (start_.size() < text_.size() &&
            std::string_view("*?{").find(text_[start_.size()]) != std::string_view::npos &&
            !start_.empty())
            start_.pop_back();
        if (text_.find('|') != text_.npos)
            start_.clear();
        text_ = cat("^(", text_, ")");
        regex_.reset(new regex_t);
        if (const int code = ::regcomp(regex_.get(), text_.c_str(), REG_EXTENDED | REG_NOSUB)) {
            char why[128];
            ::regerror(code, regex_.get(), why, sizeof why);
            delete regex_.release();
            fail_usage(cat("'", text, "' is no regular expression: ", why));
        }
    } else {
        start_ = text_.substr(0, text_.find_first_of("*?[\\"));
    }
    if (text.empty())
        fail_usage("an empty pattern chooses no function");
}

bool FunctionPattern::fits(const std::string& name) const
{
    return regex_ ? ::regexec(regex_.get(), name.c_str(), 0, nullptr, 0) == 0
                  : ::fnmatch(text_.c_str(), name.c_str(), 0) == 0;
}

bool FunctionPattern::matches(std::string_view name) const
{
    if (!may_match(name))
        return false;
    const std::string_view bare = name.substr(0, name.find('.'));
    return fits(std::string(name)) || (bare.size() < name.size() && fits(std::string(bare)));
}

std::vector<KernelFunction> choose_functions(const FunctionPattern& pattern,
                                             const FunctionLists& lists, bool* doubtful)
{
    std::set<std::string_view> forbidden;
    each_line(lists.blacklist, [&](std::string_view line) {
        // "0xffff...-0xffff...\tname"
        forbidden.insert(line.substr(line.find('\t') + 1));
    });
    const auto wanted = [&](std::string_view name) {
        return pattern.matches(name) && !forbidden.contains(name) &&
               std::ranges::none_of(kOwnPrefixes,
                                    [&](auto prefix) { return name.starts_with(prefix); }) &&
               name.find(".cold") == name.npos;
    };
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
        return a.address != b.address ? a.address < b.address : a.name < b.name;
    });
    // Aliases: one function by two names.
    const auto same = [](const KernelFunction& a, const KernelFunction& b) {
        return a.address && a.address == b.address;
    };
    chosen.erase(std::unique(chosen.begin(), chosen.end(), same), chosen.end());
    return chosen;
}

std::vector<KernelFunction> find_functions(const FunctionPattern& pattern)
{
    const std::string tracefs = tracefs_path();
    const auto text = [](const std::string& path) { return read_file(path).value_or(""); };
    FunctionLists lists{
        .traceable = tracefs.empty() ? "" : text(cat(tracefs, "/available_filter_functions")),
        .traceable_addresses = {},
        .symbols = text("/proc/kallsyms"),
        .blacklist = text("/sys/kernel/debug/kprobes/blacklist")};
    bool doubtful = false;
    auto chosen = choose_functions(pattern, lists, &doubtful);
    if (!doubtful || tracefs.empty())
        return chosen;
    // As long to read as the first.
    lists.traceable_addresses = text(cat(tracefs, "/available_filter_functions_addrs"));
    return lists.traceable_addresses.empty() ? chosen : choose_functions(pattern, lists);
}

FunctionProbes::FunctionProbes(std::vector<KernelFunction> functions)
    : functions_(std::move(functions))
{
}

void FunctionProbes::use(bpf_map* ids)
{
    ids_ = ids;
    bpf_map__set_max_entries(ids, __u32(std::max<std::size_t>(functions_.size(), 1)));
}

std::vector<bpf_link*> FunctionProbes::none(int code)
{
    attached_ = 0;
    copies_.clear();
    errno = code;
    return {};
}

// All of them in one link, or where the kernel refuses one of them, each half by itself.
void FunctionProbes::attach_range(const bpf_program* program, std::size_t first, std::size_t count,
                                  std::vector<bpf_link*>& links, unsigned& failures)
{
    std::vector<unsigned long> addresses;
    std::vector<const char*> names;
    std::vector<__u64> cookies;
    bool known = true;
    for (std::size_t i = first; i < first + count; i++) {
        addresses.push_back(functions_[i].address);
        names.push_back(functions_[i].name.c_str());
        cookies.push_back(i + 1);
        known &= functions_[i].address != 0;
    }
    bpf_kprobe_multi_opts options{};
    options.sz = sizeof options;
    if (known)
        options.addrs = addresses.data();
    else
        options.syms = names.data();
    options.cookies = cookies.data();
    options.cnt = count;
    if (bpf_link* link = bpf_program__attach_kprobe_multi_opts(program, nullptr, &options)) {
        links.push_back(link);
        attached_ += count;
        return;
    }
    const int code = errno;
    if (code == EOPNOTSUPP || code == EPERM || code == EACCES || code == ENOMEM)
        failures = kMostFailures;
    if (++failures >= kMostFailures || count == 1) {
        errno = code;
        return;
    }
    attach_range(program, first, count / 2, links, failures);
    if (failures < kMostFailures)
        attach_range(program, first + count / 2, count - count / 2, links, failures);
}

std::vector<bpf_link*> FunctionProbes::attach_multi(const bpf_program* program)
{
    std::vector<bpf_link*> links;
    unsigned failures = 0;
    attached_ = 0;
    attach_range(program, 0, functions_.size(), links, failures);
    if (failures < kMostFailures && !links.empty())
        return links;
    const int code = errno;
    for (bpf_link* link : links)
        bpf_link__destroy(link);
    return none(code);
}

std::vector<bpf_link*> FunctionProbes::attach_kprobes(const bpf_program* program)
{
    const auto type = read_file("/sys/bus/event_source/devices/kprobe/type");
    const auto number =
        type ? to_number<std::uint32_t>(std::string_view(*type).substr(0, type->find('\n')))
             : std::nullopt;
    if (!number)
        return none(EOPNOTSUPP);
    std::vector<bpf_link*> links;
    unsigned failures = 0;
    bool cookies = true;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size() && failures < kMostFailures; i++) {
        const KernelFunction& f = functions_[i];
        perf_event_attr attr{};
        attr.size = sizeof attr;
        attr.type = *number;
        if (f.address)
            attr.kprobe_addr = f.address;
        else
            attr.kprobe_func = reinterpret_cast<std::uintptr_t>(f.name.c_str());
        Fd fd(int(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
        bpf_link* link = nullptr;
        if (fd) {
            bpf_perf_event_opts options{};
            options.sz = sizeof options;
            options.bpf_cookie = cookies ? i + 1 : 0;
            link = bpf_program__attach_perf_event_opts(program, fd.get(), &options);
            if (!link && cookies && errno == EOPNOTSUPP) {
                cookies = false;
                options.bpf_cookie = 0;
                link = bpf_program__attach_perf_event_opts(program, fd.get(), &options);
            }
        }
        if (!link) {
            code = errno;
            failures++;
            continue;
        }
        fd.release(); // the link's
        links.push_back(link);
        const __u32 value = __u32(i);
        if (!cookies && bpf_map_update_elem(bpf_map__fd(ids_), &f.address, &value, BPF_ANY) != 0) {
            code = errno;
            failures = kMostFailures;
        }
        attached_++;
    }
    if (failures < kMostFailures && !links.empty())
        return links;
    for (bpf_link* link : links)
        bpf_link__destroy(link);
    return none(code);
}

std::vector<bpf_link*> FunctionProbes::attach_fentries(const bpf_program* program)
{
    if (functions_.size() > kMostCopies)
        return none(E2BIG);
    const bpf_insn* first = bpf_program__insns(program);
    std::vector<bpf_insn> code(first, first + bpf_program__insn_cnt(program));
    const auto place = std::ranges::find_if(code, [](const bpf_insn& insn) {
        return BPF_OP(insn.code) == BPF_MOV && insn.imm == FUNCTION_NUMBER;
    });
    if (place == code.end())
        return none(EINVAL);
    std::vector<KernelBtf::Name> names;
    for (const KernelFunction& f : functions_)
        names.push_back({BTF_KIND_FUNC, f.module.empty() ? f.name : ""});
    KernelBtf().find(names);
    int error = ESRCH;
    attached_ = 0;
    copies_.clear();
    for (std::size_t i = 0; i < names.size(); i++) {
        // Of functions of one name it is not known which one this would be.
        if (names[i].ids.size() != 1 || names[i].name.empty())
            continue;
        place->imm = int(i);
        bpf_prog_load_opts options{};
        options.sz = sizeof options;
        options.expected_attach_type = BPF_TRACE_FENTRY;
        options.attach_btf_id = names[i].ids[0];
        Copy copy{Fd(bpf_prog_load(BPF_PROG_TYPE_TRACING, bpf_program__name(program),
                                   "Dual BSD/GPL", code.data(), code.size(), &options)),
                  Fd(), i};
        if (copy.program)
            copy.link = Fd(bpf_raw_tracepoint_open(nullptr, copy.program.get()));
        if (!copy.link) {
            error = errno;
            continue;
        }
        copies_.push_back(std::move(copy));
        attached_++;
    }
    if (copies_.empty())
        return none(error);
    return {nullptr}; // the copies are ours
}

std::uint64_t FunctionProbes::skipped(std::size_t function) const
{
    // They are in the order of their functions.
    const auto copy = std::ranges::lower_bound(copies_, function, {}, &Copy::function);
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (copy == copies_.end() || copy->function != function ||
        bpf_obj_get_info_by_fd(copy->program.get(), &info, &size) != 0)
        return 0;
    return info.recursion_misses;
}

std::uint64_t FunctionProbes::skipped() const
{
    std::uint64_t sum = 0;
    for (const Copy& copy : copies_)
        sum += skipped(copy.function);
    return sum;
}

void FunctionProbes::detach() { copies_.clear(); }

} // namespace corebox
