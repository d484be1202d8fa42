// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/launch.hpp"
#include <algorithm>
#include <bit>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::uint32_t kRingBytes = 2 << 20;
constexpr std::size_t kLogBytes = 16 << 10;

// libbpf tells which program a load failed for only in its messages. They come through a callback
// without context, hence the one variable of the kit that is not a value.
struct LibbpfLog {
    bool verbose = false;
    std::string text;
};
LibbpfLog g_log;

int on_libbpf(libbpf_print_level level, const char* format, va_list args) noexcept
{
    if (g_log.verbose)
        return std::vfprintf(stderr, format, args);
    if (level == LIBBPF_DEBUG)
        return 0;
    char line[1024];
    const int n = std::vsnprintf(line, sizeof line, format, args);
    if (g_log.text.size() < kLogBytes)
        g_log.text += line;
    return n;
}

// The program of the last message "libbpf: prog 'NAME': ...", and that message.
std::pair<std::string, std::string> blamed_program(std::string_view log)
{
    const auto at = log.rfind("prog '");
    if (at == log.npos)
        return {};
    // The first message about this program is the cause, later ones its consequences.
    auto name = log.substr(at + 6);
    name = name.substr(0, name.find('\''));
    const std::string start = cat("prog '", name, "': ");
    auto message = log.substr(log.find(start) + start.size());
    message = message.substr(0, message.find('\n'));
    return {std::string(name), std::string(message)};
}

std::string privilege_hint()
{
    if (const auto missing = missing_capabilities(); !missing.empty())
        return cat("needs ", missing, ": run it as root, or grant them with setcap");
    if (const auto mode = lockdown_mode(); !mode.empty())
        return cat("kernel lockdown is in mode ", mode);
    return "see kernel.unprivileged_bpf_disabled, LSM policy, and whether this is a container";
}

} // namespace

Launcher::Launcher(const Session& session, const Command& command)
    : session_(session), command_(command)
{
    g_log.verbose = session.verbose;
    libbpf_set_print(on_libbpf);
    if (const auto missing = missing_capabilities(); !missing.empty())
        fail(cat("tracing needs ", missing), EPERM, "run it as root, or grant them with setcap");
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
    facts_ = live_facts();
    if (const char* forced = std::getenv("COREBOX_PROBES"))
        forced_ = forced;
    perf_buffer_ = !facts_.ring_buffer || forced_.find("perf_buffer") != forced_.npos;
}

void Launcher::prepare_filter(bpf_map* ids, bpf_map* cgroups, bpf_map* mntns,
                              const task_filter& filter, bpf_program* fork, bpf_program* free)
{
    always_.clear();
    if (filter.by_tree)
        always_ = {fork, free};
    // A map that nothing asks for costs memory for nothing.
    bpf_map__set_autocreate(ids, filter.by_tree || filter.by_pid_list || filter.by_tid_list);
    const auto pinned = [](bpf_map* map, std::string_view path, std::string_view option) {
        if (path.empty()) {
            bpf_map__set_autocreate(map, false);
            return;
        }
        const Fd fd(bpf_obj_get(std::string(path).c_str()));
        if (!fd)
            fail(cat("--", option, " ", path), errno, "not a pinned BPF map");
        if (bpf_map__reuse_fd(map, fd.get()) != 0 || bpf_map__key_size(map) != sizeof(__u64))
            fail(cat("--", option, " ", path), 0, "not a hash map with 8-byte keys");
    };
    pinned(cgroups, session_.cgroup_map, "cgroupmap");
    pinned(mntns, session_.mntns_map, "mntnsmap");
}

void Launcher::prepare_events(bpf_map* events, event_config& config)
{
    if (perf_buffer_) {
        config.perf = true;
        bpf_map__set_type(events, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
        bpf_map__set_key_size(events, sizeof(int));
        bpf_map__set_value_size(events, sizeof(int));
        bpf_map__set_max_entries(events, std::uint32_t(libbpf_num_possible_cpus()));
        return;
    }
    // A power of two of at least a page.
    const std::uint32_t bytes =
        session_.buffer_bytes() ? std::bit_ceil(session_.buffer_bytes()) : kRingBytes;
    bpf_map__set_max_entries(events, bytes);
    config.wakeup_bytes = std::min<std::uint32_t>(bytes / 4, 64 << 10);
}

void Launcher::choose(std::span<const Need> needs, const void* progs, bpf_object* object)
{
    plan_ = resolve(
        needs, progs, facts_, refused_, [this](std::string_view name) { return session_.given(name); },
        forced_);
    if (plan_.unmet) {
        std::string tried;
        for (const Step& step : plan_.steps)
            if (step.need == plan_.unmet)
                tried += cat(tried.empty() ? "" : "; ", step.rung->name, ": ", step.reason);
        fail(cat("cannot observe ", plan_.unmet->what, " on this kernel (", tried, ")"), 0);
    }
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object)
    {
        const bool wanted = std::ranges::find(plan_.load, program) != plan_.load.end() ||
                            std::ranges::find(always_, program) != always_.end();
        bpf_program__set_autoload(program, wanted);
    }
    g_log.text.clear();
}

bool Launcher::refuse(std::string_view program, std::string reason)
{
    const bool planned = std::ranges::any_of(
        plan_.load, [&](const bpf_program* p) { return program == bpf_program__name(p); });
    return planned && refused_.emplace(program, std::move(reason)).second;
}

bool Launcher::loaded(int result, bpf_object*)
{
    if (result == 0)
        return true;
    const auto [program, message] = blamed_program(g_log.text);
    if (result != -EPERM && refuse(program, cat("load: ", message)))
        return false;
    if (result == -EPERM || result == -EACCES)
        fail("load the BPF programs", -result, privilege_hint());
    fail(cat("load the BPF programs", program.empty() ? "" : cat(" (", program, ": ", message, ")")),
         -result, session_.verbose ? "" : "--verbose prints the kernel's reasons");
}

void Launcher::fill_filter(bpf_map* ids, const task_filter& filter)
{
    const auto add = [&](filter_kind kind, std::uint32_t id) {
        const std::uint64_t key = FILTER_KEY(kind, id);
        const std::uint8_t one = 1;
        if (bpf_map_update_elem(bpf_map__fd(ids), &key, &one, BPF_ANY) != 0)
            fail("fill the process filter", errno);
    };
    if (filter.by_pid_list)
        for (const auto pid : session_.pids)
            add(FILTER_PID, pid);
    if (filter.by_tid_list)
        for (const auto tid : session_.tids)
            add(FILTER_TID, tid);
    if (filter.by_tree)
        add(FILTER_TREE, command_.pid());
}

bool Launcher::attach()
{
    links_.clear();
    for (bpf_program* program : always_) {
        links_.emplace_back(bpf_program__attach(program));
        if (!links_.back())
            fail("follow the command's processes", errno);
    }
    for (std::size_t i = 0; i < plan_.load.size(); i++) {
        bpf_program* program = plan_.load[i];
        std::vector<bpf_link*> links;
        if (const AttachFn own = plan_.rungs[i]->attach)
            links = own(session_, program);
        else if (bpf_link* link = bpf_program__attach(program))
            links = {link};
        if (links.empty()) {
            const int code = errno;
            links_.clear();
            if (refuse(bpf_program__name(program), cat("attach: ", strerrordesc_np(code)
                                                                       ? strerrordesc_np(code)
                                                                       : errno_name(code))))
                return false;
            fail(cat("attach ", bpf_program__name(program)), code, privilege_hint());
        }
        for (bpf_link* link : links)
            links_.emplace_back(link);
    }
    announce(session_, plan_);
    return true;
}

std::vector<const bpf_program*> Launcher::programs() const
{
    return {plan_.load.begin(), plan_.load.end()};
}

void announce(const Session& session, const Plan& plan)
{
    if (session.explain)
        std::fputs(plan.explain().c_str(), stderr);
    if (session.check)
        return;
    say(session.tool, "tracing; Ctrl-C ends");
    if (session.ready_fd >= 0) {
        if (::write(session.ready_fd, "\n", 1) != 1)
            fail(cat("--ready-fd ", session.ready_fd), errno);
        ::close(session.ready_fd);
    }
}

} // namespace corebox
