// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/perf.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{

std::optional<std::uint64_t> kernel_setting(std::string_view name)
{
    const auto text = read_file(cat("/proc/sys/kernel/", name));
    return text ? to_number<std::uint64_t>(text->substr(0, text->find('\n'))) : std::nullopt;
}

std::optional<std::vector<std::uint32_t>> parse_cpu_list(std::string_view text)
{
    constexpr std::uint32_t kMaxCpus = 1 << 16;
    std::vector<std::uint32_t> cpus;
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    for (const std::string_view part : split(text, ',')) {
        const auto dash = part.find('-');
        const auto first = to_number<std::uint32_t>(part.substr(0, dash));
        const auto last =
            dash == part.npos ? first : to_number<std::uint32_t>(part.substr(dash + 1));
        if (!first || !last || *last < *first || *last >= kMaxCpus)
            return std::nullopt;
        for (std::uint32_t cpu = *first; cpu <= *last; cpu++)
            cpus.push_back(cpu);
    }
    return cpus;
}

std::vector<std::uint32_t> online_cpus()
{
    const auto text = read_file("/sys/devices/system/cpu/online");
    if (!text)
        fail("cannot read /sys/devices/system/cpu/online", errno, "mount sysfs");
    auto cpus = parse_cpu_list(*text);
    if (!cpus || cpus->empty())
        fail("cannot parse /sys/devices/system/cpu/online", 0);
    return *std::move(cpus);
}

void check_sampling(const Sampling& sampling)
{
    if (sampling.cpu) {
        const auto cpus = online_cpus();
        if (std::ranges::find(cpus, *sampling.cpu) == cpus.end())
            fail(cat("cannot sample CPU ", *sampling.cpu), "it is not online");
    }
    const auto limit = kernel_setting("perf_event_max_sample_rate");
    if (limit && sampling.frequency > *limit)
        fail(cat("cannot sample at ", sampling.frequency, " Hz"),
             cat("the kernel's limit is ", *limit, " Hz"),
             cat("sysctl kernel.perf_event_max_sample_rate=", sampling.frequency));
}

std::optional<PerfEvent> perf_event(std::string_view name)
{
    constexpr auto kCache = [](std::uint64_t cache, std::uint64_t op, std::uint64_t result) {
        return PerfEvent{PERF_TYPE_HW_CACHE, cache | op << 8 | result << 16};
    };
    constexpr std::pair<std::string_view, PerfEvent> kEvents[] = {
        {"cycles", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES}},
        {"instructions", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS}},
        {"cache-references", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES}},
        {"cache-misses", {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES}},
        {"LLC-loads", kCache(PERF_COUNT_HW_CACHE_LL, PERF_COUNT_HW_CACHE_OP_READ,
                             PERF_COUNT_HW_CACHE_RESULT_ACCESS)},
        {"LLC-load-misses", kCache(PERF_COUNT_HW_CACHE_LL, PERF_COUNT_HW_CACHE_OP_READ,
                                   PERF_COUNT_HW_CACHE_RESULT_MISS)},
        {"LLC-stores", kCache(PERF_COUNT_HW_CACHE_LL, PERF_COUNT_HW_CACHE_OP_WRITE,
                              PERF_COUNT_HW_CACHE_RESULT_ACCESS)},
        {"LLC-store-misses", kCache(PERF_COUNT_HW_CACHE_LL, PERF_COUNT_HW_CACHE_OP_WRITE,
                                    PERF_COUNT_HW_CACHE_RESULT_MISS)},
        {"cpu-clock", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK}},
        {"context-switches", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES}},
        {"page-faults", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS}},
    };
    for (const auto& [known, event] : kEvents)
        if (known == name)
            return event;
    return std::nullopt;
}

std::vector<bpf_link*> attach_sampler(const bpf_program* program, SampleSource source,
                                      const Sampling& sampling)
{
    return attach_perf_event(
        program, *perf_event(source == SampleSource::cycles ? "cycles" : "cpu-clock"), sampling);
}

std::vector<bpf_link*> attach_perf_event(const bpf_program* program, const PerfEvent& event,
                                         const Sampling& sampling)
{
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.disabled = 1; // libbpf enables it
    attr.type = event.type;
    attr.config = event.config;
    // The kernel then does not even run the program on an idle CPU. Hardware: some refuse it, and
    // an idle CPU counts hardly any cycles.
    if (event.type == PERF_TYPE_SOFTWARE)
        attr.exclude_idle = !sampling.idle;
    if (sampling.period) {
        attr.sample_period = sampling.period;
    } else {
        attr.freq = 1;
        attr.sample_freq = sampling.frequency;
    }

    // Two descriptors a CPU, on machines with many more CPUs than the usual limit of 1024.
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }

    std::vector<bpf_link*> links;
    const auto give_up = [&](int code) {
        for (bpf_link* link : links)
            bpf_link__destroy(link);
        errno = code;
        return std::vector<bpf_link*>();
    };
    const auto cpus = sampling.cpu ? std::vector{*sampling.cpu} : online_cpus();
    for (const std::uint32_t cpu : cpus) {
        Fd fd(int(::syscall(SYS_perf_event_open, &attr, -1, int(cpu), -1, PERF_FLAG_FD_CLOEXEC)));
        if (!fd && errno == ENODEV && cpus.size() > 1) // went offline since
            continue;
        // Debian's and Android's kernels know a level that CAP_PERFMON is not enough for.
        if (!fd && errno == EACCES && kernel_setting("perf_event_paranoid").value_or(0) > 2) {
            give_up(EACCES);
            fail("cannot open perf events", EACCES,
                 "grant CAP_SYS_ADMIN, or set sysctl kernel.perf_event_paranoid=2");
        }
        if (!fd)
            return give_up(errno);
        bpf_link* link = bpf_program__attach_perf_event(program, fd.get());
        if (!link)
            return give_up(errno);
        fd.release(); // the link's now
        links.push_back(link);
    }
    return links;
}

Obstacle no_cycles(const Facts& facts)
{
    if (facts.has(Facts::Name::perf_event, "cycles") == Answer::no)
        return {Cause::no_cycles};
    return {};
}

void preallocate(bpf_map* map, std::size_t entries)
{
    bpf_map__set_map_flags(map, bpf_map__map_flags(map) & ~std::uint32_t(BPF_F_NO_PREALLOC));
    bpf_map__set_max_entries(map, std::uint32_t(entries));
}

} // namespace corebox
