// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From a skeleton to attached programs: open, configure, resolve the ladder, load, attach; where
// the kernel refuses a program, remember that and begin again with the next rung.
#pragma once
#include "abi/event.h"
#include "base/begins_with.hpp"
#include "base/fd.hpp"
#include "kernel/btf.hpp"
#include "probe/gone_threads.hpp"
#include "probe/ladder.hpp"
#include "probe/trace_handlers.hpp"
#include "session/account.hpp"
#include "session/later_files.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <concepts>
#include <functional>
#include <memory>

namespace corebox
{

template <class S>
concept Skel = requires(S* s, const bpf_object_open_opts* o)
{
    {
        S::open(o)
        } -> std::same_as<S*>;
    {
        S::load(s)
        } -> std::same_as<int>;
    S::destroy(s);
    {
        s->obj
        } -> std::convertible_to<bpf_object*>;
    s->bss->cb_account;
};

// What a BPF file includes decides what its tool offers.
template <class S>
concept HasFilter = requires(S* s)
{
    s->rodata->cb_filter;
};
template <class S>
concept HasEvents = requires(S* s)
{
    s->maps.cb_events;
};
template <class S>
concept HasArgs = requires(S* s)
{
    s->maps.cb_args;
};
// Of bpf/sock.bpf.h, and bpf/sock_owner.bpf.h.
template <class S>
concept HasConnections = requires(S* s)
{
    s->rodata->cb_conns;
    s->maps.cb_ports;
};
template <class S>
concept HasOwners = requires(S* s)
{
    s->maps.cb_owners;
    s->progs.cb_file_owners;
};
// Of bpf/where.bpf.h.
template <class S>
concept HasWhere = requires(S* s)
{
    s->rodata->cb_where_on;
};
// Of bpf/uring.bpf.h.
template <class S>
concept HasUringOpens = requires(S* s)
{
    s->maps.uring_opens;
};
// Of file/call_time.bpf.h.
template <class S>
concept HasStarts = requires(S* s)
{
    s->maps.cb_starts;
};
// Of dynamic/call.bpf.h.
template <class S>
concept HasThreads = requires(S* s)
{
    s->maps.cb_threads;
};
// Of bpf/hist.bpf.h: HISTS().
template <class S>
concept HasHists = requires(S* s)
{
    s->maps.cb_hists;
};
template <class S>
concept HasGeneration = requires(S* s)
{
    s->bss->cb_generation;
};

// The filters that its BPF files offer.
template <class S>
consteval Shared filters_of()
{
    return (HasFilter<S> ? Shared::filter : Shared::none) |
           (HasConnections<S> ? Shared::connections : Shared::none);
}

struct DestroyLink {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, DestroyLink>;

// What else than relocated_names() the launch of an object looks for in the kernel's types.
void add_target_names(std::vector<KernelBtf::Name>& names, const bpf_object* object,
                      std::span<const Need> needs, Targets targets);

// Before launch(): what probes of programs attach to.
void prepare_later_files(Session& session);

// The part of launching that is the same for every skeleton.
class Launcher
{
public:
    // Fails where nothing can be traced at all (capabilities); raises RLIMIT_MEMLOCK, which
    // kernels before 5.11 count BPF maps against.
    explicit Launcher(const Session& session);

    const Facts& facts() const { return facts_; }
    const Plan& plan() const { return plan_; }
    // Whether the program is of a rung that was chosen.
    bool loads(const bpf_program* program) const
    {
        return std::ranges::find(plan_.load, program) != plan_.load.end();
    }
    bool perf_buffer() const { return perf_buffer_; }
    // Whether a program of the plan fires only while ftrace is on.
    bool depends_on_ftrace() const;

    // Maps of filter.bpf.h and event.bpf.h; null where the tool has none.
    struct FilterMaps {
        bpf_map *ids, *cgroup_path, *cgroups, *mntns;
    };
    struct FilterPrograms {
        bpf_program *fork, *free, *cgroup_mkdir;
    };
    void prepare_filter(const FilterMaps& maps, const FilterPrograms& programs,
                        const task_filter& filter);
    void prepare_connections(bpf_map* ports, const conn_filter& filter);
    // Makes room for the owners of all sockets, and lets `older` find those that there are.
    void prepare_owners(bpf_map* owners, bpf_program* older);
    void prepare_events(bpf_map* events, event_config& config);
    // Resolves the ladder, and sets which programs are loaded, and which maps are not made: `uses`
    // has a line for each map with the programs that use it.
    void choose(std::span<const Need> needs, const void* progs, bpf_object* object,
                std::string_view uses);
    // Sets how a map of HISTS() allocates, for the programs that will use it. Once chosen.
    void prepare_histograms(bpf_map* map) const;
    // The number of a tracepoint's `struct type *` argument, once chosen; -1: none, or no BTF.
    int argument(std::string_view tracepoint, std::string_view type) const;
    // The object with --where in it; empty where the kernel has nothing to decide. Fails where the
    // condition's maps cannot be made.
    std::vector<std::byte> object_with_condition(const void* (*elf_bytes)(std::size_t*));
    // Whether the programs of this try have it.
    bool has_condition() const { return condition_ == Condition::there; }
    // What to open the object with; the path in it is filled by choose().
    const bpf_object_open_opts* open_options() const { return &open_options_; }
    // After load: true if it worked; false: a program was refused, begin again. Fails where
    // nothing can be done.
    bool loaded(int result, bpf_object* object);
    void fill_filter(bpf_map* ids, const task_filter& filter);
    void fill_connections(bpf_map* ports, const conn_filter& filter);
    bool attach();

    std::vector<Link> take_links() { return std::move(links_); }
    std::vector<Fd> take_sessions() { return std::move(sessions_); } // links without libbpf
    // Of which calls the tool keeps what it saw until it has seen their end, and so counts ends
    // that were skipped: once the thread makes another call or is gone. (The kernel's own counts
    // have skipped ends of calls that were not asked for, too.)
    enum class Kept { none, by_kprobes, all };
    // Those of which the kernel may skip a run, and counts it, where the tool does not.
    std::vector<const bpf_program*> programs(Kept kept) const;

private:
    bool refuse(std::string_view program, const Obstacle& reason);
    void refuse_alike(std::size_t planned, const Obstacle& reason);
    bool blames_condition(int result, std::string_view message);
    void read_kernel_types(bpf_object* object, std::span<const Need> needs);
    KernelMemory& memory();
    bool attach(std::size_t planned);

    const Session& session_;
    Facts facts_;
    Refusals refused_;
    Plan plan_;
    std::string waited_for_; // what was said last of files that are not there yet
    std::vector<Link> links_;
    std::vector<Fd> sessions_;
    std::vector<bpf_program*> always_;     // loaded beside the plan: the filter's own
    bpf_map* cgroup_path_ = nullptr;       // with --cgroup
    bpf_program* older_sockets_ = nullptr; // an iterator, to be run once all is attached
    Fd like_events_;                       // what cb_events is made of, where it is several rings
    std::string forced_;
    std::unique_ptr<KernelMemory> memory_; // while launching, as the next
    std::shared_ptr<KernelBtf> btf_;
    bool types_read_ = false;
    bool own_types_ = true;      // the kernel's own, so their ids mean something to it
    TraceHandlers::Ids targets_; // BTF ids of attach targets
    std::vector<Fd> modules_;    // BTF of those that have some
    Fd extract_;                 // raw BTF for libbpf's relocations
    std::string extract_path_;
    bpf_object_open_opts open_options_{};
    TraceHandlers handlers_;
    bool perf_buffer_ = false;
    // Programs that the kernel refuses are tried without the condition once more, to find out whose
    // fault it is.
    enum class Condition : std::uint8_t { none, there, doubted } condition_{};
    std::string doubt_; // what the kernel said
};

template <Skel S>
struct Attachment {
    struct Destroy {
        void operator()(S* s) const { S::destroy(s); }
    };
    std::unique_ptr<S, Destroy> skeleton;
    std::vector<Link> links; // destroyed first: no program runs on freed maps
    std::vector<Fd> sessions;
    bool perf_buffer = false;
    std::vector<const bpf_program*> programs;
    bool on_ftrace = false; // some programs fire only while ftrace is on

    S* operator->() const { return skeleton.get(); }
    void detach()
    {
        links.clear();
        sessions.clear();
    }
    std::uint64_t unreturned() const
    {
        std::uint64_t n = 0;
        if constexpr (HasArgs<S>)
            n += unreturned_calls(skeleton->maps.cb_args);
        if constexpr (HasUringOpens<S>)
            n += unreturned_calls(skeleton->maps.uring_opens);
        return n;
    }
    std::span<const cpu_account> account() const { return skeleton->bss->cb_account; }
};

// `configure(S&)` sets rodata and map sizes before load, `open_buffers(S&, perf_buffer)` opens what
// reads the maps before the first program can fill them, `resolved(S&, launcher)` sets, between the
// two, what follows from what the kernel offers; all may be called more than once.
template <Skel S, class Configure, class OpenBuffers = void (*)(S&, bool),
          class Resolved = void (*)(S&, const Launcher&)>
Attachment<S> launch(
    const Session& session, std::span<const Need> needs, Configure&& configure,
    OpenBuffers&& open_buffers = [](S&, bool) {}, Resolved&& resolved = [](S&, const Launcher&) {})
{
    Launcher launcher(session);
    task_filter filter{};
    if constexpr (HasFilter<S>)
        filter = make_filter(session);
    conn_filter connections{};
    if constexpr (HasConnections<S>)
        connections = make_conn_filter(session.connections);
    std::vector<std::byte> with_condition;
    if constexpr (HasWhere<S>)
        with_condition = launcher.object_with_condition(S::elf_bytes);
    for (;;) {
        const auto object =
            launcher.has_condition() ? std::span<const std::byte>(with_condition) : session.object;
        Attachment<S> a;
        a.skeleton.reset(S::open(launcher.open_options(), object));
        if (!a.skeleton)
            fail("cannot open the BPF object", errno);
        S& s = *a.skeleton;
        if constexpr (HasWhere<S>)
            s.rodata->cb_where_on = launcher.has_condition();
        if constexpr (HasFilter<S>) {
            s.rodata->cb_filter = filter;
            launcher.prepare_filter(
                {s.maps.cb_filter_ids, s.maps.cb_cgroup_path, s.maps.cb_cgroup_map,
                 s.maps.cb_mntns_map},
                {s.progs.cb_tree_fork, s.progs.cb_tree_free, s.progs.cb_cgroup_mkdir}, filter);
        }
        if constexpr (HasConnections<S>) {
            s.rodata->cb_conns = connections;
            launcher.prepare_connections(s.maps.cb_ports, connections);
        }
        if constexpr (HasOwners<S>)
            launcher.prepare_owners(s.maps.cb_owners, s.progs.cb_file_owners);
        if constexpr (HasEvents<S>)
            launcher.prepare_events(s.maps.cb_events, s.rodata->cb_event);
        configure(s);
        launcher.choose(needs, &s.progs, s.obj, S::map_uses);
        if constexpr (HasHists<S>)
            launcher.prepare_histograms(s.maps.cb_hists);
        resolved(s, std::as_const(launcher));
        if (!launcher.loaded(S::load(&s), s.obj))
            continue;
        if constexpr (HasFilter<S>)
            launcher.fill_filter(s.maps.cb_filter_ids, filter);
        if constexpr (HasConnections<S>)
            launcher.fill_connections(s.maps.cb_ports, connections);
        open_buffers(s, launcher.perf_buffer());
        if (!launcher.attach())
            continue;
        a.links = launcher.take_links();
        a.sessions = launcher.take_sessions();
        a.perf_buffer = launcher.perf_buffer();
        a.on_ftrace = launcher.depends_on_ftrace();
        using Kept = Launcher::Kept;
        a.programs = launcher.programs(HasArgs<S> || HasThreads<S> ? Kept::all
                                       : HasStarts<S>              ? Kept::by_kprobes
                                                                   : Kept::none);
        return a;
    }
}

} // namespace corebox
