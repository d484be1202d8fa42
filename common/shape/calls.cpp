// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/calls.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace corebox
{

CallCounts::CallCounts(const bpf_map* map, std::size_t cpus, const FunctionProbes& probes,
                       bool skipped)
    : probes_(probes), cpus_(cpus), skipped_(skipped), then_(probes.functions().size()),
      then_ns_(monotonic_ns())
{
    const auto page = std::size_t(::sysconf(_SC_PAGESIZE));
    bytes_ = (then_.size() * cpus * sizeof(std::uint64_t) + page - 1) / page * page;
    void* memory = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
    if (memory == MAP_FAILED)
        fail("cannot map the counters", errno);
    counts_ = static_cast<const std::uint64_t*>(memory);
}

CallCounts::~CallCounts() { ::munmap(const_cast<std::uint64_t*>(counts_), bytes_); }

const std::vector<CallRow>& CallCounts::read()
{
    const std::uint64_t now = monotonic_ns();
    rows_.clear();
    for (std::size_t i = 0; i < then_.size(); i++) {
        std::uint64_t calls = skipped_ ? probes_.skipped(i) : 0;
        for (std::size_t cpu = 0; cpu < cpus_; cpu++)
            calls += *const_cast<const volatile std::uint64_t*>(&counts_[cpu * then_.size() + i]);
        if (calls > then_[i])
            rows_.push_back({now, now - then_ns_, &probes_.functions()[i], calls - then_[i]});
        then_[i] = std::max(then_[i], calls);
    }
    then_ns_ = now;
    std::ranges::stable_sort(rows_, {}, &CallRow::calls);
    return rows_;
}

void begin_calls(const Session& session, Sink& sink, std::uint64_t time_ns, bool first)
{
    Output* const output = text_output(sink);
    if (!output) {
        if (first)
            sink.header();
        return;
    }
    std::string& text = output->text();
    if (!first)
        text += '\n';
    if (session.given("timestamp")) {
        text += output->clock().time_of_day(output->clock().wall_ns(time_ns));
        text += '\n';
    }
    sink.header();
}

} // namespace corebox
