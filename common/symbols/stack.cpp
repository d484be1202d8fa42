// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/stack.hpp"

#include "output/escape.hpp"

#include <charconv>

namespace corebox
{
namespace
{

constexpr std::string_view kDelimiter = "-";
constexpr std::string_view kKernelMark = "_[k]";

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

void append_folded_name(std::string& out, std::string_view name)
{
    if (name.empty()) {
        out += "[unknown]";
        return;
    }
    std::size_t start = out.size();
    escape_text(out, name, false);
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
    escape_text(out, frame->name, false);
    if (style.offset) {
        out += "+0x";
        append_number(out, frame->offset, 16);
    }
    if (style.module) {
        out += " [";
        escape_text(out, frame->module.empty() ? std::string_view("kernel") : frame->module, false);
        out += ']';
    }
}

} // namespace corebox
