// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/launch.hpp"
#include "kernel/types.hpp"
#include "probe/iterator.hpp"
#include "probe/libbpf_log.hpp"
#include "probe/session.hpp"
#include "probe/uprobe.hpp"
#include "session/cgroup.hpp"
#include "session/transport.hpp"
#include "session/where.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace corebox
{
namespace
{

bpf_link* attach_program(const bpf_program* program, Targets targets)
{
    const std::string_view section = bpf_program__section_name(program);
    if (is_trace(section))
        return bpf_program__attach_trace(program);
    if (const Target* target = slot_target(section, targets))
        return bpf_program__attach_kprobe(program, section.starts_with("kretprobe"),
                                          std::string(target->function).c_str());
    return bpf_program__attach(program);
}

std::string privilege_hint()
{
    if (const Obstacle missing = missing_privilege())
        return cat(missing.text(), "; ", missing.fix());
    if (const auto mode = lockdown_mode(); !mode.empty())
        return cat("kernel lockdown is in mode ", mode);
    // Kernels before 5.11 count BPF maps against it, and it was to be raised.
    rlimit locked{};
    if (::getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != RLIM_INFINITY) {
        const Obstacle memory{Cause::locked_memory, cat(locked.rlim_cur >> 10)};
        return cat(memory.text(), "; ", memory.fix());
    }
    return "see kernel.unprivileged_bpf_disabled, LSM policy, and whether this is a container";
}

} // namespace

void prepare_later_files(Session& session)
{
    std::function<void(std::string_view)> say_line;
    if (session.later)
        return;
    if (session.explain)
        say_line = [&tool = session.tool](std::string_view line) { say(tool, line); };
    session.later = std::make_shared<LaterFiles>(std::move(say_line));
}

Launcher::Launcher(const Session& session) : session_(session)
{
    session.later->begin();
    take_libbpf_log(session.verbose);
    if (const Obstacle missing = missing_privilege())
        fail(missing.text(), 0, missing.fix());
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
    facts_ = live_facts();
    btf_ = types_from_elsewhere(session.btf);
    own_types_ = !btf_;
    if (own_types_)
        btf_ = session.types;
    // Programs that attach by an id in the kernel's BTF are then out of reach.
    facts_.btf = facts_.btf && own_types_;
    if (const char* forced = std::getenv("COREBOX_PROBES")) {
        forced_ = forced;
        const auto& needs = session.tool.needs;
        if (const auto unknown = unknown_rungs(needs, forced_); !unknown.empty())
            fail_usage(cat("COREBOX_PROBES: no probe named '", unknown[0], "'; ",
                           session.tool.about.name, " has ", list_rungs(needs)));
    }
    open_options_.sz = sizeof open_options_;
    // COREBOX_BTF=full: libbpf's own way with BTF, should ours be wrong on some kernel.
    const char* full = std::getenv("COREBOX_BTF");
    if ((facts_.btf || !own_types_) && !(full && std::string_view(full) == "full")) {
        extract_ = Fd(::memfd_create("corebox-btf", MFD_CLOEXEC));
        extract_path_ = cat("/proc/self/fd/", extract_.get());
        if (extract_ && ::access(extract_path_.c_str(), R_OK) == 0) {
            open_options_.btf_custom_path = extract_path_.c_str();
            handlers_.add(targets_);
        }
    }
    perf_buffer_ = !facts_.ring_buffer || forced_.find("perf_buffer") != forced_.npos;
}

void Launcher::prepare_filter(const FilterMaps& maps, const FilterPrograms& programs,
                              const task_filter& filter)
{
    const auto [ids, cgroup_path, cgroups, mntns] = maps;
    always_.clear();
    if (filter.by_tree)
        always_ = {programs.fork, programs.free};
    if (filter.by_cgroup)
        always_.push_back(programs.cgroup_mkdir);
    cgroup_path_ = filter.by_cgroup ? cgroup_path : nullptr;
    bpf_map__set_autocreate(cgroup_path, filter.by_cgroup);
    // A map that nothing asks for costs memory for nothing.
    bpf_map__set_autocreate(ids, filter.by_tree || filter.by_pid_list || filter.by_tid_list);
    if (filter.by_tree && filter.pidns) // two entries for each process
        bpf_map__set_max_entries(ids, 2 * FILTER_IDS);
    const auto pinned = [](bpf_map* map, std::string_view path, std::string_view option) {
        if (path.empty()) {
            bpf_map__set_autocreate(map, false);
            return;
        }
        const Fd fd(bpf_obj_get(std::string(path).c_str()));
        if (!fd)
            fail(cat("cannot open --", option, " ", path), errno, "it must be a pinned BPF map");
        if (bpf_map__reuse_fd(map, fd.get()) != 0 || bpf_map__key_size(map) != sizeof(__u64))
            fail(cat("cannot use --", option, " ", path), "it is not a hash map with 8-byte keys");
    };
    pinned(cgroups, session_.cgroup_map, "cgroupmap");
    pinned(mntns, session_.mntns_map, "mntnsmap");
}

void Launcher::prepare_connections(bpf_map* ports, const conn_filter& filter)
{
    bpf_map__set_autocreate(ports, std::ranges::any_of(filter.by_port, std::identity()));
}

void Launcher::prepare_owners(bpf_map* owners, bpf_program* older)
{
    // Twice the sockets that there are, and some: connections come and go.
    constexpr std::uint64_t kLeast = 16384, kMost = 1 << 20;
    const std::string sockets = read_file("/proc/net/sockstat").value_or("");
    const auto words = split(std::string_view(sockets).substr(0, sockets.find('\n')), ' ');
    const auto used = words.size() == 3 ? to_number<std::uint64_t>(words[2]) : std::nullopt;
    bpf_map__set_max_entries(owners,
                             std::uint32_t(std::clamp(2 * used.value_or(0), kLeast, kMost)));
    // An iterator is known by its id in the kernel's own BTF.
    older_sockets_ = facts_.btf && open_options_.btf_custom_path ? older : nullptr;
}

void Launcher::prepare_events(bpf_map* events, event_config& config)
{
    like_events_ = prepare_event_map(events, config, perf_buffer_, session_.buffer_bytes());
}

// One reading of the kernel's BTF for all that this object asks of it: ids of attach targets, and
// the types that its relocations look at.
void add_target_names(std::vector<KernelBtf::Name>& names, const bpf_object* object,
                      std::span<const Need> needs, Targets targets)
{
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object)
    {
        const std::string section = target_section(bpf_program__section_name(program), targets);
        if (is_trace(section) || is_iterator(section))
            names.push_back(
                {__u32(section.starts_with("tp_btf/") ? BTF_KIND_TYPEDEF : BTF_KIND_FUNC),
                 target_name(section)});
        else if (section.starts_with(kSessionSection))
            for (const std::string_view function : kSessionFunctions)
                names.push_back({BTF_KIND_FUNC, std::string(function)});
    }
    for (const Need& need : needs)
        for (const Rung& rung : need.rungs)
            if (!rung.function.empty())
                names.push_back({BTF_KIND_FUNC, std::string(rung.function)});
}

void Launcher::read_kernel_types(bpf_object* object, std::span<const Need> needs)
{
    if (!btf_)
        btf_ = std::make_shared<KernelBtf>(
            [this] { return KernelMemory::has_index() ? &memory() : nullptr; });
    types_read_ = true;
    std::vector<KernelBtf::Name> names = relocated_names(bpf_object__btf(object));
    const std::size_t types = names.size();
    add_target_names(names, object, needs, session_.targets);
    btf_->find(names);
    std::map<std::string, int, std::less<>> objects; // of functions in modules
    for (const Target& target : session_.targets) {
        if (target.module.empty())
            continue;
        const std::span<KernelBtf::Name> functions = std::span(names).subspan(types);
        const auto name = std::ranges::find(functions, target.function, &KernelBtf::Name::name);
        if (name == functions.end() || !name->ids.empty())
            continue;
        Fd btf = open_module_btf(target.module);
        if (!btf)
            continue;
        btf_->find_in_module(btf, {&*name, 1});
        objects[name->name] = btf.get();
        modules_.push_back(std::move(btf));
    }
    std::vector<std::uint32_t> roots;
    std::set<std::string, std::less<>> opaque;
    for (std::size_t i = 0; i < names.size(); i++) {
        if (i >= types && names[i].kind == BTF_KIND_FUNC && !names[i].ids.empty() &&
            btf_->argument_unknown(names[i].ids[0]))
            opaque.insert(names[i].name);
        if (i < types)
            roots.insert(roots.end(), names[i].ids.begin(), names[i].ids.end());
        else if (!names[i].ids.empty()) {
            const auto in_module = objects.find(names[i].name);
            targets_[names[i].name] = {names[i].ids[0],
                                       in_module == objects.end() ? 0 : in_module->second};
        }
    }
    for (const Target& target : session_.targets)
        if (const auto known = targets_.find(target.function); known != targets_.end())
            targets_[std::string(target.slot)] = known->second;
    facts_.session = own_types_ && std::ranges::all_of(kSessionFunctions, [this](auto function) {
                         return targets_.contains(function);
                     });
    const auto extract = btf_->extract(roots);
    if (::ftruncate(extract_.get(), 0) != 0 ||
        ::pwrite(extract_.get(), extract.data(), extract.size(), 0) != ssize_t(extract.size()))
        fail("cannot store the kernel's BTF in memory", errno);
    facts_.has = [this, base = facts_.has, opaque, extract](Facts::Name kind,
                                                            std::string_view name) {
        if (kind == Facts::Name::known_argument)
            return opaque.contains(name) ? Answer::no : Answer::yes;
        if (kind == Facts::Name::btf_member)
            return has_member(extract, name) ? Answer::yes : Answer::no;
        if (kind == Facts::Name::own_function)
            return targets_.contains(name) ? Answer::yes : Answer::no;
        if (kind != Facts::Name::btf_function && kind != Facts::Name::btf_tracepoint)
            return base(kind, name);
        const std::string full =
            kind == Facts::Name::btf_tracepoint ? cat("btf_trace_", name) : std::string(name);
        if (targets_.contains(full))
            return Answer::yes;
        return mentioned_by_modules({&full, 1}).empty() ? Answer::no : Answer::unknown;
    };
}

void Launcher::prepare_histograms(bpf_map* map) const
{
    // Only programs of the tracing type (tp_btf, fentry) may allocate as they go: for others
    // kernels before 6.1 warn in their log, and refuse perf events (check_map_prog_compatibility).
    // What is allocated beforehand is so for each CPU: then for fewer.
    constexpr __u32 kPartsBeforehand = 4096;
    if (!(bpf_map__map_flags(map) & BPF_F_NO_PREALLOC) ||
        std::ranges::all_of(plan_.load, [](const bpf_program* p) {
            return bpf_program__type(p) == BPF_PROG_TYPE_TRACING;
        }))
        return;
    bpf_map__set_map_flags(map, 0);
    bpf_map__set_max_entries(map, std::min(bpf_map__max_entries(map), kPartsBeforehand));
}

int Launcher::argument(std::string_view tracepoint, std::string_view type) const
{
    const auto known = targets_.find(cat("btf_trace_", tracepoint));
    return btf_ && known != targets_.end() ? btf_->pointer_argument(known->second.id, type)
                                           : tracepoint_argument(tracepoint, type);
}

void Launcher::choose(std::span<const Need> needs, const void* progs, bpf_object* object,
                      std::string_view uses)
{
    if (open_options_.btf_custom_path && !types_read_)
        read_kernel_types(object, needs);
    plan_ = resolve(
        needs, progs, facts_, refused_,
        [this](std::string_view name) {
            return session_.given(name) || (name == "--" && session_.tree_root);
        },
        forced_, session_.targets);
    if (plan_.unmet) {
        const std::string fix = plan_.fix_unmet();
        fail(cat("cannot observe ", plan_.unmet->what, " on this kernel: ", plan_.why_unmet(),
                 fix.empty() ? "" : "; ", fix),
             0);
    }
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object)
    {
        const bool wanted = std::ranges::find(plan_.load, program) != plan_.load.end() ||
                            std::ranges::find(always_, program) != always_.end() ||
                            program == older_sockets_;
        bpf_program__set_autoload(program, wanted);
        // The same program may be of several rungs.
        if (const auto at = std::ranges::find(plan_.load, program); at != plan_.load.end())
            if (std::string_view(bpf_program__section_name(program)).starts_with("u"))
                bpf_program__set_expected_attach_type(
                    program,
                    plan_.rungs[std::size_t(at - plan_.load.begin())]->name == "uprobe.multi"
                        ? bpf_attach_type(kUprobeMulti)
                        : bpf_attach_type{});
        // Where libbpf itself looks for the function, it has to be told which.
        const std::string_view section = bpf_program__section_name(program);
        if (const Target* target = slot_target(section, session_.targets);
            target && wanted && is_trace(section) && !open_options_.btf_custom_path)
            bpf_program__set_attach_target(program, 0, std::string(target->function).c_str());
    }
    // Maps of other rungs only would cost time and memory for nothing.
    for (const std::string_view line : split(uses, '\n')) {
        const auto names = split(line, ' ');
        const auto loads = [object](std::string_view name) {
            return bpf_program__autoload(
                bpf_object__find_program_by_name(object, std::string(name).c_str()));
        };
        if (std::none_of(names.begin() + 1, names.end(), loads))
            bpf_map__set_autocreate(
                bpf_object__find_map_by_name(object, std::string(names[0]).c_str()), false);
    }
    clear_libbpf_log();
}

bool Launcher::refuse(std::string_view program, const Obstacle& reason)
{
    for (std::size_t i = 0; i < plan_.load.size(); i++)
        if (program == bpf_program__name(plan_.load[i]))
            return refused_.emplace(refusal_key(program, *plan_.rungs[i]), reason).second;
    return false;
}

// What one rung of a need found nowhere, the others with the same program will not find either.
void Launcher::refuse_alike(std::size_t planned, const Obstacle& reason)
{
    const auto step = std::ranges::find(plan_.steps, plan_.rungs[planned], &Step::rung);
    for (const Rung& rung : step->need->rungs)
        refused_.emplace(refusal_key(bpf_program__name(plan_.load[planned]), rung), reason);
}

// Whether the next try is to be the same without the condition.
bool Launcher::blames_condition(int result, std::string_view message)
{
    if (condition_ == Condition::there && result != -EPERM) {
        condition_ = Condition::doubted;
        doubt_ = message;
        return true;
    }
    if (condition_ == Condition::doubted) // it was not the condition
        condition_ = Condition::there;
    return false;
}

bool Launcher::loaded(int result, bpf_object* object)
{
    if (result == 0) {
        if (condition_ == Condition::doubted)
            session_.where->decide_in_user_space(cat("the verifier refuses it: ", doubt_));
        session_.later->take_back();
        session_.later->usdt_sites = bpf_object__find_map_by_name(object, "cb_usdt_sites");
        btf_.reset(); // some megabytes that only loading needed
        return true;
    }
    if (result == -ESRCH && !facts_.btf) // libbpf found none elsewhere either
    {
        const Obstacle o{facts_.sysfs ? Cause::no_types : Cause::no_sysfs};
        fail(o.text(), 0, o.fix());
    }
    const auto [program, message] = find_blamed_program();
    const auto is_session = [&program = program](const bpf_program* p) {
        return program == bpf_program__name(p) &&
               std::string_view(bpf_program__section_name(p)).starts_with(kSessionSection);
    };
    // Before a rung is given up for good, libbpf has its own way with the BTF: it knows modules.
    if (open_options_.btf_custom_path && own_types_ && result != -EPERM &&
        std::ranges::none_of(plan_.load, is_session)) {
        facts_.session = false;
        open_options_.btf_custom_path = nullptr;
        handlers_.remove();
        return false;
    }
    if (blames_condition(result, message))
        return false;
    if (result != -EPERM && refuse(program, {Cause::load_refused, message}))
        return false;
    if (result == -EPERM || result == -EACCES)
        fail("cannot load the BPF programs", -result, privilege_hint());
    fail(cat("cannot load the BPF programs",
             program.empty() ? "" : cat(" (", program, ": ", message, ")")),
         -result, session_.verbose ? "" : "--debug prints the kernel's reasons");
}

void Launcher::fill_connections(bpf_map* ports, const conn_filter& filter)
{
    const Connections& asked = session_.connections;
    const PortSet* const sets[CONN_SIDES] = {&asked.lports, &asked.rports, &asked.ports};
    for (__u32 side = 0; side < CONN_SIDES; side++) {
        if (!filter.by_port[side])
            continue;
        const conn_ports words = sets[side]->words();
        if (bpf_map_update_elem(bpf_map__fd(ports), &side, &words, BPF_ANY) != 0)
            fail("cannot fill the filter of ports", errno);
    }
}

void Launcher::fill_filter(bpf_map* ids, const task_filter& filter)
{
    const auto add = [&](filter_kind kind, std::uint32_t id) {
        const std::uint64_t key = FILTER_KEY(kind, id), named = 0;
        if (bpf_map_update_elem(bpf_map__fd(ids), &key, &named, BPF_ANY) != 0)
            fail("cannot fill the process filter", errno);
    };
    if (filter.by_pid_list)
        for (const auto pid : session_.pids)
            add(FILTER_PID, pid);
    if (filter.by_tid_list)
        for (const auto tid : session_.tids)
            add(FILTER_TID, tid);
    if (filter.by_tree)
        add(FILTER_TREE, session_.tree_root);
}

KernelMemory& Launcher::memory()
{
    if (!memory_)
        memory_ = std::make_unique<KernelMemory>();
    return *memory_;
}

// False with errno set.
bool Launcher::attach(std::size_t planned)
{
    bpf_program* program = plan_.load[planned];
    if (const AttachFn own = plan_.rungs[planned]->attach) {
        const auto links = own(session_, program);
        for (bpf_link* link : links)
            links_.emplace_back(link);
        // It waits for files that are not there yet: somebody may have expected them to be.
        if (!links.empty() && session_.later->obstacle) {
            const Obstacle none = std::exchange(session_.later->obstacle, {});
            const Rung* rung = plan_.rungs[planned];
            const auto step = std::ranges::find(plan_.steps, rung, &Step::rung);
            std::string line = cat(none.text(), "; waiting for one");
            if ((session_.explain || !step->need->optional) && line != waited_for_) {
                say(session_.tool, line);
                waited_for_ = std::move(line); // by several programs
            }
        }
        return !links.empty();
    }
    if (std::string_view(bpf_program__section_name(program)).starts_with(kSessionSection)) {
        Fd link = attach_session(program, memory());
        const bool done = bool(link);
        if (done)
            sessions_.push_back(std::move(link));
        return done;
    }
    bpf_link* link = attach_program(program, session_.targets);
    if (link)
        links_.emplace_back(link);
    return link;
}

bool Launcher::attach()
{
    links_.clear();
    sessions_.clear();
    for (bpf_program* program : always_) {
        links_.emplace_back(bpf_program__attach(program));
        if (!links_.back())
            fail(cat("cannot attach ", bpf_program__name(program)), errno, privilege_hint());
    }
    if (cgroup_path_)
        fill_cgroup_path(bpf_map__fd(cgroup_path_), find_cgroup(session_.cgroup));
    // Links are destroyed in their order. Ends of calls go last: a beginning that is still seen
    // then has its end, and is no loss.
    std::vector<Link> ends;
    bool lacking = false;
    for (std::size_t i = 0; i < plan_.load.size(); i++) {
        const std::size_t before = links_.size();
        if (attach(i)) {
            if (at_return(bpf_program__section_name(plan_.load[i]))) {
                std::move(links_.begin() + std::ptrdiff_t(before), links_.end(),
                          std::back_inserter(ends));
                links_.resize(before);
            }
            continue;
        }
        const int code = errno;
        const char* name = bpf_program__name(plan_.load[i]);
        Obstacle why{Cause::attach_refused, code == EILSEQ          ? "no instruction begins there"
                                            : strerrordesc_np(code) ? strerrordesc_np(code)
                                                                    : errno_name(code)};
        const bool nowhere = bool(session_.later->obstacle);
        if (nowhere)
            why = std::exchange(session_.later->obstacle, {});
        if (refuse(name, why)) {
            lacking = true;
            if (nowhere)
                refuse_alike(i, why);
            // Others that the kernel, or programs, lack are found at once: each new beginning takes
            // long.
            if (nowhere || plan_.rungs[i]->probes[0].optional)
                continue;
            break;
        }
        links_.clear();
        sessions_.clear();
        fail(cat("cannot attach ", name), code, privilege_hint());
    }
    std::move(ends.begin(), ends.end(), std::back_inserter(links_));
    if (lacking) {
        links_.clear();
        sessions_.clear();
        return false;
    }
    memory_.reset();
    session_.later->files.forget();
    if (older_sockets_ && !run_iterator(older_sockets_))
        fail("cannot list the sockets that there are", errno, privilege_hint());
    if (session_.explain)
        std::fputs((plan_.explain() + session_.later->explain()).c_str(), stderr);
    if (session_.explain && session_.where)
        std::fputs(session_.where->explain().c_str(), stderr);
    return true;
}

std::vector<std::byte> Launcher::object_with_condition(const void* (*elf_bytes)(std::size_t*))
{
    if (!session_.where || session_.where->side() == expr::Side::user)
        return {};
    std::span<const std::byte> object = session_.object;
    if (object.empty()) {
        std::size_t size = 0;
        const void* const bytes = elf_bytes(&size);
        object = {static_cast<const std::byte*>(bytes), size};
    }
    try {
        auto with_condition = session_.where->give_body(object);
        condition_ = Condition::there;
        return with_condition;
    } catch (const Failure& failure) { // more instructions than a jump reaches over
        session_.where->decide_in_user_space(failure.message);
        return {};
    }
}

bool Launcher::depends_on_ftrace() const
{
    return std::ranges::any_of(plan_.load, [](const bpf_program* p) {
        return corebox::depends_on_ftrace(bpf_program__section_name(p));
    });
}

std::vector<const bpf_program*> Launcher::programs(Kept kept) const
{
    const auto ends = [](const bpf_program* p) { return at_return(bpf_program__section_name(p)); };
    std::vector<const bpf_program*> programs;
    for (std::size_t i = 0; i < plan_.load.size(); i++) {
        const std::string_view section = bpf_program__section_name(plan_.load[i]);
        // Where a rung has ends alone, nothing is kept for them.
        bool begins = false;
        for (std::size_t k = 0; k < plan_.load.size(); k++)
            begins |= plan_.rungs[k] == plan_.rungs[i] && !ends(plan_.load[k]);
        const bool is_kept =
            kept == Kept::all || (kept == Kept::by_kprobes && section.starts_with("kretprobe"));
        if (!is_kept || !begins || !ends(plan_.load[i]))
            programs.push_back(plan_.load[i]);
    }
    return programs;
}

} // namespace corebox
