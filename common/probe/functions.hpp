// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes on many functions or tracepoints at once (bpf/functions.bpf.h). Which of them a pattern
// chooses: probe/points.hpp.
#pragma once
#include "abi/functions.h"
#include "base/fd.hpp"
#include "probe/kernel_functions.hpp"
#include "probe/ladder.hpp"
#include "probe/uprobe.hpp"
#include <bpf/libbpf.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace corebox
{

class Copies;

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
    void use(bpf_map* ids, bpf_map* syscalls = nullptr);

    // What an AttachFn does: the links, or none with errno set.
    std::vector<bpf_link*> attach_multi(const bpf_program* program);
    std::vector<bpf_link*> attach_kprobes(const bpf_program* program);
    std::vector<bpf_link*> attach_fentries(const bpf_program* program); // fentry and fexit
    std::vector<bpf_link*> attach_uprobe_multi(const bpf_program* program);
    std::vector<bpf_link*> attach_uprobes(const bpf_program* program);
    std::vector<bpf_link*> attach_raw_tracepoints(const bpf_program* program);
    std::vector<bpf_link*> attach_tracepoints(const bpf_program* program);
    // For many of single system calls and any others: one after the other those of
    // SYSCALL_POINT_PROGS, event_raw and event_perf, each of which takes what is left.
    std::vector<bpf_link*> attach_syscalls(const bpf_program* program);
    bool has_many_syscalls() const;

    // Once one of the two before has attached: in files that processes map later, too.
    void attach_later(const Session& session, const bpf_program* program);

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
    // Functions that refuse one by one, after which something else must be wrong.
    static constexpr unsigned kMostFailures = 200;
    using AttachRange = std::function<bool(std::size_t first, std::size_t count)>;

    // A place in a file of user space.
    struct Place {
        std::size_t function;
        std::shared_ptr<const ObjectFile> object;
        Point::Site site;
    };

    bool open_raw_tracepoint(Copies& copies, std::size_t function, std::vector<Copy>& probes);
    bool open_tracepoint(Copies& copies, std::size_t function, std::vector<Copy>& probes);
    std::vector<Place> places() const; // by file
    bool link_places(const bpf_program* program, std::span<const Place> places,
                     std::vector<Copy>& links, unsigned& failures);
    bool open_place(const bpf_program* program, Copies& copies, const Place& place,
                    std::vector<Copy>& events);
    std::size_t attach_in(const bpf_program* program, const LaterPoints& later,
                          const std::shared_ptr<const ObjectFile>& object);
    // What the kernel would say of each function alike.
    static bool leads_nowhere(int code);
    bool attach_range(const AttachRange& attach, std::size_t first, std::size_t count,
                      unsigned& failures);
    // What an AttachFn returns once these are attached, and owned here instead of by libbpf.
    std::vector<bpf_link*> keep(std::vector<Copy> copies, int code);
    std::vector<bpf_link*> fail_attach(int code);

    std::vector<Point> functions_;
    std::uint32_t only_;
    bpf_map *ids_ = nullptr, *syscalls_ = nullptr;
    std::size_t attached_ = 0;
    std::vector<bool> has_place_;             // functions that are attached somewhere
    bool by_links_ = false, cookies_ = false; // how
    std::vector<Copy> copies_;                // by function
};

template <class Options>
FunctionProbes& probes_of(const auto& session)
{
    return *session.template options_as<Options>().probes;
}

using AttachPoints = std::vector<bpf_link*> (FunctionProbes::*)(const bpf_program*);
std::vector<bpf_link*> attach_points(FunctionProbes& probes, AttachPoints attach,
                                     const Session& session, const bpf_program* program);

// A rung of points; &P::program goes to the member function Attach of the FunctionProbes that the
// tool's options have as `probes`.
template <auto Program, auto Attach, class Options>
consteval Rung point_rung(std::string_view name, std::string_view blind = {},
                          std::string_view function = {})
{
    // `auto`: Session is not complete here.
    constexpr auto attach = [](const auto& session, const bpf_program* program) {
        return attach_points(probes_of<Options>(session), Attach, session, program);
    };
    return with_function(rung<Program>(name, blind, attach), function);
}

// The kernel's function that links of many functions are made by: fprobes (5.18, CONFIG_FPROBE).
inline constexpr std::string_view kKprobeMultiFunction = "register_fprobe_ips";

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

// The same for a tool with SYSCALL_POINT_PROGS.
template <class S, class Options, class P = decltype(S::progs)>
inline constexpr Need kSyscallsNeed = {
    .what = "the tracepoints of system calls",
    .rungs = {[] {
                  constexpr auto attach = [](const auto& session, const bpf_program* program) {
                      return attach_points(probes_of<Options>(session),
                                           &FunctionProbes::attach_syscalls, session, program);
                  };
                  return rung<&P::syscall_enter, &P::syscall_exit, &P::event_raw, &P::event_perf>(
                      "raw_syscalls", {}, attach);
              }(),
              kPointNeeds<S, Options>[2].rungs[1]},
    .chosen = true};

// Of needs in the order of kPointNeeds, and behind them perhaps kSyscallsNeed, the one of these
// points, as a tool of points has.
inline std::span<const Need> point_need(std::span<const Need> needs, const FunctionProbes& probes)
{
    const Point::Kind kind = probes.kind();
    if (needs.size() < 3)
        return needs;
    if (needs.size() > 3 && probes.has_many_syscalls())
        return needs.subspan(3, 1);
    return needs.subspan(kind == Point::Kind::kernel       ? 0
                         : kind == Point::Kind::tracepoint ? 2
                                                           : 1,
                         1);
}

// Before load, for each try.
template <class S>
void prepare_points(S& s, FunctionProbes& probes)
{
    if constexpr (requires { s.maps.cb_syscall_points; })
        probes.use(s.maps.cb_function_ids, s.maps.cb_syscall_points);
    else
        probes.use(s.maps.cb_function_ids);
}

} // namespace corebox
