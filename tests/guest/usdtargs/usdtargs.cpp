// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A tool of the tests alone: prints the arguments of the USDT probe cbtest:operands, as tools of
// programs that have such probes read theirs (bpf/usdt.bpf.h). It is in guest_tests, not in
// corebox.
#include "usdtargs.h"
#include "probe/user_probe.hpp"
#include "shape/stream.hpp"

#include "usdtargs.skel.h"

namespace
{
using namespace corebox;
using P = decltype(usdtargs_bpf::progs);

struct Options {
};

struct Row : usdt_event {
    std::string text;
};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) { return r.readable; }>("readable", "READABLE", 8,
                                                 "A bit for each argument that could be read"),
    col<[](const Row& r) -> Value { return std::string_view(r.text); }>("values", "VALUES", 0,
                                                                        "Arguments, signed"),
};

constexpr UserSite kOperands{.libraries = {"cbusdt-"}, .provider = "cbtest", .probe = "operands"};

constexpr Need kNeeds[] = {
    {.what = "calls of the probe", .rungs = user_rungs<&P::operands, kOperands, Options>()}};

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    static_cast<usdt_event&>(row) = *static_cast<const usdt_event*>(record);
    row.text.clear();
    for (const __u64 value : row.values)
        row.text += cat(row.text.empty() ? "" : " ", std::int64_t(value));
    return true;
}

constexpr Stream<usdtargs_bpf, Options, Row> kTool{
    .about = {.name = "usdtargs",
              .area = "user",
              .summary = "Print the arguments of a USDT probe of the tests",
              .details = "",
              .examples = {}},
    .options = {},
    .letters = {},
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
