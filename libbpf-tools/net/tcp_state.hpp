// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of TCP's states, and the rungs that tools of states share (tcp_state.bpf.h).
#pragma once
#include "output/column.hpp"
#include "tool/need.hpp"
#include "tool/tool.hpp"
#include <iterator>

namespace corebox
{

// By their numbers (include/net/tcp_states.h: part of the interface to user space).
inline constexpr std::string_view kTcpStates[] = {
    "UNKNOWN",   "ESTABLISHED", "SYN_SENT",     "SYN_RECV",      "FIN_WAIT1",
    "FIN_WAIT2", "TIME_WAIT",   "CLOSE",        "CLOSE_WAIT",    "LAST_ACK",
    "LISTEN",    "CLOSING",     "NEW_SYN_RECV", "BOUND_INACTIVE"};

constexpr std::string_view tcp_state_name(unsigned state)
{
    return kTcpStates[state < std::size(kTcpStates) ? state : 0];
}

// BCC's letters of tcpstates and tcplife.
inline constexpr Letter kStateLetters[] = {
    {'p', "pid"}, {'L', "lport"}, {'D', "rport"}, {'s', "csv"}};

// A column of a state, for a member of the row that is one.
template <auto Member>
consteval Column state_column(std::string_view key, std::string_view header, std::string_view help,
                              Show show = {})
{
    using Row = typename detail::MemberType<decltype(Member)>::owner;
    return col<[](const Row& r) { return Trusted{tcp_state_name(r.*Member)}; }>(key, header, 11,
                                                                                help, show)
        .template from_names<field<Member>, kTcpStates>();
}

template <class P>
constexpr Need kGraftNeed = {
    .what = "accepts of connections",
    .rungs = {rung<&P::graft_fentry>("fentry"), rung<&P::graft_kprobe>("kprobe")},
    .optional = true,
    .without = "the owners of accepted connections, until they close"};

template <class P>
constexpr Need kDestroyNeed = {
    .what = "ends of sockets",
    .rungs = {rung<&P::destroy_tp_btf>("tp_btf"), rung<&P::destroy_raw_tp>("raw_tp")}};

} // namespace corebox
