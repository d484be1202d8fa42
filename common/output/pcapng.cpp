// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/pcapng.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace corebox
{
namespace
{

enum BlockType : std::uint32_t {
    kSection = 0x0a0d0d0a,
    kInterface = 1,
    kStatistics = 5,
    kPacket = 6,
};
// Options of each block have their own numbers but for these two.
enum : std::uint16_t { kEnd = 0, kComment = 1 };
enum : std::uint16_t { kApplication = 4 };                             // section
enum : std::uint16_t { kName = 2, kDescription = 3, kResolution = 9 }; // interface
enum : std::uint16_t { kFlags = 2 };                                   // packet

// Packets have no MAC header where the tools see them. The "cooked" header says what they are
// (tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html): whether they are sent, a type of device (here
// none), the length of an address (here none) and 8 bytes for it, the Ethernet type.
constexpr std::uint16_t kLinuxCooked = 113;
constexpr std::size_t kCookedBytes = 16;
constexpr std::uint8_t kCookedToUs = 0, kCookedFromUs = 4;

constexpr char kNanoseconds = 9; // 10^-9 s

// A block, appended to a buffer, in the byte order of this machine.
class Block
{
public:
    Block(std::string& out, BlockType type) : out_(out), begin_(out.size())
    {
        add(std::uint32_t(type));
        add(std::uint32_t(0)); // its length, once that is known
    }
    template <std::integral T>
    void add(T value)
    {
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void add(std::string_view bytes) { out_ += bytes; }
    void pad() { out_.append((begin_ - out_.size()) % 4, '\0'); }
    void add_time(std::uint64_t ns)
    {
        add(std::uint32_t(ns >> 32));
        add(std::uint32_t(ns));
    }
    void add_option(std::uint16_t code, std::string_view value)
    {
        constexpr std::size_t kMost = 0xffff;
        value = value.substr(0, kMost);
        add(code);
        add(std::uint16_t(value.size()));
        add(value);
        pad();
    }
    void end()
    {
        add(std::uint32_t(kEnd)); // of options: code and length
        const auto length = std::uint32_t(out_.size() - begin_ + sizeof(std::uint32_t));
        add(length);
        std::memcpy(&out_[begin_ + sizeof(std::uint32_t)], &length, sizeof length);
    }

private:
    std::string& out_;
    const std::size_t begin_;
};

Fd open_file(std::string_view path)
{
    if (path == "-") {
        if (::isatty(STDOUT_FILENO))
            fail_usage("--pcapng -: standard output is a terminal; redirect it, or name a file");
        return {};
    }
    Fd fd(::open(std::string(path).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd)
        throw Failure{Exit::output, cat("cannot write ", path, ": ", strerrordesc_np(errno))};
    return fd;
}

} // namespace

PcapngSink::PcapngSink(std::string_view path, std::string_view program, Convert convert)
    : Sink({}), target_(path == "-" ? "standard output" : path), program_(program),
      convert_(convert), file_(open_file(path)), writer_(file_ ? file_.get() : STDOUT_FILENO)
{
}

void PcapngSink::header()
{
    Block block(writer_.buffer(), kSection);
    block.add(std::uint32_t(0x1a2b3c4d)); // says which byte order is used
    block.add(std::uint16_t(1));          // version 1.0
    block.add(std::uint16_t(0));
    block.add(std::int64_t(-1)); // its length is not said
    block.add_option(kApplication, cat("corebox ", program_));
    block.end();
}

std::uint32_t PcapngSink::interface_of(const CapturedPacket& packet)
{
    const auto [known, is_new] =
        interfaces_.try_emplace({packet.netns, std::string(packet.interface)}, interfaces_.size());
    if (is_new) {
        Block block(writer_.buffer(), kInterface);
        block.add(kLinuxCooked);
        block.add(std::uint16_t(0));
        block.add(std::uint32_t(0)); // no limit of what is captured
        block.add_option(kName, packet.interface.empty() ? "unknown" : packet.interface);
        block.add_option(kDescription, cat("network namespace ", packet.netns));
        block.add_option(kResolution, {&kNanoseconds, 1});
        block.end();
    }
    return known->second;
}

void PcapngSink::row(const void* row)
{
    CapturedPacket packet;
    convert_(row, packet);
    const std::uint32_t interface = interface_of(packet);
    const bool is_sent = packet.direction == CapturedPacket::Direction::out;
    const auto captured = std::uint32_t(packet.bytes.size());
    Block block(writer_.buffer(), kPacket);
    block.add(interface);
    block.add_time(clock_.wall_ns(packet.time_ns));
    block.add(std::uint32_t(captured + kCookedBytes));
    block.add(std::uint32_t(std::max(captured, packet.length) + kCookedBytes));
    char cooked[kCookedBytes] = {0, char(is_sent ? kCookedFromUs : kCookedToUs), char(0xff),
                                 char(0xfe)};
    cooked[14] = char(packet.ethertype >> 8);
    cooked[15] = char(packet.ethertype);
    block.add(std::string_view(cooked, sizeof cooked));
    block.add(std::string_view(reinterpret_cast<const char*>(packet.bytes.data()), captured));
    block.pad();
    if (!packet.comment.empty())
        block.add_option(kComment, packet.comment);
    if (packet.direction != CapturedPacket::Direction::unknown) {
        const std::uint32_t flags = is_sent ? 2 : 1;
        block.add_option(kFlags, {reinterpret_cast<const char*>(&flags), sizeof flags});
    }
    block.end();
    writer_.end_record();
}

void PcapngSink::account(const Totals& totals)
{
    if (interfaces_.empty() || state() != State::open)
        return;
    Block block(writer_.buffer(), kStatistics);
    block.add(std::uint32_t(0)); // of the first interface: there is no block of statistics of all
    block.add_time(clock_.wall_ns(monotonic_ns()));
    block.add_option(kComment, cat(totals.printed, " written, ", totals.filtered, " filtered, ",
                                   totals.lost.total(), " lost"));
    block.end();
}

void PcapngSink::flush()
{
    writer_.flush();
    clock_.synchronise();
}

} // namespace corebox
