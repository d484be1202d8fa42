// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/functions.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include "kernel/facts.hpp"
#include "kernel/memory.hpp"
#include "kernel/text.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fnmatch.h>
#include <linux/perf_event.h>
#include <map>
#include <set>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <tuple>
#include <unistd.h>

namespace corebox
{
namespace
{

// From an ftrace site back to its function's symbol: at most an endbr64 or padding lies between.
constexpr std::uint64_t kSiteOffset = 16;

// A copy of the program for each point costs about a millisecond and a page or two.
constexpr std::size_t kMostCopies = 1000;
constexpr std::size_t kMostTracepoints = 4000; // no kernel has as many

// Functions that refuse one by one, after which something else must be wrong.
constexpr unsigned kMostFailures = 200;

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
            fail_usage(cat("'", text, "' is not a regular expression: ", why));
        }
    } else {
        start_ = text_.substr(0, text_.find_first_of("*?[\\"));
    }
    if (text.empty())
        fail_usage("an empty pattern matches no function");
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
        return std::tuple(a.address, is_own(a.name), std::string_view(a.name)) <
               std::tuple(b.address, is_own(b.name), std::string_view(b.name));
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
std::optional<std::vector<KernelFunction>> find_in_memory(const FunctionPattern& pattern)
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
    auto symbols = text_symbols(memory, pattern.start());
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
    std::ranges::stable_sort(
        *symbols, {}, [](const TextSymbol& s) { return std::pair(s.address, is_own(s.name)); });
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

std::vector<KernelFunction> find_functions(const FunctionPattern& pattern)
{
    if (auto found = find_in_memory(pattern))
        return std::move(*found);
    const std::string tracefs = tracefs_path();
    const auto text = [](const std::string& path) { return read_file(path).value_or(""); };
    FunctionLists lists{
        .traceable = tracefs.empty() ? "" : text(cat(tracefs, "/available_filter_functions")),
        .traceable_addresses = {},
        .symbols = text("/proc/kallsyms"),
        .blacklist = text(kBlacklist)};
    bool doubtful = false;
    auto chosen = choose_functions(pattern, lists, &doubtful);
    if (!doubtful || tracefs.empty())
        return chosen;
    // As long to read as the first.
    lists.traceable_addresses = text(cat(tracefs, "/available_filter_functions_addrs"));
    return lists.traceable_addresses.empty() ? chosen : choose_functions(pattern, lists);
}

std::size_t leave_out_own(std::vector<KernelFunction>& functions, const FunctionPattern& pattern)
{
    if (pattern.exact())
        return 0;
    return std::erase_if(functions, [](const KernelFunction& f) { return is_own(f.name); });
}

namespace
{

bool at_return(const bpf_program* program)
{
    return corebox::at_return(bpf_program__section_name(program));
}

// The instructions of a loaded program, to load it again for each point.
class Copies
{
public:
    explicit Copies(const bpf_program* program)
        : program_(program), code_(bpf_program__insns(program),
                                   bpf_program__insns(program) + bpf_program__insn_cnt(program))
    {
        for (std::size_t i = 0; i < code_.size(); i++)
            if (BPF_OP(code_[i].code) == BPF_MOV && code_[i].imm == FUNCTION_NUMBER)
                places_.push_back(i);
    }

    bool numbered() const { return !places_.empty(); }

    Fd load(std::size_t number, bpf_attach_type attach = {}, std::uint32_t target = 0)
    {
        for (const std::size_t place : places_)
            code_[place].imm = int(number);
        bpf_prog_load_opts options{};
        options.sz = sizeof options;
        options.expected_attach_type = attach;
        options.attach_btf_id = target;
        const auto type = attach ? BPF_PROG_TYPE_TRACING : bpf_program__type(program_);
        return Fd(bpf_prog_load(type, bpf_program__name(program_), "Dual BSD/GPL", code_.data(),
                                code_.size(), &options));
    }

private:
    const bpf_program* program_;
    std::vector<bpf_insn> code_;
    std::vector<std::size_t> places_;
};

// Two descriptors a probe are more than the usual 1024.
void raise_open_files()
{
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
}

// The number of a PMU: "kprobe", "uprobe".
std::optional<std::uint32_t> pmu(std::string_view name)
{
    const auto type = read_file(cat("/sys/bus/event_source/devices/", name, "/type"));
    return type ? to_number<std::uint32_t>(std::string_view(*type).substr(0, type->find('\n')))
                : std::nullopt;
}

Fd open_event(perf_event_attr& attr, int pid)
{
    attr.size = sizeof attr;
    return Fd(int(
        ::syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

// Runs a program at an event until the event is closed.
bool run_at(const Fd& event, int program)
{
    return ::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program) == 0 &&
           ::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) == 0;
}

// The same with a cookie (5.15+), until the link is closed.
Fd link_to(const Fd& event, int program, std::uint64_t cookie)
{
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.perf_event.bpf_cookie = cookie;
    Fd link(bpf_link_create(program, event.get(), BPF_PERF_EVENT, &options));
    if (link && ::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0)
        return {};
    return link;
}

// What BPF_LINK_CREATE takes for uprobe.multi; the libbpf and the kernel headers that we build with
// are older.
struct UprobeMultiLink {
    __u32 program, target = 0, attach_type = kUprobeMulti, flags = 0;
    __u64 path, offsets, semaphores, cookies;
    __u32 count, link_flags, pid, padding = 0;
};
constexpr __u32 kUprobeMultiReturn = 1;

std::string path_of(const ObjectFile& object)
{
    return cat("/proc/self/fd/", object.file.get()); // that very file, wherever it is
}

} // namespace

FunctionProbes::FunctionProbes(std::vector<Point> functions, std::uint32_t only)
    : functions_(std::move(functions)), only_(only)
{
}

void FunctionProbes::use(bpf_map* ids)
{
    ids_ = ids;
    if (functions_.size() > 200) // here: a command has been forked, and keeps its limit
        raise_open_files();
    bpf_map__set_max_entries(ids, __u32(std::max<std::size_t>(functions_.size(), 1)));
    attached_ = 0;
    copies_.clear();
}

std::vector<bpf_link*> FunctionProbes::none(int code)
{
    attached_ = 0;
    errno = code;
    return {};
}

// What the kit closes itself: beside libbpf's links.
std::vector<bpf_link*> FunctionProbes::own(std::vector<Copy> copies, int code)
{
    if (copies.empty())
        return none(code);
    std::ranges::move(copies, std::back_inserter(copies_));
    std::ranges::stable_sort(copies_, {}, &Copy::function);
    return {nullptr};
}

// All of them in one link, or where the kernel refuses one of them, each half by itself. False:
// this leads to nothing.
bool FunctionProbes::attach_range(const AttachRange& attach, std::size_t first, std::size_t count,
                                  unsigned& failures)
{
    if (attach(first, count)) {
        attached_ += count;
        return true;
    }
    if (errno == EOPNOTSUPP || errno == EPERM || errno == EACCES || errno == ENOMEM)
        failures = kMostFailures;
    if (++failures >= kMostFailures)
        return false;
    if (count == 1)
        return true;
    return attach_range(attach, first, count / 2, failures) &&
           attach_range(attach, first + count / 2, count - count / 2, failures);
}

std::vector<bpf_link*> FunctionProbes::attach_multi(const bpf_program* program)
{
    std::vector<bpf_link*> links;
    const auto attach = [&](std::size_t first, std::size_t count) {
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
        options.retprobe = at_return(program);
        bpf_link* link = bpf_program__attach_kprobe_multi_opts(program, nullptr, &options);
        if (link)
            links.push_back(link);
        return link != nullptr;
    };
    unsigned failures = 0;
    attached_ = 0;
    if (attach_range(attach, 0, functions_.size(), failures) && !links.empty())
        return links;
    const int code = errno;
    for (bpf_link* link : links)
        bpf_link__destroy(link);
    return none(code);
}

std::vector<bpf_link*> FunctionProbes::attach_kprobes(const bpf_program* program)
{
    const auto type = pmu("kprobe");
    if (!type)
        return none(EOPNOTSUPP);
    std::vector<Copy> probes;
    unsigned failures = 0;
    bool cookies = true;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const Point& f = functions_[i];
        perf_event_attr attr{};
        attr.type = *type;
        attr.config = at_return(program);
        if (f.address)
            attr.kprobe_addr = f.address;
        else
            attr.kprobe_func = reinterpret_cast<std::uintptr_t>(f.name.c_str());
        Copy probe{i, Fd(), Fd(), open_event(attr, -1)};
        const __u32 number = __u32(i);
        if (probe.event && cookies) {
            probe.link = link_to(probe.event, bpf_program__fd(program), i + 1);
            cookies = bool(probe.link) || (errno != EINVAL && errno != EOPNOTSUPP);
        }
        // Without cookies the address tells which function it is: where the kernel hides it, only
        // one can be told.
        if (!cookies && !f.address && functions_.size() > 1)
            return none(EOPNOTSUPP);
        const bool attached = probe.link || (probe.event && !cookies &&
                                             bpf_map_update_elem(bpf_map__fd(ids_), &f.address,
                                                                 &number, BPF_ANY) == 0 &&
                                             run_at(probe.event, bpf_program__fd(program)));
        if (!attached) {
            code = errno;
            if (++failures >= kMostFailures)
                return none(code);
            continue;
        }
        probes.push_back(std::move(probe));
        attached_++;
    }
    return own(std::move(probes), code);
}

std::vector<bpf_link*> FunctionProbes::attach_fentries(const bpf_program* program)
{
    if (functions_.size() > kMostCopies)
        return none(E2BIG);
    Copies copies(program);
    std::vector<KernelBtf::Name> names;
    for (const Point& f : functions_)
        names.push_back({BTF_KIND_FUNC, f.module.empty() ? f.name : ""});
    KernelBtf().find(names);
    std::vector<Copy> probes;
    int code = ESRCH;
    attached_ = 0;
    for (std::size_t i = 0; i < names.size(); i++) {
        // Of functions of one name it is not known which one this would be.
        if (names[i].ids.size() != 1 || names[i].name.empty())
            continue;
        const auto attach = at_return(program) ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY;
        Copy probe{i, copies.load(i, attach, names[i].ids[0])};
        if (probe.program)
            probe.link = Fd(bpf_raw_tracepoint_open(nullptr, probe.program.get()));
        if (!probe.link) {
            code = errno;
            continue;
        }
        probes.push_back(std::move(probe));
        attached_++;
    }
    return own(std::move(probes), code);
}

std::vector<bpf_link*> FunctionProbes::attach_uprobe_multi(const bpf_program* program)
{
    std::vector<Copy> probes;
    const auto attach = [&](std::size_t first, std::size_t count) {
        std::vector<__u64> offsets, semaphores, cookies;
        bool semaphore = false;
        for (std::size_t i = first; i < first + count; i++)
            for (const Point::Site& site : functions_[i].sites) {
                offsets.push_back(site.offset);
                semaphores.push_back(site.semaphore);
                cookies.push_back(i + 1);
                semaphore |= site.semaphore != 0;
            }
        const std::string path = path_of(*functions_[first].object);
        const auto pointer = [](const auto* p) {
            return __u64(reinterpret_cast<std::uintptr_t>(p));
        };
        // From 6.6 until it was mended (46ba0e49b642, 6.10) the kernel took the process for a
        // thread; a mended one refuses this, which is no process.
        UprobeMultiLink link{.program = __u32(bpf_program__fd(program)),
                             .path = pointer(path.c_str()),
                             .offsets = pointer(offsets.data()),
                             .semaphores = semaphore ? pointer(semaphores.data()) : 0,
                             .cookies = pointer(cookies.data()),
                             .count = __u32(offsets.size()),
                             .link_flags = at_return(program) ? kUprobeMultiReturn : 0,
                             .pid = only_ ? ~0u : 0};
        if (only_) {
            const Fd none(int(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link)));
            link.pid = !none && errno == EINVAL ? only_ : 0; // the program asks too
        }
        Fd fd(int(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link)));
        if (!fd)
            return false;
        probes.push_back({first, Fd(), std::move(fd)});
        return true;
    };
    unsigned failures = 0;
    attached_ = 0;
    // A link is for one file.
    for (std::size_t first = 0, end = 0; first < functions_.size(); first = end) {
        while (end < functions_.size() && functions_[end].object == functions_[first].object)
            end++;
        if (!attach_range(attach, first, end - first, failures))
            return none(errno);
    }
    return own(std::move(probes), errno);
}

std::vector<bpf_link*> FunctionProbes::attach_uprobes(const bpf_program* program)
{
    const auto type = pmu("uprobe");
    if (!type)
        return none(EOPNOTSUPP);
    Copies copies(program);
    std::vector<Copy> probes;
    unsigned failures = 0;
    bool cookies = true;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const std::string path = path_of(*functions_[i].object);
        bool all = true;
        int own_program = -1; // the copy for this point
        for (const Point::Site& site : functions_[i].sites) {
            perf_event_attr attr{};
            attr.type = *type;
            attr.config = std::uint64_t(at_return(program)) | site.semaphore << 32;
            attr.uprobe_path = reinterpret_cast<std::uintptr_t>(path.c_str());
            attr.probe_offset = site.offset;
            Copy probe{i, Fd(), Fd(), open_event(attr, only_ ? int(only_) : -1)};
            if (probe.event && cookies) {
                probe.link = link_to(probe.event, bpf_program__fd(program), i + 1);
                cookies = bool(probe.link) || (errno != EINVAL && errno != EOPNOTSUPP);
            }
            if (probe.event && !cookies) {
                if (own_program < 0 && copies.numbered()) {
                    if (i >= kMostCopies)
                        return none(E2BIG);
                    probe.program = copies.load(i);
                    own_program = probe.program.get();
                }
                all &=
                    run_at(probe.event, copies.numbered() ? own_program : bpf_program__fd(program));
            } else {
                all &= bool(probe.link);
            }
            if (!all) {
                code = errno;
                if (++failures >= kMostFailures)
                    return none(code);
                break;
            }
            probes.push_back(std::move(probe));
        }
        attached_ += all;
    }
    return own(std::move(probes), code);
}

std::vector<bpf_link*> FunctionProbes::attach_raw_tracepoints(const bpf_program* program)
{
    if (functions_.size() > kMostTracepoints)
        return none(E2BIG);
    Copies copies(program);
    std::vector<Copy> probes;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const std::string& name = functions_[i].name;
        Copy probe{i, copies.load(i)};
        if (probe.program)
            probe.link =
                Fd(bpf_raw_tracepoint_open(name.c_str() + name.find(':') + 1, probe.program.get()));
        // Those of single system calls are events, but no tracepoints: another rung has them all.
        if (!probe.link)
            return none(errno);
        probes.push_back(std::move(probe));
        attached_++;
    }
    return own(std::move(probes), ENOENT);
}

std::vector<bpf_link*> FunctionProbes::attach_tracepoints(const bpf_program* program)
{
    if (functions_.size() > kMostTracepoints)
        return none(E2BIG);
    const std::string tracefs = tracefs_path();
    Copies copies(program);
    std::vector<Copy> probes;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        std::string event = functions_[i].name;
        event[event.find(':')] = '/';
        const auto id = read_file(cat(tracefs, "/events/", event, "/id"));
        const auto number =
            id ? to_number<std::uint64_t>(std::string_view(*id).substr(0, id->find('\n')))
               : std::nullopt;
        if (!number)
            continue;
        perf_event_attr attr{};
        attr.type = PERF_TYPE_TRACEPOINT;
        attr.config = *number;
        attr.sample_period = attr.wakeup_events = 1;
        Copy probe{i, copies.load(i), Fd(), open_event(attr, -1)};
        if (!probe.program || !probe.event || !run_at(probe.event, probe.program.get())) {
            code = errno;
            continue;
        }
        probes.push_back(std::move(probe));
        attached_++;
    }
    return own(std::move(probes), code);
}

std::uint64_t FunctionProbes::skipped(std::size_t function) const
{
    std::uint64_t sum = 0;
    for (const Copy& copy : std::ranges::equal_range(copies_, function, {}, &Copy::function)) {
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (copy.program && bpf_obj_get_info_by_fd(copy.program.get(), &info, &size) == 0)
            sum += info.recursion_misses;
    }
    return sum;
}

std::uint64_t FunctionProbes::skipped() const
{
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < functions_.size(); i++)
        sum += skipped(i);
    return sum;
}

void FunctionProbes::detach()
{
    for (Copy& copy : copies_) {
        copy.link = Fd();
        copy.event = Fd();
    }
}

} // namespace corebox
