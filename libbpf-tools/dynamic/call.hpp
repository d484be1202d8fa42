// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space of call.bpf.h: calls of functions from entry to return.
#pragma once
#include "call.h"
#include "function_where.hpp"
#include "probe/points.hpp"
#include "session/session.hpp"
#include <array>
#include <memory>

namespace corebox
{

// A base of the Options of a tool with CALL_PROGS, but not the first: no option is stored in it
// (base/begins_with.hpp).
struct CallOptions {
    // What is traced, of either kind; null: nothing. Numbers of functions go through the kernel's
    // first.
    std::unique_ptr<FunctionProbes> kernel{}, user{};
    std::array<Target, 1> one{}; // the only function, if it is the kernel's
    bool is_one = false;
    bool no_fentry = false; // --kprobes, or --where cannot be evaluated there
    std::optional<FunctionWhere> where{};
    std::string where_call{}, where_row{};
    std::array<Need, 2> typed_needs{}; // of a condition that only fexit has all of
    std::uint64_t unreturned = 0;      // known once end_calls() was called

    // Fails where there is nothing to trace.
    void choose(std::vector<Point> points, const Session& session);
    // After that: takes --where from the session, but for those parts that are conditions on
    // columns. `needs`: see kCallNeeds.
    void take_condition(Session& session, std::span<const Need> needs,
                        const void* (*elf_bytes)(std::size_t*),
                        std::span<const Column> columns = {});
    // For "fentry/%function".
    Targets targets() const { return std::span(one).first(is_one ? 1 : 0); }

    std::size_t kernel_size() const { return kernel ? kernel->functions().size() : 0; }
    std::size_t size() const { return kernel_size() + (user ? user->functions().size() : 0); }
    const Point& point(std::size_t number) const;
    void detach();
};

// The points of a pattern; fails with a usage error for what has no return.
std::vector<Point> find_calls(std::string_view pattern, FunctionPattern::Syntax syntax,
                              const Session& session);

// "3 functions", on stderr, where it is not the one that was named.
void say_traced(std::size_t attached, std::size_t all, const Session& session);
void say_traced(const CallOptions& options, const Session& session);

// The process that probes need be in; 0: all.
std::uint32_t only_process(const Session& session);

// Room for the calls of so many threads: those there are, and some more.
std::uint32_t call_threads_room();

// Calls of threads that are gone which were not seen to end.
std::uint64_t unreturned_frames(const bpf_map* threads);

// `Set`: a member of Options, a pointer to FunctionProbes.
template <auto Set, auto Attach, class Options, auto... Programs>
consteval Rung call_rung(std::string_view name, std::string_view function = {})
{
    constexpr auto attach = [](const auto& session, const bpf_program* program) {
        const Options& o = session.template options_as<Options>();
        return attach_points(*(o.*Set), Attach, session, program);
    };
    return with_function(rung<Programs...>(name, {}, attach), function);
}

template <class P, class Options>
inline constexpr Need kKernelCallsNeed = {
    .what = "calls of the functions",
    .rungs = {call_rung<&CallOptions::kernel, &FunctionProbes::attach_multi, Options,
                        &P::leave_multi, &P::enter_multi>("kprobe.multi", kKprobeMultiFunction),
              call_rung<&CallOptions::kernel, &FunctionProbes::attach_kprobes, Options,
                        &P::leave_kprobe, &P::enter_kprobe>("kprobe")},
    .chosen = true};

template <class P, class Options>
inline constexpr Need kUserCallsNeed = {
    .what = "calls of the user functions",
    .rungs = {call_rung<&CallOptions::user, &FunctionProbes::attach_uprobe_multi, Options,
                        &P::leave_umulti, &P::enter_umulti>("uprobe.multi", kUprobeMultiFunction),
              call_rung<&CallOptions::user, &FunctionProbes::attach_uprobes, Options,
                        &P::leave_uprobe, &P::enter_uprobe>("uprobe")},
    .chosen = true};

template <class P>
inline constexpr Need kCallThreadsNeed = {.what = "threads as they end",
                                          .rungs = {rung<&P::call_thread_end>("raw_tp")}};

// Those of which a run has some: see chosen_calls(). Returns before entries: a call that is seen to
// begin has then its return seen.
template <class S, class Options, class P = decltype(S::progs)>
inline constexpr std::array<Need, 5> kCallNeeds = {
    Need{.what = "calls of the function",
         .rungs = {rung<&P::leave_fexit, &P::enter_fentry>("fexit"),
                   kKernelCallsNeed<P, Options>.rungs[0], kKernelCallsNeed<P, Options>.rungs[1]},
         .chosen = true},
    kCallThreadsNeed<P>,
    kKernelCallsNeed<P, Options>,
    kCallThreadsNeed<P>,
    kUserCallsNeed<P, Options>,
};

// Of kCallNeeds, those for what was chosen: one function of the kernel (0, 1), several (2, 3), user
// functions (3, 4) or both (2 to 4).
inline std::span<const Need> chosen_calls(std::span<const Need> needs, const CallOptions& o)
{
    if (o.where && !o.where->has(BODY_PLAIN))
        return o.typed_needs;
    if (o.is_one && !o.no_fentry)
        return needs.first(2);
    return needs.subspan(o.kernel ? 2 : 3, o.kernel && o.user ? 3 : 2);
}

// Before the programs are detached.
template <class S>
void end_calls(S& s, CallOptions& o)
{
    s.bss->cb_call_ending = true;
    o.unreturned = unreturned_frames(s.maps.cb_threads);
}

// Before load, for each try.
template <class S>
void prepare_calls(S& s, const CallOptions& o)
{
    bpf_map__set_max_entries(s.maps.cb_threads, call_threads_room());
    bpf_map__set_autocreate(s.maps.cb_calls, false);
    for (FunctionProbes* probes : {o.user.get(), o.kernel.get()})
        if (probes)
            probes->use(s.maps.cb_function_ids);
    if constexpr (requires { s.rodata->cb_function_where; })
        s.rodata->cb_function_where = o.where ? o.where->config() : function_where{};
    s.rodata->cb_functions.count = std::uint32_t(o.size());
    s.rodata->cb_call.first_user = std::uint32_t(o.kernel_size());
}

} // namespace corebox
