// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "binary_text.hpp"
#include "base/text.hpp"
#include "spec.hpp"
#include <cstdint>
#include <optional>
#include <vector>

namespace corebox
{
namespace
{
using Bytes = std::vector<std::uint8_t>;

constexpr std::string_view kCall = "STRCMP(";
constexpr std::size_t kMostBytes = 64;

// Of "0x7f,69" or {0x7f, 69}; none: it is another text.
std::optional<Bytes> take_bytes(std::string_view list)
{
    for (const std::string_view pair : {"\"\"", "{}"})
        if (list.size() >= 2 && list.front() == pair.front() && list.back() == pair.back())
            list = list.substr(1, list.size() - 2);
    Bytes bytes;
    for (std::string_view part : split(list, ',')) {
        while (part.starts_with(' '))
            part.remove_prefix(1);
        while (part.ends_with(' '))
            part.remove_suffix(1);
        const auto byte = part.starts_with("0x") ? to_number<std::uint8_t>(part.substr(2), 16)
                                                 : to_number<std::uint8_t>(part);
        if (!byte)
            return std::nullopt;
        bytes.push_back(*byte);
    }
    return bytes;
}

// As few loads as there can be, by words.
std::string comparison(const Bytes& bytes, std::string_view value)
{
    struct Word {
        std::size_t bytes;
        std::string_view type;
    };
    constexpr Word kWords[] = {{8, "u64"}, {4, "u32"}, {2, "u16"}, {1, "u8"}};
    std::string out;
    std::size_t at = 0;
    for (const Word& word : kWords)
        for (; bytes.size() - at >= word.bytes; at += word.bytes) {
            std::uint64_t number = 0;
            for (std::size_t i = word.bytes; i-- > 0;)
                number = number << 8 | bytes[at + i];
            out += cat(out.empty() ? "(" : " && ", "*(", word.type, " *)((u8 *)(", value, ") + ",
                       at, ") == ", to_hex(number));
        }
    return out + ")";
}

} // namespace

std::string compare_bytes(std::string_view spec)
{
    std::string out;
    for (std::size_t at = 0;;) {
        const auto call = spec.find(kCall, at);
        if (call == spec.npos)
            return out += spec.substr(at);
        out += spec.substr(at, call - at);
        const std::size_t open = call + kCall.size() - 1;
        const std::size_t end = end_of_parentheses(spec, open);
        const auto arguments = split_list({spec.substr(open + 1, end - open - 2), open + 1});
        const auto bytes = arguments.size() == 2 ? take_bytes(arguments[0].text) : std::nullopt;
        if (!bytes)
            throw expr::TextError(call, end - call, "-B takes STRCMP with a list of bytes",
                                  "for example: STRCMP(\"0x7f,0x45,0\", arg2)");
        if (bytes->size() > kMostBytes)
            throw expr::TextError(call, end - call, cat("more than ", kMostBytes, " bytes"));
        out += comparison(*bytes, arguments[1].text);
        at = end;
    }
}

} // namespace corebox
