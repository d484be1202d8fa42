// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Packets in a file, read again by the letter of the format; what cannot be written is told as of
// other output.
#include "base/error.hpp"
#include "output/pcapng.hpp"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace corebox
{
namespace
{

struct Block {
    std::uint32_t type = 0;
    std::string body;
    std::map<int, std::string> options{};
};

template <class T>
T number(const std::string& bytes, std::size_t at)
{
    T value{};
    EXPECT_LE(at + sizeof value, bytes.size());
    if (at + sizeof value <= bytes.size())
        std::memcpy(&value, &bytes[at], sizeof value);
    return value;
}

std::size_t padded(std::size_t n) { return (n + 3) / 4 * 4; }

// The fixed part of a block of this type.
std::size_t fixed_bytes(const Block& block)
{
    switch (block.type) {
    case 0x0a0d0d0a:
        return 16;
    case 1:
        return 8;
    case 5:
        return 12;
    default:
        return 20 + padded(number<std::uint32_t>(block.body, 12));
    }
}

std::vector<Block> read_blocks(const std::string& file)
{
    std::vector<Block> blocks;
    for (std::size_t at = 0; at < file.size();) {
        const auto length = number<std::uint32_t>(file, at + 4);
        EXPECT_EQ(length % 4, 0u);
        EXPECT_GE(length, 12u);
        EXPECT_LE(at + length, file.size());
        if (length < 12 || at + length > file.size())
            break;
        EXPECT_EQ(number<std::uint32_t>(file, at + length - 4), length);
        Block& block = blocks.emplace_back(
            Block{number<std::uint32_t>(file, at), file.substr(at + 8, length - 12)});
        std::size_t option = fixed_bytes(block);
        for (;; option += 4 + padded(number<std::uint16_t>(block.body, option + 2))) {
            const auto code = number<std::uint16_t>(block.body, option);
            if (code == 0)
                break;
            block.options[code] =
                block.body.substr(option + 4, number<std::uint16_t>(block.body, option + 2));
        }
        EXPECT_EQ(option + 4, block.body.size());
        at += length;
    }
    return blocks;
}

void convert(const void* row, CapturedPacket& out)
{
    out = *static_cast<const CapturedPacket*>(row);
}

std::string file_name() { return testing::TempDir() + "corebox-pcapng-test"; }

TEST(Pcapng, IsReadAgain)
{
    const std::byte bytes[] = {std::byte{0x45}, std::byte{1}, std::byte{2}, std::byte{3},
                               std::byte{4}};
    CapturedPacket packet{.time_ns = 7'500'000'123,
                          .interface = "eth0",
                          .netns = 4026531840,
                          .direction = CapturedPacket::Direction::out,
                          .ethertype = 0x0800,
                          .length = 1500,
                          .bytes = bytes,
                          .comment = "dropped: NO_SOCKET"};
    {
        PcapngSink sink(file_name(), "skbtrace", convert);
        sink.header();
        sink.row(&packet);
        packet.netns++;
        packet.direction = CapturedPacket::Direction::in;
        sink.row(&packet);
        packet.netns--;
        packet = {.time_ns = packet.time_ns,
                  .interface = "eth0",
                  .netns = packet.netns,
                  .ethertype = 0x0806};
        sink.row(&packet);
        sink.account({.printed = 3, .filtered = 5, .lost = {.ring = 1}});
        sink.flush();
        EXPECT_EQ(sink.state(), Sink::State::open);
    }
    std::stringstream file;
    file << std::ifstream(file_name()).rdbuf();
    ::unlink(file_name().c_str());
    const auto blocks = read_blocks(file.str());
    std::vector<std::uint32_t> types;
    for (const Block& block : blocks)
        types.push_back(block.type);
    ASSERT_THAT(types, testing::ElementsAre(0x0a0d0d0a, 1, 6, 1, 6, 6, 5));
    EXPECT_EQ(number<std::uint32_t>(blocks[0].body, 0), 0x1a2b3c4du);
    EXPECT_EQ(blocks[0].options.at(4), "corebox skbtrace");
    for (const std::size_t i : {1u, 3u}) {
        EXPECT_EQ(number<std::uint16_t>(blocks[i].body, 0), 113);
        EXPECT_EQ(blocks[i].options.at(2), "eth0");
        EXPECT_EQ(blocks[i].options.at(9), "\x09");
    }
    EXPECT_EQ(blocks[1].options.at(3), "network namespace 4026531840");
    const Block& first = blocks[2];
    EXPECT_EQ(number<std::uint32_t>(first.body, 0), 0u);
    const std::uint64_t ns = std::uint64_t(number<std::uint32_t>(first.body, 4)) << 32 |
                             number<std::uint32_t>(first.body, 8);
    EXPECT_EQ((ns - Clock(true).wall_ns(0)) / 1'000'000'000, 7u);
    EXPECT_EQ(number<std::uint32_t>(first.body, 12), 16u + 5);
    EXPECT_EQ(number<std::uint32_t>(first.body, 16), 16u + 1500);
    EXPECT_EQ(first.body.substr(20, 21),
              std::string("\0\x04\xff\xfe\0\0\0\0\0\0\0\0\0\0\x08\0\x45\1\2\3\4", 21));
    EXPECT_EQ(first.options.at(1), "dropped: NO_SOCKET");
    EXPECT_EQ(number<std::uint32_t>(first.options.at(2), 0), 2u);
    EXPECT_EQ(number<std::uint32_t>(blocks[4].body, 0), 1u);
    EXPECT_EQ(number<std::uint32_t>(blocks[4].options.at(2), 0), 1u);
    EXPECT_EQ(number<std::uint32_t>(blocks[5].body, 0), 0u);
    EXPECT_TRUE(blocks[5].options.empty());
    EXPECT_EQ(number<std::uint32_t>(blocks[5].body, 12), 16u);
    EXPECT_EQ(blocks[6].options.at(1), "3 written, 5 filtered, 1 lost");
}

TEST(Pcapng, FullDiskClosedPipeAndNoDirectory)
{
    PcapngSink full("/dev/full", "skbtrace", convert);
    full.header();
    full.flush();
    EXPECT_EQ(full.state(), Sink::State::failed);
    EXPECT_EQ(full.error(), ENOSPC);
    EXPECT_EQ(full.target(), "/dev/full");

    ASSERT_EQ(::mkfifo(file_name().c_str(), 0600), 0);
    const int reader = ::open(file_name().c_str(), O_RDONLY | O_NONBLOCK);
    PcapngSink pipe(file_name(), "skbtrace", convert);
    ::close(reader);
    ::unlink(file_name().c_str());
    std::signal(SIGPIPE, SIG_IGN);
    pipe.header();
    pipe.flush();
    EXPECT_EQ(pipe.state(), Sink::State::closed);

    try {
        PcapngSink("/no/such/file", "skbtrace", convert);
        ADD_FAILURE();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.status, Exit::output);
        EXPECT_EQ(failure.message, "cannot write /no/such/file: No such file or directory");
    }
}

} // namespace
} // namespace corebox
