// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's packed names of symbols.
#include "kernel/text.hpp"
#include <array>
#include <gtest/gtest.h>

namespace
{

using namespace corebox;

// Names packed as the kernel does: token 1 is "Tvfs_", 2 is "tv", every other its own character.
class Packed
{
public:
    Packed()
    {
        for (int i = 0; i < 256; i++) {
            index_[std::size_t(i)] = std::uint16_t(tokens_.size());
            tokens_ += i == 1 ? "Tvfs_" : i == 2 ? "tv" : std::string(1, char(i));
            tokens_ += '\0';
        }
    }

    void add(std::string_view name)
    {
        if (name.size() >= 0x80)
            bytes_ += {char(0x80 | (name.size() & 0x7f)), char(name.size() >> 7)};
        else
            bytes_ += char(name.size());
        bytes_ += name;
        count_++;
    }

    // In pieces of so many bytes, as the kernel's memory is read.
    std::optional<std::vector<PackedName>> find(std::string_view start, std::size_t piece = 4096,
                                                std::size_t missing = 0) const
    {
        const auto bytes = std::as_bytes(std::span(bytes_));
        return text_names({.at =
                               [&](std::size_t place) {
                                   const auto rest = bytes.subspan(std::min(place, bytes.size()));
                                   return rest.first(std::min(rest.size(), piece));
                               },
                           .count = count_ + missing,
                           .tokens = std::as_bytes(std::span(tokens_)),
                           .index = index_},
                          start);
    }

    std::string tokens_, bytes_;
    std::array<std::uint16_t, 256> index_{};

private:
    std::size_t count_ = 0;
};

std::string told(const std::optional<std::vector<PackedName>>& names)
{
    if (!names)
        return "malformed";
    std::string all;
    for (const PackedName& name : *names)
        all += std::to_string(name.number) + name.name.substr(0, 16) + " ";
    return all;
}

TEST(TextNames, ThoseThatBeginSo)
{
    Packed packed;
    packed.add("\1read");
    packed.add("Dvfs_data");
    packed.add("\2fs_local");
    packed.add("txfs_read");
    packed.add("\1read");
    packed.add("Tvfsx");
    packed.add("W\1"); // a token may be anywhere
    packed.add("\1" + std::string(300, 'x'));
    packed.add("\1readv");
    for (const std::size_t piece : {4096, 320, 310}) {
        EXPECT_EQ(told(packed.find("vfs_", piece)),
                  "0vfs_read 2vfs_local 4vfs_read 7vfs_xxxxxxxxxxxx 8vfs_readv ")
            << piece;
        EXPECT_EQ(told(packed.find("vfs_read", piece)), "0vfs_read 4vfs_read 8vfs_readv ");
        EXPECT_EQ(told(packed.find("vfs_readvv", piece)), "");
        EXPECT_EQ(told(packed.find("Tv", piece)), "6Tvfs_ ");
    }
    EXPECT_EQ(packed.find("")->size(), 8u);
}

TEST(TextNames, OtherFormsAreNone)
{
    Packed packed;
    packed.add("\1read");
    EXPECT_EQ(told(packed.find("vfs", 4096, 1)), "malformed") << "one name too few";
    EXPECT_EQ(told(packed.find("vfs", 3)), "malformed") << "cannot be read";
    Packed empty = packed;
    empty.add("");
    EXPECT_EQ(told(empty.find("vfs")), "malformed") << "a name without a type";
    Packed beyond = packed;
    beyond.index_[7] = std::uint16_t(beyond.tokens_.size());
    EXPECT_EQ(told(beyond.find("vfs")), "malformed") << "a token that is not there";
}

} // namespace
