// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "rdmaucma.h"
#include "conn_columns.hpp"
#include "kernel/module.hpp"
#include "shape/stream.hpp"

#include "rdmaucma.skel.h"

namespace
{
using namespace corebox;
using P = decltype(rdmaucma_bpf::progs);
using Row = ucma_event;

struct Options {
};

constexpr Example kExamples[] = {
    {"rdmaucma", "Trace the events of RDMA connections"},
    {"rdmaucma --where 'status != 0'", "Trace those that failed"},
};

constexpr Letter kLetters[] = {{'D', "debug"}};

// By their numbers (enum rdma_cm_event_type: part of the interface to user space).
constexpr std::string_view kEvents[] = {"address resolved",
                                        "address error",
                                        "route resolved",
                                        "route error",
                                        "connect request",
                                        "connect response",
                                        "connect error",
                                        "unreachable",
                                        "rejected",
                                        "established",
                                        "disconnected",
                                        "device removal",
                                        "multicast join",
                                        "multicast error",
                                        "address change",
                                        "timewait exit",
                                        "addrinfo resolved",
                                        "addrinfo error",
                                        "user",
                                        "internal",
                                        "unknown"};

// An address with its port, as text has it.
template <auto Side, auto Port>
consteval Column side_column(std::string_view key, std::string_view header, std::string_view help)
{
    return col<[](const Row& r) -> Value {
               return r.conn.family ? Value(Endpoint{{r.conn.*Side, r.conn.family == CONN_IPV6},
                                                     r.conn.*Port})
                                    : Value(Absent{});
           }>(key, header, 22, help, kTextOnly)
        .as(ColumnType::text);
}

constexpr Column kColumns[] = {
    event_time_column<Row>({}),
    col<[](const Row& r) {
        return Trusted{kEvents[std::min<std::size_t>(r.event, std::size(kEvents) - 1)]};
    }>("event", "EVENT", 17, "What happened")
        .from_names<field<&Row::event>, kEvents>(),
    col<[](const Row& r) {
        return Trusted{r.conn.family == CONN_IPV4   ? "IPv4"
                       : r.conn.family == CONN_IPV6 ? "IPv6"
                                                    : "other"};
    }>("family", "FAMILY", 6, "IPv4, IPv6 or other"),
    side_column<&conn::laddr, &conn::lport>("local", "LOCAL", "Local address and port"),
    side_column<&conn::raddr, &conn::rport>("remote", "REMOTE", "Remote address and port"),
    laddr_column<Row>(kJsonOnly),
    lport_column<Row>(kJsonOnly),
    raddr_column<Row>(kJsonOnly),
    rport_column<Row>(kJsonOnly),
    col<&Row::status>("status", "STATUS", -6,
                      "0, a negative errno, or the transport's reason of a rejection"),
};

Obstacle no_ucma(const Facts& facts) { return no_module(facts, "rdma_ucm"); }
Obstacle no_ucma_types(const Facts& facts) { return no_module_types(facts, "rdma_ucm"); }

constexpr Need kNeeds[] = {
    {"events of connections",
     {rung<&P::event_fentry>("fentry", {}, nullptr, no_ucma_types),
      rung<&P::event_kprobe>("kprobe", {}, nullptr, no_ucma)}},
};

Targets targets(const Options&)
{
    static constexpr Target kHandler[] = {{"%handler", "ucma_event_handler", "rdma_ucm"}};
    return kHandler;
}

constexpr Stream<rdmaucma_bpf, Options, Row> kTool{
    .about = {.name = "rdmaucma",
              .area = "net",
              .summary = "Trace events of RDMA connections",
              .details = "Prints a line for each event that the kernel's RDMA connection manager "
                         "reports to a program.",
              .examples = kExamples},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .targets = targets,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
