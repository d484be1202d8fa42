// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biolatpcts.h"
#include "disks.hpp"
#include "shape/reports.hpp"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <sys/signalfd.h>
#include <unistd.h>

#include "biolatpcts.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(biolatpcts_bpf::progs);

constexpr unsigned kMilli = 1000; // percents are kept in thousandths

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
        out = {text, *whole * kMilli + rest.value_or(0)};
        return rest && out.value <= 100 * kMilli ? "" : std::string(kMustBe);
    }
};

struct Options : biolatpcts_config {
    std::string_view disk_name;
    Every every;
    std::vector<Percent> percents;
    bool buckets = false;
};

constexpr Example kExamples[] = {
    {"biolatpcts vda", "One disk, every 3 seconds"},
    {"biolatpcts -w after-rq-alloc -i 1 vda", "Time in the kernel's queues too, each second"},
    {"biolatpcts -p 50,99,99.9 -i -1 vda", "Reports when it gets SIGUSR1"},
    {"biolatpcts --json", "All disks together"},
};

constexpr Option kPositionals[] = {
    opt<&Options::disk_name>(0, "device", "DEVICE", "Only this disk or partition", {}, {}, "disk"),
};

constexpr Option kOptions[] = {
    opt<&Options::every>('i', "interval", "SECONDS",
                         "Time between reports (3); 0: only look whether it can be done; -1: "
                         "report only when told by a signal"),
    choice<&Options::from>('w', "which", "from-rq-alloc|after-rq-alloc|on-device",
                           "Which latency: to completion from before a request was found, from "
                           "when it was, or from its issue (on-device)"),
    opt<&Options::percents>('p', "pcts", "PERCENT,...",
                            "Which percentiles (1,5,10,16,25,50,75,84,90,95,99,100)"),
    flag<&Options::buckets>(0, "buckets", "Print what the percentiles are made from too"),
};

constexpr Letter kLetters[] = {{'j', "json"}};

constexpr Need kNeeds[] = {
    {"requests as they are issued",
     {rung<&Progs::issue_tp_btf>("tp_btf"), rung<&Progs::issue_raw_tp>("raw_tp")}},
    {"requests as they complete",
     {rung<&Progs::complete_tp_btf>("tp_btf"), rung<&Progs::complete_raw_tp>("raw_tp")}},
    {"requests that end in another",
     {rung<&Progs::merge_tp_btf>("tp_btf"), rung<&Progs::merge_raw_tp>("raw_tp")},
     {},
     true,
     "that the start of a request merged into another is void"},
};

constexpr std::string_view kKinds[PCTS_KINDS] = {"read", "write", "flush", "discard"};
constexpr std::string_view kFrom[] = {"from-rq-alloc", "after-rq-alloc", "on-device"};

constexpr std::uint64_t slot_from(std::uint32_t slot)
{
    const std::uint32_t magnitude = slot >> PCTS_FINE_BITS;
    if (magnitude < 2)
        return slot;
    const std::uint64_t fine = slot - ((magnitude - 1) << PCTS_FINE_BITS);
    return fine << (magnitude - 1);
}
static_assert(slot_from(255) == 255 && slot_from(256) == 256 && slot_from(257) == 258);

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
    const auto whole = std::uint64_t(100) * kMilli;
    const auto rank = std::max<std::uint64_t>(
        1, std::uint64_t((static_cast<unsigned __int128>(count) * percent + whole - 1) / whole));
    std::uint64_t below = 0;
    for (std::uint32_t slot = 0; slot < PCTS_SLOTS; slot++)
        if ((below += slots[slot]) >= rank)
            return (slot_from(slot) + slot_from(slot + 1)) / 2;
    return 0;
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

std::string padded(std::string_view text, std::size_t width, bool right)
{
    const std::string blanks(width > text.size() ? width - text.size() : 0, ' ');
    return right ? cat(blanks, text) : cat(text, blanks);
}

// What each report has of each operation. Which percentiles there are is the user's choice: in JSON
// they are one object, in CSV a line each, in text a column each.
struct PercentileRow {
    std::uint64_t time_ns = 0;
    std::string_view disk, which, type;
    std::uint64_t count = 0;
};

constexpr Column kColumns[] = {
    col<&PercentileRow::time_ns>("time_ns", "TIME", -20, "Time of the report, ns since the epoch",
                                 kJsonOnly),
    col<&PercentileRow::disk>("disk", "DISK", 10, "Name of the disk, or all"),
    col<&PercentileRow::which>("which", "WHICH", 14, "Which latency: see --which", kJsonOnly),
    col<&PercentileRow::type>("type", "TYPE", 10, "read, write, flush or discard"),
    col<[](const PercentileRow&) -> Value { return Absent{}; }>(
        "percentiles_us", "pN", 7, "Latency that so many percent of the requests did not exceed"),
    col<&PercentileRow::count>("count", "COUNT", -10, "Requests that the percentiles are of"),
};

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
            fail("receive signals", errno);
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
        if (r_.session.format == Format::csv)
            r_.output.text() += "time_ns,disk,which,type,count,percent,latency_us\n";
        // Whoever reads this knows that signals are understood from here on.
        if (r_.options.every.forever && r_.session.format == Format::text)
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
                period_->counts[kind][i] = now - before_->counts[kind][i];
                if (new_period)
                    before_->counts[kind][i] = now;
            }
        time_ns_ = r_.output.clock().wall_ns(monotonic_ns());
        if (r_.session.format == Format::text)
            heading();
        for (std::size_t kind = 0; kind < PCTS_KINDS; kind++) {
            const std::uint64_t count = sum(period_->counts[kind]);
            if (new_period)
                r_.account.printed += count;
            line(kind, count);
            r_.output.end_record();
        }
        tell_unstamped();
    }

    void heading()
    {
        std::string& out = r_.output.text();
        out += cat("\n", padded(disk(), 10, false));
        for (const Percent& p : r_.options.percents)
            out += padded(cat(" p", p.text), 7, true);
        out += padded(" COUNT", 10, true) + "\n";
    }

    void line(std::size_t kind, std::uint64_t count)
    {
        std::string& out = r_.output.text();
        const auto& slots = period_->counts[kind];
        switch (r_.session.format) {
        case Format::text:
            out += padded(kKinds[kind], 10, false);
            for (const Percent& p : r_.options.percents)
                out += padded(cat(" ", count ? short_time(percentile(slots, count, p.value)) : "-"),
                              7, true);
            out += padded(cat(" ", count), 10, true) + "\n";
            if (r_.options.buckets)
                each_slot(slots, [&](std::uint32_t slot) {
                    out += cat("  ", slot_from(slot), " -> ", slot_from(slot + 1) - 1,
                               " ns : ", slots[slot], "\n");
                });
            break;
        case Format::json:
            json(out, kind, count);
            break;
        case Format::csv:
            for (const Percent& p : r_.options.percents)
                if (count)
                    out += cat(time_ns_, ",", disk(), ",", kFrom[r_.options.from], ",",
                               kKinds[kind], ",", count, ",", p.text, ",",
                               us(percentile(slots, count, p.value)), "\n");
            break;
        }
    }

    void json(std::string& out, std::size_t kind, std::uint64_t count)
    {
        const auto& slots = period_->counts[kind];
        const auto text = [&](std::string_view key, std::string_view value) {
            put_json_key(out, key);
            put_json_string(out, value);
        };
        out += '{';
        put_json_key(out, "time_ns");
        put_number(out, time_ns_);
        put_json_key(out, "disk");
        r_.options.disk ? put_json_string(out, disk()) : void(out += "null");
        text("which", kFrom[r_.options.from]);
        text("type", kKinds[kind]);
        put_json_key(out, "count");
        put_number(out, count);
        put_json_key(out, "percentiles_us");
        out += '{';
        for (const Percent& p : r_.options.percents) {
            put_json_key(out, p.text);
            out += count ? us(percentile(slots, count, p.value)) : "null";
        }
        out += '}';
        if (r_.options.buckets) {
            put_json_key(out, "buckets");
            out += '[';
            each_slot(slots, [&](std::uint32_t slot) {
                out += cat(out.back() == '[' ? "" : ",", "{\"from_ns\":", slot_from(slot),
                           ",\"to_ns\":", slot_from(slot + 1) - 1, ",\"count\":", slots[slot], "}");
            });
            out += ']';
        }
        out += "}\n";
    }

    template <class Use>
    static void each_slot(const std::uint64_t (&slots)[PCTS_SLOTS], Use&& use)
    {
        for (std::uint32_t slot = 0; slot < PCTS_SLOTS; slot++)
            if (slots[slot])
                use(slot);
    }

    static std::string us(std::uint64_t ns)
    {
        const std::string rest = cat(ns % 1000);
        return cat(ns / 1000, ".", std::string(3 - rest.size(), '0'), rest);
    }

    std::string_view disk() const
    {
        return r_.options.disk_name.empty() ? "all" : r_.options.disk_name;
    }

    void tell_unstamped()
    {
        const std::uint64_t n = *const_cast<const volatile __u64*>(&r_.skeleton.bss->cb_unstamped);
        r_.account.filtered += n - unstamped_;
        if (n && !unstamped_)
            say(r_.session.tool,
                r_.options.from == PCTS_AFTER_ALLOC
                    ? "requests without a start time are left out: queue/iostats of the disk is 0"
                    : "requests without an allocation time are left out: the kernel notes it only "
                      "where the io.cost controller is enabled (io.cost.qos)");
        unstamped_ = n;
    }

    Reporting<biolatpcts_bpf, Options>& r_;
    std::unique_ptr<Snapshot> before_, period_; // when the period began; since then
    std::uint64_t time_ns_ = 0, unstamped_ = 0;
    Fd signals_;
};

constexpr std::string_view kUsual[] = {"1",  "5",  "10", "16", "25", "50",
                                       "75", "84", "90", "95", "99", "100"};

constexpr Reports<biolatpcts_bpf, Options, Report, Shared::none> kTool{
    .about = {.name = "biolatpcts",
              .area = "block",
              .summary = "Show percentiles of the latency of block I/O",
              .details =
                  "By operation: reads, writes, flushes, discards. SIGUSR1 asks for a report "
                  "and begins a new period, SIGUSR2 for one that does not.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .interval = std::chrono::seconds(3),
    .check =
        [](Options& o, Session& session) {
            if (!session.columns.empty())
                fail_usage("--columns: this report has a form of its own; --pcts chooses");
            if (!session.given("which"))
                o.from = PCTS_ON_DEVICE;
            if (o.percents.empty())
                for (const std::string_view text : kUsual)
                    Percent::parse(text, o.percents.emplace_back());
            session.check |= o.every.only_check;
            session.interval = o.every.forever ? Seconds(0) : o.every.seconds;
        },
    .setup = [](biolatpcts_bpf&, Options& o, const Session&) { restrict_to_disk(o, o.disk_name); },
    .resolved =
        [](biolatpcts_bpf& s, const Launcher& launcher) {
            s.rodata->cb_request_arg = launcher.argument("block_rq_issue", "request") == 1;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
