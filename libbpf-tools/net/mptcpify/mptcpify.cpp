// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "mptcpify.h"
#include "abi/conn.h"
#include "base/path.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"

#include "mptcpify.skel.h"

namespace
{
using namespace corebox;
using P = decltype(mptcpify_bpf::progs);
using Row = mptcpify_event;

struct Options : mptcpify_config {
    std::vector<std::string_view> names;
};

constexpr Example kExamples[] = {
    {"mptcpify -t iperf3,curl", "Make two commands use MPTCP"},
    {"mptcpify -- curl https://example.org", "Run a command whose sockets are MPTCP's"},
};

constexpr Option kOptions[] = {
    opt<&Options::names>('t', "targets", "COMM,...", "Limit the change to these commands"),
    show('T', "time", "Print the time of day"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("time")),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) -> int { return r.family == CONN_IPV6 ? 6 : 4; }>("ip", "IP", 2,
                                                                           "Version of IP: 4 or 6")
        .from<select(field<&Row::family> == CONN_IPV6, 6, 4)>(),
};

constexpr std::string_view kFunction = "update_socket_protocol";

// Where MPTCP is off, a socket of its protocol cannot be made: every connection would fail.
Obstacle no_mptcp(const Facts& facts)
{
    if (facts.has(Facts::Name::own_function, kFunction) == Answer::no)
        return {Cause::no_kernel_function, std::string(kFunction)};
    const auto enabled = read_file("/proc/sys/net/mptcp/enabled");
    return enabled && enabled->starts_with('1') ? Obstacle{} : Obstacle{Cause::no_mptcp};
}

constexpr Need kNeeds[] = {
    {"new sockets",
     {with_function(rung<&P::force_fmod_ret>("fmod_ret", {}, nullptr, no_mptcp), kFunction)}},
};

void prepare(Options& o, Session&)
{
    if (o.names.size() > MPTCPIFY_TARGETS)
        fail_usage(cat("--targets takes at most ", MPTCPIFY_TARGETS, " commands"));
    for (const std::string_view name : o.names) // as the kernel cuts them
        std::ranges::copy(name.substr(0, COMM_LEN - 1), o.target[o.targets++].comm);
}

constexpr Stream<mptcpify_bpf, Options, Row> kTool{
    .about = {.name = "mptcpify",
              .area = "net",
              .summary = "Make TCP sockets use MPTCP",
              .details = "Changes the protocol of new TCP sockets to MPTCP while it runs, and "
                         "prints a line for each. Sockets that exist stay as they are.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .prepare = prepare,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
