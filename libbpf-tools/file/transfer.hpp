// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What filetop and dirtop have in common: the calls they count (transfer.bpf.h), and how.
#pragma once
#include "shape/top.hpp"
#include "transfer.h"

namespace corebox
{

enum class TransferSort : std::uint8_t { all, reads, writes, rbytes, wbytes };

template <auto Member>
inline constexpr Option kTransferSort = choice<Member>('s', "sort",
                                                       "all|reads|writes|rbytes|wbytes",
                                                       "Sort by this, or by the sum of all");
inline constexpr Option kReadOnly = show(0, "read-only", "Count only reads");
inline constexpr Option kWriteOnly = show(0, "write-only", "Count only writes");

inline std::uint64_t transfer_weight(const transfer_sums& sums, TransferSort sort)
{
    switch (sort) {
    case TransferSort::reads:
        return sums.reads;
    case TransferSort::writes:
        return sums.writes;
    case TransferSort::rbytes:
        return sums.read_bytes;
    case TransferSort::wbytes:
        return sums.write_bytes;
    case TransferSort::all:
        break;
    }
    return sums.reads + sums.writes + sums.read_bytes + sums.write_bytes;
}

inline constexpr std::string_view kReadBlind = "AIO, mmap, and what the kernel reads for itself";
inline constexpr std::string_view kWriteBlind =
    "AIO, mmap, splice from a pipe, and what the kernel writes for itself";

template <class S, class P = decltype(S::progs)>
inline constexpr Need kTransfers[] = {
    {"reads",
     {rung<&P::read_fexit, &P::readv_fexit>("fexit", kReadBlind),
      rung<&P::enter_read, &P::leave_read, &P::enter_readv, &P::leave_readv>("kprobe", kReadBlind)},
     "!write-only"},
    {"writes",
     {rung<&P::write_fexit, &P::writev_fexit>("fexit", kWriteBlind),
      rung<&P::enter_write, &P::leave_write, &P::enter_writev, &P::leave_writev>("kprobe",
                                                                                 kWriteBlind)},
     "!read-only"},
    {.what = "copies inside the kernel",
     .rungs = {rung<&P::copies_session>("session"),
               rung_any<&P::splice_fexit, &P::range_fexit, &P::pipe_fexit>("fexit")},
     .optional = true,
     .without = "sendfile, copy_file_range, splice"},
    {.what = "reads and writes by io_uring",
     .rungs = {rung<&P::uring_rd_fexit, &P::uring_wr_fexit>(
         "fexit", "requests that end later than they begin (O_DIRECT); before 5.19, requests of "
                  "worker threads")},
     .optional = true,
     .without = "io_uring"},
};

inline void check_transfers(const Session& session)
{
    if (session.given("read-only") && session.given("write-only"))
        fail_usage("--read-only and --write-only exclude each other");
}

template <class S>
void set_transfers(S& s, const Session& session)
{
    s.rodata->transfer.no_reads = session.given("write-only");
    s.rodata->transfer.no_writes = session.given("read-only");
}

} // namespace corebox
