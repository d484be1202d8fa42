// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/memory.hpp"
#include "output/clock.hpp"
#include "session/cgroup.hpp"
#include "shape/sampling.hpp"
#include <algorithm>
#include <array>
#include <cstring>

namespace
{
using namespace corebox;

// include/linux/sched/loadavg.h, since 2.6: averages are fixed-point numbers with 11 bits behind
// the point.
constexpr unsigned kFixedBits = 11;

struct Options {
    std::vector<std::string_view> cgroups;
};

enum Pressure : std::uint8_t {
    kCpu,
    kMemory,
    kMemoryFull,
    kIo,
    kIoFull,
    kPressures,
};

struct Row {
    std::uint64_t time_ns = 0;
    std::string_view cgroup{};
    std::array<std::uint64_t, 3> loads{}; // of 1, 5 and 15 minutes
    int decimals = 3;                     // of these
    bool has_loads = false;
    std::uint64_t running = 0, tasks = 0;
    std::array<std::optional<std::uint64_t>, kPressures> pressures{}; // hundredths of a percent
};

// "12.34" as 1234, with so many decimals.
std::optional<std::uint64_t> read_fixed(std::string_view text, std::size_t decimals)
{
    const auto point = text.find('.');
    if (point == text.npos || text.size() - point - 1 != decimals)
        return std::nullopt;
    const auto whole = to_number<std::uint64_t>(text.substr(0, point)),
               rest = to_number<std::uint64_t>(text.substr(point + 1));
    if (!whole || !rest)
        return std::nullopt;
    std::uint64_t unit = 1;
    for (std::size_t i = 0; i < decimals; i++)
        unit *= 10;
    return *whole * unit + *rest;
}

// Of a file such as /proc/pressure/memory: "some avg10=0.00 avg60=..." and "full avg10=...".
std::optional<std::uint64_t> read_pressure(const std::string& text, std::string_view line_name)
{
    for (const std::string_view line : split(text, '\n')) {
        constexpr std::string_view kTenSeconds = " avg10=";
        const auto at = line.find(kTenSeconds);
        if (!line.starts_with(line_name) || at == line.npos)
            continue;
        const std::string_view value = line.substr(at + kTenSeconds.size());
        return read_fixed(value.substr(0, value.find(' ')), 2);
    }
    return std::nullopt;
}

class Sampler
{
public:
    using Row = ::Row;

    Sampler(const Options& o, const Session& session)
    {
        for (const std::string_view name : o.cgroups)
            cgroups_.emplace_back(name, find_cgroup(name));
        if (!cgroups_.empty()) {
            if (!read_file(cat(cgroups_[0].second, "/cpu.pressure")))
                fail(cat("cannot read the pressure of ", cgroups_[0].second), errno, kNoPressure);
            return;
        }
        averages_ = memory_.empty() ? 0 : memory_.address("avenrun");
        if (!averages_)
            say(session.tool, "load averages have two decimals: the kernel's own cannot be read");
        if (!read_file("/proc/pressure/cpu"))
            say(session.tool, cat("cannot show pressure: the kernel has none; ", kNoPressure));
    }

    void sample(const std::function<void(const Row&)>& print)
    {
        Row row{.time_ns = monotonic_ns()};
        if (cgroups_.empty()) {
            read_loads(row);
            read_pressures(row, "/proc/pressure/", "");
            print(row);
        }
        for (const auto& [name, directory] : cgroups_) {
            row.cgroup = name;
            read_pressures(row, cat(directory, "/"), ".pressure");
            print(row);
        }
    }

private:
    static constexpr std::string_view kNoPressure =
        "boot with psi=1 (CONFIG_PSI) for the share of time that tasks wait";

    void read_loads(Row& row)
    {
        // "0.52 0.58 0.59 2/345 12345"
        const std::string text = read_file("/proc/loadavg").value_or("");
        const auto words = split(text, ' ');
        if (words.size() < 4)
            return;
        row.has_loads = true;
        row.decimals = 2;
        for (std::size_t i = 0; i < row.loads.size(); i++)
            row.loads[i] = read_fixed(words[i], 2).value_or(0);
        const auto slash = words[3].find('/');
        row.running = to_number<std::uint64_t>(words[3].substr(0, slash)).value_or(0);
        row.tasks = to_number<std::uint64_t>(words[3].substr(slash + 1)).value_or(0);
        std::array<std::uint64_t, 3> own;
        const auto bytes =
            averages_ ? memory_.read(averages_, sizeof own) : std::span<const std::byte>();
        if (bytes.size() != sizeof own)
            return;
        std::memcpy(own.data(), bytes.data(), sizeof own);
        row.decimals = 3;
        std::ranges::transform(own, row.loads.begin(),
                               [](std::uint64_t load) { return load * 1000 >> kFixedBits; });
    }

    static void read_pressures(Row& row, const std::string& before, std::string_view after)
    {
        const std::string cpu = read_file(cat(before, "cpu", after)).value_or(""),
                          memory = read_file(cat(before, "memory", after)).value_or(""),
                          io = read_file(cat(before, "io", after)).value_or("");
        row.pressures = {read_pressure(cpu, "some"), read_pressure(memory, "some"),
                         read_pressure(memory, "full"), read_pressure(io, "some"),
                         read_pressure(io, "full")};
    }

    KernelMemory memory_;
    std::uint64_t averages_ = 0;                                    // their address; 0: not known
    std::vector<std::pair<std::string_view, std::string>> cgroups_; // as asked for, directory
};

template <std::size_t N>
constexpr auto kLoad = [](const Row& r) -> Value {
    if (!r.has_loads)
        return Absent{};
    return Fixed{r.loads[N], r.decimals};
};

template <Pressure P>
constexpr auto kPressure = [](const Row& r) -> Value {
    if (!r.pressures[P])
        return Absent{};
    return Fixed{*r.pressures[P], 2};
};

template <std::uint64_t Row::*Member>
constexpr auto kOfMachine = [](const Row& r) -> Value {
    if (!r.has_loads)
        return Absent{};
    return r.*Member;
};

constexpr Example kExamples[] = {
    {"loads", "Print load averages and pressure each second"},
    {"loads 5 12", "Print them for a minute, every 5 seconds"},
    {"loads --of-cgroup /system.slice/cron.service", "Print the pressure of one service"},
};

constexpr Option kOptions[] = {
    opt<&Options::cgroups>(0, "of-cgroup", "PATH,...", "Print the pressure of these cgroups", {},
                           {}, "directory"),
};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "Time of day"),
    col<[](const Row& r) -> Value {
        if (r.cgroup.empty())
            return Absent{};
        return r.cgroup;
    }>("cgroup", "CGROUP", 32, "Cgroup; -: the whole machine", with("of-cgroup"))
        .as(ColumnType::text),
    col<kLoad<0>>("load1", "LOAD1", -7, "Load average of a minute", without("of-cgroup"))
        .as(ColumnType::decimal),
    col<kLoad<1>>("load5", "LOAD5", -7, "Load average of 5 minutes", without("of-cgroup"))
        .as(ColumnType::decimal),
    col<kLoad<2>>("load15", "LOAD15", -7, "Load average of 15 minutes", without("of-cgroup"))
        .as(ColumnType::decimal),
    col<kOfMachine<&Row::running>>("running", "RUN", -4, "Tasks that run or could run now",
                                   without("of-cgroup"))
        .as(ColumnType::natural),
    col<kOfMachine<&Row::tasks>>("tasks", "TASKS", -6, "All tasks", without("of-cgroup"))
        .as(ColumnType::natural),
    col<kPressure<kCpu>>("cpu_some_pct", "CPU%", -6,
                         "Share of 10 s in which some task waited for a CPU")
        .as(ColumnType::decimal),
    col<kPressure<kMemory>>("mem_some_pct", "MEM%", -6, "The same for memory")
        .as(ColumnType::decimal),
    col<kPressure<kMemoryFull>>("mem_full_pct", "MEMALL%", -7,
                                "Share in which all tasks waited for memory")
        .as(ColumnType::decimal),
    col<kPressure<kIo>>("io_some_pct", "IO%", -6, "Share in which some task waited for I/O")
        .as(ColumnType::decimal),
    col<kPressure<kIoFull>>("io_full_pct", "IOALL%", -7, "Share in which all tasks waited for I/O")
        .as(ColumnType::decimal),
};

constexpr Sampling<Options, Sampler> kTool{
    .about = {.name = "loads",
              .area = "sched",
              .summary = "Show load averages with three decimals, and pressure",
              .details =
                  "Prints the load averages of the machine each second. Also prints the share "
                  "of time in which tasks waited for a CPU, for memory or for I/O. It "
                  "attaches no probes.",
              .examples = kExamples,
              .smoke = {"0.1", "1"}},
    .options = kOptions,
    .columns = kColumns,
    .interval = std::chrono::seconds(1),
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
