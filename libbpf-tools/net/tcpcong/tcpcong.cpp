// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpcong.h"
#include "../endpoint_columns.hpp"
#include "../tcp_owner.hpp"
#include "shape/table.hpp"
#include <bpf/bpf.h>
#include <map>

#include "tcpcong.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpcong_bpf::progs);

struct Options : tcpcong_config {
    bool microseconds = false;
};

using Row = cong_row;

std::uint64_t troubled_ns(const Row& r)
{
    return r.times.ns[1] + r.times.ns[2] + r.times.ns[3] + r.times.ns[4];
}

constexpr Example kExamples[] = {
    {"tcpcong", "Show how long connections were in each state, at the end"},
    {"tcpcong -R 443 1", "Show those to port 443, every second"},
    {"tcpcong -d", "Show how long each stay in a state took, as histograms"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day with each report"),
    flag<&Options::distributions>('d', "dist", "Show a histogram for each state"),
    flag<&Options::microseconds>('u', "microseconds", "Use microseconds, not milliseconds"),
    show('w', "wide", "Print the name of the process"),
};

constexpr Letter kLetters[] = {{'L', "lport"}, {'R', "rport"}, {'p', "pid"}, {'P', "port"}};

constexpr std::string_view kStates[CONG_STATES] = {"open", "disorder", "cwr", "recovery", "loss"};

template <unsigned State>
consteval Column us_column(std::string_view key, std::string_view header, std::string_view help)
{
    return col<[](const Row& r) { return r.times.ns[State] / 1000; }>(key, header, -10, help,
                                                                      with("microseconds"));
}
template <unsigned State>
consteval Column ms_column(std::string_view key, std::string_view header, std::string_view help)
{
    return col<[](const Row& r) {
        return Fixed{r.times.ns[State] / 1000, 3};
    }>(key, header, -10, help, without("microseconds"));
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Trusted{kStates[r.state % CONG_STATES]}; }>(
        "state", "tcp_congest_state", 8, "State of the stays", costly("dist")),
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "Time of the report", kJsonOnly),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(),
    owner_comm_column<Row>(with("wide")),
    ip_column<Row>(kJsonOnly),
    local_column<Row>(),
    laddr_column<Row>(kJsonOnly),
    lport_column<Row>(kJsonOnly),
    remote_column<Row>(),
    raddr_column<Row>(kJsonOnly),
    rport_column<Row>(kJsonOnly),
    netns_column<Row>(),
    us_column<0>("open_us", "Open_us", "Microseconds in Open: nothing is wrong"),
    us_column<1>("disorder_us", "Dod_us", "Microseconds in Disorder: segments are missing"),
    us_column<3>("recovery_us", "Rcov_us", "Microseconds in Recovery: segments are sent again"),
    us_column<2>("cwr_us", "Cwr_us", "Microseconds in CWR: the sender slows down as asked"),
    us_column<4>("loss_us", "Los_us", "Microseconds in Loss: after a timeout"),
    ms_column<0>("open_ms", "Open_ms", "Milliseconds in Open: nothing is wrong"),
    ms_column<1>("disorder_ms", "Dod_ms", "Milliseconds in Disorder: segments are missing"),
    ms_column<3>("recovery_ms", "Rcov_ms", "Milliseconds in Recovery: segments are sent again"),
    ms_column<2>("cwr_ms", "Cwr_ms", "Milliseconds in CWR: the sender slows down as asked"),
    ms_column<4>("loss_ms", "Los_ms", "Milliseconds in Loss: after a timeout"),
    col<[](const Row& r) { return r.times.changes; }>("changes", "Chgs", -5, "Changes of state"),
};

constexpr Need kNeeds[] = {
    {.what = "changes of congestion states",
     // 5.10 does not have the tracepoint, and without BTF only trying tells.
     .rungs = {rung<&P::changed_tp_btf>("tp_btf"),
               rung<&P::ack_fexit, &P::loss_fexit, &P::cwr_fexit>("fexit"),
               rung<&P::changed_raw_tp>("raw_tp"),
               rung<&P::ack_kprobe, &P::loss_kprobe>("kprobe",
                                                     "a change before the next acknowledgement")}},
    {.what = "ends of connections",
     .rungs = {rung<&P::ended_tp_btf>("tp_btf"), rung<&P::ended_raw_tp>("raw_tp")}},
    kConnectOwnerNeed<P>,
    kListenOwnerNeed<P>,
    kGraftNeed<P>,
    kDestroyNeed<P>,
};

// The states that are not over yet, up to now.
void add_live(tcpcong_bpf& s, std::uint64_t from_ns, std::uint64_t now_ns,
              std::map<std::uint64_t, Row>& rows)
{
    const int fd = bpf_map__fd(s.maps.live);
    __u64 key = 0, next = 0;
    for (void* at = nullptr; bpf_map_get_next_key(fd, at, &next) == 0;) {
        key = next;
        at = &key;
        cong_live l{};
        if (bpf_map_lookup_elem(fd, &key, &l) != 0 || l.state >= CONG_STATES)
            continue;
        const std::uint64_t since = std::max<std::uint64_t>(l.since_ns, from_ns);
        auto [row, is_new] = rows.try_emplace(key);
        // Open since before: it would be in every report from now on.
        if (is_new && l.state == 0) {
            rows.erase(row);
            continue;
        }
        row->second.conn = l.conn;
        row->second.owner = l.owner;
        row->second.times.ns[l.state] += now_ns > since ? now_ns - since : 0;
    }
}

constexpr Table<tcpcong_bpf, Options, Row> kTool{
    .about = {.name = "tcpcong",
              .area = "net",
              .summary = "Show how long TCP connections are in each congestion state",
              .details = "Shows how long connections were in each state of congestion control, and "
                         "how often the state changed. Connections whose state never changed do "
                         "not appear.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](tcpcong_bpf& s, Options& o, const Session&) {
            o.unit_ns = o.microseconds ? 1'000 : 1'000'000;
            bpf_map__set_autocreate(s.maps.cb_hists, o.distributions);
        },
    .take =
        [](tcpcong_bpf& s, Options&, __u32 generation, std::vector<Row>& rows) {
            __u64& report_ns = s.bss->report_ns;
            const std::uint64_t from_ns = report_ns, now_ns = monotonic_ns();
            __atomic_store_n(&report_ns, now_ns, __ATOMIC_RELAXED);
            std::map<std::uint64_t, Row> by_socket;
            const Entries entries(s.maps.cb_top, generation);
            for (std::size_t i = 0; i < entries.size(); i++) {
                const auto& key = entries.key<cong_key>(i);
                Row row{};
                row.conn = key.conn;
                row.owner = key.owner;
                entries.values<cong_times>(i, [&](const cong_times& times) { row.times = times; });
                // Another that had the same place in memory is a row of its own.
                if (auto [known, is_new] = by_socket.try_emplace(key.socket, row); !is_new) {
                    rows.push_back(known->second);
                    known->second = row;
                }
            }
            add_live(s, from_ns, now_ns, by_socket);
            for (const auto& [socket, row] : by_socket)
                rows.push_back(row);
        },
    .weight = [](const Row& r, const Options&) -> std::uint64_t { return troubled_ns(r); },
    .events = [](const Row& r) -> std::uint64_t { return r.times.changes; },
    .distributed = [](const Options& o) { return bool(o.distributions); },
    .unit =
        [](const Options& o) {
            return o.microseconds ? Unit{"usecs", 1'000} : Unit{"msecs", 1'000'000};
        },
    .key_columns = 1,
    .take_distributions =
        [](tcpcong_bpf& s, Options&, __u32 generation,
           std::vector<std::pair<Row, Distribution>>& all) {
            const Entries ignored(s.maps.cb_top, generation);
            const Histograms histograms(s.maps.cb_hists, generation);
            for (std::size_t i = 0; i < histograms.size(); i++) {
                Row row{};
                row.state = histograms.key<cong_stay_key>(i).state;
                all.push_back({row, histograms[i]});
            }
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
