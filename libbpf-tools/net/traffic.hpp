// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Bytes of TCP sessions in an interval (traffic.bpf.h): has the kernel side read all sockets, and
// subtracts what was shown before.
#pragma once
#include "base/error.hpp"
#include "conn_columns.hpp"
#include "probe/iterator.hpp"
#include "shape/generations.hpp"
#include "tcp_bytes.hpp"
#include "tcp_state.hpp"
#include "traffic.h"
#include <bpf/bpf.h>
#include <unordered_map>

namespace corebox
{

// What a tool's Options derive from.
struct TrafficReadings {
    struct SessionHash {
        std::size_t operator()(const std::pair<__u64, __u64>& s) const
        {
            return std::hash<__u64>()(s.first ^ s.second << 7);
        }
    };
    // What was shown of each session that has not ended.
    std::unordered_map<std::pair<__u64, __u64>, tcp_bytes, SessionHash> told;
};

namespace detail
{

// Runs read_raw_tp for each socket of the map.
inline void read_each_socket(const bpf_program* program, const bpf_map* owners)
{
    const int map = bpf_map__fd(owners);
    __u64 key = 0, next = 0;
    std::vector<__u64> sockets;
    for (bool first = true; bpf_map_get_next_key(map, first ? nullptr : &key, &next) == 0;
         first = false) {
        sockets.push_back(next);
        key = next;
    }
    for (__u64 socket : sockets) {
        bpf_test_run_opts run{};
        run.sz = sizeof run;
        run.ctx_in = &socket;
        run.ctx_size_in = sizeof socket;
        if (bpf_prog_test_run_opts(bpf_program__fd(program), &run) != 0)
            fail("cannot read a socket", errno);
    }
}

} // namespace detail

// For `collect` of a shape.
template <class S, std::derived_from<TrafficReadings> Options>
void read_sockets(S& s, Options&)
{
    if (bpf_program__fd(s.progs.read_iter) < 0)
        return detail::read_each_socket(s.progs.read_raw_tp, s.maps.cb_owners);
    if (!run_iterator(s.progs.read_iter, s.maps.cb_owners))
        fail("cannot read the sockets", errno);
}

// For `settle` of a shape: `live` of each value is then what came in the interval.
template <std::derived_from<TrafficReadings> Options>
void subtract_shown(Options& readings, Entries& entries)
{
    const auto since = [](__u64 then, __u64 now) { return now > then ? now - then : 0; };
    entries.drop_if([&](std::size_t i) {
        const auto& key = entries.key<traffic_key>(i);
        auto& value = entries.value<traffic_value>(i);
        tcp_bytes& told = readings.told[{key.socket, key.since_ns}];
        const tcp_bytes now = value.ended ? value.whole : value.live;
        value.live = {since(told.sent, now.sent), since(told.received, now.received)};
        told = now;
        if (value.ended)
            readings.told.erase({key.socket, key.since_ns});
        return value.live.sent == 0 && value.live.received == 0;
    });
}

template <class S, class P = decltype(S::progs)>
inline constexpr Need kTrafficNeeds[] = {
    {.what = "counts of sockets",
     .rungs = {with_function(rung<&P::read_iter>("iter", {}, leave_iterator),
                             "bpf_iter_bpf_map_elem"),
               rung<&P::read_raw_tp>("raw_tp", {}, leave_iterator)}},
    {.what = "beginnings and ends of sessions",
     .rungs = {rung<&P::state_tp_btf>("tp_btf"), rung<&P::state_raw_tp>("raw_tp")}},
    kGraftNeed<P>,
    kDestroyNeed<P>,
};

inline constexpr Column kTrafficFields[] = {
    owner_pid_column<traffic>(), owner_uid_column<traffic>(),  owner_comm_column<traffic>(),
    ip_column<traffic>(),        lport_column<traffic>(),      rport_column<traffic>(),
    netns_column<traffic>(),     sent_bytes_column<traffic>(), received_bytes_column<traffic>(),
};

} // namespace corebox
