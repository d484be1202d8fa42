// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes on many functions or tracepoints at once (bpf/functions.bpf.h). Which of them a pattern
// chooses: kernel functions here, all others in probe/points.hpp.
#pragma once
#include "abi/functions.h"
#include "base/fd.hpp"
#include "probe/ladder.hpp"
#include <bpf/libbpf.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <regex.h>
#include <span>
#include <string>
#include <vector>

namespace corebox
{

// BCC's patterns of function names: a shell's wildcards for the whole name, or an (extended)
// regular expression for its beginning. What the compiler adds to a name (".isra.0") may be left
// out.
class FunctionPattern
{
public:
    enum class Syntax : std::uint8_t { glob, regex };
    // Fails with a usage error where it is malformed.
    FunctionPattern(std::string_view text, Syntax syntax);

    bool matches(std::string_view name) const;
    // Whether it is one name, as it stands.
    bool exact() const { return !regex_ && start_.size() == text_.size(); }
    // False for most names that do not match, cheaply.
    bool may_match(std::string_view name) const { return name.starts_with(start_); }
    // What all names that match begin with.
    std::string_view start() const { return start_; }

private:
    bool fits(const std::string& name) const;

    std::string text_;
    std::string start_; // that every name which fits has
    struct Free {
        void operator()(regex_t* r) const
        {
            ::regfree(r);
            delete r;
        }
    };
    std::unique_ptr<regex_t, Free> regex_;
};

// A program or library, held open: what the path is now may be another file.
struct ObjectFile {
    std::string path; // as the process that maps it sees it
    Fd file;
};

// What a program is run at: a function of the kernel or of a program, a probe that a program was
// built with (USDT), or a tracepoint.
struct Point {
    std::string name;          // "vfs_read", "malloc", "libc:setjmp", "sched:sched_switch"
    std::string module{};      // of a kernel function; empty: the kernel itself
    std::uint64_t address = 0; // of a kernel function; 0: the kernel does not tell (no CAP_SYSLOG)
    enum class Kind : std::uint8_t { kernel, user, usdt, tracepoint } kind = Kind::kernel;
    std::shared_ptr<const ObjectFile> object{}; // of user and usdt
    struct Site {
        std::uint64_t offset;    // in the file, of the instruction
        std::uint64_t semaphore; // of usdt: in the file, of its count of users; 0: none
    };
    std::vector<Site> sites{}; // of user and usdt; several where a probe was inlined
};
using KernelFunction = Point;

// What the kernel's lists say, as texts: available_filter_functions (empty: none), the same with
// addresses (6.5+), /proc/kallsyms, and the kprobes' blacklist.
struct FunctionLists {
    std::string traceable, traceable_addresses, symbols, blacklist;
};

// The functions that a pattern chooses, by address. Where not all that share a name are traceable,
// the addresses tell which; without them these are left out, and *doubtful is set.
std::vector<KernelFunction> choose_functions(const FunctionPattern& pattern,
                                             const FunctionLists& lists, bool* doubtful = nullptr);
// What a function's first bytes say of whether it can be traced from its entry. `called`: it can,
// if what it begins with is somebody's tracing. `unknown`: it does not look as known.
enum class Entry : std::uint8_t { site, called, other, unknown };
Entry entry_of(std::span<const std::byte> code);

// The running kernel's. COREBOX_FUNCTIONS=lists: by its lists, should what its memory tells be
// wrong on some kernel.
std::vector<KernelFunction> find_functions(const FunctionPattern& pattern);
// Takes out those that tracing itself calls, unless the pattern is one's name; how many they were.
std::size_t leave_out_own(std::vector<KernelFunction>& functions, const FunctionPattern& pattern);

// The probes of a set of points. A point that turns out not to be traceable is left out.
//
// A program that is told which point it is at has the number from a cookie or, where the kernel has
// none for its kind, from a copy of the program for each point. Of a program that runs at returns
// (kretprobe, uretprobe, fexit: by its section) and does not ask for the number no copies are made.
class FunctionProbes
{
public:
    // User points are probed in all processes, or only in process `only`, if not 0: elsewhere they
    // cost nothing then.
    explicit FunctionProbes(std::vector<Point> functions, std::uint32_t only = 0);

    std::span<const Point> functions() const { return functions_; }
    // All points of a set are of one kind.
    Point::Kind kind() const
    {
        return functions_.empty() ? Point::Kind::kernel : functions_[0].kind;
    }
    // Before load, for each try. `ids`: for kprobes without cookies; made as large as there are
    // functions.
    void use(bpf_map* ids);

    // What an AttachFn does: the links, or none with errno set.
    std::vector<bpf_link*> attach_multi(const bpf_program* program);
    std::vector<bpf_link*> attach_kprobes(const bpf_program* program);
    std::vector<bpf_link*> attach_fentries(const bpf_program* program); // fentry and fexit
    // Its expected attach type is kUprobeMulti.
    std::vector<bpf_link*> attach_uprobe_multi(const bpf_program* program);
    std::vector<bpf_link*> attach_uprobes(const bpf_program* program);
    std::vector<bpf_link*> attach_raw_tracepoints(const bpf_program* program);
    std::vector<bpf_link*> attach_tracepoints(const bpf_program* program);

    std::size_t attached() const { return attached_; }
    // Calls of a function for which the kernel did not run the program (see SkippedCalls in
    // shape/counters.hpp), where it tells.
    std::uint64_t skipped(std::size_t function) const;
    std::uint64_t skipped() const; // of all
    // Beside the links: ends what has none. The programs stay, so that their frames in stacks still
    // have names.
    void detach();

private:
    struct Copy {
        std::size_t function;
        Fd program; // none: it is the program itself
        Fd link{}, event{};
    };
    using AttachRange = std::function<bool(std::size_t first, std::size_t count)>;

    bool attach_range(const AttachRange& attach, std::size_t first, std::size_t count,
                      unsigned& failures);
    std::vector<bpf_link*> own(std::vector<Copy> copies, int code);
    std::vector<bpf_link*> none(int code);

    std::vector<Point> functions_;
    std::uint32_t only_;
    bpf_map* ids_ = nullptr;
    std::size_t attached_ = 0;
    std::vector<Copy> copies_; // by function
};

// BPF_TRACE_UPROBE_MULTI (linux/bpf.h of 6.6 and later).
inline constexpr int kUprobeMulti = 48;

template <class Options>
FunctionProbes& probes_of(const auto& session)
{
    return *session.template options_as<Options>().probes;
}

// A rung of points; &P::program goes to the member function Attach of the FunctionProbes that the
// tool's options have as `probes`.
template <auto Program, auto Attach, class Options>
consteval Rung point_rung(std::string_view name, std::string_view blind = {},
                          std::string_view function = {})
{
    // `auto`: Session is not complete here.
    constexpr auto attach = [](const auto& session, const bpf_program* program) {
        return (probes_of<Options>(session).*Attach)(program);
    };
    return with_function(rung<Program>(name, blind, attach), function);
}

// The kernel's functions that links of many functions are made by: fprobes (5.18, CONFIG_FPROBE),
// and 6.6.
inline constexpr std::string_view kKprobeMultiFunction = "register_fprobe_ips";
inline constexpr std::string_view kUprobeMultiFunction = "bpf_uprobe_multi_link_attach";

// The rungs of a tool with FUNCTION_PROGS whose options have a member `probes`, a pointer to
// FunctionProbes.
template <class S, class Options, class P = decltype(S::progs)>
inline constexpr Need kFunctionNeed = {
    .what = "calls of the functions",
    .rungs = {point_rung<&P::function_multi, &FunctionProbes::attach_multi, Options>(
                  "kprobe.multi", {}, kKprobeMultiFunction),
              point_rung<&P::function_kprobe, &FunctionProbes::attach_kprobes, Options>("kprobe"),
              point_rung<&P::function_fentry, &FunctionProbes::attach_fentries, Options>(
                  "fentry", "functions of modules")},
    .chosen = true};

// The same for a tool with POINT_PROGS: the need of each kind of point, of which a run has one.
template <class S, class Options, class P = decltype(S::progs)>
inline constexpr std::array<Need, 3> kPointNeeds = {
    kFunctionNeed<S, Options>,
    Need{.what = "calls of the user functions",
         .rungs = {point_rung<&P::user_multi, &FunctionProbes::attach_uprobe_multi, Options>(
                       "uprobe.multi", {}, kUprobeMultiFunction),
                   point_rung<&P::user_uprobe, &FunctionProbes::attach_uprobes, Options>("uprobe")},
         .chosen = true},
    Need{.what = "the tracepoints",
         .rungs = {point_rung<&P::event_raw, &FunctionProbes::attach_raw_tracepoints, Options>(
                       "raw_tp"),
                   point_rung<&P::event_perf, &FunctionProbes::attach_tracepoints, Options>(
                       "tracepoint")},
         .chosen = true}};

// Of three needs in the order of kPointNeeds the one of a kind of point, as a tool of points has.
inline std::span<const Need> point_need(std::span<const Need> needs, Point::Kind kind)
{
    if (needs.size() < 3)
        return needs;
    return needs.subspan(kind == Point::Kind::kernel       ? 0
                         : kind == Point::Kind::tracepoint ? 2
                                                           : 1,
                         1);
}

// Before load, for each try.
template <class S>
void prepare_points(S& s, FunctionProbes& probes)
{
    probes.use(s.maps.cb_function_ids);
    if constexpr (requires { s.progs.user_multi; })
        bpf_program__set_expected_attach_type(s.progs.user_multi, bpf_attach_type(kUprobeMulti));
}

} // namespace corebox
