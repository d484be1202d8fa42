// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel_side.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "kernel/facts.hpp"
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{

struct KernelSide::Kernel {
};

KernelSide::KernelSide(const Session&) : kernel_(std::make_unique<Kernel>())
{
    machine_.may_read = lockdown_mode() != "confidentiality";
#ifdef __aarch64__
    machine_.arm64 = true;
#endif
}

KernelSide::~KernelSide() = default;

void KernelSide::describe(Tap& tap, const ProbeSpec& spec)
{
    Place& place = tap.place;
    if (spec.signature) {
        try {
            place.prototype = Prototype{expr::parse_signature(types_, spec.signature->text)};
        } catch (const expr::TextError& error) {
            throw expr::TextError(spec.signature->at + error.at, error.length, error.what(),
                                  error.hint.empty() ? "put a blank before a condition"
                                                     : error.hint);
        }
    }
}

Capture::Body KernelSide::generate(const Capture& capture, bool typed, Maps& maps)
{
    expr::Machine machine = machine_;
    machine.typed = typed;
    // Without descriptors the code says which of them it needs.
    Capture::Body body = capture.generate(machine);
    if (body.tables.empty() && !body.uses_scratch)
        return body;
    if (!body.tables.empty() && !maps.tables) {
        const auto bytes = std::uint32_t(body.tables.size() * sizeof body.tables[0]);
        maps.tables = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "trace_tables", sizeof(__u32), bytes, 1,
                                        nullptr));
        const std::uint32_t first = 0;
        if (!maps.tables ||
            bpf_map_update_elem(maps.tables.get(), &first, body.tables.data(), BPF_ANY) != 0)
            fail("cannot create a map for patterns", errno);
    }
    if (body.uses_scratch && !maps.scratch) {
        maps.scratch = Fd(bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "trace_scratch", sizeof(__u32),
                                         expr::kScratchBytes, 1, nullptr));
        if (!maps.scratch)
            fail("cannot create a map for texts", errno);
    }
    machine.tables_fd = maps.tables.get();
    machine.scratch_fd = maps.scratch.get();
    return capture.generate(machine);
}

} // namespace corebox
