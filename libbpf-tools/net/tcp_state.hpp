// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of TCP's states, and the rungs that tools of states share (tcp_state.bpf.h).
#pragma once
#include "output/value.hpp"
#include "tool/need.hpp"

namespace corebox
{

// "ESTABLISHED"; a number that is none of Linux's gives "UNKNOWN". (include/net/tcp_states.h: part
// of the interface to user space.)
std::string_view tcp_state_name(unsigned state);

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
