// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What tcp_owner.bpf.h needs.
#pragma once
#include "tcp_state.hpp"

namespace corebox
{

template <class P>
constexpr Need kConnectOwnerNeed = {
    .what = "owners of sockets that connect",
    .rungs = {rung<&P::connects_fentry>("fentry"), rung<&P::connects_kprobe>("kprobe")},
    .optional = true,
    .without = "the owners of new connections"};

template <class P>
constexpr Need kListenOwnerNeed = {
    .what = "owners of sockets that listen",
    .rungs = {rung<&P::listens_fentry>("fentry"), rung<&P::listens_kprobe>("kprobe")},
    .optional = true,
    .without = "the owners of new listeners"};

} // namespace corebox
