// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Hypervisor calls exist on POWER only, for which corebox is not built: whoever looks for BCC's
// tool is told so.
#include "shape/listing.hpp"

namespace
{
using namespace corebox;

struct Options {
};
struct Row {
    std::uint64_t count;
};

constexpr Example kExamples[] = {{"ppchcalls", "Say why it cannot count hypervisor calls here"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return r.count; }>("count", "COUNT", -8, "Number of calls")};

Obstacle no_hypervisor_calls(const Facts&) { return {Cause::other_processor, "POWER"}; }

constexpr Listing<Options, Row> kTool{
    .about = {.name = "ppchcalls",
              .area = "process",
              .summary = "Count the hypervisor calls of a POWER machine",
              .details = "Ends with status 2: only the kernel of a POWER machine makes these "
                         "calls, and corebox is for x86-64 and arm64.",
              .examples = kExamples},
    .columns = kColumns,
    .list =
        [](const Options&, const Session&, const std::function<bool(const Row&)>&) {
            fail("cannot trace hypervisor calls", no_hypervisor_calls({}).text());
        },
    .obstacle = no_hypervisor_calls,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
