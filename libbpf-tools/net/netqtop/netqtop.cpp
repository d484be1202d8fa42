// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "netqtop.h"
#include "device.hpp"
#include "session/session.hpp"
#include "shape/table.hpp"

#include "netqtop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(netqtop_bpf::progs);

struct Options : netqtop_config {
    std::string_view name;
    unsigned tx_queues = 0, rx_queues = 0;
    std::uint64_t since_ns = 0; // when the interval began
};

struct Row {
    std::uint64_t time_ns = 0;
    bool received = false;
    bool total = false; // of all queues
    std::uint32_t queue = 0;
    netq_counts counts{};
    std::uint64_t span_ns = 0;
};

constexpr Example kExamples[] = {
    {"netqtop -n eth0", "Show the packets of each queue of eth0, every second"},
    {"netqtop -n eth0 -i 5 -t", "Print rates, too, every 5 seconds"},
};

constexpr Option kOptions[] = {
    opt<&Options::name>('n', "name", "DEVICE", "Show this network device (required)"),
    show('t', "throughput", "Print bytes and packets per second"),
};

constexpr Letter kLetters[] = {{'i', "interval"}};

std::uint64_t a_second(const Row& r, std::uint64_t n)
{
    return r.span_ns ? std::uint64_t(double(n) * 1e9 / double(r.span_ns)) : 0;
}

template <int Class>
consteval Column size_column(std::string_view key, std::string_view header, std::string_view help)
{
    return col<[](const Row& r) { return r.counts.sizes[Class]; }>(key, header, -10, help);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return Trusted{r.received ? "RX" : "TX"}; }>("direction", "DIR", 3,
                                                                        "TX: sent, RX: received"),
    col<[](const Row& r) -> Value { return r.total ? Value(Absent{"Total"}) : Value(r.queue); }>(
        "queue", "QUEUE", 5, "Number of the queue; null in JSON: all queues")
        .as(ColumnType::integer),
    col<[](const Row& r) {
        const auto& c = r.counts;
        return Fixed{c.packets ? c.bytes * 100 / c.packets : 0, 2};
    }>("avg_size", "AVG_SIZE", -10, "Average size of a packet in bytes"),
    size_column<0>("below_64", "[0,64)", "Packets of less than 64 bytes"),
    size_column<1>("below_512", "[64,512)", "Packets of 64 to 511 bytes"),
    size_column<2>("below_2k", "[512,2K)", "Packets of 512 to 2047 bytes"),
    size_column<3>("below_16k", "[2K,16K)", "Packets of 2048 to 16383 bytes"),
    size_column<4>("below_64k", "[16K,64K)", "Packets of 16384 to 65535 bytes"),
    col<[](const Row& r) { return r.counts.packets; }>("packets", "PACKETS", -10,
                                                       "Packets of any size", kJsonOnly),
    col<[](const Row& r) { return r.counts.bytes; }>("bytes", "BYTES", -12, "Bytes", kJsonOnly),
    col<[](const Row& r) { return a_second(r, r.counts.bytes); }>(
        "bps", "BPS", -12, "Bytes per second", with("throughput")),
    col<[](const Row& r) { return a_second(r, r.counts.packets); }>(
        "pps", "PPS", -10, "Packets per second", with("throughput")),
};

constexpr std::string_view kBlind = "packets that XDP drops, redirects or sends, and AF_XDP";

constexpr Need kNeeds[] = {
    {"packets sent", {rung<&P::xmit_tp_btf>("tp_btf"), rung<&P::xmit_raw_tp>("raw_tp")}},
    {"packets received",
     {rung<&P::receive_tp_btf>("tp_btf", kBlind), rung<&P::receive_raw_tp>("raw_tp", kBlind)}},
};

constexpr std::string_view kDirections[] = {"tx", "rx"};

constexpr Column kFields[] = {
    event_field<field<&netq_event::bytes>>("bytes", "Size of the packet in bytes"),
    event_field<field<&netq_event::queue>>("queue", "Number of the queue"),
    event_field_of_names<field<&netq_event::received>, kDirections>("direction", "tx or rx"),
};

void prepare(Options& o, Session& session)
{
    if (o.name.empty())
        fail_usage("missing --name DEVICE");
    const NetDevice device = find_net_device(o.name);
    o.ifindex = device.ifindex;
    o.netns = device.netns;
    o.tx_queues = device.tx_queues;
    o.rx_queues = device.rx_queues;
    if (device.has_xdp)
        say(session.tool, cat(o.name, " has an XDP program: packets that it drops, redirects or "
                                      "sends are not seen"));
}

void add(netq_counts& to, const netq_counts& counts)
{
    to.packets += counts.packets;
    to.bytes += counts.bytes;
    for (std::size_t i = 0; i < NETQ_SIZES; i++)
        to.sizes[i] += counts.sizes[i];
}

// A row for each queue, used or not, and their sum, for each direction.
void take(netqtop_bpf& s, Options& o, __u32 generation, std::vector<Row>& rows)
{
    const std::uint64_t now_ns = monotonic_ns(), span_ns = now_ns - o.since_ns;
    o.since_ns = now_ns;
    const Entries entries(s.maps.queues, generation);
    for (const bool received : {false, true}) {
        std::vector<netq_counts> queues(received ? o.rx_queues : o.tx_queues);
        Row total{.received = received, .total = true, .span_ns = span_ns};
        for (std::size_t i = 0; i < entries.size(); i++) {
            const auto& key = entries.key<netq_key>(i);
            if (bool(key.received) != received)
                continue;
            if (key.queue >= queues.size()) // the device has more of them by now
                queues.resize(key.queue + 1u);
            entries.values<netq_counts>(i, [&](const netq_counts& counts) {
                add(queues[key.queue], counts);
                add(total.counts, counts);
            });
        }
        for (std::size_t i = 0; i < queues.size(); i++)
            rows.push_back({.received = received,
                            .queue = std::uint32_t(i),
                            .counts = queues[i],
                            .span_ns = span_ns});
        rows.push_back(total);
    }
}

constexpr Table<netqtop_bpf, Options, Row> kTool{
    .about = {.name = "netqtop",
              .area = "net",
              .summary = "Show packets by queue of a network device",
              .details = "Prints, every second, the packets that each queue of a device sent and "
                         "received, by their size.",
              .examples = kExamples,
              .smoke = {"--name", "lo"}},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .setup =
        [](netqtop_bpf& s, Options& o, const Session&) {
            // Of both generations, and some: a device may get more.
            bpf_map__set_max_entries(s.maps.queues, 4 * (o.tx_queues + o.rx_queues) + 64);
        },
    .collect =
        [](netqtop_bpf&, Options& o) {
            if (!o.since_ns)
                o.since_ns = monotonic_ns();
        },
    .take = take,
    // By direction and queue, the sum last.
    .weight = [](const Row& r, const Options&) -> std::uint64_t {
        return (r.received ? 0 : 1 << 20) + (r.total ? 0 : (1 << 16) - r.queue);
    },
    .events = [](const Row& r) -> std::uint64_t { return r.total ? 0 : r.counts.packets; },
    .timed = true,
    .interval = std::chrono::seconds(1),
    .also = Shared::every,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
