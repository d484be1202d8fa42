// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/stack.hpp"

#include <charconv>

namespace corebox
{
namespace
{

constexpr std::string_view kDelimiter = "-";
constexpr std::string_view kKernelMark = "_[k]";

// The length of the printable character at the start of `text`; 0 if it has to be escaped.
// UTF-8 as of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
std::size_t printable(std::string_view text)
{
    auto byte = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
    };
    auto tail = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
    unsigned lead = byte(0);
    if (lead < 0x80)
        return lead >= 0x20 && lead != 0x7f ? 1 : 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
        bool c1_control = lead == 0xc2 && byte(1) < 0xa0;
        return tail(1) && !c1_control ? 2 : 0;
    }
    if ((lead & 0xf0) == 0xe0) {
        if (!tail(1) || !tail(2))
            return 0;
        unsigned point = (lead & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
        if (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))
            return 0;
        if (point == 0x2028 || point == 0x2029)
            return 0; // line and paragraph separator
        if (point >= 0xfffe)
            return 0; // not characters, not allowed in XML
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (!tail(1) || !tail(2) || !tail(3))
            return 0;
        if ((lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

void append_escaped_byte(std::string& out, char c)
{
    constexpr char kHex[] = "0123456789abcdef";
    auto byte = static_cast<unsigned char>(c);
    switch (c) {
    case '\n':
        out += "\\n";
        return;
    case '\t':
        out += "\\t";
        return;
    case '\r':
        out += "\\r";
        return;
    default:
        out += "\\x";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
}

void append_user_name(std::string& out, std::string_view name, FoldOptions options)
{
    // Names that would read as our own marks.
    if (options.delimiter && name == kDelimiter) {
        out += "\\x2d";
    } else if (options.annotate && name.ends_with(kKernelMark)) {
        append_folded_name(out, name.substr(0, name.size() - kKernelMark.size()));
        out += "_\\x5bk]";
    } else {
        append_folded_name(out, name);
    }
}

template <typename Number>
void append_number(std::string& out, Number value, int base = 10)
{
    char digits[24];
    auto [end, error] = std::to_chars(digits, digits + sizeof digits, value, base);
    static_cast<void>(error); // 24 characters hold any 64-bit number in base 10 or 16
    out.append(digits, end);
}

} // namespace

void append_escaped(std::string& out, std::string_view name)
{
    while (!name.empty()) {
        std::size_t length = printable(name);
        if (length == 0) {
            append_escaped_byte(out, name.front());
            length = 1;
        } else {
            out.append(name.substr(0, length));
        }
        name.remove_prefix(length);
    }
}

void append_folded_name(std::string& out, std::string_view name)
{
    if (name.empty()) {
        out += "[unknown]";
        return;
    }
    std::size_t start = out.size();
    append_escaped(out, name);
    for (std::size_t i = start; i < out.size(); ++i) {
        if (out[i] == ';')
            out[i] = ':';
    }
}

void append_folded(std::string& out, std::string_view comm, std::span<const StackFrame> user,
                   std::span<const StackFrame> kernel, std::uint64_t count, FoldOptions options)
{
    append_folded_name(out, comm);
    for (auto frame = user.rbegin(); frame != user.rend(); ++frame) {
        out += ';';
        append_user_name(out, frame->name, options);
    }
    if (options.delimiter && !user.empty() && !kernel.empty()) {
        out += ';';
        out += kDelimiter;
    }
    for (auto frame = kernel.rbegin(); frame != kernel.rend(); ++frame) {
        out += ';';
        append_folded_name(out, frame->name);
        if (options.annotate && frame->kind == FrameKind::kernel)
            out += kKernelMark;
    }
    out += ' ';
    append_number(out, count);
    out += '\n';
}

void append_kernel_frame(std::string& out, const KernelSymbols& symbols, std::uint64_t address,
                         FrameStyle style, At at)
{
    std::optional<KernelFrame> frame = symbols.lookup(address, at);
    if (!frame) {
        out += "0x";
        append_number(out, address, 16);
        return;
    }
    append_escaped(out, frame->name);
    if (style.offset) {
        out += "+0x";
        append_number(out, frame->offset, 16);
    }
    if (style.module) {
        out += " [";
        append_escaped(out, frame->module.empty() ? std::string_view("kernel") : frame->module);
        out += ']';
    }
}

} // namespace corebox
