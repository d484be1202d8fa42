// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The sink that writes packets, for tcpdump and Wireshark: pcapng (draft-ietf-opsawg-pcapng).
#pragma once
#include "base/fd.hpp"
#include "output/clock.hpp"
#include "output/sink.hpp"
#include <map>

namespace corebox
{

struct CapturedPacket {
    enum class Direction : std::uint8_t { unknown, in, out };

    std::uint64_t time_ns = 0; // CLOCK_MONOTONIC
    std::string_view interface {
    };                       // empty: not known
    std::uint32_t netns = 0; // of the interface
    Direction direction{};
    std::uint16_t ethertype = 0;        // of what `bytes` begin with
    std::uint32_t length = 0;           // of the whole packet
    std::span<const std::byte> bytes{}; // from its network header on, as many as were captured
    std::string_view comment{};
};

class PcapngSink final : public Sink
{
public:
    // What a row of the tool is as a packet; the views live until the next call.
    using Convert = void (*)(const void* row, CapturedPacket& out);

    // "-" is standard output, which must not be a terminal. Fails with Exit::output where the file
    // cannot be written. `program` goes into the file.
    PcapngSink(std::string_view path, std::string_view program, Convert convert);

    void header() override;
    void row(const void* row) override;
    void account(const Totals& totals) override; // as the comment of the last block
    void flush() override;
    State state() const override { return writer_.state(); }
    void notice_closed() override { writer_.notice_closed(); }
    int error() const override { return writer_.error(); }
    std::string_view target() const override { return target_; }

    // A tool that writes packets has none of these.
    void begin_histograms(const HistogramLook&) override {}
    void begin_report(const HistogramLook&, std::uint64_t) override {}
    void histogram(const HistogramLook&, const HistogramReport&) override {}
    void loss(const Lost&) override {}

private:
    std::uint32_t interface_of(const CapturedPacket& packet);

    const std::string target_, program_;
    const Convert convert_;
    const Fd file_; // none: standard output
    Writer writer_;
    Clock clock_{true};
    std::map<std::pair<std::uint32_t, std::string>, std::uint32_t> interfaces_; // their numbers
};

} // namespace corebox
