// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biolatpcts.h"
#include "base/difference.hpp"
#include "disks.hpp"
#include "output/distribution.hpp"
#include "request_event.hpp"
#include "shape/reports.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <memory>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>

#include "biolatpcts.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(biolatpcts_bpf::progs);

constexpr std::size_t kMostPercents = 64;

// -i: seconds; 0: only look whether it can be done; -1: until the end.
struct Every {
    Seconds seconds = std::chrono::seconds(3);
    bool only_check = false, forever = false;

    static std::string parse(std::string_view text, Every& out)
    {
        out = {.only_check = text == "0", .forever = text == "-1"};
        if (out.only_check || out.forever)
            return {};
        const std::string must_be = detail::parse_seconds(text, out.seconds);
        return must_be.empty() ? must_be : cat(must_be, ", 0 or -1");
    }
};

// "50", "99.9": as it was written, and in thousandths of a percent.
struct Percent {
    std::string_view text;
    std::uint32_t value = 0;

    static std::string parse(std::string_view text, Percent& out)
    {
        constexpr std::string_view kMustBe = "percents from 0 to 100 with up to 3 decimals";
        const auto dot = std::min(text.find('.'), text.size());
        const auto whole = to_number<std::uint32_t>(text.substr(0, dot));
        std::string decimals(dot < text.size() ? text.substr(dot + 1) : "0");
        if (!whole || *whole > 100 || decimals.empty() || decimals.size() > 3)
            return std::string(kMustBe);
        decimals.resize(3, '0');
        const auto rest = to_number<std::uint32_t>(decimals);
        out = {text, *whole * kPercent + rest.value_or(0)};
        return rest && out.value <= 100 * kPercent ? "" : std::string(kMustBe);
    }
};

struct Options : biolatpcts_config {
    std::string_view disk_name;
    Every every;
    std::vector<Percent> percents;
    bool buckets = false;
    std::deque<std::string> names; // of the columns
    std::vector<Column> columns;
};

constexpr Example kExamples[] = {
    {"biolatpcts vda", "Report on one disk, every 3 seconds"},
    {"biolatpcts -w after-rq-alloc -i 1 vda", "Include the time in kernel queues, every second"},
    {"biolatpcts -p 50,99,99.9 -i -1 vda", "Report when SIGUSR1 arrives"},
    {"biolatpcts --json", "Report on all disks together, as JSON"},
};

constexpr Option kPositionals[] = {
    opt<&Options::disk_name>(0, "device", "DEVICE", "Trace only this disk or partition", {}, {},
                             "disk"),
};

constexpr Option kOptions[] = {
    opt<&Options::every>('i', "interval", "SECONDS",
                         "Report every interval (default: 3; 0, -1: special)"),
    choice<&Options::from>('w', "which", "from-rq-alloc|after-rq-alloc|on-device",
                           "Set where the latency starts (default: on-device)"),
    opt<&Options::percents>('p', "pcts", "PERCENT,...", "Print these percentiles"),
    flag<&Options::buckets>(0, "buckets", "Print the histogram behind the percentiles"),
};

constexpr Letter kLetters[] = {{'j', "json"}, {'v', "buckets"}};

constexpr Column kFields[] = {request_field::disk,   request_field::op,     request_field::bytes,
                              request_field::lat_us, request_field::lat_ms, request_field::lat_ns};

constexpr Need kNeeds[] = {
    {"requests as they are issued",
     {rung<&Progs::issue_tp_btf>("tp_btf"), rung<&Progs::issue_raw_tp>("raw_tp")}},
    {"requests as they complete",
     {rung<&Progs::complete_tp_btf>("tp_btf"), rung<&Progs::complete_raw_tp>("raw_tp")}},
    {"requests that end in another",
     {rung<&Progs::merge>("raw_tp")},
     {},
     true,
     "merges of one request into another"},
};

constexpr std::string_view kKinds[PCTS_KINDS] = {"read", "write", "flush", "discard"};
constexpr std::string_view kFrom[] = {"from-rq-alloc", "after-rq-alloc", "on-device"};

constexpr std::uint64_t slot_from(std::uint32_t slot)
{
    return log_linear_from(slot, PCTS_FINE_BITS);
}

using Counts = std::uint64_t[PCTS_KINDS][PCTS_SLOTS];

std::uint64_t sum(const std::uint64_t (&slots)[PCTS_SLOTS])
{
    std::uint64_t n = 0;
    for (const std::uint64_t count : slots)
        n += count;
    return n;
}

// In nanoseconds: the middle of the slot of the value that `percent` of all do not exceed.
std::uint64_t percentile(const std::uint64_t (&slots)[PCTS_SLOTS], std::uint64_t count,
                         std::uint32_t percent)
{
    if (count == 0)
        return 0;
    const auto slot = std::uint32_t(slot_of(slots, nearest_rank(count, percent)));
    return (slot_from(slot) + slot_from(slot + 1)) / 2;
}

// As BCC: "95us", "3.4ms", "12ms", "1.5s".
std::string short_time(std::uint64_t ns)
{
    char text[32];
    const double us = double(ns) / 1e3, ms = us / 1e3, s = ms / 1e3;
    if (s >= 1)
        std::snprintf(text, sizeof text, "%.1fs", s);
    else if (ms >= 1)
        std::snprintf(text, sizeof text, "%.*fms", ms >= 10 ? 0 : 1, ms);
    else
        std::snprintf(text, sizeof text, "%.0fus", us);
    return text;
}

// What each report has of each operation.
struct PercentileRow {
    std::uint64_t time_ns = 0;
    std::string_view disk{}, which{}, type{}; // no disk: all together
    std::uint64_t count = 0;
    std::array<std::uint64_t, kMostPercents> latency_ns{};

    Value latency(std::size_t i) const
    {
        return count ? Value(Fixed{latency_ns[i], 3}) : Value(Absent{});
    }
};

template <std::size_t I>
consteval Column percent_column(std::string_view key, std::string_view header)
{
    return col<[](const PercentileRow& r) { return r.latency(I); }>(
        key, header, -10, "Percentile of the latency, in microseconds");
}

// Of the percentiles the usual ones: -p chooses others.
constexpr Column kColumns[] = {
    col<[](const PercentileRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                                    "Time of the report"),
    col<[](const PercentileRow& r) { return r.disk.empty() ? Value(Absent{"all"}) : r.disk; }>(
        "disk", "DISK", 10, "Name of the disk; null: all together"),
    col<[](const PercentileRow& r) { return Trusted{r.which}; }>(
        "which", "WHICH", 14, "Start of the latency: see --which"),
    col<[](const PercentileRow& r) { return Trusted{r.type}; }>(
        "type", "TYPE", 10, "Operation: read, write, flush or discard"),
    col<&PercentileRow::count>("count", "COUNT", -10, "Number of requests"),
    percent_column<0>("p1_us", "p1"),
    percent_column<1>("p5_us", "p5"),
    percent_column<2>("p10_us", "p10"),
    percent_column<3>("p16_us", "p16"),
    percent_column<4>("p25_us", "p25"),
    percent_column<5>("p50_us", "p50"),
    percent_column<6>("p75_us", "p75"),
    percent_column<7>("p84_us", "p84"),
    percent_column<8>("p90_us", "p90"),
    percent_column<9>("p95_us", "p95"),
    percent_column<10>("p99_us", "p99"),
    percent_column<11>("p100_us", "p100"),
};
constexpr std::string_view kUsual[] = {"1",  "5",  "10", "16", "25", "50",
                                       "75", "84", "90", "95", "99", "100"};
constexpr std::size_t kFirstPercent = std::size(kColumns) - std::size(kUsual);

template <std::size_t... I>
constexpr auto percent_columns(std::index_sequence<I...>)
{
    return std::array{percent_column<I>("p", "p")...};
}

// Those of -p: "99.9" is p99_9_us.
std::span<const Column> chosen_columns(Options& o)
{
    static constexpr auto kPercents = percent_columns(std::make_index_sequence<kMostPercents>());
    o.columns.assign(std::begin(kColumns), std::begin(kColumns) + kFirstPercent);
    for (std::size_t i = 0; i < o.percents.size(); i++) {
        Column& c = o.columns.emplace_back(kPercents[i]);
        c.header = o.names.emplace_back(cat("p", o.percents[i].text));
        std::string& key = o.names.emplace_back(cat(c.header, "_us"));
        std::ranges::replace(key, '.', '_');
        c.key = key;
    }
    return o.columns;
}

class Report
{
public:
    using Row = PercentileRow;

    explicit Report(Reporting<biolatpcts_bpf, Options>& r)
        : r_(r), before_(std::make_unique<Snapshot>()), period_(std::make_unique<Snapshot>())
    {
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGUSR1);
        ::sigaddset(&set, SIGUSR2);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
        signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!signals_)
            fail("cannot receive signals", errno);
    }

    int fd() const { return signals_.get(); }

    // SIGUSR1: a report, which begins a new period; SIGUSR2: one that does not.
    void wake()
    {
        signalfd_siginfo info;
        while (::read(signals_.get(), &info, sizeof info) == ssize_t(sizeof info))
            print(info.ssi_signo == SIGUSR1);
    }

    void begin()
    {
        if (!as_matrix())
            r_.sink.header();
        // Whoever reads this knows that signals are understood from here on.
        if (r_.options.every.forever && r_.text())
            print(false);
    }

    void report() { print(true); }

private:
    struct Snapshot {
        Counts counts{};
    };

    void print(bool new_period)
    {
        // The kernel side goes on counting into the first.
        const auto& live = r_.skeleton.bss->cb_latencies;
        for (std::size_t kind = 0; kind < PCTS_KINDS; kind++)
            for (std::size_t i = 0; i < PCTS_SLOTS; i++) {
                const std::uint64_t now = *const_cast<const volatile __u64*>(&live[kind][i]);
                period_->counts[kind][i] = difference(now, before_->counts[kind][i]);
                if (new_period)
                    before_->counts[kind][i] = now;
            }
        if (as_matrix())
            heading();
        PercentileRow row{.time_ns = monotonic_ns(),
                          .disk = r_.options.disk_name,
                          .which = kFrom[r_.options.from]};
        for (std::size_t kind = 0; kind < PCTS_KINDS; kind++) {
            const auto& slots = period_->counts[kind];
            row.type = kKinds[kind];
            row.count = sum(slots);
            for (std::size_t i = 0; i < r_.options.percents.size(); i++)
                row.latency_ns[i] = percentile(slots, row.count, r_.options.percents[i].value);
            if (new_period)
                r_.account.printed += row.count;
            print(row, slots);
        }
        tell_unstamped();
    }

    // As BCC, where the user has no columns of his own: the disk's name heads those of operations,
    // and times have units.
    bool as_matrix() const { return r_.text() && r_.session.columns.empty(); }

    void heading()
    {
        std::string& out = r_.text()->text();
        const std::string_view disk = r_.options.disk_name;
        out += cat("\n", padded_right(disk.empty() ? "all" : disk, 10));
        for (const Percent& p : r_.options.percents)
            out += padded_left(cat(" p", p.text), 7);
        out += padded_left(" COUNT", 10) + "\n";
    }

    void print(const PercentileRow& row, const std::uint64_t (&slots)[PCTS_SLOTS])
    {
        Output* const output = r_.sink.output();
        if (!output)
            return r_.sink.row(&row);
        std::string& out = output->text();
        if (as_matrix()) {
            out += padded_right(row.type, 10);
            for (std::size_t i = 0; i < r_.options.percents.size(); i++)
                out += padded_left(cat(" ", row.count ? short_time(row.latency_ns[i]) : "-"), 7);
            out += padded_left(cat(" ", row.count), 10) + "\n";
        } else if (output->format() == Format::json && r_.options.buckets) {
            out += '{';
            output->fields(&row);
            put_json_key(out, "buckets");
            out += '[';
            each_slot(slots, [&](std::uint32_t slot) {
                out += cat(out.back() == '[' ? "" : ",", "{\"from_ns\":", slot_from(slot),
                           ",\"to_ns\":", slot_from(slot + 1) - 1, ",\"count\":", slots[slot], "}");
            });
            out += "]}\n";
        } else {
            output->row(&row);
        }
        if (r_.options.buckets && r_.text())
            each_slot(slots, [&](std::uint32_t slot) {
                out += cat("  ", slot_from(slot), " -> ", slot_from(slot + 1) - 1,
                           " ns : ", slots[slot], "\n");
            });
    }

    template <class Use>
    static void each_slot(const std::uint64_t (&slots)[PCTS_SLOTS], Use&& use)
    {
        for (std::uint32_t slot = 0; slot < PCTS_SLOTS; slot++)
            if (slots[slot])
                use(slot);
    }

    void tell_unstamped()
    {
        const std::uint64_t n = *const_cast<const volatile __u64*>(&r_.skeleton.bss->cb_unstamped);
        r_.account.filtered += difference(n, unstamped_);
        if (n && !unstamped_)
            say(r_.session.tool,
                r_.options.from == PCTS_AFTER_ALLOC
                    ? "requests without a start time are left out: the disk has queue/iostats set "
                      "to 0"
                    : "requests without an allocation time are left out: the kernel records it "
                      "only if the io.cost controller is enabled (io.cost.qos)");
        unstamped_ = n;
    }

    Reporting<biolatpcts_bpf, Options>& r_;
    std::unique_ptr<Snapshot> before_, period_; // when the period began; since then
    std::uint64_t unstamped_ = 0;
    Fd signals_;
};

constexpr Reports<biolatpcts_bpf, Options, Report, Shared::none> kTool{
    .about = {.name = "biolatpcts",
              .area = "block",
              .summary = "Show percentiles of the latency of block I/O",
              .details = "Prints percentiles for reads, writes, flushes and discards. SIGUSR1 "
                         "prints a report and starts a new period; SIGUSR2 prints a report only. "
                         "With --interval -1, only signals cause reports; with 0, the tool checks "
                         "that it can run. --which measures from before or after the kernel "
                         "allocates the request, or from its issue, to its completion.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .interval = std::chrono::seconds(3),
    .prepare =
        [](Options& o, Session& session) {
            if (!session.given("which"))
                o.from = PCTS_ON_DEVICE;
            if (o.percents.empty())
                for (const std::string_view text : kUsual)
                    Percent::parse(text, o.percents.emplace_back());
            for (std::size_t i = 1; i < o.percents.size(); i++)
                for (std::size_t j = 0; j < i; j++)
                    if (o.percents[i].text == o.percents[j].text)
                        fail_usage(cat("--pcts: ", o.percents[i].text, " twice"));
            if (o.percents.size() > kMostPercents)
                fail_usage(cat("--pcts: at most ", kMostPercents));
            session.check |= o.every.only_check;
            session.interval = o.every.forever ? Seconds(0) : o.every.seconds;
        },
    .setup = [](biolatpcts_bpf& s, Options& o,
                const Session&) { restrict_to_disk(s, o.disk_name); },
    .resolved =
        [](biolatpcts_bpf& s, const Launcher& launcher) {
            s.rodata->cb_request_arg = launcher.argument("block_rq_issue", "request") == 1;
        },
    .columns_of = chosen_columns,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
